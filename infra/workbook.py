"""The Application Insights workbook: the queries of `queries/workbook`, in the order and form given here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parent
WORKBOOK = INFRA / "workbook.json"
QUERIES = INFRA / "queries" / "workbook"
SCHEMA = "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json"
QUERY_ITEM, TEXT_ITEM, PARAMETER_ITEM = 3, 1, 9
"""The types of items in the format of workbooks."""

HEAD = """\
# Power BI refreshes

Models are named by the id of their semantic model (`datasetId`). docs/operations.md explains the events of the log, \
and what to do about each kind of failure."""


@dataclass(frozen=True)
class Part:
    """One query of the workbook. `form` is its visualization: table, timechart or barchart."""

    query: str
    title: str
    form: str = "table"


PARTS = (
    Part("models-by-freshness", "Models, stalest first"),
    Part("failures-by-cause", "Requests that did not complete, by cause"),
    Part("waits", "Minutes from acceptance to outcome, by model"),
    Part("external-refreshes", "External refreshes that runs waited for"),
    Part("durations", "Minutes from the start of a refresh to its end", "timechart"),
    Part("throttles", "Throttled answers (429) of Power BI", "timechart"),
    Part("callbacks", "Callbacks, by receiver"),
)


def workbook() -> dict[str, Any]:
    """The workbook as a JSON object."""
    return {
        "version": "Notebook/1.0",
        "items": [
            {"type": TEXT_ITEM, "content": {"json": HEAD}, "name": "head"},
            _time_range(),
            *[_item(part) for part in PARTS],
        ],
        "$schema": SCHEMA,
    }


def text() -> str:
    """The content of workbook.json."""
    return json.dumps(workbook(), indent=2) + "\n"


def _time_range() -> dict[str, Any]:
    hour = 3_600_000
    return {
        "type": PARAMETER_ITEM,
        "content": {
            "version": "KqlParameterItem/1.0",
            "parameters": [
                {
                    "id": "0b8c5b5e-6f0e-4a52-9a53-6b1c7b3a9d11",
                    "version": "KqlParameterItem/1.0",
                    "name": "TimeRange",
                    "label": "Time",
                    "type": 4,
                    "isRequired": True,
                    "value": {"durationMs": 168 * hour},
                    "typeSettings": {
                        "selectableValues": [{"durationMs": hours * hour} for hours in (4, 24, 72, 168, 720)],
                        "allowCustom": True,
                    },
                }
            ],
            "style": "pills",
            "queryType": 0,
            "resourceType": "microsoft.insights/components",
        },
        "name": "parameters",
    }


def _item(part: Part) -> dict[str, Any]:
    return {
        "type": QUERY_ITEM,
        "content": {
            "version": "KqlItem/1.0",
            "query": (QUERIES / f"{part.query}.kql").read_text("utf-8"),
            "size": 0,
            "title": part.title,
            "noDataMessage": "Nothing in this time.",
            "timeContextFromParameter": "TimeRange",
            "queryType": 0,
            "resourceType": "microsoft.insights/components",
            "visualization": part.form,
        },
        "name": part.query,
    }
