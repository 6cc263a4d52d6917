"""The files in integrations/ that describe the API, made from the description that the app serves."""

from __future__ import annotations

import json
from typing import Any

import yaml

from dev.integrations import custom_connector
from triggers.openapi.description import describe
from triggers.uris import route_prefix

OPENAPI, CONNECTOR = "openapi.yaml", "custom-connector.swagger.json"
HEAD = (
    "# Written by `python3 dev.py integrations` from triggers/openapi/. A running app serves this description at "
    "/api/openapi.json.\n"
)
APP = "your-app"
"""Placeholder for the name of the function app."""

Json = dict[str, Any]


def texts() -> dict[str, str]:
    """The content of the files, by their path in integrations/."""
    host = f"{{app}}.azurewebsites.net/{route_prefix()}".rstrip("/")
    variable = {"default": APP, "description": "The name of the function app."}
    document = describe({"url": f"https://{host}", "variables": {"app": variable}})
    swagger = custom_connector.swagger(document, f"{APP}.azurewebsites.net", f"/{route_prefix()}".rstrip("/") or "/")
    return {
        OPENAPI: HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120),
        CONNECTOR: json.dumps(swagger, indent=4, ensure_ascii=False) + "\n",
    }


class _Dumper(yaml.SafeDumper):
    """Writes repeated values in full: aliases are hard to read, and some tools do not support them."""

    def ignore_aliases(self, data: object) -> bool:
        return True
