"""The app from the view of a caller, and the controls of its Power BI service. Everything over HTTP.

By default each test process starts an app on the devhost. Against an app that runs elsewhere, for example on the real
durable engine, set

    E2E_BASE_URL         its address, without /api, such as http://127.0.0.1:7171; it needs the settings `FAST`
    E2E_POWER_BI_URL     the Power BI service for development that it uses (`dev.py power-bi`)
    E2E_FUNCTION_KEY     a function key, if the app requires one
    E2E_MANAGEMENT_KEY   the key of the engine's management API (`code`): to purge, terminate or read instances
    E2E_KILL_COMMAND     a shell command that kills the host with -9, such as kill -9 $(cat DIR/host0.pid); a
                         supervisor has to restart it. The tests of crashes need this
    E2E_END_SECONDS      how long a request may take to end before a test fails (default 90)

Callback tests need a host that can call this machine, so they run only if E2E_BASE_URL is on this machine. Tests that
give the app settings of its own, or read its log, need the devhost; each is skipped with that reason.
"""

import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests

from devhost_tests.process import pauses

WORKSPACE = "11111111-aaaa-bbbb-cccc-000000000001"
CALL_SECONDS = 30.0
END_SECONDS = float(os.environ.get("E2E_END_SECONDS", "90"))
DEADLINE = max(10, END_SECONDS / 30) / 60
"""A deadline in minutes. Even a host that is ten times slower than an idle devhost starts the refresh in that time."""

Json = dict[str, Any]
T = TypeVar("T")

FAST = {
    "POLL_MIN_SECONDS": "0.4",
    "POLL_MAX_SECONDS": "1",
    "VISIBILITY_GRACE_SECONDS": "4",
    "RECHECK_SECONDS": "3",
    "EXACT_TIMERS": "true",
    "OUTAGE_BUDGET_SECONDS": "5",
    "CALLBACK_ALLOWED_HOSTS": "127.0.0.1",
}
"""App settings that shorten all pauses. EXACT_TIMERS requires the devhost's --exact-timers. On another engine, leave it
out; then pauses take two seconds, and OUTAGE_BUDGET_SECONDS has to be 30."""
LONG = 3600.0
"""The seconds of a refresh that the test ends itself (`World.end`), so that its phases are visible at any speed."""
QUICK = {"seconds": 1, "notStartedSeconds": 0, "visibilitySeconds": [0, 0.5], "cancelSeconds": 0.2}
"""Knobs of the Power BI service that shorten refreshes and their delays."""


def when(read: Callable[[], T], condition: Callable[[T], Any] = bool, seconds: float = END_SECONDS) -> T:
    """Reads until a condition holds, and returns the last value. Fails after `seconds`."""
    end, pause = time.monotonic() + seconds, pauses()
    while not condition(found := read()):
        assert time.monotonic() < end, f"condition not met within {seconds} s: {found}"
        time.sleep(next(pause))
    return found


@dataclass
class Result:
    """The answers that one caller got: to its start, and each status. `final` is the last answer."""

    started: requests.Response
    seen: list[Json] = field(default_factory=list)
    final: requests.Response | None = None

    @property
    def code(self) -> int:
        """The HTTP status of the last answer."""
        assert self.final is not None
        return self.final.status_code

    @property
    def body(self) -> Json:
        """The last status."""
        return self.seen[-1]


