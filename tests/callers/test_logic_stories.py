"""Runs of each shipped Logic Apps file with the app: status and message of the run, and number of refreshes.

A story is played with all files at the same time. There is one test for each story, not for each file, so that a story
is played once, no matter how pytest distributes the tests to processes.
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
    HostedApp,
    HostedApps,
    calls_back,
    changed,
    hosted_apps,
    in_progress,
    model_of,
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
    """A run that has ended, with the app's requests for the model."""

    run: Run
    app: HostedApp
    dataset_id: str
    rows: list[Json] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = self.app.listed(self.dataset_id)

    @property
    def refreshes(self) -> int:
        """How many refreshes the app started."""
        return len(self.app.world.own(self.dataset_id))

    @property
    def message(self) -> str:
        """The message of a failed run, which is also in the response to its caller."""
        assert self.run.status == "Failed", (self.run.status, self.run.history)
        assert self.run.error is not None
        assert self.run.response == (424, {"status": "Failed", "error": self.run.error})
        return str(self.run.error["message"])

    @property
    def calls(self) -> list[tuple[str, str, int]]:
        """The calls of the run that changed something."""
        return [call for call in self.run.network.calls if call[0] != "GET"]


T = TypeVar("T")


def refreshed(name: str, app: HostedApp) -> Ending:
    """The refresh completes."""
    model = app.world.model()
    return Ending(app.run(app.workflow(name), model_of(model)).to_the_end(), app, model)


def failed(name: str, app: HostedApp) -> Ending:
    """The refresh fails."""
    model = app.world.model(outcome="Failed")
    return Ending(app.run(app.workflow(name), model_of(model)).to_the_end(), app, model)


def cancelled(name: str, app: HostedApp) -> Ending:
    """The refresh is cancelled in Power BI."""
    model = app.world.model(seconds=60)
    run = app.run(app.workflow(name), model_of(model, **ENHANCED))
    with in_progress(run):
        app.wait_for_status(model, "Refreshing")
        app.world.control(model, "/cancel")
    return Ending(run, app, model)


def timed_out(name: str, app: HostedApp) -> Ending:
    """The deadline of the request passes."""
    model = app.world.model(seconds=30)
    workflow = changed(app.workflow(name), timeoutMinutes=0.02)
    return Ending(app.run(workflow, model_of(model)).to_the_end(), app, model)


def retried(name: str, app: HostedApp) -> Ending:
    """A gateway answers the first call with 502. The app accepts the second call, but its answer is lost."""
    model = app.world.model()
    network = app.network()
    network.broken, network.lost = 1, 1
    return Ending(app.run(app.workflow(name), model_of(model), network=network).to_the_end(), app, model)


def run_cancelled(name: str, app: HostedApp) -> Ending:
    """The run of the logic app is cancelled while the model is refreshed."""
    model = app.world.model(seconds=60 if calls_back(name) else 3)
    run = app.run(app.workflow(name), model_of(model, **ENHANCED))
    with in_progress(run):
        app.wait_for_status(model, "Refreshing")
        run.cancel()
    app.wait_for_status(model, "Cancelled" if calls_back(name) else "Completed")
    return Ending(run, app, model)


def not_allowed(name: str, app: HostedApp) -> Ending:
    """The key is wrong, or the identity is not an allowed caller."""
    model = app.world.model()
    workflow = app.workflow(name)
    if not signs_in(name):
        workflow.parameters["FunctionKey"] = "wrong"
    run = app.run(workflow, model_of(model), network=app.network(STRANGER))
    return Ending(run.to_the_end(), app, model)


def many(name: str, app: HostedApp) -> tuple[Run, set[str], str]:
    """Three models in one run, two of which fail. Returns the messages of these two and the status of the third."""
    good, bad, worse = (app.world.model(outcome=how) for how in ("Completed", "Failed", "Disabled"))
    run = app.run(app.workflow(name), *map(model_of, (good, bad, worse))).to_the_end()
    messages = {app.listed(model)[0]["error"]["message"] for model in (bad, worse)}
    return run, messages, app.listed(good)[0]["status"]


def twice(name: str, app: HostedApp) -> Ending:
    """The list has the same model twice."""
    model = app.world.model()
    return Ending(app.run(app.workflow(name), model_of(model), model_of(model)).to_the_end(), app, model)


def twice_but_not_the_same(name: str, app: HostedApp) -> Ending:
    """The list has the same model twice, the second time with different options."""
    model = app.world.model()
    run = app.run(app.workflow(name), model_of(model), model_of(model, **ENHANCED))
    return Ending(run.to_the_end(), app, model)


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedApps]:
    """The app, with sign-in by key and with sign-in by identity."""
    with hosted_apps(tmp_path_factory.mktemp("logic")) as running:
        yield running


def played(
    apps: HostedApps, *stories: Callable[[str, HostedApp], T], files: Iterable[str] = FILES
) -> Iterator[tuple[str, T]]:
    """The results of stories for each file; all run at the same time."""
    pairs = [(story, name) for story in stories for name in files]
    with ThreadPoolExecutor(len(pairs)) as pool:
        ends = [(name, pool.submit(story, name, apps.of(name))) for story, name in pairs]
        for name, end in ends:
            yield name, end.result(END_SECONDS)


