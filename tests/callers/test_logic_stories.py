"""Each shipped Logic Apps file against the app: how its run ends, with which sentence, after how many refreshes.

All stories are played with all files at the same time; each test then looks at one story with one file.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devhost.power_bi.service import PowerBiService
from tests.callers.logic_http import callbacks
from tests.callers.logic_run import Run
from tests.callers.logic_world import (
    FILES,
    SETTINGS,
    STRANGER,
    Place,
    calls_back,
    changed,
    going_on,
    model_of,
    places,
    signs_in,
)
from tests.devhost.process import ROOT
from tests.e2e.test_crashes import mortal
from tests.e2e.world import END_SECONDS

Json = dict[str, Any]

ENHANCED: Json = {"refresh": {"type": "full"}}
POLLERS = [name for name in FILES if not calls_back(name)]
LISTENERS = [name for name in FILES if calls_back(name)]
BOTH = ["consumption/refresh-with-http.key.json", "standard/identity/refresh-with-webhook/workflow.json"]
START, CANCEL = "/api/refreshes", "/api/refreshes/cancel"


@dataclass
class Ending:
    """How a run ended, what the app says of its requests, and what Power BI saw of the model."""

    run: Run
    place: Place
    dataset_id: str
    rows: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = self.place.listed(self.dataset_id)

    @property
    def made(self) -> int:
        """How many refreshes there were."""
        return len(self.place.world.own(self.dataset_id))

    @property
    def sentence(self) -> str:
        """What the run history shows of a failed run; whoever called the workflow is told the same."""
        assert self.run.status == "Failed", (self.run.status, self.run.history)
        assert self.run.error is not None
        assert self.run.response == (424, {"status": "Failed", "error": self.run.error})
        return str(self.run.error["message"])

    @property
    def calls(self) -> list[tuple[str, str, int]]:
        """The calls of the run that changed something."""
        return [call for call in self.run.network.calls if call[0] != "GET"]


Story = Callable[[str, Place], Any]
Told = Callable[[Story, str], Any]


def refreshed(name: str, place: Place) -> Ending:
    """Nothing special happens."""
    model = place.world.model()
    return Ending(place.run(place.workflow(name), model_of(model)).to_the_end(), place, model)


def failed(name: str, place: Place) -> Ending:
    """The refresh fails."""
    model = place.world.model(outcome="Failed")
    return Ending(place.run(place.workflow(name), model_of(model)).to_the_end(), place, model)


def cancelled(name: str, place: Place) -> Ending:
    """Somebody cancels the refresh in Power BI."""
    model = place.world.model(seconds=60)
    run = place.run(place.workflow(name), model_of(model, **ENHANCED))
    with going_on(run):
        place.becomes(model, "Refreshing")
        place.world.control(model, "/cancel")
    return Ending(run, place, model)


def timed_out(name: str, place: Place) -> Ending:
    """The deadline of the request passes."""
    model = place.world.model(seconds=30)
    workflow = changed(place.workflow(name), timeoutMinutes=0.02)
    return Ending(place.run(workflow, model_of(model)).to_the_end(), place, model)


def retried(name: str, place: Place) -> Ending:
    """A gateway breaks the first call, and the answer to the second is lost after the app has accepted it."""
    model = place.world.model()
    network = place.network()
    network.broken, network.lost = 1, 1
    return Ending(place.run(place.workflow(name), model_of(model), network=network).to_the_end(), place, model)


def run_cancelled(name: str, place: Place) -> Ending:
    """Somebody cancels the run of the logic app while the model is refreshed."""
    model = place.world.model(seconds=60 if calls_back(name) else 5)
    run = place.run(place.workflow(name), model_of(model, **ENHANCED))
    with going_on(run):
        place.becomes(model, "Refreshing")
        run.cancel()
    place.becomes(model, "Cancelled" if calls_back(name) else "Completed")
    return Ending(run, place, model)


def not_allowed(name: str, place: Place) -> Ending:
    """The key is wrong, or the identity is not among those who may call."""
    model = place.world.model()
    workflow = place.workflow(name)
    if not signs_in(name):
        workflow.parameters["FunctionKey"] = "wrong"
    run = place.run(workflow, model_of(model), network=place.network(STRANGER))
    return Ending(run.to_the_end(), place, model)


def many(name: str, place: Place) -> tuple[Run, set[str], str]:
    """Three models in one run, two of which fail: the sentences for those, and how the third one ended."""
    good, bad, worse = (place.world.model(outcome=how) for how in ("Completed", "Failed", "Disabled"))
    run = place.run(place.workflow(name), *map(model_of, (good, bad, worse))).to_the_end()
    sentences = {place.listed(model)[0]["error"]["message"] for model in (bad, worse)}
    return run, sentences, place.listed(good)[0]["status"]


def twice(name: str, place: Place) -> Ending:
    """The same model twice in the list."""
    model = place.world.model()
    return Ending(place.run(place.workflow(name), model_of(model), model_of(model)).to_the_end(), place, model)


def twice_but_not_the_same(name: str, place: Place) -> Ending:
    """The same model twice, the second time with other options."""
    model = place.world.model()
    run = place.run(place.workflow(name), model_of(model), model_of(model, **ENHANCED))
    return Ending(run.to_the_end(), place, model)


STORIES: dict[Story, list[str]] = {
    refreshed: list(FILES),
    failed: list(FILES),
    cancelled: list(FILES),
    timed_out: list(FILES),
    retried: list(FILES),
    run_cancelled: list(FILES),
    not_allowed: list(FILES),
    many: BOTH,
    twice: BOTH,
    twice_but_not_the_same: BOTH,
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """How a story ended with a file."""
    pairs = [(story, name) for story, names in STORIES.items() for name in names]
    with places(tmp_path_factory.mktemp("logic")) as running, ThreadPoolExecutor(len(pairs)) as pool:
        ends = {(story, name): pool.submit(story, name, running.of(name)) for story, name in pairs}
        yield lambda story, name: ends[story, name].result(END_SECONDS)


@pytest.mark.parametrize("name", FILES)
def test_a_refreshed_model_is_green(name: str, told: Told) -> None:
    """Succeeded after one refresh; the app knows who asked."""
    ending = told(refreshed, name)
    assert (ending.run.status, ending.run.response) == ("Succeeded", (200, {"status": "Completed"}))
    (row,) = ending.rows
    assert (row["status"], ending.made) == ("Completed", 1)
    assert row["caller"] == {"logicApp": ending.run.workflow.name, "runId": ending.run.name}


@pytest.mark.parametrize("name", LISTENERS)
def test_unsubscribing_after_the_end_changes_nothing(name: str, told: Told) -> None:
    """One call back, which was taken; the cancel after it is answered with 200."""
    ending = told(refreshed, name)
    assert ending.calls == [("POST", START, 200), ("POST", CANCEL, 200)]
    assert not [path for path in ending.run.callbacks.refused if ending.run.name in path]


@pytest.mark.parametrize("name", FILES)
def test_a_failed_refresh_is_red_and_says_why(name: str, told: Told) -> None:
    """The run ends Failed with the sentence of the app: model, code and what to do."""
    ending = told(failed, name)
    (row,) = ending.rows
    assert ending.sentence == row["error"]["message"]
    assert "ModelRefreshFailed_CredentialsNotSpecified" in ending.sentence
    assert ending.dataset_id in ending.sentence
    assert ending.made == 1


@pytest.mark.parametrize("name", FILES)
def test_a_cancelled_refresh_is_red(name: str, told: Told) -> None:
    """With the sentence for it."""
    ending = told(cancelled, name)
    (row,) = ending.rows
    assert (row["status"], row["error"]["code"]) == ("Cancelled", "RefreshCancelled")
    assert ending.sentence == row["error"]["message"]


@pytest.mark.parametrize("name", FILES)
def test_a_deadline_is_red_in_our_words(name: str, told: Told) -> None:
    """Not the action's own time-out, which names nothing."""
    ending = told(timed_out, name)
    (row,) = ending.rows
    assert row["status"] == "TimedOut"
    assert ending.sentence == row["error"]["message"]


