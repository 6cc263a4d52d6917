"""Calls the recordings' app over HTTP and stores the answers in a form that can be compared with the real engine's.

Parts that differ from run to run are replaced: <run> (prefix of the ids), <base>, <code>, <guid>, <id> (32 hex digits),
<trace>, <address>; the digits of times become 9. There are no fixed pauses: a scenario waits for visible events.
"""

from __future__ import annotations

import json
import re
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

HOOK = "/runtime/webhooks/durabletask"
NOT_CONTRACT = {"Correlation", "ParentTraceContext", "ScheduledStartTime", "Generation", "GenerateNewTrace"}
_TIMES = {"createdTime", "lastUpdatedTime", "Timestamp", "ScheduledTime", "FireAt", "lastOperationTime"}
_KEPT_HEADERS = ("Location", "Retry-After", "Content-Type", "x-ms-continuation-token")

_POLL = 0.05
"""The seconds between two looks."""
_FLAKY = ("retries", "rewind_codes")
_SECONDS = re.compile(r"/(Result|output)/\d+$")
"""Where an activity returned how many seconds passed between its calls. The numbers depend on the machine, so they are
not compared."""

Scenario = Callable[["World"], None]
Record = dict[str, Any]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


class World:
    """The access of one scenario to a host, with ids and records of its own."""

    def __init__(self, base: str, code: str, patience: float) -> None:
        self.base, self.code, self.run = base.rstrip("/"), code, f"r{uuid.uuid4().hex[:8]}"
        self.patience = patience
        """Seconds after which an instance that has not ended counts as hanging."""
        self.records: list[Record] = []
        self.http = requests.Session()

    def id(self, suffix: str) -> str:
        return f"{self.run}-{suffix}"

    def call(
        self,
        method: str,
        path: str,
        label: str | None = None,
        keep: bool = True,
        json_body: Any = None,
        data: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        url = self.base + path
        if path.startswith(HOOK):
            url += ("&" if "?" in path else "?") + f"code={self.code}"
        r = self.http.request(method, url, json=json_body, data=data, headers=headers, timeout=240)
        try:
            body = r.json() if r.content else None
        except ValueError:
            body = {"<text>": r.text}
        if keep:
            kept = {k: r.headers[k] for k in _KEPT_HEADERS if k in r.headers}
            if kept.get("x-ms-continuation-token"):
                kept["x-ms-continuation-token"] = "<token>"
            record = {"do": label or f"{method} {path}", "status": r.status_code, "headers": kept, "body": body}
            self.records.append(self.clean(record))
        return r.status_code, body

    def note(self, label: str, value: Any) -> None:
        self.records.append(self.clean({"note": label, "value": value}))

    def start(self, name: str, input: Any = None, id: str | None = None, keep: bool = False) -> str:  # noqa: A002
        instance = self.id(id or name)
        data = json.dumps(input) if input is not None else None
        headers = {"Content-Type": "application/json"}
        self.call("POST", f"/api/start/{name}/{instance}", keep=keep, data=data, headers=headers)
        return instance

    def status(self, instance: str, query: str = "", keep: bool = False) -> tuple[int, Any]:
        return self.call("GET", f"{HOOK}/instances/{instance}{query}", keep=keep)

    def until(
        self,
        instance: str,
        done: Callable[[Any], bool] = lambda b: b["runtimeStatus"] not in ("Pending", "Running", "ContinuedAsNew"),
        timeout: float = 60,
        query: str = "",
    ) -> Any:
        end = time.time() + timeout
        while True:
            _, body = self.status(instance, query)
            if body and done(body):
                return body
            if time.time() > end:
                return {"still": body}
            time.sleep(_POLL)

    def wait_for_events(self, instance: str, count: int) -> None:
        """Waits until this many events have been delivered to an instance."""

        def delivered(body: Any) -> bool:
            return [e["EventType"] for e in body["historyEvents"]].count("EventRaised") >= count

        self.until(instance, delivered, query="?showHistory=true")

    def note_hanging(self, instance: str, label: str | None = None, history: bool = False) -> Any:
        """Notes the status of an instance that hangs, after it has had enough time to end.

        It waits for `patience` seconds, and then until the host has finished work that it received later. A host takes
        work in order, so on a slow machine an instance is not mistaken for one that hangs.
        """
        self.until(instance, timeout=self.patience)
        probe = f"probe-{uuid.uuid4().hex}"
        self.call("POST", f"/api/start/Chain/{probe}", keep=False)
        self.until(probe)
        return self.end(instance, 0, label, history)

    def end(self, instance: str, timeout: float = 60, label: str | None = None, history: bool = False) -> Any:
        """Waits for the end of an instance and keeps its final status."""
        self.until(instance, timeout=timeout)
        _, body = self.status(instance, "?showHistory=true&showHistoryOutput=true" if history else "")
        self.note(label or f"status of {instance}", body)
        return body

    def client(self, call: str, instance: str, **arguments: Any) -> tuple[int, Any]:
        label = f"client.{call} {json.dumps(arguments)}"
        return self.call("POST", f"/api/client/{call}/{instance}", label=label, json_body=arguments)

    def clean(self, value: Any) -> Any:
        text = json.dumps(value).replace(self.base, "<base>")
        text = text.replace(self.base.replace("127.0.0.1", "localhost"), "<base>").replace(self.run, "<run>")
        text = re.sub(r"code=[^&\"\\ ]+", "code=<code>", text)
        text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<guid>", text)
        # The port of the client's own endpoint differs if several hosts run at the same time.
        text = re.sub(r"http://127\.0\.0\.1:(17071|30\d{3})/", "http://127.0.0.1:17071/", text)
        return self._clean(json.loads(re.sub(r"\b[0-9a-f]{32}\b", "<id>", text)))

    def _clean(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: self._clean(v, k) for k, v in value.items() if k not in NOT_CONTRACT}
        if isinstance(value, list):
            return [self._clean(v, key) for v in value]
        if not isinstance(value, str):
            return value
        if key in _TIMES:
            return re.sub(r"\.9+", ".9", re.sub(r"\d", "9", value))
        if key == "StackTrace":
            return "<trace>"
        value = re.sub(r"(Stack: |StackTrace: ).*", r"\1<trace>", value, flags=re.S)
        value = re.sub(r"(known (?:entity|orchestrator) functions: ).*", r"\1<names>", value)
        value = re.sub(r"0x[0-9a-f]+", "<address>", value)
        if "requestTime" in value:
            value = re.sub(r"\"(Timestamp|Predecessor|requestTime)\":\"[^\"]*\"", r'"\1":"<time>"', value)
        return value


def record(base: str, code: str, names: list[str], patience: float) -> dict[str, list[Record]]:
    """Runs scenarios concurrently against a host and returns their records."""

    def one(name: str) -> tuple[str, list[Record]]:
        world = World(base, code, patience)
        try:
            SCENARIOS[name](world)
        except Exception:
            world.records.append({"broken": traceback.format_exc()})
        return name, world.records

    with ThreadPoolExecutor(len(names)) as pool:
        return dict(pool.map(one, names))


def differences(name: str, want: list[Record], got: list[Record]) -> list[str]:
    """The differences of `got` from the answers of the real engine in a scenario, one line each.

    Headers of /api/ answers are not compared, because the recordings were made with a stand-in for HTTP triggers.
    """
    for entry in want + got:
        do = entry.get("do", "")
        if do.split(" ")[-1].startswith("/api/") or do.startswith("client.") or "(client)" in do:
            entry["headers"] = {}
    found = list(_differences(want, got, ""))
    return [d for d in found if name not in _FLAKY or not _SECONDS.search(d.partition(":")[0])]


def _differences(a: Any, b: Any, where: str) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key not in a:
                yield f"{where}/{key}: extra {json.dumps(b[key])[:200]}"
            elif key not in b:
                yield f"{where}/{key}: missing, expected {json.dumps(a[key])[:200]}"
            else:
                yield from _differences(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            yield f"{where}: {len(b)} items, expected {len(a)}"
        for n, (x, y) in enumerate(zip(a, b, strict=False)):
            yield from _differences(x, y, f"{where}/{n}")
    elif a != b:
        yield f"{where}: {json.dumps(b)[:300]}, expected {json.dumps(a)[:300]}"
