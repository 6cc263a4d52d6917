"""What a phase of a run asks for, and what the answer leads to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from refresh.events import Event
from refresh.queue.operations import Operation
from refresh.run.orders import Broke, Order
from refresh.run.state import RunState

A = TypeVar("A")


@dataclass(frozen=True)
class Moved:
    """The run after a step, and the event that the log gets."""

    run: RunState
    event: Event | None = None


@dataclass(frozen=True)
class Do(Generic[A]):
    """Run an activity; `then` takes its answer and the orchestration's time."""

    order: Order[A]
    then: Callable[[A | Broke, datetime], Moved]


@dataclass(frozen=True)
class Ask(Generic[A]):
    """Ask the queue; `then` takes its answer and the orchestration's time."""

    operation: Operation[A]
    then: Callable[[A, datetime], Moved]


@dataclass(frozen=True)
class Wait:
    """Let seconds pass; `then` is the run afterwards. A fired timer means due, whatever the clock says."""

    seconds: float
    then: RunState


@dataclass(frozen=True)
class End:
    """The orchestration ends."""


Step: TypeAlias = Do[Any] | Ask[Any] | Wait | End
