"""Recorded stories on a time line, as a log of many hours: the lines come from the app, their times are chosen.

A story was recorded within seconds. `Timeline.place` gives its events the times that a test needs, and its request, run
and model new ids, so that a story can be placed several times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "data" / "log"
REQUEST = re.compile(r"\b[0-9a-f]{32}-[0-9a-f]{16}\b")
DATASET = re.compile(r'("datasetId": ")[0-9a-f-]{36}')

Json = dict[str, Any]
Row = tuple[float, str]
"""Minutes before now, and message."""


def stories() -> list[str]:
    """The names of all stories."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@cache
def story(name: str) -> list[Json]:
    """The lines of a story: `seconds`, `level`, `message`."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


def event(message: str) -> str:
    """The name of the event of a line."""
    return str(json.loads(message)["event"])


@dataclass
class Timeline:
    """A log to which stories and lines are added."""

    rows: list[Row] = field(default_factory=list)
    _placed: int = 0

    def place(
        self,
        name: str,
        minutes_ago: Mapping[str, float],
        *,
        model: str = "",
        until: str = "",
        only: Collection[str] = (),
        instead: Mapping[str, str] | None = None,
    ) -> str:
        """Adds a story. Returns the id of its request.

        Each line has the age of the last event before it that is in `minutes_ago`. `until`: the last event that is
        placed. `only`: if given, no other events are placed. `instead`: texts to replace.
        """
        self._placed += 1
        request = f"{model.replace('-', '') or '0' * 32}-{self._placed:016x}"
        missing = [old for old in instead or {} if not any(old in line["message"] for line in story(name))]
        assert not missing, (name, missing)
        age = next(iter(minutes_ago.values()))
        for line in story(name):
            message = str(line["message"])
            kind = event(message)
            age = minutes_ago.get(kind, age)
            if not only or kind in only:
                message = REQUEST.sub(request, message)
                message = DATASET.sub(rf"\g<1>{model}", message) if model else message
                for old, new in (instead or {}).items():
                    message = message.replace(old, new)
                self.rows.append((age, message))
            if kind == until:
                break
        return request

    def others(self, minutes_ago: float, text: str) -> None:
        """Adds a line that is not one of the app's events."""
        self.rows.append((minutes_ago, text))
