"""The parts of a run's state: its calls and POSTs, the external refresh that it waits for, its own refresh, and its
capacity group."""

import msgspec

from refresh.capacity.answers import WaitsForPlace
from refresh.history.look import ExternalRefresh
from refresh.history.progress import Progress
from refresh.messages import Message


class Calls(Message, frozen=True, kw_only=True):
    """The recent calls to Power BI: failures in a row, the time of the first of them, and the last error.

    `activity_failures`: how many of the last failures in a row were exceptions of this app.
    """

    failures: int = 0
    activity_failures: int = msgspec.field(default=0, name="broken")  # the stored key
    failing_since: str | None = None
    last_error: str | None = None


class Posts(Message, frozen=True, kw_only=True):
    """The POSTs of this run so far: the budgets for trying again.

    `failures`: POSTs in a row that were refused as unavailable or throttled, since `failing_since`; they count even if
    reads of the history succeed in between. `lost`: answers that were lost since `lost_since`, with no definite answer
    in between. `drops`: refreshes that were accepted and never appeared. `unproven`: failed refreshes that were found
    after a lost answer: probably ours, but not certainly. `sole_objects`: digest of the objects of the only refresh
    that appeared after the last lost answer and is not proven to be ours.
    """

    failures: int = 0
    failing_since: str | None = None
    lost: int = 0
    lost_since: str | None = None
    drops: int = 0
    unproven: int = 0
    sole_objects: str | None = None


class Blocker(Message, frozen=True, kw_only=True):
    """The refresh that keeps the model busy, and when the run began to wait for it.

    `usual_seconds`: how long such refreshes take; None if too few are known.
    """

    refresh: ExternalRefresh = msgspec.field(name="by")  # the stored key
    since: str
    usual_seconds: float | None = None


class InGroup(Message, frozen=True, kw_only=True):
    """The run's state in its capacity group.

    `refreshes`: how many the group allows at once. `number`: the number of the last message to the group. `since`: when
    the run first asked. `waits_or_holds`: the run waits for a place or has one; `holds_place`: it has one. `waits`: its
    position in the line. `limit_reached`: Power BI refused or failed its refresh because the capacity has reached its
    limits; `retry_after`: the pause in seconds.
    """

    group: str
    refreshes: int
    number: int = 0
    since: str | None = None
    waits_or_holds: bool = msgspec.field(default=False, name="asked")  # the stored key
    holds_place: bool = msgspec.field(default=False, name="placed")  # the stored key
    waits: WaitsForPlace | None = None
    limit_reached: bool = False
    retry_after: float | None = None


class Followed(Message, frozen=True, kw_only=True):
    """The refresh that the run follows.

    `posted_at`: the time of its POST by our clock, or when it was found. `began_at`: its best known start; an adopted
    refresh began before it was found. `visible_by`: the end of the grace in which it may be missing from the history;
    `seen`: it has appeared. `after_loss`: it was found after a lost answer, so it is probably ours. `durations`:
    seconds that earlier refreshes of this kind took. `objects`: digest of its tables and partitions.
    """

    id: str
    posted_at: str
    began_at: str
    visible_by: str
    adopted: bool = False
    after_loss: bool = False
    seen: bool = False
    durations: tuple[float, ...] = ()
    progress: Progress | None = None
    objects: str | None = None
