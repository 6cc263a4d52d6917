"""The number of activity runs for a refresh of ten minutes, counted by running the files in virtual time.

docs/from-polling-pipelines.md has these numbers.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.callers.adf_check import problems
from tests.callers.clients.adf_function import FunctionActivity
from tests.callers.clients.adf_http import Answer, Call
from tests.callers.clients.adf_pipeline import FAILED, SUCCEEDED, PipelineRun
from tests.callers.clients.adf_web import WebActivity
from tests.callers.clients.adf_webhook import WebHookActivity
from tests.callers.clients.pace import Virtual
from tests.callers.servers import SECRET_NAME, json_answer, token_for
from tests.callers.shipped import PIPELINES, ROOT, pipeline

Json = dict[str, Any]

DOCUMENT = (ROOT / "docs/from-polling-pipelines.md").read_text(encoding="utf-8")
POLLING: Json = json.loads((ROOT / "docs/polling-pipeline.json").read_text(encoding="utf-8"))
REFRESH_SECONDS = 600.0
BASE = "https://app"
RUN = {"RunId": "r", "Pipeline": "p", "DataFactory": "f"}


class TenMinutes:
    """The app, the key vault and Power BI during a refresh that takes ten minutes and completes."""

    def __init__(self, pace: Virtual, outcome: str = "Completed", busy_seconds: float = 0.0) -> None:
        self.pace, self.outcome, self.free_at = pace, outcome, busy_seconds
        self.ends_at: float | None = None

    def __call__(self, call: Call) -> Answer:
        """The answer to any call."""
        path = call.url.removeprefix(BASE).split("?")[0]
        if path.startswith("/secrets"):
            return json_answer({"value": "k"})
        if path == "/powerbi/refreshes":
            return self._power_bi(call)
        if path == "/api/refreshes":
            self.ends_at = self.pace.now() + REFRESH_SECONDS
            uri = f"{BASE}/status"
            if "callBackUri" in (call.body or ""):
                return json_answer({"statusUri": uri})
            return json_answer({"statusUri": uri, "statusQueryGetUri": uri}, 202, location=uri, **{"retry-after": "5"})
        assert path == "/status", path
        assert self.ends_at is not None
        running = self.pace.now() < self.ends_at
        where = {"location": call.url, "retry-after": "60"} if running else {}
        return json_answer({"runtimeStatus": "Running" if running else "Completed"}, 202 if running else 200, **where)

    def address(self, name: str) -> str:
        """The URI of a callback."""
        return f"{BASE}/callback/{name}"

    def take(self, name: str, seconds: float) -> bytes:
        """The body of the callback at the end of the refresh."""
        self.pace.wait(REFRESH_SECONDS)
        return b'{"StatusCode": "200", "Output": {}}'

    def _power_bi(self, call: Call) -> Answer:
        if call.method == "POST":
            self.ends_at = self.pace.now() + REFRESH_SECONDS
            return json_answer({}, 202)
        if self.ends_at is None:
            status = "Unknown" if self.pace.now() < self.free_at else "Completed"
        else:
            status = "Unknown" if self.pace.now() < self.ends_at else self.outcome
        return json_answer({"value": [{"status": status}]})


def run(file: Json, world: TenMinutes, **parameters: str) -> PipelineRun:
    """Runs a pipeline."""
    web, hook = WebActivity(world, token_for, world.pace), WebHookActivity(world, token_for, world.pace, world)
    function = FunctionActivity(
        world,
        token_for,
        world.pace,
        {name: {"functionAppUrl": BASE, **_service(name)} for name in SERVICES},
        {"k": "k"},
    )
    runners = {
        "WebActivity": lambda given, policy, timeout: web(given, timeout),
        "WebHook": lambda given, policy, timeout: hook(given),
        "AzureFunctionActivity": lambda given, policy, timeout: function(given, given["linkedService"]),
    }
    return PipelineRun(file, parameters, runners, world.pace, RUN).run()


SERVICES = ("RefreshServiceWithIdentity", "RefreshServiceWithKey")


def _service(name: str) -> Json:
    identity: Json = {"authentication": "MSI", "resourceId": "api://app"}
    return identity if name.endswith("Identity") else {"functionKey": {"secretName": "k"}}


def shipped(name: str) -> PipelineRun:
    """A shipped pipeline with its parameters."""
    values = {
        "BaseUrl": BASE,
        "WorkspaceId": "w",
        "DatasetId": "d",
        "Audience": "api://app",
        "KeySecretUri": f"{BASE}/secrets/{SECRET_NAME}",
    }
    file = pipeline(name)
    given = {key: value for key, value in values.items() if key in file["properties"]["parameters"]}
    return run(file, TenMinutes(Virtual()), **given)


def polling(**more: Any) -> PipelineRun:
    """The pipeline that polls Power BI."""
    return run(POLLING, TenMinutes(Virtual(), **more), RefreshesUrl=f"{BASE}/powerbi/refreshes")


def documented() -> dict[str, int]:
    """The number of activity runs by pipeline, according to the document."""
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", DOCUMENT, re.M)
    return {name: int(count) for name, count in rows}


def test_the_polling_pipeline_works() -> None:
    """The pipeline waits for an idle model, refreshes it, and ends like the refresh. So the comparison with it is
    fair."""
    assert problems(POLLING) == []
    assert polling().status == SUCCEEDED
    assert polling(busy_seconds=120).count > polling().count
    failed = polling(outcome="Failed")
    assert (failed.status, failed.message) == (FAILED, "The refresh ended as Failed")


@pytest.mark.parametrize("name", [*PIPELINES, "poll-power-bi"])
def test_activity_runs_are_documented(name: str, record_property: Callable[[str, object], None]) -> None:
    """The document has the counted numbers."""
    ended = polling() if name == "poll-power-bi" else shipped(name)
    assert ended.status == SUCCEEDED, ended.history
    assert ended.pace.now() >= REFRESH_SECONDS
    record_property("measured", f"{name}: {ended.count} activity runs for a refresh of ten minutes")
    assert documented().get(name) == ended.count


def test_the_document_shows_the_real_activities() -> None:
    """The JSON in the document is equal to the JSON in the files."""
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.S)]
    [ours] = pipeline("refresh-with-web-identity")["properties"]["activities"]
    loop = next(one for one in POLLING["properties"]["activities"] if one["name"] == "Until done")
    assert ours in blocks
    assert loop in blocks
    assert Path(ROOT / "docs/polling-pipeline.json").name in DOCUMENT
