"""The cost of a caller in messages of the engine's queues, counted in the histories of a day without faults."""

from collections import Counter

from devhost.engine import events as ev
from tests.simulation.loop import running
from tests.simulation.platform import Installed
from tests.simulation.scenario import HOUR, WORKSPACE, Caller, Rates, Scenario
from tests.simulation.world import World

MODEL = "22222222-aaaa-bbbb-cccc-000000000001"
CALLERS = 6
SETTINGS = {"POLL_MIN_SECONDS": "5", "POLL_MAX_SECONDS": "60", "RECHECK_SECONDS": "21600"}
MESSAGES = {
    ev.EXECUTION_STARTED,
    ev.TASK_SCHEDULED,
    ev.TASK_COMPLETED,
    ev.TIMER_CREATED,
    ev.EVENT_SENT,
    ev.EVENT_RAISED,
}
"""The events that are messages or send messages. A timer is a message that becomes visible when it is due."""


def costs_of(seconds: float) -> Counter[int]:
    """The number of callers by the number of messages that each costs. All share one refresh, which takes `seconds`."""
    spec = {"workspaceId": WORKSPACE, "datasetId": MODEL, "timeoutMinutes": 600}
    day = Scenario(
        seed=1,
        level="none",
        rates=Rates(),
        callers=[Caller(60.0, MODEL, spec) for _ in range(CALLERS)],
        knobs={MODEL: {"seconds": seconds, "visibilitySeconds": 0}},
        external=[],
        settings=SETTINGS,
    )
    world = World(day)
    with Installed(world, day.settings), running(world.loop):
        while world.step():
            pass
        assert len(world.posts) == 1
        return Counter(_messages(world, request.id) for request in world.requests)


def _messages(world: World, request: str) -> int:
    instance = world.engine.instances[request]
    assert '"turn' not in str(instance.input), "it has continued as new, so its history has only a part of its messages"
    return sum(event["EventType"] in MESSAGES for event in world.engine.history(instance))


def test_a_caller_costs_six_messages_and_the_one_that_starts_the_run_eight() -> None:
    """The cost does not depend on the duration of the refresh: no request sends a message while the refresh is
    running."""
    assert costs_of(5 * HOUR) == costs_of(60) == {6: CALLERS - 1, 8: 1}
