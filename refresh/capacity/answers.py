"""The answers of a capacity group to its operations (`refresh.capacity.operations`)."""

from typing import TypeAlias

import msgspec

from refresh.messages import ApiMessage, Message
from refresh.queue.answers import NotUnderstood, Turn, WakeUp


class Asker(Turn, frozen=True, kw_only=True):
    """A run that sends a message to a group. `number` counts its messages, so that late duplicates are recognised."""

    number: int

    @property
    def stamp(self) -> tuple[int, int]:
        """Greater for each later message of the same run, whichever incarnation sent it."""
        return self.incarnation, self.number


class OtherRun(ApiMessage, frozen=True, kw_only=True):
    """A run ahead of another run. `holds_place`: it has a place; otherwise it is also waiting."""

    run_id: str
    dataset_id: str
    model_name: str | None = None
    since: str | None = None
    holds_place: bool = False


class WaitsForPlace(ApiMessage, frozen=True, kw_only=True):
    """The reason why a run does not start yet, for statuses.

    `position`: how many waiting runs of the group are ahead. `behind`: some of the runs ahead. `closed_until`: Power BI
    reported that the capacity has reached its limits, and no run starts before this time.
    """

    group: str
    since: str
    position: int
    behind: tuple[OtherRun, ...] = ()
    closed_until: str | None = None

    @property
    def text(self) -> str:
        """This reason as text, for the error message of a request that timed out."""
        ahead = f", behind {self.position} other run{'s' if self.position > 1 else ''}" if self.position else ""
        closed = f"; no refresh starts before {self.closed_until}, because the capacity has reached its limits"
        detail = f"waiting since {self.since}{ahead}{closed if self.closed_until else ''}"
        return f"a place in capacity group {self.group} ({detail})"


class Answer(Message, frozen=True, kw_only=True, tag_field="answer"):
    """An answer of a capacity group."""


class Placed(Answer, frozen=True, kw_only=True, tag="placed"):
    """The run has had a place since `since`. `new`: it got the place with this answer. `wake_ups`: waiting runs to
    notify, because further places are free."""

    since: str
    new: bool = False
    wake_ups: tuple[WakeUp, ...] = msgspec.field(default=(), name="wake")  # the stored key


class Waits(Answer, frozen=True, kw_only=True, tag="waits"):
    """The run waits, see `WaitsForPlace`. `seconds`: the time after which it asks again even if it was not notified."""

    since: str
    position: int
    seconds: float
    behind: tuple[OtherRun, ...] = ()
    closed_until: str | None = None


class Outdated(Answer, frozen=True, kw_only=True, tag="outdated"):
    """The group has already processed a message of this run that replaces this one; `number` is the number of that
    message."""

    number: int


class PlacesFree(Answer, frozen=True, kw_only=True, tag="places_free"):
    """The answer to a message that gives places back. `wake_ups`: waiting runs to notify, because places are free.
    `closed_until`: no run gets a place before that time."""

    wake_ups: tuple[WakeUp, ...] = msgspec.field(default=(), name="wake")  # the stored key
    closed_until: str | None = None


TakeAnswer: TypeAlias = Placed | Waits | Outdated
AnyGroupAnswer: TypeAlias = Placed | Waits | Outdated | PlacesFree | NotUnderstood
