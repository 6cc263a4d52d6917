"""`dev.py run --stay`: after the demo, models in every state for the page, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from rich.console import Console

from dev.processes import Server

HTTP_SECONDS = 30
CHECK_SECONDS = 1.0
EVERY_SECONDS = 20.0
"""The seconds between two repeated requests. The models that are refreshed repeatedly take turns."""
OVERDUE_AFTER_HOURS = 0.02

Json = dict[str, Any]

FINANCE, SUPPLY = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
AT_ONCE = {"notStartedSeconds": 0.5, "visibilitySeconds": [0, 1]}
TABLES = ("Ledger", "Accounts", "Cost centres", "Currencies")
PARTITIONS = [{"table": table, "partition": f"{table} {year}"} for table in TABLES for year in range(2021, 2027)]


@dataclass(frozen=True)
class Model:
    """A model of the demo: its behaviour in the Power BI service, its first callers, and whether they call
    repeatedly."""

    number: int
    name: str
    workspace: str = FINANCE
    knobs: Mapping[str, Any] = field(default_factory=lambda: {"seconds": [2, 6]})
    external: Mapping[str, Any] | None = None
    """An external refresh of the model, in the form of the control route."""
    callers: Sequence[str] = ("Nightly load",)
    request: Mapping[str, Any] = field(default_factory=dict)
    again: bool = False

    @property
    def id(self) -> str:
        """Its dataset id."""
        return f"00000000-0000-4000-8000-{self.number:012x}"

    def body(self, caller: str) -> Json:
        """The body of a request for this model."""
        ids = {"workspaceId": self.workspace, "datasetId": self.id}
        return {**ids, "caller": {"pipeline": caller, "factory": "dev.py"}, **self.request}


MODELS = (
    Model(0x20, "Orders", again=True),
    Model(0x21, "Customers", again=True, callers=("Load customers", "Load addresses")),
    Model(0x22, "Margin by product", SUPPLY, {"seconds": [4, 9]}, again=True),
    Model(
        0x23,
        "General ledger",
        knobs={"seconds": 1800, "objects": PARTITIONS},
        callers=("Load postings", "Load currencies", "Close of the month"),
        request={"refresh": {"type": "full"}},
    ),
    Model(
        0x24,
        "Production plan",
        SUPPLY,
        external={"refreshType": "Scheduled", "seconds": 3600, "startsIn": -600, "visibilitySeconds": 0},
        callers=("Load shifts", "Load machines"),
    ),
    Model(
        0x25,
        "Deliveries",
        SUPPLY,
        {"seconds": 3, "outcome": {"outcome": "Failed", "errorCode": "DM_GWPipeline_Gateway_TimeoutError"}},
        callers=("Load deliveries",),
    ),
    Model(0x26, "Web shop", request={"expectedEveryHours": OVERDUE_AFTER_HOURS}, callers=("Load clicks",)),
)


def keep(where: Console, base: str, service: str, servers: Sequence[Server]) -> None:
    """Fills the page and keeps the demo running until Ctrl-C. Raises ServerFailed if a server ends."""
    fill(base, service)
    where.print(f"\nThe page shows models in every state: {base}/api/ui\nCtrl-C ends the demo.", markup=False)
    again = [model for model in MODELS if model.again]
    due, turn = time.monotonic() + EVERY_SECONDS, 0
    try:
        while True:
            for server in servers:
                server.check()
            if time.monotonic() >= due:
                request(base, again[turn % len(again)], "Hourly load")
                due, turn = due + EVERY_SECONDS, turn + 1
            time.sleep(CHECK_SECONDS)
    except KeyboardInterrupt:
        where.print("The demo has ended.")


def fill(base: str, service: str) -> None:
    """Sets up the models, and sends the first requests for them."""
    for model in MODELS:
        _post(f"{service}/control/datasets/{model.id}", {**AT_ONCE, **model.knobs, "name": model.name})
        if model.external:
            _post(f"{service}/control/datasets/{model.id}/external", model.external)
    for model in MODELS:
        for caller in model.callers:
            request(base, model, caller)


def request(base: str, model: Model, caller: str) -> None:
    """Requests a refresh of the model."""
    _post(f"{base}/api/refreshes", model.body(caller))


def _post(url: str, body: Mapping[str, Any]) -> None:
    requests.post(url, json=body, timeout=HTTP_SECONDS).raise_for_status()
