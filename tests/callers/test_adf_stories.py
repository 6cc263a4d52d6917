"""Runs of each shipped pipeline with the app: outcomes, retries, lost answers and a restart."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from devhost_tests.process import until
from tests.callers.adf_estate import END_SECONDS, Factory, StartedRun
from tests.callers.clients.adf_pipeline import FAILED, SUCCEEDED, PipelineRun
from tests.callers.shipped import ADF, OF_SYNAPSE, PIPELINES, ROOT, SYNAPSE_PIPELINES

Json = dict[str, Any]

SENTENCE = """Invoking Web Activity failed with HttpStatusCode - '424', message - '{"error": {"code": """
"""The beginning of the message of a failed Web activity, as in docs/callers.md."""
SLOW = {"seconds": 60}
PATIENT = 1 / 20
"""Real seconds per second of the factory: its retries then last longer than a restart of the app."""

FILES = [(ADF, name) for name in PIPELINES] + [(OF_SYNAPSE, name) for name in SYNAPSE_PIPELINES]

Chapter = Callable[[Factory, str], None]
CHAPTERS: list[Chapter] = []
"""The stories that are played with each shipped pipeline. They mostly wait, so they run at the same time, each with a
model of its own."""


def chapter(story: Chapter) -> Chapter:
    """Adds a story."""
    CHAPTERS.append(story)
    return story


def form_of(name: str) -> str:
    """The access control for which a file is made."""
    return name.rsplit("-", 1)[-1]


def own(caller: Factory, model: str) -> list[Json]:
    """The refreshes of the model that the app started."""
    return caller.world.own(model)


def running(caller: Factory, model: str) -> None:
    """Waits until a refresh of the app runs."""
    until(lambda: own(caller, model), 30)


def seen(run: PipelineRun, going: StartedRun, caller: Factory) -> None:
    """Checks that the run history contains neither the key nor a token, and that no URL contains a key."""
    history = " ".join(f"{line.input} {line.output} {line.message}" for line in run.history)
    tokens = [
        body[uri].split("token=")[1]
        for body in going.line.starts()
        for uri in ("statusUri", "cancelUri")
        if uri in body
    ]
    assert [secret for secret in (caller.app.key, *tokens) if secret in history] == []
    assert [call.url for call, _ in going.line.calls if caller.app.key in call.url or "code=" in call.url] == []


def red(run: PipelineRun, *words: str) -> None:
    """Checks that the run failed in the activity that docs/callers.md names and with the beginning of its message
    there. The message must also contain these words."""
    assert run.status == FAILED
    [*_, last] = [line for line in run.history if line.status == FAILED and line.kind not in ("Until", "IfCondition")]
    assert (
        last.name == {"WebActivity": "Refresh", "WebHook": "Refresh, attempt 4", "Fail": "Fail with reason"}[last.kind]
    )
    if last.kind == "WebActivity":
        assert last.message.startswith(SENTENCE)
    assert [word for word in words if word not in last.message] == [], last.message


@chapter
def red_with_the_reason_when_the_refresh_fails(caller: Factory, name: str) -> None:
    """The message contains the failure and the remedy. The factory retries its activity, but Power BI runs no second
    refresh."""
    model = caller.world.model(outcome="Failed")
    going = caller.begin(name, model)
    run = going.ended()
    red(run, model, "ModelRefreshFailed_CredentialsNotSpecified", "Enter the data source credentials")
    assert len(own(caller, model)) == 1
    seen(run, going, caller)


@chapter
def red_when_the_request_is_cancelled(caller: Factory, name: str) -> None:
    """A request is cancelled while its refresh runs: the pipeline fails."""
    model = caller.world.model(**SLOW)
    going = caller.begin(name, model, {"refresh": {"type": "full"}})
    running(caller, model)
    assert requests.delete(going.started()["cancelUri"], timeout=30).status_code == 202
    red(going.ended(), model, "cancelled")
    assert len(own(caller, model)) == 1


@chapter
def red_when_the_deadline_passes(caller: Factory, name: str) -> None:
    """The run fails with the message of the app, before any timeout of the factory."""
    model = caller.world.model(**SLOW)
    red(caller.begin(name, model, {"timeoutMinutes": 0.02}).ended(), model, "deadline")
    assert len(own(caller, model)) <= 1


@chapter
def a_retried_start_does_not_refresh_twice(caller: Factory, name: str) -> None:
    """The answer to the start is lost. The factory sends the start again, and gets the same request."""
    model = caller.world.model(seconds=2)
    going = caller.begin(name, model, lost=1)
    run = going.ended()
    assert run.status == SUCCEEDED, run.history
    first, again = going.line.starts()[:2]
    assert first["id"] == again["id"]
    assert len(own(caller, model)) == 1


def test_the_message_is_documented() -> None:
    """docs/callers.md has the beginning of the message that is tested here."""
    assert SENTENCE in (ROOT / "docs/callers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_the_whole_story(factory: Callable[[str], Factory], folder: Path, name: str) -> None:
    """Plays every story with every shipped file."""
    caller = replace(factory(form_of(name)), folder=folder)
    with ThreadPoolExecutor(len(CHAPTERS)) as pool:
        stories = [pool.submit(one, caller, name) for one in CHAPTERS]
    if problems := [problem for one in stories if (problem := one.exception())]:
        raise BaseExceptionGroup(name, problems)


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_a_retry_after_the_end_gets_the_outcome_at_once(
    factory: Callable[[str], Factory], folder: Path, name: str
) -> None:
    """The answer to the start is lost, and the refresh ends before the factory retries. The pipeline succeeds after one
    refresh."""
    caller = replace(factory(form_of(name)), folder=folder)
    model = caller.world.model()

    def completed() -> None:
        until(lambda: [row["status"] for row in caller.requests(model)] == ["Completed"], END_SECONDS)

    run = (going := caller.begin(name, model, lost=1, before_loss=completed)).ended()
    assert going.line.starts()[1]["status"] == "Completed"
    assert len(own(caller, model)) == 1
    assert run.status == SUCCEEDED, run.history


@pytest.mark.parametrize("form", ["identity", "key"])
def test_success_in_spite_of_a_restart(factory: Callable[[str], Factory], form: str) -> None:
    """The app is killed while the refreshes run; the pipelines succeed after one refresh each."""
    caller = factory(form)
    going = {}
    for folder, name in FILES:
        if form_of(name) == form:
            model = caller.world.model(seconds=4)
            going[model] = replace(caller, folder=folder).begin(name, model, waits=PATIENT)
    for model in going:
        running(caller, model)
    caller.app.restart()
    for model, one in going.items():
        run = one.ended()
        assert run.status == SUCCEEDED, run.history
        assert len(own(caller, model)) == 1


def test_the_loop_understands_durables_own_status(factory: Callable[[str], Factory]) -> None:
    """With EXPOSE_MANAGEMENT_URIS, the loop polls Durable's URI. It succeeds, fails with the reason, or fails because
    of Terminated."""
    caller, name = factory("key, Durable's own addresses"), "refresh-and-poll-key"
    models = [caller.world.model(), caller.world.model(outcome="Failed"), caller.world.model(**SLOW)]
    good, failed, terminated = (caller.begin(name, model) for model in models)
    running(caller, models[2])
    assert requests.post(terminated.started()["terminatePostUri"], timeout=30).status_code == 202
    assert good.ended().status == SUCCEEDED
    red(failed.ended(), models[1], "ModelRefreshFailed_CredentialsNotSpecified")
    red(terminated.ended(), "did not complete", "Terminated")
    assert "/runtime/webhooks/durabletask/" in good.started()["statusQueryGetUri"]