def test_a_completed_refresh_succeeds(apps: HostedApps) -> None:
    """The run succeeds after one refresh, and the app stores the caller. Unsubscribing after the end has no effect."""
    for name, ending in played(apps, refreshed):
        run, (row,) = ending.run, ending.rows
        assert (run.status, run.response) == ("Succeeded", (200, {"status": "Completed"})), name
        assert (row["status"], ending.refreshes) == ("Completed", 1), name
        assert row["caller"] == {"logicApp": run.workflow.name, "runId": run.name}, name
        if calls_back(name):
            assert ending.calls == [("POST", START, 200), ("POST", CANCEL, 200)], name
            assert not [path for path in run.callbacks.refused if run.name in path], name
        else:
            assert ending.calls == [("POST", START, 202)], name


def test_a_failed_refresh_fails_with_its_message(apps: HostedApps) -> None:
    """The run has the message of the app, with model, code and remedy."""
    for name, ending in played(apps, failed):
        (row,) = ending.rows
        assert ending.message == row["error"]["message"], name
        assert "ModelRefreshFailed_CredentialsNotSpecified" in ending.message, name
        assert ending.dataset_id in ending.message, name
        assert ending.refreshes == 1, name


def test_a_cancelled_refresh_fails(apps: HostedApps) -> None:
    """The run has the message of the app."""
    for name, ending in played(apps, cancelled):
        (row,) = ending.rows
        assert (row["status"], row["error"]["code"]) == ("Cancelled", "RefreshCancelled"), name
        assert ending.message == row["error"]["message"], name


def test_a_passed_deadline_fails_with_the_message_of_the_app(apps: HostedApps) -> None:
    """The run ends with the message of the app, not with the action's own timeout, which has no details."""
    for name, ending in played(apps, timed_out):
        (row,) = ending.rows
        assert row["status"] == "TimedOut", name
        assert ending.message == row["error"]["message"], name


def test_a_retried_action_is_one_request(apps: HostedApps) -> None:
    """If the action is retried, three calls make one request and one refresh."""
    for name, ending in played(apps, retried):
        starts = [status for _, path, status in ending.calls if path == START]
        assert (len(starts), starts[:2]) == (3, [502, 0]), name
        assert ending.run.status == "Succeeded", name
        assert (len(ending.rows), ending.refreshes) == (1, 1), name


def test_a_cancelled_run(apps: HostedApps) -> None:
    """A webhook action cancels its request and so the refresh; an HTTP action only stops polling."""
    for name, ending in played(apps, run_cancelled):
        assert (ending.run.status, ending.run.response) == ("Cancelled", None), name
        (refresh,) = ending.app.world.own(ending.dataset_id)
        assert refresh["cancelRequested"] == calls_back(name), name


def test_a_caller_without_access_fails_and_starts_nothing(apps: HostedApps) -> None:
    """The call is not retried. For a wrong key, the platform's answer has no message; otherwise the app's message names
    the principal."""
    for name, ending in played(apps, not_allowed):
        if signs_in(name):
            expected = f"The principal {STRANGER} is not in the app setting ALLOWED_CALLERS."
        else:
            words = "the refresh service answered with status 401 and no outcome."
            expected = f"Semantic model {ending.dataset_id}: {words}"
        assert ending.message == expected, name
        assert len([path for _, path, _ in ending.calls if path == START]) == 1, name
        assert (ending.rows, ending.refreshes) == ([], 0), name


def test_each_model_of_a_list_has_its_own_outcome(apps: HostedApps) -> None:
    """All models are refreshed. The run fails with the messages of the models that failed."""
    for name, (run, (one, two), other) in played(apps, many, files=BOTH):
        assert run.error is not None
        assert run.error["message"] in (f"{one} {two}", f"{two} {one}"), name
        assert other == "Completed", name


def test_a_model_that_is_listed_twice_is_one_request(apps: HostedApps) -> None:
    """With equal options, both entries of a model are one request. With different options, the later start is refused,
    or racing starts become two requests.

    Unsubscribing cancels by key. So if there are two requests with the key, the action that ends first may cancel the
    request of the other action.
    """
    same, same_too, other, other_too = (ending for _, ending in played(apps, twice, twice_but_not_the_same, files=BOTH))
    for ending in (same, same_too):
        assert (ending.run.status, len(ending.rows), ending.refreshes) == ("Succeeded", 1, 1)
    for ending in (other, other_too):
        if ending.run.status == "Succeeded":
            assert (len(ending.rows), ending.refreshes) == (2, 2)
        else:
            assert ('with different values for: "refresh"' in ending.message) == (len(ending.rows) == 1)
            assert len(ending.rows) == 1 or "the request was cancelled" in ending.message


def test_the_app_is_restarted_in_the_middle(tmp_path: Path) -> None:
    """After kill -9 while all models are refreshed, every run succeeds with one refresh."""
    with callbacks() as served, mortal(tmp_path, PowerBiService(), ROOT, **SETTINGS) as (world, victim):
        app = HostedApp(world, "", served)
        models = {name: world.model(seconds=7) for name in FILES}
        # pauses of 1.5 s between eleven calls: longer than a start takes
        runs = {name: app.run(app.workflow(name), model_of(models[name]), scale=0.05) for name in FILES}
        with ExitStack() as stack:
            for run in runs.values():
                stack.enter_context(in_progress(run))
            for model in models.values():
                app.wait_for_status(model, "Refreshing")
            victim.kill()
            victim.start_again()
        for name, run in runs.items():
            assert (run.status, len(world.own(models[name]))) == ("Succeeded", 1), (name, run.error)
