"""A caller as a pipeline is one: asks for a refresh, then reads the status until it is told how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

POLL_SECONDS = 0.3
"""Between two reads of the status. The Retry-After of the answers is for pipelines; here somebody is watching."""
HTTP_SECONDS = 30
UNREACHABLE_TRIES = 5

Json = dict[str, Any]

PHASES = {
    "Queued": "queued",
    "WaitingForIdle": "waits until the model is idle",
    "Refreshing": "refreshing",
}


@dataclass(frozen=True)
class Ask:
    """Who asks for what; `model` is the name that people see."""

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
class Seen:
    """What a caller has been told so far. Times are this machine's, in UTC."""

    sent: datetime | None = None
    ended: datetime | None = None
    code: int | None = None
    """The HTTP status of the last answer."""
    told: Json = field(default_factory=dict)
    """The body of the last answer."""
    problem: str = ""
    """Why there will be no verdict."""

    @property
    def over(self) -> bool:
        """True if nothing more will come."""
        return self.ended is not None

    @property
    def status(self) -> str:
        """The word for how far it is, or how it ended."""
        return str(self.told.get("status", ""))

    @property
    def phase(self) -> str:
        """The same for people."""
        if self.problem:
            return "no verdict"
        if self.sent is None:
            return "not sent yet"
        return PHASES.get(self.status, self.status or "asking")

    @property
    def position(self) -> str:
        """Its place in the line: how many refreshes come first."""
        ahead = self.told.get("position")
        if self.over or not isinstance(ahead, int):
            return ""
        return f"{ahead} ahead" if ahead else "next" if self.status == "WaitingForIdle" else "its turn"

    def seconds(self, now: datetime) -> float:
        """How long it has been waiting, or had to."""
        return ((self.ended or now) - self.sent).total_seconds() if self.sent else 0.0


class Caller:
    """Asks in a thread of its own. `seen` is always a whole answer; read it at any time."""

    def __init__(self, ask: Ask, base: str, poll_seconds: float = POLL_SECONDS) -> None:
        self.ask, self.seen = ask, Seen()
        self._base, self._poll_seconds = base, poll_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """Sends the request and goes on reading."""
        self.seen = Seen(sent=_now())
        self._thread.start()

    def stop(self) -> None:
        """Gives up reading; the request itself goes on."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(HTTP_SECONDS)

    def join(self) -> None:
        """Waits for the end."""
        self._thread.join()

    def _live(self) -> None:
        try:
            self._ask()
        # first, because what requests raises for bad JSON and bad URLs is both
        except (ValueError, KeyError, TypeError) as problem:
            self._ends(problem=f"not an answer as documented: {problem!r}"[:200])
        except requests.RequestException as problem:
            self._ends(problem=f"the app cannot be reached: {problem!r}"[:200])

    def _ask(self) -> None:
        url = f"{self._base}/api/refreshes"
        answer = requests.post(url, json=self.ask.body(), timeout=HTTP_SECONDS, allow_redirects=False)
        if answer.status_code != 202:
            self._ends(answer, problem=f"refused with HTTP {answer.status_code}: {_message(answer)}")
            return
        self._keep(answer)
        status_uri = str(_object(answer)["statusUri"])
        while not self._stop.wait(self._poll_seconds):
            answer = _patiently(lambda: requests.get(status_uri, timeout=HTTP_SECONDS, allow_redirects=False))
            if answer.status_code == 202:
                self._keep(answer)
            elif answer.status_code in (200, 424):
                self._ends(answer)
                return
            else:
                self._ends(answer, problem=f"the status is HTTP {answer.status_code}: {_message(answer)}")
                return

    def _keep(self, answer: requests.Response) -> None:
        self.seen = Seen(sent=self.seen.sent, code=answer.status_code, told=_object(answer))

    def _ends(self, answer: requests.Response | None = None, problem: str = "") -> None:
        told = self.seen.told if problem or answer is None else _object(answer)
        code = answer.status_code if answer is not None else None
        self.seen = Seen(sent=self.seen.sent, ended=_now(), code=code, told=told, problem=problem)


def _patiently(get: Callable[[], requests.Response]) -> requests.Response:
    """The answer of an app that may be starting again right now."""
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
        raise TypeError("the body is no JSON object")
    return value


def _now() -> datetime:
    return datetime.now(UTC)
