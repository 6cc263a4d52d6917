"""Each shipped Logic Apps file against the app: how its run ends, with which sentence, after how many refreshes.

A story is played with all files at the same time. One test for a story, not one for a file: so each is played once,
whichever way the tests are shared out among processes.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from dev.power_bi.service import PowerBiService
from devhost_tests.process import ROOT
from tests.callers.clients.logic_http import callbacks
from tests.callers.clients.logic_run import Run
from tests.callers.logic_estate import (
    FILES,
    SETTINGS,
    STRANGER,
    Place,
    Places,
    calls_back,
    changed,
    going_on,
    model_of,
    places,
    signs_in,
)
from tests.e2e.test_crashes import mortal
from tests.e2e.world import END_SECONDS

Json = dict[str, Any]

ENHANCED: Json = {"refresh": {"type": "full"}}
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


T = TypeVar("T")


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
    model = place.world.model(seconds=60 if calls_back(name) else 3)
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


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """The app, with sign-in by key and with sign-in by identity."""
    with places(tmp_path_factory.mktemp("logic")) as running:
        yield running


def played(apps: Places, *stories: Callable[[str, Place], T], files: Iterable[str] = FILES) -> Iterator[tuple[str, T]]:
    """How stories ended with each file, file by file; all are played at the same time."""
    pairs = [(story, name) for story in stories for name in files]
    with ThreadPoolExecutor(len(pairs)) as pool:
        ends = [(name, pool.submit(story, name, apps.of(name))) for story, name in pairs]
        for name, end in ends:
            yield name, end.result(END_SECONDS)


def test_a_refreshed_model_is_green(apps: Places) -> None:
    """Succeeded after one refresh; the app knows who asked. Unsubscribing after the end changes nothing."""
    for name, ending in played(apps, refreshed):
        run, (row,) = ending.run, ending.rows
        assert (run.status, run.response) == ("Succeeded", (200, {"status": "Completed"})), name
        assert (row["status"], ending.made) == ("Completed", 1), name
        assert row["caller"] == {"logicApp": run.workflow.name, "runId": run.name}, name
        if calls_back(name):
            assert ending.calls == [("POST", START, 200), ("POST", CANCEL, 200)], name
            assert not [path for path in run.callbacks.refused if run.name in path], name
        else:
            assert ending.calls == [("POST", START, 202)], name


def test_a_failed_refresh_is_red_and_says_why(apps: Places) -> None:
    """The run ends Failed with the sentence of the app: model, code and what to do."""
    for name, ending in played(apps, failed):
        (row,) = ending.rows
        assert ending.sentence == row["error"]["message"], name
        assert "ModelRefreshFailed_CredentialsNotSpecified" in ending.sentence, name
        assert ending.dataset_id in ending.sentence, name
        assert ending.made == 1, name


def test_a_cancelled_refresh_is_red(apps: Places) -> None:
    """With the sentence for it."""
    for name, ending in played(apps, cancelled):
        (row,) = ending.rows
        assert (row["status"], row["error"]["code"]) == ("Cancelled", "RefreshCancelled"), name
        assert ending.sentence == row["error"]["message"], name


def test_a_deadline_is_red_in_our_words(apps: Places) -> None:
    """Not the action's own time-out, which names nothing."""
    for name, ending in played(apps, timed_out):
        (row,) = ending.rows
        assert row["status"] == "TimedOut", name
        assert ending.sentence == row["error"]["message"], name


def test_a_retried_action_is_one_request(apps: Places) -> None:
    """Three calls, one request, one refresh, green."""
    for name, ending in played(apps, retried):
        starts = [status for _, path, status in ending.calls if path == START]
        assert (len(starts), starts[:2]) == (3, [502, 0]), name
        assert ending.run.status == "Succeeded", name
        assert (len(ending.rows), ending.made) == (1, 1), name


def test_a_cancelled_run(apps: Places) -> None:
    """A webhook action takes its request back, and with it the refresh; an HTTP action can only stop asking."""
    for name, ending in played(apps, run_cancelled):
        assert (ending.run.status, ending.run.response) == ("Cancelled", None), name
        (refresh,) = ending.place.world.own(ending.dataset_id)
        assert refresh["cancelRequested"] == calls_back(name), name


def test_who_may_not_call_is_red_and_starts_nothing(apps: Places) -> None:
    """Refused once, not retried; the platform says nothing of a wrong key, the app names a principal that may not."""
    for name, ending in played(apps, not_allowed):
        if signs_in(name):
            expected = f"The principal {STRANGER} is not among those of the app setting ALLOWED_CALLERS."
        else:
            words = "the refresh service answered with status 401 and no outcome."
            expected = f"Semantic model {ending.dataset_id}: {words}"
        assert ending.sentence == expected, name
        assert len([path for _, path, _ in ending.calls if path == START]) == 1, name
        assert (ending.rows, ending.made) == ([], 0), name


def test_each_model_of_a_list_has_its_own_verdict(apps: Places) -> None:
    """All are tried; the run is red with the sentences of those that failed."""
    for name, (run, (one, two), other) in played(apps, many, files=BOTH):
        assert run.error is not None
        assert run.error["message"] in (f"{one} {two}", f"{two} {one}"), name
        assert other == "Completed", name


def test_a_model_that_is_listed_twice_is_one_request(apps: Places) -> None:
    """With the same options; with others the second is refused and says so."""
    same, same_too, other, other_too = (ending for _, ending in played(apps, twice, twice_but_not_the_same, files=BOTH))
    for ending in (same, same_too):
        assert (ending.run.status, len(ending.rows), ending.made) == ("Succeeded", 1, 1)
    for ending in (other, other_too):
        assert "idempotency key, with another refresh" in ending.sentence
        assert len(ending.rows) == 1


def test_the_app_is_restarted_in_the_middle(tmp_path: Path) -> None:
    """kill -9 while all models are refreshed: every file ends green, after one refresh each."""
    with callbacks() as served, mortal(tmp_path, PowerBiService(), ROOT, **SETTINGS) as (world, victim):
        place = Place(world, "", served)
        models = {name: world.model(seconds=7) for name in FILES}
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
