"""The example of a parent pipeline: it copies files, then refreshes the model that reads them.

It comes with the linked service and the dataset that it needs. Both take their values from the pipeline's parameters,
so that no file has to be edited.
"""

from typing import Any

from dev.integrations.data_factory.activities import activity, after, expression, policy
from dev.integrations.data_factory.pipelines import DESCRIPTIONS, TYPES, Pipeline, described

Json = dict[str, Any]

NAME, CHILD = "example-load-and-refresh", "refresh-with-web-identity"
STORAGE, FILES = "ExampleStorage", "ExampleFiles"
COPY_TIMEOUT = "0.02:00:00"
PARAMETERS = {
    "StorageUrl": "address of a Data Lake Storage account that the factory's identity may read and write",
    "Container": "container in which both folders are",
    "SourceFolder": "folder to copy from",
    "TargetFolder": "folder to copy to, which the model reads",
    **{name: DESCRIPTIONS[name] for name in ("WorkspaceId", "DatasetId", "Options")},
}
DEFAULTS = {
    "StorageUrl": "https://ACCOUNT.dfs.core.windows.net",
    "Container": "sales",
    "SourceFolder": "landing",
    "TargetFolder": "curated",
    "Options": {},
}
HANDED_ON = ("WorkspaceId", "DatasetId", "Options")
"""The child pipeline has defaults for its other parameters, whose values are the same for all models."""


def example() -> Pipeline:
    """Copies the files of a folder, then calls the pipeline with one Web activity and waits for it."""
    about = (
        f"Example: copies files, then refreshes the semantic model that reads them. It calls {CHILD}, whose defaults "
        "for BaseUrl and Audience must be set. Replace Copy files with your own activities."
    )
    default = {name: {"defaultValue": value} for name, value in DEFAULTS.items()}
    properties = {
        "description": described(about, list(PARAMETERS), PARAMETERS),
        "activities": [_copy(), _refresh()],
        "parameters": {name: {"type": TYPES.get(name, "string"), **default.get(name, {})} for name in PARAMETERS},
        "folder": {"name": "Power BI refresh"},
        "annotations": [],
    }
    return Pipeline(NAME, properties)


def linked_service() -> Json:
    """A storage account, given by its address; the factory authenticates with its managed identity."""
    properties = {
        "type": "AzureBlobFS",
        "parameters": {"Url": {"type": "string"}},
        "annotations": [],
        "typeProperties": {"url": "@{linkedService().Url}"},
    }
    return {"name": STORAGE, "properties": properties}


def dataset() -> Json:
    """The files of a folder, copied byte for byte."""
    service = {
        "referenceName": STORAGE,
        "type": "LinkedServiceReference",
        "parameters": {"Url": expression("@dataset().StorageUrl")},
    }
    location = {
        "type": "AzureBlobFSLocation",
        "fileSystem": expression("@dataset().Container"),
        "folderPath": expression("@dataset().Folder"),
    }
    properties = {
        "type": "Binary",
        "linkedServiceName": service,
        "parameters": {name: {"type": "string"} for name in ("StorageUrl", "Container", "Folder")},
        "annotations": [],
        "typeProperties": {"location": location},
    }
    return {"name": FILES, "properties": properties}


def _copy() -> Json:
    properties = {
        "source": {"type": "BinarySource", "storeSettings": {"type": "AzureBlobFSReadSettings", "recursive": True}},
        "sink": {"type": "BinarySink", "storeSettings": {"type": "AzureBlobFSWriteSettings"}},
        "enableStaging": False,
    }
    files = {"inputs": [_folder("SourceFolder")], "outputs": [_folder("TargetFolder")]}
    return activity("Copy files", "Copy", properties, [], policy=policy(COPY_TIMEOUT), **files)


def _folder(parameter: str) -> Json:
    """The dataset for the folder that a parameter names."""
    names = {"StorageUrl": "StorageUrl", "Container": "Container", "Folder": parameter}
    values = {name: expression(f"@pipeline().parameters.{given}") for name, given in names.items()}
    return {"referenceName": FILES, "type": "DatasetReference", "parameters": values}


def _refresh() -> Json:
    properties = {
        "pipeline": {"referenceName": CHILD, "type": "PipelineReference"},
        "waitOnCompletion": True,
        "parameters": {name: expression(f"@pipeline().parameters.{name}") for name in HANDED_ON},
    }
    return activity("Refresh model", "ExecutePipeline", properties, after("Copy files"))
