"""Recorded histories: files with the history of an orchestration, and their replay with changed code.

The deployed code replays the orchestrations in flight. If that code schedules work that differs from the work in the
history, the orchestration fails. Each file has one generation: one execution up to its end or its continue-as-new. With
`--record DIR`, the devhost writes a file when a generation ends; `python -m devhost histories` writes the histories
that are now in a state. `replay_history` replays a file with an app's functions:

    functions = devhost.app.index.load(Path("app"))
    deviation = replay_history(Path("histories/order-1.json"), functions)
    assert deviation is None, deviation
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from devhost.app.index import Function, durable_functions
from devhost.app.invoke import handle
from devhost.engine import events as ev
from devhost.engine.answers import Answer, read
from devhost.engine.episodes import trigger_text
from devhost.engine.events import Event
from devhost.engine.model import Instance
from devhost.engine.replay import Walker
from devhost.engine.requests import request_id
from devhost.engine.sentences import Scheduled
from devhost.engine.sqlite_store import StateReader, StateTooNew
from devhost.engine.tasks import Walk
from devhost.engine.text import to_text

FORMAT = 1
_BREAKS = "The current code breaks an instance in flight with this history."


class BadHistory(Exception):  # noqa: N818
    """A file is not a recorded history of a known format; the message contains its name."""


@dataclass(frozen=True, slots=True)
class History:
    """One generation of one orchestration. `input` is its input as JSON text. `status` is Completed, Failed, Terminated
    or ContinuedAsNew, or, for a generation that had not ended, Pending, Running or Suspended."""

    orchestrator: str
    instance_id: str
    execution_id: str
    version: str | None
    parent_id: str | None
    input: str | None
    status: str
    history: list[Event]

    @classmethod
    def of(cls, instance: Instance, status: str, history: list[Event]) -> History:
        return cls(
            instance.name,
            instance.id,
            instance.execution_id,
            instance.version,
            instance.parent.instance_id if instance.parent else None,
            instance.input,
            status,
            history,
        )

    @classmethod
    def load(cls, path: Path) -> History:
        """Loads a file. Raises BadHistory, OSError."""
        try:
            fields: dict[str, Any] = json.loads(path.read_text("utf-8"))
            number = fields.pop("format")
            history = cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise BadHistory(f"{path} is not a recorded history: {problem!r}") from problem
        if number != FORMAT:
            raise BadHistory(f"{path} has format {number}; this devhost reads {FORMAT}")
        return history

    def save(self, path: Path) -> None:
        """Saves a file with one event per line, so that a diff is readable."""
        fields = {"format": FORMAT, **asdict(self)}
        events = fields.pop("history")
        lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in fields.items()]
        body = ",\n".join(f"  {json.dumps(event)}" for event in events)
        path.write_text("{\n" + "\n".join(lines) + f'\n "history": [\n{body}\n ]\n}}\n', "utf-8")


class Recorder:
    """Writes each generation that ends into a folder, as `<orchestrator>-<instance id>-<number>.json`.

    Numbers begin at 1 and continue after those of existing files, which are kept. Characters of an id that a file name
    cannot contain become `_`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._numbers: dict[str, int] = {}

    def __call__(self, instance: Instance, status: str) -> None:
        self.write(History.of(instance, status, instance.history or []))

    def write(self, history: History) -> Path:
        stem = re.sub(r"[^\w.-]+", "_", f"{history.orchestrator}-{history.instance_id}")[:120]
        while True:
            self._numbers[stem] = self._numbers.get(stem, 0) + 1
            path = self._folder / f"{stem}-{self._numbers[stem]}.json"
            if not path.exists():
                history.save(path)
                return path


