"""A caller that acts like a pipeline: it requests a refresh, then polls the status until the request has ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

POLL_SECONDS = 0.3
"""The seconds between two polls. The header Retry-After is ignored: it is meant for pipelines; here a person
watches."""
HTTP_SECONDS = 30
UNREACHABLE_TRIES = 5

Json = dict[str, Any]

PHASES = {
    "Queued": "queued",
    "WaitingForIdle": "waiting for idle model",
    "Starting": "starting",
    "WaitingForCapacity": "waiting for capacity",
    "Refreshing": "refreshing",
}


@dataclass(frozen=True)
class RefreshRequest:
    """The refresh that a caller requests. `model`: the model's name in the output."""

    caller: str
    model: str
    workspace_id: str
    dataset_id: str

    def body(self) -> Json:
        """The body of the POST."""
        return {
            "workspaceId": self.workspace_id,
            "datasetId": self.dataset_id,
            "caller": {"pipeline": self.caller, "factory": "dev.py"},
        }


@dataclass(frozen=True)
class Report:
    """What a caller has received so far. Times are those of this machine, in UTC."""

    sent: datetime | None = None
    ended: datetime | None = None
    code: int | None = None
    """The HTTP status of the latest answer."""
    body: Json = field(default_factory=dict)
    """The body of the latest answer."""
    problem: str = ""
    """Why the caller gets no outcome; empty otherwise."""

    @property
    def over(self) -> bool:
        """True if the caller has stopped polling."""
        return self.ended is not None

    @property
    def status(self) -> str:
        """The status of the request; empty before the first answer."""
        return str(self.body.get("status", ""))

    @property
    def phase(self) -> str:
        """The status in words."""
        if self.problem:
            return "no outcome"
        if self.sent is None:
            return "not sent yet"
        return PHASES.get(self.status, self.status or "sent")

    @property
    def position(self) -> str:
        """The position in the queue, in words; empty once the refresh runs."""
        ahead = self.body.get("position")
        if self.status not in ("Queued", "WaitingForIdle", "Starting") or not isinstance(ahead, int):
            return ""
        return f"{ahead} ahead" if ahead else "next"

    def seconds(self, now: datetime) -> float:
        """Seconds from the request to its end, or to `now`."""
        return ((self.ended or now) - self.sent).total_seconds() if self.sent else 0.0


class Caller:
    """Calls the app in a thread of its own. `report` is replaced as a whole, so it can be read at any time."""

    def __init__(self, request: RefreshRequest, base: str, poll_seconds: float = POLL_SECONDS) -> None:
        self.request, self.report = request, Report()
        self._base, self._poll_seconds = base, poll_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)

    def start(self) -> None:
        """Sends the request and starts polling."""
        self.report = Report(sent=_now())
        self._thread.start()

    def stop(self) -> None:
        """Stops polling; the request itself continues."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(HTTP_SECONDS)

    def join(self) -> None:
        """Waits until the caller has stopped polling."""
        self._thread.join()

    def _call(self) -> None:
        try:
            self._request_and_poll()
        # this clause comes first, because the errors that `requests` raises for bad JSON and bad URLs are also
        # RequestExceptions
        except (ValueError, KeyError, TypeError) as problem:
            self._end(problem=f"the answer does not have the documented form: {problem!r}"[:200])
        except requests.RequestException as problem:
            self._end(problem=f"the app cannot be reached: {problem!r}"[:200])

    def _request_and_poll(self) -> None:
        url = f"{self._base}/api/refreshes"
        answer = requests.post(url, json=self.request.body(), timeout=HTTP_SECONDS, allow_redirects=False)
        if answer.status_code != 202:
            self._end(answer, problem=f"refused with HTTP {answer.status_code}: {_message(answer)}")
            return
        self._keep(answer)
        status_uri = str(_object(answer)["statusUri"])
        while not self._stop.wait(self._poll_seconds):
            answer = _with_retries(lambda: requests.get(status_uri, timeout=HTTP_SECONDS, allow_redirects=False))
            if answer.status_code == 202:
                self._keep(answer)
            elif answer.status_code in (200, 424):
                self._end(answer)
                return
            else:
                self._end(answer, problem=f"the status is HTTP {answer.status_code}: {_message(answer)}")
                return

    def _keep(self, answer: requests.Response) -> None:
        self.report = Report(sent=self.report.sent, code=answer.status_code, body=_object(answer))

    def _end(self, answer: requests.Response | None = None, problem: str = "") -> None:
        body = self.report.body if problem or answer is None else _object(answer)
        code = answer.status_code if answer is not None else None
        self.report = Report(sent=self.report.sent, ended=_now(), code=code, body=body, problem=problem)


def _with_retries(get: Callable[[], requests.Response]) -> requests.Response:
    """The answer to `get`, which is repeated if the app does not answer: it may be restarting at this moment."""
    for _ in range(UNREACHABLE_TRIES - 1):
        try:
            return get()
        except requests.ConnectionError:
            threading.Event().wait(POLL_SECONDS)
    return get()


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return (answer.text or "(no body)")[:200]


def _object(answer: requests.Response) -> Json:
    value = answer.json()
    if not isinstance(value, dict):
        raise TypeError("the body is not a JSON object")
    return value


def _now() -> datetime:
    return datetime.now(UTC)
