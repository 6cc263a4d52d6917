"""The shipped files, read from the disk."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADF, OF_SYNAPSE = ROOT / "integrations" / "adf", ROOT / "integrations" / "synapse"
EXAMPLE = "example-load-and-refresh"
"""The parent pipeline that shows how the other pipelines are used."""
ALL_PIPELINES = sorted(path.stem for path in (ADF / "pipeline").glob("refresh-*.json"))
"""Names of the pipelines for Data Factory."""
MANY = ("refresh-batch", "refresh-workspace")
"""Prefixes of the names of pipelines for many models."""
PIPELINES = [name for name in ALL_PIPELINES if not name.startswith(MANY)]
"""The names of the pipelines that refresh one model."""
BATCH_PIPELINES = [name for name in ALL_PIPELINES if name.startswith(MANY)]
ALL_SYNAPSE_PIPELINES = sorted(path.stem for path in (OF_SYNAPSE / "pipeline").glob("refresh-*.json"))
SYNAPSE_PIPELINES = [name for name in ALL_SYNAPSE_PIPELINES if not name.startswith(MANY)]

Json = dict[str, Any]


def pipeline(name: str, folder: Path = ADF) -> Json:
    """A pipeline file."""
    return read(f"pipeline/{name}.json", folder)


def read(path: str, folder: Path = ADF) -> Json:
    """Any JSON file of a folder."""
    value: Json = json.loads((folder / path).read_text(encoding="utf-8"))
    return value


def deployed(name: str, values: Json | None = None) -> dict[str, Json]:
    """The resources that a template for Data Factory creates with these values of its parameters, by type and name."""
    template, made = read(f"arm/{name}.json"), dict[str, Json]()
    given = {name: entry.get("defaultValue", name) for name, entry in template["parameters"].items()}
    assert set(values or {}) <= set(given)
    given |= values or {}
    for resource in template["resources"]:
        kind = resource["type"].removeprefix("Microsoft.DataFactory/factories/")
        own = _matched(r"\[concat\(parameters\('factoryName'\), '/([\w-]+)'\)\]", resource["name"])
        before = r"\[concat\(variables\('factoryId'\), '/(\w+/[\w-]+)'\)\]"
        assert {_matched(before, one) for one in resource["dependsOn"]} <= set(made), (
            "after the resources that it depends on"
        )
        made[f"{kind}/{own}"] = {"name": own, "properties": _with_values(resource["properties"], given)}
    return made


def _with_values(value: Any, given: Json) -> Any:
    """A value in which the expressions of the template, all of which are parameters, are replaced with their values."""
    if isinstance(value, dict):
        return {key: _with_values(inner, given) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_values(inner, given) for inner in value]
    if isinstance(value, str) and value.startswith("["):
        return given[_matched(r"\[parameters\('(\w+)'\)\]", value)]
    return value


def _matched(pattern: str, text: str) -> str:
    found = re.fullmatch(pattern, text)
    assert found, text
    return found[1]


def texts(value: Any) -> Iterator[str]:
    """All strings in a JSON value, without the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)
