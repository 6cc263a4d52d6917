"""The answers of a capacity group to its operations (`refresh.capacity.operations`)."""

from typing import TypeAlias

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
    """A run in front. `holds_place`: it has a place; otherwise it waits, too."""

    run_id: str
    dataset_id: str
    model_name: str | None = None
    since: str | None = None
    holds_place: bool = False


class WaitsForPlace(ApiMessage, frozen=True, kw_only=True):
    """The reason why a run does not start yet, for statuses.

    `position`: how many waiting runs of the group come first. `behind`: some of the runs in front.
    `closed_until`: Power BI reported that the capacity has reached its limits, and no run starts before this
    time.
    """

    group: str
    since: str
    position: int
    behind: tuple[OtherRun, ...] = ()
    closed_until: str | None = None

    @property
    def text(self) -> str:
        """The same for the message of a request whose deadline passes."""
        ahead = f", behind {self.position} other run{'s' if self.position > 1 else ''}" if self.position else ""
        closed = f"; no refresh starts before {self.closed_until}, because the capacity has reached its limits"
        detail = f"waiting since {self.since}{ahead}{closed if self.closed_until else ''}"
        return f"a place in capacity group {self.group} ({detail})"


class Answer(Message, frozen=True, kw_only=True, tag_field="answer"):
    """An answer of a capacity group."""


class Placed(Answer, frozen=True, kw_only=True, tag="placed"):
    """The run has had a place since `since`. `new`: it got the place just now. `wake`: runs that can have others."""

    since: str
    new: bool = False
    wake: tuple[WakeUp, ...] = ()


class Waits(Answer, frozen=True, kw_only=True, tag="waits"):
    """The run waits, see `WaitsForPlace`. `seconds`: the time after which it asks again if it is not notified."""

    since: str
    position: int
    seconds: float
    behind: tuple[OtherRun, ...] = ()
    closed_until: str | None = None


class Outdated(Answer, frozen=True, kw_only=True, tag="outdated"):
    """The group has a later message of the run. `number`: that of its last one."""

    number: int


class PlacesFree(Answer, frozen=True, kw_only=True, tag="places_free"):
    """Places were given back. `wake`: runs that can have them. `closed_until`: no run gets one before that time."""

    wake: tuple[WakeUp, ...] = ()
    closed_until: str | None = None


TakeAnswer: TypeAlias = Placed | Waits | Outdated
AnyGroupAnswer: TypeAlias = Placed | Waits | Outdated | PlacesFree | NotUnderstood