# ---- replaying ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Deviation:
    """The first difference between a replay and a recorded history.

    `kind`: "non-deterministic" (the engine would fail an instance in flight), "different" (an operation goes to another
    entity or a sub-orchestration has another id, which the engine would not detect), "failed" (the orchestrator raises
    an exception that it did not raise when it was recorded) or "end" (all recorded work is scheduled, but the
    generation ends differently, which breaks no instance in flight). `episode` counts from 1; `sentence` describes the
    difference.
    """

    kind: Literal["non-deterministic", "different", "failed", "end"]
    episode: int
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def replay_history(
    recorded: History | Path, functions: Sequence[Function], *, check_end: bool = True
) -> Deviation | None:
    """Replays a recorded generation with the current code of an app. None: there is no difference.

    `functions` are all functions of the app (`devhost.app.index`), so that a missing activity is detected. The
    orchestrator runs once, with the whole history, on this thread. `check_end=False` ignores how the generation ends.
    Raises BadHistory.
    """
    history = recorded if isinstance(recorded, History) else History.load(recorded)
    orchestrator = next(
        (f for f in functions if f.kind == "orchestration" and f.durable_name.lower() == history.orchestrator.lower()),
        None,
    )
    if orchestrator is None:
        sentence = f"{_name(history)}: the app no longer has the orchestrator {history.orchestrator!r}. {_BREAKS}"
        return Deviation("non-deterministic", 1, sentence)
    # Without the events after the end of the generation, which do not depend on the orchestrator.
    events = list(itertools.takewhile(lambda e: e["EventType"] != ev.EXECUTION_COMPLETED, history.history))
    if not any(e["EventType"] == ev.EXECUTION_STARTED for e in events):
        return None  # the generation had not started
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK warns about completions of unknown tasks
        answer = read(handle(orchestrator.handler, _trigger_value(history, events)))
    walker = _Comparison(
        functions=durable_functions(functions),
        instance_id=history.instance_id,
        execution_id=history.execution_id,
        parent_id=history.parent_id,
        new_request_id=lambda: "",
        recorded_requests={e["EventId"]: request_id(e["Input"]) for e in events if e["EventType"] == ev.EVENT_SENT},
    )
    result = walker.go(answer.actions, events)
    return _deviation(history, answer, walker, result, check_end)


class _Comparison(Walker):
    """A walk that also compares the new work of each episode with the recorded work."""

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.episode = 0
        self._pending: dict[int, tuple[int, Scheduled]] = {}
        self.different: tuple[int, str] | None = None

    def process(self, event: Event) -> None:
        kind = event["EventType"]
        if kind == ev.ORCHESTRATOR_STARTED:
            # Collected here, not at the end of the previous episode: after a continue-as-new, the first work is
            # recorded after this event.
            for number, work in self.map.items():
                self._pending.setdefault(number, (self.episode, work))
            self.episode += 1
        elif kind in ev.SCHEDULING and self.different is None:
            sentence = _difference(event, self.map.get(event["EventId"]))
            self.different = (self.episode, sentence) if sentence else None
        super().process(event)

    @property
    def unrecorded(self) -> tuple[int, Scheduled] | None:
        """The first work that is missing in the history although later episodes are recorded, with its episode.

        This replay has the whole history from the beginning, so it may schedule work in an earlier episode than the one
        that recorded it: a timer that was cancelled later is cancelled from the beginning, and code that waits for any
        of several tasks continues sooner.
        """
        missing = [number for number in self._pending if number in self.map]
        return self._pending[min(missing)] if missing else None


def _difference(event: Event, mine: Scheduled | None) -> str:
    """A difference that the engine does not detect; "" if there is no difference."""
    if mine is None or mine.kind != event["EventType"]:
        return ""
    if mine.kind == ev.EVENT_SENT:
        operation = json.loads(event["Input"]).get("op")
        if (event["InstanceId"], operation) != (mine.target, mine.name):
            return (
                f"the history sent operation {operation!r} to {event['InstanceId']}, "
                f"the current code sends {mine.name!r} to {mine.target}"
            )
    if mine.kind == ev.SUB_CREATED and event["InstanceId"] != mine.target:
        return f"the history started the sub-orchestration {event['InstanceId']}, the current code starts {mine.target}"
    return ""


