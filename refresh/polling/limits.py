"""The waits and budgets that an operator allows."""

from refresh.messages import Message


class Limits(Message, frozen=True, kw_only=True):
    """Seconds. Kept in the input of a run, so that a changed setting cannot make the replay of a running orchestration
    differ from its history."""

    poll_min: float = 5
    poll_max: float = 60
    grace: float = 120
    """How long an accepted refresh may be missing in the history."""
    outage: float = 900
    """How long Power BI may be unreachable."""
