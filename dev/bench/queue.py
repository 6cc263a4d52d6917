"""`dev.py bench queue`: the cost of each operation of a queue, and whether it grows faster than the number of members.

Each member requests 300 of 1,000 tables, in a scope of its own. The bench measures the work of the entity: reading the
stored state, applying the operation, and writing the state. Each number is the minimum of five measurements, in
milliseconds of processor time.
"""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from refresh.history.look import Look
from refresh.history.outcome import Outcome
from refresh.messages import tag_of
from refresh.queue.answers import Holder
from refresh.queue.operations import (
    AnyOperation,
    AskToLeave,
    Claim,
    Close,
    Drop,
    Enroll,
    Finish,
    Leave,
    Record,
    Reopen,
    Sweep,
    TakePermit,
)
from refresh.queue.stored import handle
from refresh.scope.scope import RefreshOptions, Scope, TableRef
from refresh.times import instant

SIZES = (250, 500, 1_000, 2_000)
TABLES, OBJECTS = 1_000, 300
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
AT = instant(NOW)
WORKSPACE = "22222222-2222-4222-8222-222222222222"


def main(arguments: list[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="dev.py bench queue", description=__doc__)
    parser.parse_args(arguments)
    columns = [measure(size) for size in SIZES]
    print(f"{'members':28}" + "".join(f"{size:>10,}" for size in SIZES))
    for name in columns[0]:
        print(f"{name:28}" + "".join(f"{column[name]:10.1f}" for column in columns))
    return 0


def measure(size: int) -> dict[str, float]:
    """Milliseconds by operation; one more entry has the number of characters of the state."""
    state: Any = None
    for number in range(size):
        state = apply(state, enrolment(number))
    found: dict[str, float] = {"characters of the state": len(json.dumps(state))}
    for name, operation, goes_on in operations(size):
        text, spent = json.dumps(state), []
        for _ in range(5):
            began = time.process_time()
            after = apply(json.loads(text), operation)
            json.dumps(after)
            spent.append(time.process_time() - began)
        found[name] = min(spent) * 1000
        state = after if goes_on else state
    return found


def apply(state: Any, operation: AnyOperation) -> Any:
    """The state after an operation."""
    return handle(state, tag_of(operation), msgspec.to_builtins(operation), NOW).state


def operations(size: int) -> Iterator[tuple[str, AnyOperation, bool]]:
    """Operations by name, and whether the next operation runs on the result."""
    holder = Holder(run=f"{request(0)}-r1", incarnation=1, token="life")  # noqa: S106 - made up
    half = tuple(request(number) for number in range(1, size, 2))
    look, last = Look(service_time=AT, read_at=AT), size - 1
    failed, good = Outcome(status="Failed", refresh_id="r"), Outcome(status="Completed", refresh_id="r")
    yield "enroll", enrolment(size), False
    yield "enroll again", enrolment(last), False
    yield "leave", Leave(at=AT, request=request(last), token=token(last), reason="TimedOut"), False
    yield "ask to leave", AskToLeave(at=AT, request=request(last)), False
    yield "sweep of half", Sweep(at=AT, requests=half), False
    yield "claim", Claim(at=AT, holder=holder), True
    yield "close", Close(at=AT, holder=holder, permit=1, look=look), True
    yield "drop of half", Drop(at=AT, holder=holder, permit=1, requests=half), False
    yield "take permit", TakePermit(at=AT, holder=holder, permit=1, execution="e"), True
    yield "record", Record(at=AT, holder=holder, permit=1, refresh_id="r", posted_at=AT), True
    yield "reopen", Reopen(at=AT, holder=holder, permit=1), False
    yield "finish, failure of others", Finish(at=AT, holder=holder, outcome=failed), False
    yield "finish", Finish(at=AT, holder=holder, outcome=good), True
    yield "collect", enrolment(last), True


def enrolment(number: int) -> Enroll:
    """The operation that enrols a request, or asks for its standing if it is enrolled."""
    return Enroll(at=AT, request=request(number), token=token(number), scope=scope(number), wake_event="wake-1")


def request(number: int) -> str:
    """An id in the form of a request with an idempotency key."""
    return f"{'0123456789abcdef' * 2}-k{_digest(f'key {number}')[:41]}-{number % 900 + 100}"


def token(number: int) -> str:
    """The token of a request, which distinguishes its incarnations."""
    return _digest(f"token {number}")[:32]


def scope(number: int) -> Scope:
    """300 tables, different for each request."""
    tables = random.Random(number).sample(range(TABLES), OBJECTS)  # noqa: S311 - the same ones each time
    objects = tuple(TableRef(f"Table {table}") for table in sorted(tables))
    return Scope(workspace_id=WORKSPACE, refresh=RefreshOptions(objects=objects))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
