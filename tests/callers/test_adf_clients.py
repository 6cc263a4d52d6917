"""The clients follow the rules of the activities; each rule is tested with an answer that requires it."""

import json
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests.callers.clients.adf_function import FunctionActivity
from tests.callers.clients.adf_http import ActivityFailed, Answer, Call, seconds_of, send
from tests.callers.clients.adf_pipeline import FAILED, HIDDEN, SKIPPED, SUCCEEDED, PipelineRun
from tests.callers.clients.adf_web import WebActivity
from tests.callers.clients.adf_webhook import WebHookActivity
from tests.callers.clients.pace import Scaled, Virtual
from tests.callers.servers import SILENT, json_answer, post_office, serving, token_for

Json = dict[str, Any]

DAY = 86400.0
GET = {"method": "GET", "url": "https://app/x"}
POST = {"method": "POST", "url": "https://app/x", "headers": {"Content-Type": "application/json"}, "body": "{}"}
AUDIENCE = {"type": "MSI", "resource": "api://app"}


class Script:
    """Returns answers in order, repeats the last one, and records the calls."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.calls = list(answers), list[Call]()

    def __call__(self, call: Call) -> Answer:
        self.calls.append(call)
        return self.answers[min(len(self.calls), len(self.answers)) - 1]


def moved(seconds: int | None = 5) -> Answer:
    """A 202 with a Location."""
    headers = {"location": "https://app/status"} | ({"retry-after": str(seconds)} if seconds else {})
    return Answer(202, b"{}", headers)


def web(script: Script, pace: Virtual | None = None) -> WebActivity:
    return WebActivity(script, token_for, pace or Virtual())


def red(act: Callable[[], Any]) -> ActivityFailed:
    with pytest.raises(ActivityFailed) as caught:
        act()
    return caught.value


# ---- Web ----


def test_web_polls_the_location_while_the_answer_is_202() -> None:
    """The activity waits as long as Retry-After says. It polls without the headers of the first call."""
    script, pace = Script(moved(7), moved(None), json_answer({"a": 1})), Virtual()
    assert web(script, pace)({**POST, "authentication": AUDIENCE}, DAY) == {"a": 1}
    assert pace.seconds == 7 + 15
    assert [(call.method, call.url) for call in script.calls[1:]] == [("GET", "https://app/status")] * 2
    assert script.calls[0].headers["Authorization"] == "Bearer token for api://app"
    assert script.calls[1].headers == {}


def test_web_accepts_a_202_without_polling() -> None:
    """With turnOffAsync, the activity accepts a 202 and does not poll."""
    script = Script(Answer(202, b'{"b": 2}', moved().headers))
    assert web(script)({**GET, "turnOffAsync": True}, DAY) == {"b": 2}


def test_web_ends_at_its_timeout() -> None:
    """If all answers are 202, the activity fails at its timeout."""
    pace = Virtual()
    assert "timeout" in red(lambda: web(Script(moved(60)), pace)(GET, 600)).message
    assert 600 < pace.seconds <= 660


@pytest.mark.parametrize("status", [301, 400, 404, 424, 429, 500, 503])
def test_web_fails_on_an_error(status: int) -> None:
    """The message has status and body of the error, whether it is the answer to the first call or to a later poll."""
    answer = json_answer({"error": {"message": "why"}}, status)
    for script in (Script(answer), Script(moved(), answer)):
        failed = red(partial(web(script), GET, DAY))
        assert failed.code == "2108"
        assert str(status) in failed.message
        assert "why" in failed.message


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b'"text"', b"<html>"])
def test_web_accepts_json_objects_only(body: bytes) -> None:
    """A body that is not a JSON object fails the activity, even with 200."""
    assert "JSON object" in red(lambda: web(Script(Answer(200, body)))(GET, DAY)).message


def test_web_accepts_four_megabytes() -> None:
    """A body of 4 MB is accepted; with one byte more, the activity fails."""
    fits = b'{"a":"' + b"x" * (4 * 1024 * 1024 - 8) + b'"}'
    assert web(Script(Answer(200, fits)))(GET, DAY)
    assert "4 MB" in red(lambda: web(Script(Answer(200, fits + b" ")))(GET, DAY)).message


def test_web_waits_a_minute_for_an_answer_or_httprequesttimeout() -> None:
    """The activity never waits longer than 230 s, after which Azure ends the call."""
    script = Script(json_answer({}))
    for more in ({}, {"httpRequestTimeout": "00:02:00"}, {"httpRequestTimeout": "00:10:00"}):
        web(script)({**GET, **more}, DAY)
    assert [call.seconds for call in script.calls] == [60, 120, 230]


def test_a_missing_answer_fails_the_activity() -> None:
    """The activity fails after a late answer, a closed connection, or an unreachable host."""

    def slow(call: Call) -> Answer:
        late.wait(60)
        answered.append(call)
        return SILENT

    late, answered = threading.Event(), list[Call]()
    pace = Scaled(waits=0.001, limits=0.001)
    with serving(slow) as base:
        assert red(lambda: WebActivity(send, token_for, pace)({"method": "GET", "url": base}, DAY)).code == "2128"
        assert answered == []
        late.set()
        assert red(lambda: send(Call("GET", base, 5))).code == "2128"
    assert red(lambda: send(Call("GET", "http://127.0.0.1:9", 5))).code == "2128"


# ---- Azure Function ----


def function(script: Script, service: Json) -> FunctionActivity:
    return FunctionActivity(script, token_for, Virtual(), {"Service": service}, {"key": "k-1"})


KEYED = {"functionAppUrl": "https://app", "functionKey": {"secretName": "key"}}
START = {"functionName": "refreshes", "method": "POST", "body": "{}"}


def test_function_accepts_a_202_as_the_end() -> None:
    """The activity does not poll the Location. It sends the key in a header; the answer may take 230 s."""
    script = Script(Answer(202, b'{"statusUri": "u"}', moved().headers))
    assert function(script, KEYED)(START, "Service") == {"statusUri": "u"}
    [call] = script.calls
    assert (call.url, call.seconds) == ("https://app/api/refreshes", 230)
    assert call.headers == {"x-functions-key": "k-1"}


def test_function_authenticates_with_an_identity() -> None:
    """The activity sends a token for the audience of its linked service."""
    script = Script(json_answer({}))
    function(script, {"functionAppUrl": "https://app", "authentication": "MSI", "resourceId": "api://app"})(
        START, "Service"
    )
    assert script.calls[0].headers == {"Authorization": "Bearer token for api://app"}


def test_function_fails_on_errors_and_on_other_bodies() -> None:
    """An error status fails the activity with 3608, status and body. A body that is not a JSON object fails it with
    3603."""
    failed = red(lambda: function(Script(json_answer({"error": "why"}, 424)), KEYED)(START, "Service"))
    assert failed.code == "3608"
    assert "status-'424'" in failed.message
    assert "why" in failed.message
    assert red(lambda: function(Script(Answer(200, b"[]")), KEYED)(START, "Service")).code == "3603"


# ---- WebHook ----


def hook(script: Callable[[Call], Answer], callback: bytes | None, report: bool = True) -> tuple[WebHookActivity, Json]:
    class Mail:
        def address(self, name: str) -> str:
            return f"https://service/{name}"

        def take(self, name: str, seconds: float) -> bytes | None:
            return callback

    return WebHookActivity(script, token_for, Virtual(), Mail()), {**POST, "reportStatusOnCallBack": report}


def test_webhook_adds_its_address_and_waits_for_the_call() -> None:
    """The first answer may take a minute. The key Output of the callback becomes the output of the activity."""
    script = Script(json_answer({}))
    activity, properties = hook(script, b'{"Output": {"status": "Completed"}, "StatusCode": "200"}')
    assert activity(properties) == {"status": "Completed"}
    [call] = script.calls
    assert json.loads(call.body or "")["callBackUri"].startswith("https://service/")
    assert call.seconds == 60


def test_webhook_fails_if_the_callback_reports_a_failure() -> None:
    """The activity fails only if it has reportStatusOnCallBack."""
    callback = b'{"Error": {"ErrorCode": "Bad", "Message": "why"}, "StatusCode": "424", "Output": {}}'
    activity, properties = hook(Script(json_answer({})), callback)
    failed = red(lambda: activity(properties))
    assert (failed.code, failed.message) == ("Bad", "why")
    activity, properties = hook(Script(json_answer({})), callback, report=False)
    assert activity(properties)["StatusCode"] == "424"


def test_webhook_fails_without_a_valid_callback() -> None:
    """The activity fails if the first call is refused, if there is no callback, or if the callback is not JSON."""
    for answer, callback, message in (
        (json_answer({}, 503), None, "503"),
        (json_answer({}), None, "no callback in time"),
        (json_answer({}), b"<html>", "not JSON"),
        (json_answer({}), b"[]", "not a JSON object"),
    ):
        activity, properties = hook(Script(answer), callback)
        assert message in red(partial(activity, properties)).message


def test_webhook_must_not_get_a_202_with_a_location() -> None:
    """After a 202 with a Location, the activity might both poll and wait for a callback."""
    activity, properties = hook(Script(moved()), b"{}")
    with pytest.raises(AssertionError, match="202 with Location"):
        activity(properties)


def test_an_address_accepts_one_call() -> None:
    """A second call, a call after the time limit and a call to an unknown address are refused."""
    with post_office() as post:
        uri = post.address("a")
        assert [send(Call("POST", uri, 5, body='{"n": 1}')).status for _ in range(2)] == [200, 404]
        assert post.take("a", 1) == b'{"n": 1}'
        assert send(Call("POST", uri.replace("/a?", "/b?"), 5, body="{}")).status == 404
        assert post.refused == ["a", "b"]
        late = post.address("c")
        assert post.take("c", 0.01) is None
        assert send(Call("POST", late, 5, body="{}")).status == 404


# ---- pipelines ----


def step(name: str, *after: tuple[str, str], kind: str = "WebActivity", **more: Any) -> Json:
    depends = [{"activity": before, "dependencyConditions": [condition]} for before, condition in after]
    return {"name": name, "type": kind, "dependsOn": depends, "typeProperties": {"name": name}, **more}


def ran(activities: list[Json], *failing: str, **properties: Any) -> PipelineRun:
    """Runs a pipeline whose activities do nothing. Those in `failing` fail."""
    pace = Virtual()

    def act(given: Json, policy: Json, timeout: float) -> Json:
        if given["name"] in failing:
            raise ActivityFailed("1", f"{given['name']} failed")
        return {"is": given["name"], "timeout": timeout}

    file = {"name": "p", "properties": {"activities": activities, **properties}}
    return PipelineRun(file, {}, {"WebActivity": act}, pace, {"RunId": "r"}).run()


def statuses(run: PipelineRun) -> dict[str, str]:
    return {line.name: line.status for line in run.history}


def test_dependencies_decide_what_runs() -> None:
    """A dependency has one of the conditions Succeeded, Failed, Completed and Skipped."""
    activities = [
        step("after success", ("first", "Succeeded")),
        step("after failure", ("first", "Failed")),
        step("after both", ("first", "Completed")),
        step("after skipped", ("after success", "Skipped")),
        step("never", ("after success", "Completed")),
        step("first"),
    ]
    assert statuses(ran(activities, "first")) == {
        "first": FAILED,
        "after success": SKIPPED,
        "after failure": SUCCEEDED,
        "after both": SUCCEEDED,
        "after skipped": SUCCEEDED,
        "never": SKIPPED,
    }


@pytest.mark.parametrize(
    ("branches", "status"),
    [
        ([("Failed", "mend")], SUCCEEDED),  # try and catch
        ([("Failed", "mend"), ("Succeeded", "go on")], FAILED),  # do, if, else
        ([], FAILED),
    ],
)
def test_the_last_activities_decide_how_a_pipeline_ends(branches: list[tuple[str, str]], status: str) -> None:
    """A pipeline fails if one of its last activities fails. A skipped activity counts like the activities before it."""
    activities = [step("first"), *(step(name, ("first", condition)) for condition, name in branches)]
    assert ran(activities, "first").status == status
    assert ran(activities).status == SUCCEEDED


def test_retries_wait_and_are_counted() -> None:
    """An activity that fails is repeated after its interval, at most as often as its policy allows."""
    policy = {"timeout": "0.00:10:00", "retry": 3, "retryIntervalInSeconds": 60}
    run = ran([step("first", policy=policy)], "first")
    [line] = run.history
    assert (line.tries, line.message, run.pace.now()) == (4, "first failed", 180)
    [line] = ran([step("first", policy=policy)]).history
    assert (line.tries, line.output["timeout"]) == (1, 600)


def test_secure_input_and_output_are_not_in_the_history() -> None:
    """Input and output can each be secure without the other. The next activity can still use a secure output."""
    second = step("second", ("first", "Succeeded"))
    second["typeProperties"]["name"] = {"value": "@activity('first').output.is", "type": "Expression"}
    run = ran([step("first", policy={"secureInput": True, "secureOutput": True}), second])
    first, then = run.history
    assert (first.input, first.output) == (HIDDEN, HIDDEN)
    assert then.input == {"name": "first"}


def test_an_invalid_expression_fails_the_activity() -> None:
    """The message names the fault."""
    lost = step("first")
    lost["typeProperties"]["name"] = {"value": "@activity('none').output", "type": "Expression"}
    assert "KeyError: 'none'" in ran([lost]).message


def loop(*inner: Json, condition: str, timeout: str = "0.12:00:00") -> Json:
    expression = {"value": condition, "type": "Expression"}
    properties = {"expression": expression, "timeout": timeout, "activities": list(inner)}
    return {"name": "loop", "type": "Until", "dependsOn": [], "typeProperties": properties}


def test_a_loop_continues_after_a_failed_iteration() -> None:
    """The loop continues until its condition is true. Its last iteration determines its status."""
    keep = {"variableName": "v", "value": {"value": "@activity('look').error.message", "type": "Expression"}}
    inner = [step("look"), {**step("keep", ("look", "Failed"), kind="SetVariable"), "typeProperties": keep}]
    variables = {"v": {"type": "String", "defaultValue": ""}}
    until = loop(*inner, condition="@equals(variables('v'), 'look failed')")
    run = ran([until], "look", variables=variables)
    assert statuses(run) == {"look": FAILED, "keep": SUCCEEDED, "loop": SUCCEEDED}
    assert run.count == 3


def test_a_loop_ends_at_its_timeout() -> None:
    """The loop fails at its timeout, even if its iterations succeeded."""
    pause = {**step("pause", kind="Wait"), "typeProperties": {"waitTimeInSeconds": 30}}
    run = ran([loop(pause, condition="@equals('a', 'b')", timeout="0.00:10:00")])
    assert run.status == FAILED
    assert run.count == 21 + 1


def test_time_spans() -> None:
    """A time span has days, hours, minutes and seconds."""
    assert [seconds_of(text) for text in ("0.12:00:00", "00:04:00", "1.00:00:30")] == [43200, 240, 86430]