@pytest.mark.parametrize("name", FILES)
def test_a_retried_action_is_one_request(name: str, told: Told) -> None:
    """Three calls, one request, one refresh, green."""
    ending = told(retried, name)
    starts = [status for _, path, status in ending.calls if path == START]
    assert (len(starts), starts[:2]) == (3, [502, 0])
    assert ending.run.status == "Succeeded"
    assert (len(ending.rows), ending.made) == (1, 1)


@pytest.mark.parametrize("name", FILES)
def test_a_cancelled_run(name: str, told: Told) -> None:
    """A webhook action takes its request back, and with it the refresh; an HTTP action can only stop asking."""
    ending = told(run_cancelled, name)
    assert (ending.run.status, ending.run.response) == ("Cancelled", None)
    (refresh,) = ending.place.world.own(ending.dataset_id)
    assert refresh["cancelRequested"] == calls_back(name)


@pytest.mark.parametrize("name", FILES)
def test_who_may_not_call_is_red_and_starts_nothing(name: str, told: Told) -> None:
    """Refused once, not retried; the platform says nothing of a wrong key, the app names a principal that may not."""
    ending = told(not_allowed, name)
    if signs_in(name):
        assert ending.sentence == f"The principal {STRANGER} is not among those of the app setting ALLOWED_CALLERS."
    else:
        words = "the refresh service answered with status 401 and no verdict."
        assert ending.sentence == f"Semantic model {ending.dataset_id}: {words}"
    assert len([path for _, path, _ in ending.calls if path == START]) == 1
    assert (ending.rows, ending.made) == ([], 0)


@pytest.mark.parametrize("name", BOTH)
def test_each_model_of_a_list_has_its_own_verdict(name: str, told: Told) -> None:
    """All are tried; the run is red with the sentences of those that failed."""
    run, sentences, other = told(many, name)
    one, two = sentences
    assert run.error["message"] in (f"{one} {two}", f"{two} {one}")
    assert other == "Completed"


@pytest.mark.parametrize("name", BOTH)
def test_a_model_that_is_listed_twice_is_one_request(name: str, told: Told) -> None:
    """With the same options; with others the second is refused and says so."""
    ending = told(twice, name)
    assert (ending.run.status, len(ending.rows), ending.made) == ("Succeeded", 1, 1)
    ending = told(twice_but_not_the_same, name)
    assert "idempotency key, with another refresh" in ending.sentence
    assert len(ending.rows) == 1


def test_the_app_is_restarted_in_the_middle(tmp_path: Path) -> None:
    """kill -9 while all models are refreshed: every file ends green, after one refresh each."""
    with callbacks() as served, mortal(tmp_path, PowerBiService(), ROOT, **SETTINGS) as (world, victim):
        place = Place(world, "", served)
        models = {name: world.model(seconds=8) for name in FILES}
        # pauses of 1.5 s between eleven calls: longer than a start takes
        runs = {name: place.run(place.workflow(name), model_of(models[name]), scale=0.05) for name in FILES}
        with ExitStack() as stack:
            for run in runs.values():
                stack.enter_context(going_on(run))
            for model in models.values():
                place.becomes(model, "Refreshing")
            victim.kill()
            victim.start_again()
        for name, run in runs.items():
            assert (run.status, len(world.own(models[name]))) == ("Succeeded", 1), (name, run.error)
