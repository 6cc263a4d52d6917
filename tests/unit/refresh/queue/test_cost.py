"""The cost of an operation grows with the members of its queue, not with their square, and stays small."""

import json
import random
import sys
import time
from collections.abc import Callable
from functools import cache
from types import FrameType
from typing import Any

import msgspec
import pytest

from refresh.messages import tag_of
from refresh.queue.operations import (
    AnyOperation,
    AskToLeave,
    Claim,
    Close,
    Drop,
    Enroll,
    Finish,
    Record,
    Reopen,
    Restart,
    ReturnPermit,
    Sweep,
    TakePermit,
    Tidy,
)
from refresh.queue.state import Queue
from refresh.queue.stored import dump, handle, load
from refresh.scope.scope import Scope, TableRef
from tests.unit.refresh.queue.queues import COMPLETED, LOOK, NOON, Crowd, enhanced, failed
from tests.unit.speed import SLOWER

TABLES = 1_000
OBJECTS = 300
MEMBERS = 1_000
MAX_SECONDS = SLOWER * 0.025
"""The limit in processor seconds. On an idle machine, the slowest operation takes 0.025."""


def scattered(number: int) -> Scope:
    """A scope of 300 of 1,000 tables, different for each member."""
    return enhanced(*(f"Table {each}" for each in random.Random(number).sample(range(TABLES), OBJECTS)))  # noqa: S311


def few_objects(number: int) -> Scope:
    """A scope of three of 100 tables."""
    return enhanced(*(f"Table {each}" for each in random.Random(number).sample(range(100), 3)))  # noqa: S311


Make = Callable[[Crowd], AnyOperation]

WAITING: dict[str, Make] = {
    "enroll": lambda crowd: crowd.enrolment(crowd.size),
    "enroll alone": lambda crowd: msgspec.structs.replace(crowd.enrolment(crowd.size), share=False),
    "enroll with new objects": lambda crowd: Enroll(at=crowd.at, request="new", token="t", scope=enhanced("New")),
    "enroll again": lambda crowd: crowd.enrolment(crowd.size - 1),
    "leave": lambda crowd: crowd.leaving(crowd.size - 1),
    "ask to leave": lambda crowd: AskToLeave(at=crowd.at, request=crowd.names[-1]),
    "ask an unknown one to leave": lambda crowd: AskToLeave(at=crowd.at, request="unknown"),
    "restart": lambda crowd: Restart(at=crowd.at, turn=crowd.queue.runs[0].turn),
    "claim": lambda crowd: Claim(at=crowd.at, holder=crowd.holder),
    "sweep": lambda crowd: Sweep(at=crowd.at, requests=tuple(crowd.names[1::2])),
    "sweep of all": lambda crowd: Sweep(at=crowd.at, requests=tuple(crowd.names), dead=crowd.queue.runs[0].turn),
    "tidy": lambda crowd: Tidy(at=crowd.at),
}
CLOSED: dict[str, Make] = {
    "close again": lambda crowd: Close(at=crowd.at, holder=crowd.holder, permit=2, look=LOOK),
    "take permit": lambda crowd: TakePermit(at=crowd.at, holder=crowd.holder, permit=1, execution="e"),
    "return permit": lambda crowd: ReturnPermit(at=crowd.at, holder=crowd.holder, permit=1, execution="e"),
    "record": lambda crowd: Record(at=crowd.at, holder=crowd.holder, permit=1, refresh_id="r", posted_at=crowd.at),
    "reopen": lambda crowd: Reopen(at=crowd.at, holder=crowd.holder, permit=1),
    "drop": lambda crowd: Drop(at=crowd.at, holder=crowd.holder, permit=1, requests=tuple(crowd.names[1::2])),
    "finish": lambda crowd: Finish(at=crowd.at, holder=crowd.holder, outcome=COMPLETED),
    "finish, all late": lambda crowd: Finish(at=crowd.at, holder=crowd.holder, outcome=COMPLETED, late_after="2026"),
    "finish, all spared": lambda crowd: Finish(at=crowd.at, holder=crowd.holder, outcome=failed()),
    "finish, half spared": lambda crowd: Finish(
        at=crowd.at, holder=crowd.holder, outcome=failed(*(TableRef(f"Table {each}") for each in range(2)))
    ),
}
ENDED: dict[str, Make] = {
    "collect": lambda crowd: crowd.enrolment(crowd.size - 1),
    "collect by leaving": lambda crowd: crowd.leaving(crowd.size - 1),
    "finish again": lambda crowd: Finish(at=crowd.at, holder=crowd.holder, outcome=COMPLETED),
}
MAKERS: dict[str, dict[str, Make]] = {"waiting": WAITING, "closed": CLOSED, "ended": ENDED}
CASES = [(stage, case) for stage, makers in MAKERS.items() for case in makers]


