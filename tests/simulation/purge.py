"""The nightly purge in the simulated world: requests are deleted one by one, in any order, while others start."""

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.simulation.callers import Accepted
from tests.simulation.platform import run_timer

if TYPE_CHECKING:
    from tests.simulation.world import World

KEPT = timedelta(minutes=45)
"""The minimum time between a request's end and its purge. RETENTION_DAYS is far longer.

It is long enough that no duplicate of a message is in transit any more, and that the hourly timer has removed the
request from the queue.
"""
TIDY_SECONDS = 30.0
PURGED = 0.7
"""The fraction of the purgeable requests that a purge deletes."""


class Purge:
    """One run of the purge."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def run(self) -> None:
        """Lets the callers of the requests read the outcomes, and then deletes the requests."""
        world = self._world
        await world.call(run_timer("tidy_queues"))
        await world.sleep(TIDY_SECONDS)
        candidates = [request for request in world.requests if self._may_go(request)]
        for request in world.random.sample(candidates, len(candidates)):
            if world.random.random() > PURGED:
                continue
            await world.sleep(world.random.choice([0, 0, 0.01, 1.0]))
            if not self._may_go(request):
                continue
            code, _ = await world.callers.look(request)
            if code != 202 and self._may_go(request):
                world.hub.purge(request.id)
                request.purged_at = world.now
                world.counts["purges"] += 1
                world.note(world.now, f"a person purges {request.id}")

    def _may_go(self, request: Accepted) -> bool:
        world = self._world
        instance = world.engine.instances.get(request.id)
        if request.purged_at or "idempotencyKey" not in request.caller.spec or instance is None:
            return False
        queue = world.queue(request.caller.dataset_id)
        if request.id in queue.departed or any(request.id in run.uncollected for run in queue.ended):
            return False
        waiting = any(
            callback.request == request.id and not any(answered for _, _, answered in callback.calls)
            for callback in world.receivers.callbacks
        )
        return instance.terminal and world.now - instance.updated > KEPT and not waiting
