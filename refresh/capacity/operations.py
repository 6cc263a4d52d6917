"""The operations of a capacity group. Their answers are in `refresh.capacity.answers`.

As with a queue, each operation carries our ids and `at`, the sender's clock (ISO 8601 UTC), and may arrive twice and
late.
"""

from typing import Generic, TypeAlias, TypeVar

import msgspec

from refresh.capacity.answers import Asker, PlacesFree, TakeAnswer
from refresh.failure.catalogue import ModelNames
from refresh.messages import Message
from refresh.queue.answers import Priority

A = TypeVar("A")


class GroupOperation(Message, Generic[A], frozen=True, kw_only=True, tag_field="operation"):
    """An operation with an answer of type A."""

    at: str


class TakePlace(GroupOperation[TakeAnswer], frozen=True, kw_only=True, tag="take_place"):
    """A run whose model is idle asks for a place. A waiting run asks again. A run that already has a place keeps it.

    `refreshes`: how many the group allows at once. `since`: when the run first asked. `wake_event`: the name of the
    event that the run waits for if it gets no place.
    """

    asker: Asker
    dataset_id: str
    workspace_id: str
    refreshes: int
    wake_event: str = msgspec.field(name="wake")  # the stored key
    since: str
    priority: Priority = "normal"
    names: ModelNames = ModelNames()


class LeavePlace(GroupOperation[PlacesFree], frozen=True, kw_only=True, tag="leave_place"):
    """A run gives its place back, or stops waiting.

    `completed`: its refresh completed. `limit_reached`: Power BI refused or failed the refresh, because the capacity
    has reached its limits; `retry_after`: the pause in seconds that Power BI asked for. `busy_until`: the run has seen
    an external refresh of the model, which takes a place until this time.
    """

    asker: Asker
    dataset_id: str
    completed: bool = False
    limit_reached: bool = False
    retry_after: float | None = None
    busy_until: str | None = None
    names: ModelNames = ModelNames()


class FreePlaces(GroupOperation[PlacesFree], frozen=True, kw_only=True, tag="free_places"):
    """The timer found that these runs have ended without giving their places back. The answer is not read."""

    askers: tuple[Asker, ...]


AnyGroupOperation: TypeAlias = TakePlace | LeavePlace | FreePlaces
