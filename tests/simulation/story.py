"""The timeline of a simulated day as sentences, with short names instead of ids, and a sentence for each log event."""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

Json = dict[str, Any]

_REQUEST = r"[0-9a-f]{32}-[0-9a-z]{16,}"
_ID = re.compile(
    rf"(?P<run>(?P<of>{_REQUEST})-r(?P<number>\d+)\b)|(?P<request>{_REQUEST})|(?P<guid>[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})"
)
_LINE = re.compile(r"(\s*\d+:\d\d:\d\d\S*  )(.*)")
"""A time and a text. The lines of a traceback do not match, so they stay unchanged."""

SENTENCES = {
    "request.enrolled": "{requestId} is in {runId}{company}",
    "request.backing_off": "{requestId} will try again after {code}",
    "request.cancel_requested": "{requestId} is to be cancelled",
    "request.ended": "{requestId} ends: {outcome}",
    "run.claimed": "{runId} begins{again}",
    "run.superseded": "{runId} is carried on by another incarnation",
    "run.waiting": "{runId} waits for an external refresh: {waiting}",
    "run.closed": "{runId} finds the model idle and closes",
    "run.reopened": "{runId} waits again until the model is idle",
    "run.read_failed": "a call of {runId} failed; the run waits {waitSeconds:.0f} s",
    "run.found_dead": "{requestId} finds {runId} dead and starts it again",
    "run.not_started": "{runId} could not be started",
    "run.ended": "{runId} ends: {outcome}",
    "refresh.started": "{runId} follows {refreshId}",
    "refresh.adopted": "{runId} adopts {refreshId}",
    "refresh.answer_lost": "{runId} does not know whether its POST was accepted, and searches the history",
    "refresh.refused_busy": "{runId} gets the answer that a refresh is running, and searches the history",
    "refresh.cancel_requested": "{runId} asks Power BI to cancel {refreshId}",
    "callback.added": "{requestId} is to call a receiver back",
    "callback.delivered": "the receiver of {requestId} has the outcome",
    "callback.failed": "the receiver of {requestId} could not be called",
}
"""The sentences by event. Other events appear with their names."""
LEFT_OUT = frozenset({"request.accepted", "request.reminded", "refresh.accepted", "power_bi.error"})
"""Events that say nothing new, because the lines of the callers and of Power BI say the same."""


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
        if facts["event"] not in LEFT_OUT:
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
    place = f", number {position + 1} of the queue" if position else ""
    company = f", which it shares with {shared} more{place}" if shared else place
    known = {
        "again": " again" if facts.get("incarnation", 1) > 1 else "",
        "company": company,
        "outcome": " ".join(filter(None, [facts.get("status"), code])),
        "waiting": f"{waits_for.get('refreshId')} ({waits_for.get('refreshType')})",
    }
    return template.format_map(_Known({"waitSeconds": 0.0, **facts, **known}))


class _Known(dict[str, Any]):
    """The facts of an event. A missing fact is replaced with its name."""

    def __missing__(self, key: str) -> str:
        return f"({key})"


class _Names:
    """Short names for ids, in the order in which the ids appear: request A, its runs A1 and A2, model 1, refresh 1."""

    def __init__(self) -> None:
        self._requests: dict[str, str] = {}
        self._refreshes: dict[str, int] = {}

    def put_into(self, text: str) -> str:
        """A text with names instead of ids."""
        return _ID.sub(self._name, text)

    def _name(self, found: re.Match[str]) -> str:
        if found["run"]:
            return f"run {self._letter(found['of'])}{found['number']}"
        if found["request"]:
            return f"request {self._letter(found['request'])}"
        if found["guid"].startswith("22222222-"):
            return f"model {int(found['guid'][-12:])}"
        return f"refresh {self._refreshes.setdefault(found['guid'], len(self._refreshes) + 1)}"

    def _letter(self, request: str) -> str:
        number = len(self._requests)
        letters = chr(ord("A") + number % 26) * (1 + number // 26)
        return self._requests.setdefault(request, letters)
