"""Racing starts with one key, on days on which an episode is lost after its messages were sent."""

import pytest

from tests.simulation.run import run_day
from tests.simulation.scenario import WORKSPACE, Caller, Rates, Repeat, Scenario
from tests.simulation.test_nights import MODEL, SETTINGS, USUAL


@pytest.mark.parametrize("seed", range(8, 14))
def test_a_start_that_replaces_another_one_is_the_same_request(seed: int) -> None:
    """The queue identifies the request by the data that both starts have in common, no matter which of them the engine
    runs.

    When each start had a random token, the request ended as Failed on two of these days.
    """
    spec = {"workspaceId": WORKSPACE, "datasetId": MODEL, "idempotencyKey": "nightly"}
    day = Scenario(
        seed=seed,
        level="heavy",
        rates=Rates(episode_sent_twice=0.4),
        callers=[Caller(0.0, MODEL, spec, repeats=[Repeat(0.0), Repeat(0.02), Repeat(0.1)])],
        knobs={MODEL: USUAL},
        external=[],
        settings=SETTINGS,
    )
    result = run_day(day)
    assert result.violation is None, result.story
    assert result.counts["outcome Completed"] == 1
