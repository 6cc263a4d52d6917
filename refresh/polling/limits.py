"""The waits and budgets that the operator sets."""

from refresh.messages import Message


class Limits(Message, frozen=True, kw_only=True):
    """Limits in seconds. They are part of a run's input, because a changed setting must not make the replay of a
    running orchestration differ from its history."""

    poll_min: float = 5
    poll_max: float = 60
    grace: float = 120
    """How long an accepted refresh may be missing from the history."""
    outage: float = 900
    """How long Power BI may be unreachable."""
