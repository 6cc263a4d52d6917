"""The runner follows the rules of Logic Apps, and the shipped files handle answers that contain no outcome."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from devhost_tests.process import until
from tests.callers.clients.logic_http import Answer, Callbacks, Network, callbacks
from tests.callers.clients.logic_run import HIDDEN, Run, Workflow
from tests.callers.logic_estate import FILES, calls_back, load, model_of

Json = dict[str, Any]

SALES, STOCK = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
SCALE = 0.0001
HASTY = 0.000002
"""Real seconds per second of the definition: twelve hours take a tenth of a second."""
JSON = {"Content-Type": "application/json; charset=utf-8"}
SENTENCE = "Semantic model A: no credentials (code X). Enter them."
POLLERS = [name for name in FILES if not calls_back(name)]
LISTENERS = [name for name in FILES if calls_back(name)]


def answer(status: int, body: Json | None = None, **headers: str) -> Answer:
    """An answer with a JSON body, if any."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {**JSON, **named}, json.dumps(body) if body is not None else "")


class Scripted(Network):
    """Returns answers in order, and repeats the last one."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(sign_in=lambda authentication: {})
        self._answers = list(answers)
        self.bodies: list[Any] = []

    def _send(self, method: str, uri: str, headers: dict[str, str], body: Any) -> Answer:
        self.bodies.append(body)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.fixture(scope="module")
def served() -> Iterator[Callbacks]:
    """Callback addresses."""
    with callbacks() as running:
        yield running


def run_of(name: str, network: Network, served: Callbacks, *models: Json, **more: Any) -> Run:
    """A run of a shipped file that is not started yet."""
    workflow = load(name, "https://refresher.example", "the-key")
    more.setdefault("scale", SCALE)
    more["poll_scale"] = more["scale"]
    return Run(workflow, {"models": list(models)}, network, served, name="0858CU01", **more)


def failure(run: Run) -> str:
    """The message of a failed run, which is also in the response to its caller."""
    assert run.status == "Failed"
    assert run.error is not None
    assert run.error["code"] == "RefreshFailed"
    assert run.response == (424, {"status": "Failed", "error": run.error})
    return str(run.error["message"])


@pytest.mark.parametrize("name", POLLERS)
def test_a_202_is_followed_to_the_end(name: str, served: Callbacks) -> None:
    """Location is polled until its answer is not a 202; a 200 is a success."""
    in_progress_answer = answer(202, {}, Location="https://refresher.example/api/refreshes/1?token=t", Retry_After="5")
    network = Scripted(in_progress_answer, in_progress_answer, answer(200, {"status": "Completed"}))
    run = run_of(name, network, served, model_of(SALES)).to_the_end()
    assert (run.status, run.response) == ("Succeeded", (200, {"status": "Completed"}))
    assert [(method, path) for method, path, _ in network.calls] == [
        ("POST", "/api/refreshes"),
        ("GET", "/api/refreshes/1"),
        ("GET", "/api/refreshes/1"),
    ]


@pytest.mark.parametrize("name", POLLERS)
@pytest.mark.parametrize("timed_out", ["Cancelled", "TimedOut"])
def test_a_202_that_leads_nowhere_ends_with_the_limit(name: str, timed_out: str, served: Callbacks) -> None:
    """After a 202 without a Location, the run fails with a message at the limit of the action, whichever of the two
    documented statuses the action gets."""
    run = run_of(
        name, Scripted(answer(202, {})), served, model_of(SALES), scale=HASTY, timed_out=timed_out
    ).to_the_end()
    assert failure(run) == f"Semantic model {SALES}: The action took longer than its limit."


@pytest.mark.parametrize("name", FILES)
def test_a_refused_start_is_reported_and_not_repeated(name: str, served: Callbacks) -> None:
    """A 4xx is final: there is one call, and the message of the run is that of the answer."""
    network = Scripted(answer(400, {"error": {"code": "InvalidRequest", "message": SENTENCE}}))
    assert failure(run_of(name, network, served, model_of(SALES)).to_the_end()) == SENTENCE
    assert [status for *_, status in network.calls] == [400]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("status", [0, 408, 429, 503])
def test_a_transient_fault_is_retried_as_often_as_the_file_says(name: str, status: int, served: Callbacks) -> None:
    """A start is sent eleven times with the same body, and then the run fails."""
    network = Scripted(Answer(status))
    assert failure(run_of(name, network, served, model_of(SALES)).to_the_end()).startswith(f"Semantic model {SALES}: ")
    assert len(network.calls) == 11
    assert len({json.dumps(body) for body in network.bodies}) == 1
    assert network.bodies[0]["idempotencyKey"] == f"0858CU01-{SALES}"


@pytest.mark.parametrize("name", FILES)
def test_an_answer_that_is_not_json_is_reported(name: str, served: Callbacks) -> None:
    """The run must not read properties of a gateway's HTML page."""
    page = Answer(403, {"Content-Type": "text/html"}, "<html>Forbidden</html>")
    sentence = failure(run_of(name, Scripted(page), served, model_of(SALES)).to_the_end())
    assert sentence == f"Semantic model {SALES}: the refresh service answered with status 403 and no outcome."