@cache
def crowd_at(stage: str, size: int, scope: Callable[[int], Scope]) -> Crowd:
    """A queue at this stage. The tests share it and do not change it."""
    crowd = Crowd(0)
    crowd.__dict__.update(vars(Crowd(size, scope) if stage == "waiting" else crowd_at("waiting", size, scope)))
    if stage != "waiting":
        crowd.do(Claim(at=crowd.at, holder=crowd.holder))
        crowd.do(Close(at=crowd.at, holder=crowd.holder, permit=1, look=LOOK))
    if stage == "ended":
        crowd.finish(COMPLETED)
    return crowd


def cost(text: str, operation: AnyOperation, crowd: Crowd) -> float:
    """The CPU seconds of an operation with all steps of the entity. If it is slow, the minimum of three
    measurements."""
    value, least = msgspec.to_builtins(operation), float("inf")
    for _ in range(3):
        began = time.process_time()
        handled = handle(json.loads(text), tag_of(operation), value, crowd.now)
        json.dumps([handled.answer, handled.state])
        least = min(least, time.process_time() - began)
        if least < MAX_SECONDS:
            break
    return least


def test_a_thousand_members_of_three_hundred_objects_cost_little() -> None:
    """The cost includes reading the state, an operation of any kind, and writing the state."""
    slow = {}
    for stage, case in CASES:
        crowd = crowd_at(stage, MEMBERS, scattered)
        seconds = cost(json.dumps(dump(crowd.queue)), MAKERS[stage][case](crowd), crowd)
        if seconds > MAX_SECONDS:
            slow[case] = seconds
    assert len(crowd_at("waiting", MEMBERS, scattered).queue.runs) == 1
    assert slow == {}


@pytest.mark.parametrize(("stage", "case"), CASES)
def test_the_work_grows_no_faster_than_the_members(stage: str, case: str) -> None:
    """The work is counted in steps of the interpreter, which are the same on every machine."""
    few, many = (steps_of(crowd_at(stage, size, few_objects), MAKERS[stage][case]) for size in (60, 240))
    assert few < many < 4.4 * few


def steps_of(crowd: Crowd, make: Make) -> int:
    """The steps of the interpreter for an operation with all steps of the entity.

    The operation is applied twice and the second time is counted, because from Python 3.12 on a function reports its
    steps only from its second call on.
    """
    operation = make(crowd)
    value, steps = msgspec.to_builtins(operation), 0

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        steps += event == "opcode"
        return step

    for _ in range(2):
        stored, steps = dump(crowd.queue), 0
        before = sys.gettrace()
        sys.settrace(step)
        try:
            handle(stored, tag_of(operation), value, crowd.now)
        finally:
            sys.settrace(before)
    return steps


def test_runs_of_a_thousand_objects_each_cost_little() -> None:
    """The queue has thirty runs of a thousand objects each, which cannot be merged. A new request is compared with each
    of them."""
    crowd = Crowd(30, lambda number: enhanced(*(f"Table {number}-{each}" for each in range(1_000))))
    assert len(crowd.queue.runs) == 30
    text = json.dumps(dump(crowd.queue))
    scope = enhanced("Table 7-7", TableRef("Table 29-1", "2026"))
    assert cost(text, Enroll(at=crowd.at, request="new", token="t", scope=scope), crowd) < MAX_SECONDS
    assert len(text) < 200_000
    assert load(json.loads(text)) == crowd.queue


def test_nothing_is_left_after_each_member_has_left() -> None:
    """When each member has left, the queue has neither members nor parts of their scopes, which would cost storage."""
    crowd = Crowd(120, few_objects)
    crowd.leave()
    assert (crowd.queue.runs, crowd.queue.scopes.objects, crowd.queue.scopes.extents) == ([], [], [])
    crowd.now = NOON.replace(hour=14)
    crowd.do(Tidy(at=crowd.at))
    assert crowd.queue == Queue()
