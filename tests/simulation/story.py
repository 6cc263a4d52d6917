"""The timeline of a simulated day as sentences, with short names instead of ids, and a sentence for each log event."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

Json = dict[str, Any]

LEGEND = """\
Requests have letters; batches, models and refreshes have numbers, in the order in which they appear. A run has the
name of the request that it was created for: A1 is the first run of request A. If the orchestration of a run ends early,
the next incarnation of the run continues it."""
"""Explains the names in a story."""
SENT = "a caller sends"
"""How the line of a new request begins. The simulation writes this line once it knows the id, with an earlier time."""

_REQUEST = r"[0-9a-f]{32}-(?:k[0-9a-f]{32}-\d+-[0-9a-f]{8}|[0-9a-z]{16,})"
_ID = re.compile(
    rf"(?P<run>(?P<of>{_REQUEST})-r(?P<number>\d+)(?:-g(?P<incarnation>\d+))?\b)|(?P<request>{_REQUEST})"
    r"|(?P<batch>batch-(?:k[0-9a-f]{32}-\d+-[0-9a-f]{8}|[0-9a-f]{16})\b)"
    r"|(?P<guid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
_LINE = re.compile(r"(\s*\d+:\d\d:\d\d\S*  )(.*)")
"""A time and a text. The lines of a traceback do not match, so they stay unchanged."""

SENTENCES = {
    "request.accepted": "{batchId} sends {requestId}: a refresh of {datasetId}",
    "request.enrolled": "{requestId} joins {runId}{company}",
    "request.backing_off": "{requestId} will be tried again later, after {code}",
    "request.cancel_requested": "the app receives the cancellation of {requestId}",
    "request.ended": "{requestId} ends: {outcome}",
    "request.waits_for_room": "{requestId} cannot join the queue, because it is full, and tries again later",
    "run.claimed": "{runId} {begins}",
    "run.superseded": "incarnation {incarnation} of {runId} ends: a newer one continues, or the run has left the queue",
    "run.waiting": "{runId} waits for the end of {waiting}, which the app did not start",
    "run.closed": "{runId} accepts no more requests, because its POST is next",
    "run.reopened": "{runId} has no refresh, so it accepts requests again and waits until the model is idle",
    "run.read_failed": "a call of {runId} fails, and the run waits {waitSeconds:.0f} s",
    "run.found_dead": "{requestId} starts {runId} again, because incarnation {incarnation} has ended early",
    "run.not_started": "{runId} cannot be started",
    "run.ended": "{runId} ends: {outcome}",
    "refresh.started": "{runId} follows {refreshId}",
    "refresh.adopted": "{runId} adopts {refreshId}, because it refreshes what the requests of the run need",
    "refresh.answer_lost": "{runId} gets no clear answer to its POST, and reads the refresh history",
    "refresh.refused_busy": "Power BI reports that a refresh is running, and {runId} reads the refresh history",
    "refresh.cancel_requested": "{runId} asks Power BI to cancel {refreshId}",
    "callback.added": "{requestId} gets a callback",
    "callback.delivered": "the receiver of a callback of {requestId} has accepted the outcome",
    "callback.failed": "the receiver of a callback of {requestId} has not accepted the outcome",
    "callback.reminded": "a timer repeats notifications of {callbacks} callbacks",
    "batch.listed": "{batchId} reads the list of models of the workspace",
    "batch.model_ended": "{batchId} reads the outcome of {requestId}: {outcome}",
    "batch.cancel_requested": "the app receives the cancellation of {batchId}",
    "batch.stopped": "{batchId} starts no more models: {reason}",
    "batch.ended": "{batchId} ends: {outcome}",
    "capacity.waiting": "{runId} waits for a place in the capacity group {group}",
    "capacity.place_taken": "{runId} takes a place in the capacity group {group}",
    "capacity.place_left": "{runId} gives its place in the capacity group {group} back",
    "capacity.place_freed": "a timer frees the place of {runId} in the capacity group {group}",
    "capacity.limit_reached": "{refreshId} of {runId} fails because the capacity has reached its limits",
    "capacity.closed": "no refresh of the capacity group {group} starts for a while",
    "activity.failed": "the activity {activity} fails",
    "housekeeping.queues_tidied": "a timer removes old entries from the queues",
}
"""The sentences by event. Other events appear with their names."""
LEFT_OUT = frozenset(
    {"batch.accepted", "request.not_started", "request.reminded", "refresh.accepted", "power_bi.error"}
)
"""Events that say nothing new, because the lines of the callers and of Power BI say the same. The same applies to
request.accepted, except for the requests of a batch."""


def answer_text(code: int) -> str:
    """How a line names the answer with this HTTP status; 0: no answer."""
    return f"the answer HTTP {code}" if code else "no answer"


def in_order(timeline: Iterable[str]) -> list[str]:
    """The lines of a timeline sorted by time. At the same time, the line of a new request comes first."""
    return sorted(timeline, key=_place)


def _place(line: str) -> tuple[str, bool]:
    found = _LINE.fullmatch(line)
    return (found[1], not found[2].startswith(SENT)) if found else ("", True)


def story(timeline: Iterable[str]) -> list[str]:
    """The lines of a timeline as sentences. A sentence that occurs several times in a row becomes one line."""
    lines = []
    for sentence, group in groupby(_sentences(timeline, _Names()), key=lambda line: line[1]):
        times = [time for time, _ in group]
        lines.append(f"{times[0]}{sentence}" + (f" ({len(times)} times)" if len(times) > 1 else ""))
    return lines


def _sentences(timeline: Iterable[str], names: "_Names") -> Iterator[tuple[str, str]]:
    for line in timeline:
        found = _LINE.fullmatch(line)
        time, text = found.groups() if found else ("", line)
        if not text.startswith('{"event"'):
            yield time, names.put_into(text)
            continue
        facts = json.loads(text)
        of_a_caller = facts["event"] == "request.accepted" and "batchId" not in facts
        if facts["event"] not in LEFT_OUT and not of_a_caller:
            yield time, names.put_into(_sentence(facts))


def _sentence(facts: Json) -> str:
    event = facts.pop("event")
    template = SENTENCES.get(event)
    if template is None:
        more = ", ".join(f"{key} {value}" for key, value in facts.items() if key not in ("workspaceId", "modelName"))
        return f"{event}: {more}"
    error, waits_for = facts.get("error"), facts.get("waitsFor") or {}
    code = error.get("code") if isinstance(error, dict) else None
    shared, position = facts.get("sharedWith"), facts.get("position")
    others = f" with {shared} other request{'s' if shared > 1 else ''}" if shared else ""
    company = others + (f"; the run is number {position + 1} of the queue" if position else "")
    incarnation, status = facts.get("incarnation", 1), facts.get("status")
    known = {
        "begins": "begins" if incarnation == 1 else f"continues with incarnation {incarnation}",
        "company": company,
        "outcome": f"{status} ({code})" if code and code != status else status,
        "waiting": f"{waits_for.get('refreshId')} ({waits_for.get('refreshType')})",
    }
    return template.format_map(_Known({"waitSeconds": 0.0, **facts, **known}))


class _Known(dict[str, Any]):
    """The facts of an event. A missing fact is replaced with its name."""

    def __missing__(self, key: str) -> str:
        return f"({key})"


class _Names:
    """Short names for ids, in the order in which the ids appear: request A, its runs A1 and A2, batch 1, model 1,
    refresh 1."""

    def __init__(self) -> None:
        self._requests: dict[str, str] = {}
        self._batches: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._refreshes: dict[str, int] = {}

    def put_into(self, text: str) -> str:
        """A text with names instead of ids."""
        return _ID.sub(self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        if found["run"]:
            incarnation = f"incarnation {found['incarnation']} of " if found["incarnation"] else ""
            return f"{incarnation}run {self._letter(found['of'])}{found['number']}"
        if found["request"]:
            return f"request {self._letter(found['request'])}"
        if found["batch"]:
            return f"batch {_number(self._batches, found['batch'])}"
        guid = found["guid"]
        if guid.startswith("11111111-"):
            return "the workspace"
        if guid.startswith(("22222222-", "33333333-")):
            return f"model {_number(self._models, guid)}"
        return f"refresh {_number(self._refreshes, guid)}"

    def _letter(self, request: str) -> str:
        number = len(self._requests)
        letters = chr(ord("A") + number % 26) * (1 + number // 26)
        return self._requests.setdefault(request, letters)


def _number(numbers: dict[str, int], key: str) -> int:
    return numbers.setdefault(key, len(numbers) + 1)
