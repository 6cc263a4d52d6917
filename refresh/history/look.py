"""What a run keeps of a refresh history."""

from refresh.messages import Message, Shown


class ExternalRefresh(Shown, frozen=True, kw_only=True):
    """A refresh that stands in the way, as a status shows it."""

    refresh_id: str
    refresh_type: str | None = None
    started_at: str | None = None


class Look(Message, frozen=True, kw_only=True):
    """What the history held when a run looked before its POST.

    `known`: ids of the rows that could be taken for new later. `running`: id of the refresh that kept the model busy.
    `service_time` is the service's clock, `read_at` ours, taken before the call (ISO 8601 UTC). `durations`: seconds
    that earlier refreshes of the kind took, see `refresh.polling.estimate`.
    """

    service_time: str
    read_at: str
    known: tuple[str, ...] = ()
    running: str | None = None
    durations: tuple[float, ...] = ()


class LostWindow(Message, frozen=True, kw_only=True):
    """When a refresh of ours began whose answer was lost, by the service's clock; None: unknown."""

    since: str | None = None
    until: str | None = None
