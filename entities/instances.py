"""The orchestrations that a queue speaks of: whether they are alive (a terminated one leaves without a word), and what
a run says of itself."""

from collections.abc import Iterable
from typing import Any

import azure.durable_functions as df

from refresh.reporting.stored import decoded

Json = dict[str, Any]
ALIVE = frozenset({"Pending", "Running", "Suspended", "ContinuedAsNew"})


async def first_alive(client: df.DurableOrchestrationClient, instances: Iterable[str]) -> str | None:
    """The first of these instances that has not ended; None if there is none."""
    for instance in instances:
        status = await client.get_status(instance)
        if status and status.runtime_status and status.runtime_status.name in ALIVE:
            return instance
    return None


async def run_status(client: df.DurableOrchestrationClient, instance_id: str) -> Json:
    """What a run says of itself; empty if there is no such run (any more)."""
    status = await client.get_status(instance_id)
    custom = decoded(status.custom_status) if status else None
    return custom if isinstance(custom, dict) else {}
