"""The steps of a run: what the orchestrator has to do, and the function that handles the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from refresh.capacity.operations import GroupOperation
from refresh.events import Event
from refresh.models.operations import RequestsEnded, RunNews
from refresh.queue.operations import Operation
from refresh.run.orders import ActivityFailure, Order
from refresh.run.state import RunState

A = TypeVar("A")


@dataclass(frozen=True)
class Moved:
    """The run after a step, an event for the log, and the news for the entities of its model."""

    run: RunState
    event: Event | None = None
    news: RunNews | RequestsEnded | None = None


@dataclass(frozen=True)
class Do(Generic[A]):
    """Run an activity; `then` takes its answer and the orchestration's time."""

    order: Order[A]
    then: Callable[[A | ActivityFailure, datetime], Moved]


@dataclass(frozen=True)
class Ask(Generic[A]):
    """Send an operation to the queue; `then` takes its answer and the orchestration's time."""

    operation: Operation[A]
    then: Callable[[A, datetime], Moved]


@dataclass(frozen=True)
class AskGroup(Generic[A]):
    """Ask a capacity group; `then` takes its answer and the orchestration's time."""

    group: str
    operation: GroupOperation[A]
    then: Callable[[A, datetime], Moved]


@dataclass(frozen=True)
class WaitForEvent:
    """Wait for an event for at most `seconds`; `then` is the run afterwards. The name of the event is used only
    once."""

    event: str
    seconds: float
    then: RunState


@dataclass(frozen=True)
class Wait:
    """Wait for `seconds`; `then` is the run afterwards. A fired timer counts as due, regardless of the current time."""

    seconds: float
    then: RunState


@dataclass(frozen=True)
class End:
    """The orchestration ends."""


Step: TypeAlias = Do[Any] | Ask[Any] | AskGroup[Any] | WaitForEvent | Wait | End
