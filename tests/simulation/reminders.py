"""The timer that reminds requests, in the simulated world."""

from typing import TYPE_CHECKING

from tests.simulation.platform import run_timer

if TYPE_CHECKING:
    from tests.simulation.world import World

TIMER_SECONDS = 300.0
"""The interval of its schedule."""


class Reminders:
    """Runs the timer as long as an orchestration is active. If it ran longer, the day would never end."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._set = False

    def needed(self) -> None:
        """Called when an orchestration was started: plans the next run of the timer."""
        if not self._set:
            self._set = True
            self._world.after(TIMER_SECONDS, lambda: self._world.spawn(self._run()))

    async def _run(self) -> None:
        world = self._world
        await world.call(run_timer("remind_requests"))
        self._set = False
        if any(not instance.terminal for instance in world.engine.instances.values()):
            self.needed()
