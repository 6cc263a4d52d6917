"""The formats in which a pipeline is imported: its own JSON, an ARM template, and the zip of the template gallery."""

import io
import json
import zipfile
from copy import deepcopy
from typing import Any

from dev.integrations.data_factory import example
from dev.integrations.data_factory.pipelines import DESCRIPTIONS, FUNCTION_KEY, IDENTITY, Pipeline, all_pipelines

Json = dict[str, Any]

SCHEMA = "http://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#"
API_VERSION = "2018-06-01"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""A fixed time, so that the same content gives the same bytes."""
IMAGE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="400px" height="240px" viewBox="0 0 400 240">'
    '<rect x="100" y="80" width="200" height="80" rx="4" fill="#f4f4f4" stroke="#c8c8c8"/>'
    '<text x="200" y="125" text-anchor="middle" font-family="Segoe UI" font-size="16">{name}</text></svg>'
)


def text(value: Json) -> bytes:
    """JSON as it is committed to the repository."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def pipeline_file(pipeline: Pipeline) -> Json:
    """The pipeline in the format of the Git repository of a factory or of a Synapse workspace."""
    return {"name": pipeline.name, "properties": pipeline.properties}


def for_synapse(pipeline: Pipeline) -> Pipeline | None:
    """The pipeline reduced to what Synapse supports; None if it needs something that Synapse may not support.

    The description names the Synapse workspace instead of the factory.

    In Synapse's schema, a Web activity has no `httpRequestTimeout` and no `turnOffAsync`, and a WebHook activity has no
    policy, so its input with the key would be visible.
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
    properties["description"] = properties["description"].replace("the factory", "the Synapse workspace")
    return Pipeline(pipeline.name, properties, pipeline.linked_service)


def arm_template(pipeline: Pipeline) -> Json:
    """A deployment into an existing factory.

    One parameter of the template names the linked service that the pipeline needs, if any. The others give the defaults
    of those pipeline parameters whose value is the same for all models.
    """
    template = gallery_template(pipeline)
    for parameter in template["parameters"].values():
        parameter["metadata"] = {"description": parameter["metadata"]}
    declared = template["resources"][0]["properties"]["parameters"]
    for name in pipeline.of_the_deployment:
        template["parameters"] |= _default_of(declared[name], name, DESCRIPTIONS[name])
    return template


def example_template() -> Json:
    """A deployment of the example and of everything it needs: child pipeline, dataset and linked service."""
    parent = example.example()
    child = next(one for one in all_pipelines() if one.name == example.CHILD)
    template = arm_template(child)
    [child_resource] = template["resources"]
    service = _resource("linkedservices", example.linked_service())
    files = _resource("datasets", example.dataset(), service)
    pipeline = _resource("pipelines", pipeline_file(parent), files, child_resource)
    declared = pipeline["properties"]["parameters"]["StorageUrl"]
    template["parameters"] |= _default_of(declared, "StorageUrl", example.PARAMETERS["StorageUrl"])
    template["resources"] += [service, files, pipeline]
    return template


def _default_of(declared: Json, name: str, description: str) -> Json:
    """A template parameter for the default of a pipeline parameter. Makes the default refer to the new parameter."""
    own = name[0].lower() + name[1:]
    default = declared["defaultValue"]
    declared["defaultValue"] = f"[parameters('{own}')]"
    return {own: {"type": "string", "defaultValue": default, "metadata": {"description": description}}}


def _resource(kind: str, file: Json, *after: Json) -> Json:
    """A part of a factory as a resource. `after`: the resources that must exist first."""
    return {
        "name": f"[concat(parameters('factoryName'), '/{file['name']}')]",
        "type": f"Microsoft.DataFactory/factories/{kind}",
        "apiVersion": API_VERSION,
        "properties": deepcopy(file["properties"]),
        "dependsOn": [f"[concat(variables('factoryId'), '{_path(resource)}')]" for resource in after],
    }


def _path(resource: Json) -> str:
    kind, name = resource["type"].rsplit("/", 1)[1], resource["name"].split("'/")[1].split("'")[0]
    return f"/{kind}/{name}"


def gallery_template(pipeline: Pipeline) -> Json:
    """The template in the zip, in which the metadata of a parameter is a string."""
    parameters: Json = {"factoryName": {"type": "string", "metadata": "Name of the data factory"}}
    resource = _resource("pipelines", pipeline_file(pipeline))
    properties = resource["properties"]
    if pipeline.linked_service:
        description = "Name of the linked service of the function app; it must exist"
        parameters[pipeline.linked_service] = {"type": "string", "metadata": description}
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


def manifest(pipeline: Pipeline) -> Json:
    """The entry of the gallery, with the linked service that the import dialog asks for."""
    required = {pipeline.linked_service: {"supportTypes": ["AzureFunction"]}} if pipeline.linked_service else {}
    return {
        "name": pipeline.name,
        "description": pipeline.properties["description"],
        "image": IMAGE.format(name=pipeline.name),
        "icons": ["AzureFunction"],
        "requires": {"linkedservices": required},
        "annotations": [],
        "services": ["Azure Functions", "Power BI"],
        "categories": ["General"],
    }


def template_zip(pipeline: Pipeline) -> bytes:
    """The zip for "Import from pipeline template"."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, value in ((pipeline.name, gallery_template(pipeline)), ("manifest", manifest(pipeline))):
            entry = zipfile.ZipInfo(f"{name}.json", ZIP_TIME)
            entry.create_system = 0  # the same on every operating system
            archive.writestr(entry, text(value))
    return stream.getvalue()


def linked_services() -> dict[str, Json]:
    """Linked services by name; their addresses are placeholders."""
    app = "https://contoso-refresh.azurewebsites.net"
    identity = {
        "functionAppUrl": app,
        "authentication": "MSI",
        "resourceId": "api://00000000-0000-0000-0000-000000000000",
    }
    secret = {
        "type": "AzureKeyVaultSecret",
        "store": {"referenceName": "RefreshKeyVault", "type": "LinkedServiceReference"},
        "secretName": "refresh-function-key",
    }
    key = {"functionAppUrl": app, "functionKey": secret}
    vault = {"baseUrl": "https://contoso-vault.vault.azure.net/"}
    kinds = {
        IDENTITY.linked_service: ("AzureFunction", identity),
        FUNCTION_KEY.linked_service: ("AzureFunction", key),
        "RefreshKeyVault": ("AzureKeyVault", vault),
    }
    services = {
        name: {"name": name, "properties": {"type": kind, "annotations": [], "typeProperties": properties}}
        for name, (kind, properties) in kinds.items()
    }
    return {**services, example.STORAGE: example.linked_service()}
