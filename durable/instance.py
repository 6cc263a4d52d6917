"""An orchestration in the form that the engine shows."""

from typing import Any

from durable.codec import unwrapped
from refresh.messages import Message
from refresh.times import iso, parse_time

ENDED = ("Completed", "Failed", "Terminated", "Canceled")
"""The engine's statuses of an orchestration that has ended."""
ALIVE = ("Pending", "Running", "ContinuedAsNew", "Suspended")
"""The engine's statuses of an orchestration that has not ended."""


class Instance(Message, frozen=True, kw_only=True):
    """An orchestration in the form that the engine shows. `status` is the engine's; times are ISO 8601 UTC or None."""

    id: str
    name: str
    status: str
    input: Any = None
    custom_status: Any = None
    output: Any = None
    created: str | None = None
    updated: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENDED


def instance_of(status: dict[str, Any]) -> Instance:
    """An orchestration from a status of the engine's API. Inputs stored by the SDK are JSON inside a JSON string."""
    return Instance(
        id=status["instanceId"],
        name=status.get("name") or "",
        status=status["runtimeStatus"],
        input=unwrapped(status.get("input")),
        custom_status=unwrapped(status.get("customStatus")),
        output=status.get("output"),
        created=iso(parse_time(status.get("createdTime"))),
        updated=iso(parse_time(status.get("lastUpdatedTime"))),
    )
