"""Whether the orchestrations that a lane speaks of are alive: a terminated one leaves the lane without a word."""

from collections.abc import Iterable

import azure.durable_functions as df

ALIVE = frozenset({"Pending", "Running", "Suspended", "ContinuedAsNew"})


async def first_alive(client: df.DurableOrchestrationClient, instances: Iterable[str]) -> str | None:
    """The first of these instances that has not ended; None if there is none."""
    for instance in instances:
        status = await client.get_status(instance)
        if status and status.runtime_status and status.runtime_status.name in ALIVE:
            return instance
    return None
