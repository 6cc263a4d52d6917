"""`dev.py openapi`: writes the files in integrations/ that describe the API, from what the app serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from dev import connector
from dev.environment import ROOT
from triggers.openapi.description import describe
from triggers.uris import route_prefix

OPENAPI = "integrations/openapi.yaml"
CONNECTOR = "integrations/custom-connector.swagger.json"
HEAD = "# Written by `python3 dev.py openapi` from triggers/openapi/. A running app serves it at /api/openapi.json.\n"
APP = "your-app"
"""Stands for the name of the function app in files that are for everybody's."""

Json = dict[str, Any]


def texts() -> dict[str, str]:
    """The files as they have to be: path below the project's root, and text."""
    host = f"{{app}}.azurewebsites.net/{route_prefix()}".rstrip("/")
    variable = {"default": APP, "description": "The name of the function app."}
    document = describe({"url": f"https://{host}", "variables": {"app": variable}})
    swagger = connector.swagger(document, f"{APP}.azurewebsites.net", f"/{route_prefix()}".rstrip("/") or "/")
    return {
        OPENAPI: HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120),
        CONNECTOR: json.dumps(swagger, indent=4, ensure_ascii=False) + "\n",
    }


def run(root: Path = ROOT) -> int:
    """Writes the files; returns the exit code."""
    for name, text in texts().items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {name}")
    return 0


class _Dumper(yaml.SafeDumper):
    """Writes what occurs twice twice: an alias is hard to read, and not every tool takes it."""

    def ignore_aliases(self, data: object) -> bool:
        return True