def _deviation(
    history: History, answer: Answer, walker: _Comparison, result: Walk, check_end: bool
) -> Deviation | None:
    name, episode = _name(history), max(1, walker.episode)
    raised = answer.broken or answer.error
    cause = f" The orchestrator raised: {raised}" if raised else ""
    if answer.broken is not None:
        return Deviation("failed", episode, f"{name}: the orchestrator cannot be replayed: {raised}. {_BREAKS}")
    # The first difference in the history is reported.
    if walker.different is not None and (walker.unrecorded is None or walker.different[0] <= walker.unrecorded[0]):
        at, sentence = walker.different
        return Deviation("different", at, f"{name}, episode {at}: {sentence}. {_BREAKS}{cause}")
    if walker.unrecorded is not None:
        at, work = walker.unrecorded
        sentence = (
            f"the current code schedules {_in_words(work)} (task {work.id}), which the history does not have there"
        )
        return Deviation("non-deterministic", at, f"{name}, episode {at}: {sentence}. {_BREAKS}{cause}")
    problem = result.nondeterminism or result.error
    if problem is not None:
        return Deviation("non-deterministic", episode, f"{name}, episode {episode}: {problem} {_BREAKS}{cause}")
    if raised and history.status != "Failed":
        return Deviation(
            "failed",
            episode,
            f"{name}, episode {episode}: the orchestrator raises an exception that it did not raise when the history "
            f"was recorded: {raised}",
        )
    return _end_deviation(history, answer, result, episode) if check_end else None


def _end_deviation(history: History, answer: Answer, result: Walk, episode: int) -> Deviation | None:
    if history.status in ("Running", "Suspended", "Pending", "Terminated"):
        return None  # the generation did not end by itself
    if answer.error is not None:
        ended = "Failed"
    elif not answer.done:
        ended = "still waiting" + (f" for {result.waiting}" if result.waiting else "")
    else:
        ended = "Completed" if result.continue_as_new is None else "ContinuedAsNew"
    more = ", ".join(_in_words(work) for work in result.scheduled)
    if ended == history.status and not more:
        return None
    more = f" and schedules {more}" if more else ""
    sentence = f"the generation was {history.status}; with the current code it is {ended}{more}"
    return Deviation(
        "end", episode, f"{_name(history)}, episode {episode}: {sentence}. This breaks no instance in flight."
    )


def _trigger_value(history: History, events: Iterable[Event]) -> str:
    return trigger_text(
        (to_text(e) for e in events), history.input, history.instance_id, history.parent_id, replaying=True
    )


def _name(history: History) -> str:
    return f"{history.orchestrator} ({history.instance_id})"


def _in_words(work: Scheduled) -> str:
    if work.kind == ev.TASK_SCHEDULED:
        return f"activity {work.name}"
    if work.kind == ev.SUB_CREATED:
        return f"sub-orchestration {work.name}"
    if work.kind == ev.TIMER_CREATED:
        return f"a timer due {work.fire_at}"
    return f"operation {work.name!r} of {work.target}"


# ---- the command --------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """Writes a file for each orchestration in a state. A running devhost may use that state."""
    parser = argparse.ArgumentParser(prog="devhost histories", description=main.__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory of the state")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files; created if missing")
    parser.add_argument("--name", help="only orchestrations of this orchestrator")
    parser.add_argument("--instance", help="only the instance with this id")
    options = parser.parse_args(arguments)
    try:
        reader = StateReader(options.state)
    except FileNotFoundError as problem:
        print(f"devhost: there is no state: {problem}", file=sys.stderr)
        return 2
    except StateTooNew as problem:
        print(f"devhost: {problem}", file=sys.stderr)
        return 2
    recorder = Recorder(options.out)
    for instance in reader.instances():
        if options.name and instance.name.lower() != options.name.lower():
            continue
        if options.instance and instance.id != options.instance:
            continue
        events: list[Event] = json.loads(reader.history(instance.id))
        if events:
            print(recorder.write(History.of(instance, instance.status, events)))
    reader.close()
    return 0
