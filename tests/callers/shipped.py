"""The shipped files, read from the disk as they are committed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADF, OF_SYNAPSE = ROOT / "integrations" / "adf", ROOT / "integrations" / "synapse"
PIPELINES = sorted(path.stem for path in (ADF / "pipeline").glob("*.json"))
"""Names of the pipelines for Data Factory."""
SYNAPSE_PIPELINES = sorted(path.stem for path in (OF_SYNAPSE / "pipeline").glob("*.json"))

Json = dict[str, Any]


def pipeline(name: str, folder: Path = ADF) -> Json:
    """A pipeline file."""
    return read(f"pipeline/{name}.json", folder)


def read(path: str, folder: Path = ADF) -> Json:
    """Any JSON file of a folder."""
    value: Json = json.loads((folder / path).read_text(encoding="utf-8"))
    return value


def texts(value: Any) -> Iterator[str]:
    """All strings in a JSON value, without the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)