@dataclass(frozen=True)
class World:
    """`app` and `power_bi` are base URLs without a slash at the end; `key` is a function key, if required."""

    app: str
    power_bi: str
    key: str | None = None
    models: list[str] = field(default_factory=list, hash=False, compare=False)
    """The dataset ids of the models that tests created."""

    def post(self, body: object, timeout: float = CALL_SECONDS) -> requests.Response:
        """POST /api/refreshes."""
        return requests.post(f"{self.app}/api/refreshes", json=body, headers=self.headers, timeout=timeout)

    def ask(self, dataset_id: str, **options: Any) -> Json:
        """Starts a request that is accepted. Returns the body of the 202."""
        answer = self.start(dataset_id, **options)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def start(self, dataset_id: str, /, **options: Any) -> requests.Response:
        """Starts a request for a model. Returns the answer."""
        patience = CALL_SECONDS + float(options.get("waitSeconds") or 0)
        return self.post({"workspaceId": WORKSPACE, "datasetId": dataset_id, **options}, patience)

    def follow(self, uri: str, seconds: float = END_SECONDS) -> Result:
        """Polls a status URI to the end."""
        answers: list[requests.Response] = []
        seen: list[Json] = []

        with requests.Session() as session:  # one connection for all polls

            def status() -> Json:
                answers.append(session.get(uri, timeout=CALL_SECONDS))
                seen.append(answers[-1].json())
                return seen[-1]

            when(status, lambda _: answers[-1].status_code != 202, seconds)
        return Result(answers[0], seen, answers[-1])

    def refresh(self, dataset_id: str, **options: Any) -> Result:
        """Starts a request and waits for its end."""
        return self.follow(self.ask(dataset_id, **options)["statusUri"])

    def refresh_together(self, dataset_id: str, callers: int) -> list[Result]:
        """Sends several requests at the same moment and waits for their ends. The first refresh ends after all requests
        have been enrolled, so the model needs refreshes of the duration LONG."""
        with ThreadPoolExecutor(callers) as pool:
            uris = list(pool.map(lambda _: self.ask(dataset_id)["statusUri"], range(callers)))
            for uri in uris:
                self.until(uri, lambda status: status.get("runId"))
            when(lambda: self.own(dataset_id))
            self.end_and_shorten(dataset_id)
            return list(pool.map(self.follow, uris))

    def end_and_shorten(self, dataset_id: str) -> None:
        """Ends the running refresh; later refreshes of this model are short."""
        self.control(dataset_id, "", {"seconds": QUICK["seconds"]})
        self.end(dataset_id)

    def until(self, uri: str, condition: Callable[[Json], Any], seconds: float = END_SECONDS) -> Json:
        """Polls a status URI until the status fulfils a condition."""

        def met(status: Json) -> Any:
            fulfilled = condition(status)
            assert fulfilled or "endedAt" not in status, f"ended before the condition was met: {status}"
            return fulfilled

        return when(lambda: dict(requests.get(uri, timeout=CALL_SECONDS).json()), met, seconds)

    def listing(self, **filters: str) -> requests.Response:
        """GET /api/refreshes."""
        return requests.get(f"{self.app}/api/refreshes", params=filters, headers=self.headers, timeout=30)

    def queue(self, dataset_id: str) -> requests.Response:
        """GET /api/queues/{datasetId}."""
        return requests.get(f"{self.app}/api/queues/{dataset_id}", headers=self.headers, timeout=30)

    def queue_when(self, dataset_id: str, condition: Callable[[Json], Any], seconds: float = END_SECONDS) -> Json:
        """Waits until the queue of a model meets a condition. An answer may be a second old."""
        return when(lambda: dict(self.queue(dataset_id).json()), condition, seconds)

    def cancel_by_key(self, dataset_id: str, key: str) -> requests.Response:
        """POST /api/refreshes/cancel."""
        url, body = f"{self.app}/api/refreshes/cancel", {"datasetId": dataset_id, "idempotencyKey": key}
        return requests.post(url, json=body, headers=self.headers, timeout=CALL_SECONDS)

    # ---- Power BI ----

    def model(self, **knobs: Any) -> str:
        """Creates a model and returns its dataset id."""
        dataset_id = str(uuid.uuid4())
        self.control(dataset_id, "", {**QUICK, **knobs})
        self.models.append(dataset_id)
        return dataset_id

    def end_all(self) -> None:
        """Ends the refreshes of all models, including those that queued requests will start. Otherwise the app would go
        on polling them, which takes processor time from other tests."""
        models = [*self.models]
        self.models.clear()
        for dataset_id in models:
            self.control(dataset_id, "", {"seconds": 0, "outcome": "Completed"})
            url = f"{self.power_bi}/control/datasets/{dataset_id}/end"
            # the next refresh begins when the one before it ends
            while (code := requests.post(url, timeout=CALL_SECONDS).status_code) == 200:
                pass
            assert code == 409

    def control(self, dataset_id: str, route: str, body: Json | None = None) -> Json:
        """POST /control/datasets/{ds}/..."""
        url = f"{self.power_bi}/control/datasets/{dataset_id}{route}"
        answer = requests.post(url, json=body or {}, timeout=CALL_SECONDS)
        assert answer.ok, answer.text
        return dict(answer.json())

    def external(self, dataset_id: str, refresh_type: str = "Scheduled", seconds: float = LONG, **more: Any) -> None:
        """Starts an external refresh, which appears in the history at once."""
        body = {"refreshType": refresh_type, "seconds": seconds, "visibilitySeconds": 0, **more}
        self.control(dataset_id, "/external", body)

    def end(self, dataset_id: str) -> None:
        """Ends the running refresh with success."""
        self.control(dataset_id, "/end")

    def fault(self, dataset_id: str, name: str, route: str, **more: Any) -> None:
        """Adds a fault for a model."""
        body = {"fault": name, "route": route, "datasetId": dataset_id, **more}
        answer = requests.post(f"{self.power_bi}/control/faults", json=body, timeout=CALL_SECONDS)
        assert answer.ok, answer.text

    def truth(self, dataset_id: str) -> Json:
        """The records of the Power BI service about a model: `calls`, `accepted`, `refreshes`."""
        answer = requests.get(f"{self.power_bi}/control/datasets/{dataset_id}", timeout=CALL_SECONDS)
        assert answer.ok, answer.text
        return dict(answer.json())

    def own(self, dataset_id: str) -> list[Json]:
        """The refreshes of a model that the app started."""
        return [refresh for refresh in self.truth(dataset_id)["refreshes"] if not refresh["external"]]

    @property
    def headers(self) -> dict[str, str]:
        """The headers that give access."""
        return {"x-functions-key": self.key} if self.key else {}
