"""The shipped files as tests read them: from the disk, as they are committed."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADF = ROOT / "integrations" / "adf"
PIPELINES = sorted(path.stem for path in (ADF / "pipeline").glob("*.json"))

Json = dict[str, Any]


def pipeline(name: str) -> Json:
    """A pipeline file."""
    return read(f"pipeline/{name}.json")


def read(path: str) -> Json:
    """Any JSON file of integrations/adf."""
    value: Json = json.loads((ADF / path).read_text(encoding="utf-8"))
    return value
