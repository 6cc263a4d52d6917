"""The next run of the timer repairs what was lost, although no request rechecks by itself for hours."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from refresh.queue.operations import AskToLeave
from refresh.queue.reminders import NOTIFIED_WITHIN
from refresh.times import instant
from tests.simulation.loop import running
from tests.simulation.platform import Installed, durable_engine
from tests.simulation.reminders import TIMER_SECONDS
from tests.simulation.rules import final, time
from tests.simulation.scenario import WORKSPACE, Caller, Rates, Scenario
from tests.simulation.world import World
from triggers import timer_reminders

MODEL = "22222222-aaaa-bbbb-cccc-000000000001"
SETTINGS = {"POLL_MIN_SECONDS": "5", "POLL_MAX_SECONDS": "10", "RECHECK_SECONDS": "21600"}
REFRESH_SECONDS = 900.0
TICK = timedelta(seconds=TIMER_SECONDS) + NOTIFIED_WITHIN
A_WHILE = timedelta(seconds=60)
"""The time for a poll of Power BI and the steps of the repair."""


def terminate_the_run(world: World) -> None:
    """Terminates the run by hand while its refresh is running."""
    (run,) = [i.id for i in world.engine.instances.values() if i.name == "refresh_run" and not i.terminal]
    world.hub.terminate(run, "by hand", world.now)


def lose_a_cancellation(world: World) -> None:
    """The first caller cancels, and the event for its request is lost, although the queue has stored the
    cancellation."""
    operation = AskToLeave(at=instant(world.now), request=world.requests[0].id)
    world.spawn(durable_engine().tell_queue(MODEL, operation))


def day(meanwhile: Callable[[World], None] | None = None, **rates: float) -> World:
    """A day on which three callers share a refresh of 15 minutes. `meanwhile` is called five minutes after it began."""
    spec = {"workspaceId": WORKSPACE, "datasetId": MODEL, "timeoutMinutes": 600}
    scenario = Scenario(
        seed=1,
        level="light" if rates else "none",
        rates=Rates(**rates),  # type: ignore[arg-type]
        callers=[Caller(60.0, MODEL, spec) for _ in range(3)],
        knobs={MODEL: {"seconds": REFRESH_SECONDS, "visibilitySeconds": 0}},
        external=[],
        settings=SETTINGS,
    )
    world = World(scenario)
    if meanwhile:
        world.after(360.0, lambda: meanwhile(world))
    with Installed(world, scenario.settings), running(world.loop):
        while world.step():
            pass
        for request in world.requests:
            world.finish(world.callers.look(request))
    return world


def lateness(world: World) -> list[timedelta]:
    """How long after the end of the refresh each request ended."""
    (refresh,) = world.truth(MODEL)
    assert refresh["state"] == "Completed"
    ended = time(refresh["endTime"])
    assert [final(request)["status"] for request in world.requests] == ["Completed"] * 3
    return [world.engine.instances[request.id].updated - ended for request in world.requests]


@pytest.mark.parametrize(
    ("meanwhile", "rates"),
    [(terminate_the_run, {}), (None, {"wake_lost": 1.0})],
    ids=["dead run", "lost notifications"],
)
def test_a_loss_costs_one_tick(
    meanwhile: Callable[[World], None] | None, rates: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost message delays requests by at most one run of the timer; without the timer, it would delay them by
    hours."""
    assert max(lateness(day(meanwhile, **rates))) <= TICK + A_WHILE

    async def nothing(engine: object, dataset_id: str) -> int:
        return 0

    monkeypatch.setattr(timer_reminders, "_remind", nothing)
    assert max(lateness(day(meanwhile, **rates))) > timedelta(hours=4)


def test_a_lost_cancellation_takes_effect_at_the_next_tick() -> None:
    """The timer ends the request whose cancellation was lost. The other requests, which share the refresh, continue and
    complete."""
    world = day(lose_a_cancellation)
    statuses = [final(request)["status"] for request in world.requests]
    assert statuses == ["Cancelled", "Completed", "Completed"]
    cancelled = world.engine.instances[world.requests[0].id].updated
    assert cancelled - world.requests[0].at <= timedelta(seconds=360) + TICK + A_WHILE
