"""The facts that a run keeps of a refresh history."""

from refresh.messages import ApiMessage, Message


class ExternalRefresh(ApiMessage, frozen=True, kw_only=True):
    """An external refresh that keeps the model busy, in the form that a status shows."""

    refresh_id: str
    refresh_type: str | None = None
    started_at: str | None = None


class Look(Message, frozen=True, kw_only=True):
    """The content of the history when a run looked at it before its POST.

    `known`: ids of the rows that could later be mistaken for new ones. `running`: id of the refresh that kept the model
    busy. `service_time` is the service's clock, `read_at` is our clock before the call (ISO 8601 UTC). `durations`:
    seconds that earlier refreshes of this kind took, see `refresh.polling.estimate`. `direct_lake`: the history
    contained only framing, so the model loads no data.
    """

    service_time: str
    read_at: str
    known: tuple[str, ...] = ()
    running: str | None = None
    durations: tuple[float, ...] = ()
    direct_lake: bool = False


class LostWindow(Message, frozen=True, kw_only=True):
    """The period, by the service's clock, in which our refresh with the lost answer can have begun. None: this bound is
    not known."""

    since: str | None = None
    until: str | None = None
