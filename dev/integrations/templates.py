"""The forms in which a pipeline travels: its own JSON, an ARM template, and the zip of the template gallery."""

import io
import json
import zipfile
from copy import deepcopy
from typing import Any

from dev.integrations.pipelines import FUNCTION_KEY, IDENTITY, Shipped

Json = dict[str, Any]

SCHEMA = "http://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#"
API_VERSION = "2018-06-01"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The zips are made of the same bytes every time."""
IMAGE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="400px" height="240px" viewBox="0 0 400 240">'
    '<rect x="100" y="80" width="200" height="80" rx="4" fill="#f4f4f4" stroke="#c8c8c8"/>'
    '<text x="200" y="125" text-anchor="middle" font-family="Segoe UI" font-size="16">{name}</text></svg>'
)


def text(value: Json) -> bytes:
    """JSON as it is committed."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def pipeline_file(pipeline: Shipped) -> Json:
    """The file as the Git repository of a factory or of a Synapse workspace holds it."""
    return {"name": pipeline.name, "properties": pipeline.properties}


def for_synapse(pipeline: Shipped) -> Shipped | None:
    """The pipeline with what Synapse knows; None if it cannot do without what Synapse may not know.

    Synapse's own model has no limit for the answer to a Web activity, no `turnOffAsync`, and no policy for a WebHook,
    which may then show the header with the key.
    """
    properties = deepcopy(pipeline.properties)
    for activity in properties["activities"]:
        call, kind = activity["typeProperties"], activity["type"]
        if (kind == "WebHook" and activity["policy"]["secureInput"]) or call.get("turnOffAsync"):
            return None
        if kind == "WebHook":
            del activity["policy"]
        call.pop("httpRequestTimeout", None)
        call.pop("turnOffAsync", None)
    return Shipped(pipeline.name, properties, pipeline.linked_service)


def arm_template(pipeline: Shipped) -> Json:
    """A deployment into a factory that exists. A linked service that the pipeline needs is named by a parameter."""
    parameters: Json = {"factoryName": {"type": "string", "metadata": {"description": "Name of the data factory"}}}
    properties = deepcopy(pipeline.properties)
    resource: Json = {
        "name": f"[concat(parameters('factoryName'), '/{pipeline.name}')]",
        "type": "Microsoft.DataFactory/factories/pipelines",
        "apiVersion": API_VERSION,
        "properties": properties,
        "dependsOn": [],
    }
    if pipeline.linked_service:
        described = {"description": "Name of the linked service of the function app; it must exist"}
        parameters[pipeline.linked_service] = {"type": "string", "metadata": described}
        for activity in properties["activities"]:
            if "linkedServiceName" in activity:
                activity["linkedServiceName"]["referenceName"] = f"[parameters('{pipeline.linked_service}')]"
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": parameters,
        "variables": {"factoryId": "[concat('Microsoft.DataFactory/factories/', parameters('factoryName'))]"},
        "resources": [resource],
    }


def gallery_template(pipeline: Shipped) -> Json:
    """The template of the zip: as above, but there the metadata of a parameter is a text."""
    template = arm_template(pipeline)
    for parameter in template["parameters"].values():
        parameter["metadata"] = parameter["metadata"]["description"]
    return template


def manifest(pipeline: Shipped) -> Json:
    """What the gallery shows, and which linked service the import has to ask for."""
    needed = {pipeline.linked_service: {"supportTypes": ["AzureFunction"]}} if pipeline.linked_service else {}
    return {
        "name": pipeline.name,
        "description": pipeline.properties["description"],
        "image": IMAGE.format(name=pipeline.name),
        "icons": ["AzureFunction"],
        "requires": {"linkedservices": needed},
        "annotations": [],
        "services": ["Azure Functions", "Power BI"],
        "categories": ["General"],
    }


def template_zip(pipeline: Shipped) -> bytes:
    """The zip for "Import from pipeline template"."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, value in ((pipeline.name, gallery_template(pipeline)), ("manifest", manifest(pipeline))):
            entry = zipfile.ZipInfo(f"{name}.json", ZIP_TIME)
            entry.create_system = 0  # not the system that it happens to be made on
            archive.writestr(entry, text(value))
    return stream.getvalue()


def linked_services() -> dict[str, Json]:
    """Linked services by name, with addresses to be replaced."""
    app = "https://contoso-refresh.azurewebsites.net"
    identity = {
        "functionAppUrl": app,
        "authentication": "MSI",
        "resourceId": "api://00000000-0000-0000-0000-000000000000",
    }
    secret = {
        "type": "AzureKeyVaultSecret",
        "store": {"referenceName": "RefreshKeyVault", "type": "LinkedServiceReference"},
        "secretName": "refresh-service-key",
    }
    key = {"functionAppUrl": app, "functionKey": secret}
    vault = {"baseUrl": "https://contoso-vault.vault.azure.net/"}
    kinds = {
        IDENTITY.linked_service: ("AzureFunction", identity),
        FUNCTION_KEY.linked_service: ("AzureFunction", key),
        "RefreshKeyVault": ("AzureKeyVault", vault),
    }
    return {
        name: {"name": name, "properties": {"type": kind, "annotations": [], "typeProperties": properties}}
        for name, (kind, properties) in kinds.items()
    }