@pytest.mark.parametrize("name", LISTENERS)
def test_one_callback_ends_the_wait(name: str, served: Callbacks) -> None:
    """Calls with a wrong signature and second calls are refused. After its callback, the action unsubscribes with the
    same key."""
    network = Scripted(answer(200, {"id": "1"}))
    run = run_of(name, network, served, model_of(SALES))
    thread = threading.Thread(target=run.to_the_end)
    thread.start()
    until(lambda: network.bodies, 10)
    uri = network.bodies[0]["callBackUri"]
    assert requests.post(uri.replace("sig=", "sig=x"), json={"status": "Completed"}, timeout=10).status_code == 404
    assert requests.post(uri, json={"status": "Completed"}, timeout=10).status_code == 200
    assert requests.post(uri, json={"status": "Failed"}, timeout=10).status_code == 404
    thread.join(10)
    assert run.status == "Succeeded"
    start, stop = network.bodies
    assert stop == {key: start[key] for key in ("datasetId", "idempotencyKey")}
    assert [path for _, path, _ in network.calls] == ["/api/refreshes", "/api/refreshes/cancel"]


@pytest.mark.parametrize("name", LISTENERS)
def test_a_missing_callback_ends_at_the_limit(name: str, served: Callbacks) -> None:
    """If no callback arrives within the limit, the action unsubscribes, and the run fails."""
    network = Scripted(answer(200, {"id": "1"}))
    sentence = failure(run_of(name, network, served, model_of(SALES), scale=HASTY).to_the_end())
    assert sentence == f"Semantic model {SALES}: The action took longer than its limit."
    assert [path for _, path, _ in network.calls] == ["/api/refreshes", "/api/refreshes/cancel"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("body", [{}, {"models": None}, {"models": "x"}])
def test_a_trigger_without_models_fails(name: str, body: Json, served: Callbacks) -> None:
    """If the trigger has no models, none is refreshed, so the run must not succeed."""
    network = Scripted(answer(200, {"status": "Completed"}))
    run = run_of(name, network, served)
    run.body = body
    assert "The loop over the models failed" in failure(run.to_the_end())
    assert network.calls == []


@pytest.mark.parametrize("name", FILES)
def test_the_history_shows_no_secret(name: str, served: Callbacks) -> None:
    """The history shows neither the key nor the callback address."""
    run = run_of(name, Scripted(Answer(403)), served, model_of(SALES)).to_the_end()
    history = json.dumps(run.history)
    assert "the-key" not in history
    assert "sig=" not in history
    assert (HIDDEN in history) == (calls_back(name) or "key" in name)


def test_the_status_of_a_group_is_that_of_its_leaves(served: Callbacks) -> None:
    """A group with a handled failure succeeds. If a leaf is skipped because of a failure, the group fails, even if
    another branch succeeded."""

    def note(after: Json, value: str = "x") -> Json:
        return {"type": "AppendToArrayVariable", "inputs": {"name": "a", "value": value}, "runAfter": after}

    first: Json = {"type": "InitializeVariable", "inputs": {"variables": [{"name": "a", "value": []}]}}
    broken = note({"First": ["Succeeded"]}, "@body('Nobody')")
    handled = {"First": first, "Broken": broken, "Handler": note({"Broken": ["Failed"]})}
    unhandled = {**handled, "Next": note({"Broken": ["Succeeded"]})}
    network = Scripted(Answer(200))
    for actions, expected in ((handled, "Succeeded"), (unhandled, "Failed")):
        run = Run(Workflow("w", {"actions": actions}, {}), {}, network, served, SCALE, "0858CU01")
        assert run.to_the_end().status == expected
