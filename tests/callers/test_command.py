"""integrations/command/refresh_model.py with the app, with every kind of access."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from devhost_tests.process import until
from tests.callers.adf_estate import AUDIENCE, Factory
from tests.callers.clients.adf_http import Answer, Call, send
from tests.callers.command import SECONDS, arguments, environment, refresh, started, with_key
from tests.callers.servers import SILENT, json_answer, serving, token_for
from tests.e2e.world import LONG, WORKSPACE

Json = dict[str, Any]
Form = Callable[[str], Factory]

ENHANCED = ["--refresh", '{"type": "full"}']


def test_completed(keyed: Factory, tmp_path: Path) -> None:
    """The exit code is 0 after one refresh. The command can write the final status to a file, and prints no secret."""
    model = keyed.world.model(seconds=2)
    file = tmp_path / "status.json"
    ended = refresh(keyed.base, model, "--caller", "job=Load sales", "--output", str(file), env=with_key(keyed))
    assert ended.code == 0, ended.text
    assert "Refreshing" in ended.text
    assert ended.text.splitlines()[-1].endswith("  Completed")
    assert "token=" not in ended.text + file.read_text("utf-8")
    assert keyed.app.key not in ended.text
    status = json.loads(file.read_text("utf-8"))
    [request] = keyed.requests(model)
    assert (status["status"], status["id"]) == ("Completed", request["id"])
    assert request["caller"] == {"job": "Load sales"}
    assert len(keyed.world.own(model)) == 1


def test_failed(keyed: Factory) -> None:
    """The exit code is 1, and the output has the message of the service."""
    ended = refresh(keyed.base, model := keyed.world.model(outcome="Failed"), env=with_key(keyed))
    assert ended.code == 1, ended.text
    assert "Failed: Semantic model" in ended.text
    assert keyed.requests(model)[0]["error"]["message"] in ended.text


def test_timed_out(keyed: Factory) -> None:
    """The exit code is 4 if the deadline of the request passes."""
    ended = refresh(keyed.base, keyed.world.model(seconds=60), "--timeout-minutes", "0.02", env=with_key(keyed))
    assert ended.code == 4, ended.text


def test_cancelled(keyed: Factory) -> None:
    """The exit code is 3 if the refresh is cancelled in Power BI."""
    model = keyed.world.model(seconds=60)
    with started(keyed.base, model, *ENHANCED, env=with_key(keyed)) as process:
        until(lambda: keyed.world.own(model), 30)
        keyed.world.control(model, "/cancel")
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 3, text


@pytest.mark.parametrize(("status", "code"), [("OutcomeUnknown", 5), ("Terminated", 6)])
def test_other_ends(status: str, code: int) -> None:
    """A stub gives outcomes that the app gives only after hours or after an intervention."""
    error = {"code": "X", "message": "Semantic model Sales: a sentence."}

    def app(call: Call) -> Answer:
        if call.method == "POST":
            uri = f"http://{call.headers['host']}/status?token=x"
            return json_answer({"id": "1", "statusUri": uri}, 202, Location=uri, Retry_After="1")
        return json_answer({"id": "1", "status": status, "error": error}, 424)

    with serving(app) as url:
        ended = refresh(url, WORKSPACE, env=environment(REFRESH_KEY="secret"))
    assert ended.code == code
    assert f"{status}: Semantic model Sales: a sentence." in ended.text
    assert "token=" not in ended.text


def test_an_idempotency_key_gives_the_same_request(keyed: Factory) -> None:
    """A second run with the key gets the outcome at once, without a second refresh."""
    model = keyed.world.model()
    for _ in range(2):
        assert refresh(keyed.base, model, "--idempotency-key", "run-1", env=with_key(keyed)).code == 0
    assert len(keyed.world.own(model)) == 1


def test_a_restart_of_the_service(factory: Form) -> None:
    """The command repeats failed calls and gets the outcome of the only refresh."""
    keyed = factory("key")
    model = keyed.world.model(seconds=4)
    with started(keyed.base, model, env=with_key(keyed)) as process:
        until(lambda: keyed.world.own(model), 30)
        keyed.app.restart()
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, text
    assert len(keyed.world.own(model)) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("more", "cancelled"), [((), False), (("--cancel-on-interrupt",), True)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(keyed: Factory, number: signal.Signals, more: tuple[str, ...], cancelled: bool) -> None:
    """The exit code is 130. The refresh is cancelled only with --cancel-on-interrupt."""
    model = keyed.world.model(seconds=60)
    with started(keyed.base, model, *ENHANCED, *more, env=with_key(keyed)) as process:
        until(lambda: keyed.world.own(model), 30)
        process.send_signal(number)
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, text
    assert ("is being cancelled" in text) == cancelled
    if cancelled:
        until(lambda: keyed.requests(model)[0]["status"] == "Cancelled", 30)
    else:
        assert not keyed.world.own(model)[0]["cancelRequested"]
        keyed.world.control(model, "/cancel")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--refresh", '{"type": "half"}'], "Not accepted: HTTP 400 "),
        (["--refresh", "{"], "argument --refresh: not JSON"),
        (["--dataset", "x"], "argument --dataset: 'x' is not a GUID"),
        (["--url", "http://example.com"], "argument --url: must be an https address"),
        (["--auth", "token"], "The environment variable REFRESH_TOKEN is not set."),
        (["--auth", "az"], "--auth az needs --audience"),
        (["--auth", "none"], "Not accepted: HTTP 401 Check the function key"),
    ],
)
def test_refused(keyed: Factory, more: list[str], message: str) -> None:
    """The exit code is 2 with a message, and no refresh starts."""
    ended = refresh(keyed.base, model := keyed.world.model(), *more, env=with_key(keyed))
    assert (ended.code, message in ended.text) == (2, True), ended.text
    assert keyed.world.own(model) == []


def test_no_credentials() -> None:
    """Without credentials, the command does not call a remote service."""
    ended = refresh("https://app.invalid", WORKSPACE, env=environment())
    assert (ended.code, "Set the environment variable REFRESH_KEY" in ended.text) == (2, True)


def test_unreachable() -> None:
    """The exit code is 7 after --outage-minutes, if no process listens at the address: here on port 9 (discard)."""
    ended = refresh("http://127.0.0.1:9", WORKSPACE, "--outage-minutes", "0.02", env=environment())
    assert ended.code == 7, ended.text
    assert "The refresh service does not answer (" in ended.text


@dataclass
class Troubled:
    """A network between the command and the app. Each fault hits one call; all other calls reach the app."""

    app: str
    faults: list[Answer]
    calls: list[tuple[Call, float]] = field(default_factory=list)

    def respond(self, call: Call) -> Answer:
        """The next fault, or the answer of the app if no fault is left.

        A lost answer (`SILENT`) is an answer that the app sends and the network drops: the call has had its effect.
        """
        self.calls.append((call, time.monotonic()))
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and fault != SILENT:
            return fault
        # the app's URIs also lead through this network, because they begin with the host that was called
        answer = send(Call(call.method, self.app + call.url, 30, call.headers, call.body))
        return fault or answer

    def pauses(self) -> list[float]:
        """Seconds between calls."""
        times = [at for _, at in self.calls]
        return [later - earlier for earlier, later in pairwise(times)]


def test_lost_answers_and_throttles(keyed: Factory) -> None:
    """Each call is repeated after the time in Retry-After, with one idempotency key: one request, one refresh."""
    model = keyed.world.model(seconds=1)
    full = {"error": {"code": "QueueFull", "message": "Too many requests wait for this model."}}
    troubled = Troubled(keyed.base, [json_answer(full, 429, Retry_After="2"), SILENT, json_answer({}, 503)])
    with serving(troubled.respond) as url:
        ended = refresh(url, model, env=with_key(keyed))
    assert ended.code == 0, ended.text
    posts = [json.loads(call.body or "") for call, _ in troubled.calls if call.method == "POST"]
    assert posts == [posts[0]] * 4
    assert posts[0]["idempotencyKey"]
    assert troubled.pauses()[0] >= 2
    assert (
        "the refresh service answers HTTP 429: Too many requests wait for this model; next attempt in 2 s" in ended.text
    )
    assert "the refresh service does not answer (" in ended.text
    assert len(keyed.world.own(model)) == 1


def test_lost_polls(keyed: Factory) -> None:
    """If the answer to a poll is lost, or a gateway answers instead of the app, the command polls again."""
    model = keyed.world.model(seconds=LONG)
    page = Answer(502, b"<html>Bad Gateway</html>")
    troubled = Troubled(keyed.base, [])
    with serving(troubled.respond) as url, started(url, model, env=with_key(keyed)) as process:
        until(lambda: any(call.method == "GET" for call, _ in list(troubled.calls)), SECONDS)
        troubled.faults += [SILENT, page]
        until(lambda: not troubled.faults, SECONDS)
        keyed.world.end(model)
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, text
    assert "token=" not in text


def test_json(keyed: Factory) -> None:
    """The standard output has only the final status, and the standard error the progress. This also holds if the
    refresh fails."""
    for outcome, code in (("Completed", 0), ("Failed", 1)):
        command = arguments(keyed.base, keyed.world.model(outcome=outcome), "--json")
        done = subprocess.run(
            command, env=with_key(keyed), capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == code, done.stderr
        status = json.loads(done.stdout)
        assert (status["status"], (status["error"] or {}).get("retryable")) == (outcome, {0: None, 1: False}[code])
        assert "accepted" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("more", "cancelled"), [((), False), (("--cancel-on-interrupt",), True)])
def test_interrupted_while_starting(keyed: Factory, more: tuple[str, ...], cancelled: bool) -> None:
    """The answer to the start was lost, so no URI is known; the request is cancelled by its idempotency key."""
    model = keyed.world.model(seconds=60)
    troubled = Troubled(keyed.base, [SILENT, json_answer({}, 503, Retry_After="30")])
    with serving(troubled.respond) as url, started(url, model, *ENHANCED, *more, env=with_key(keyed)) as process:
        until(lambda: len(troubled.calls) == 2, 30)
        until(lambda: keyed.world.own(model), 30)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, text
    assert ("is being cancelled" in text, "may have been accepted" in text) == (cancelled, not cancelled), text
    if cancelled:
        until(lambda: keyed.requests(model)[0]["status"] == "Cancelled", 30)
    else:
        keyed.world.control(model, "/cancel")


def test_redirects_are_not_followed() -> None:
    """A redirect would send the key to a different address."""
    calls: list[Call] = []

    def other(call: Call) -> Answer:
        calls.append(call)
        return Answer(200)

    with serving(other) as target, serving(lambda call: Answer(302, headers={"Location": target})) as url:
        ended = refresh(url, WORKSPACE, env=environment(REFRESH_KEY="secret"))
    assert (ended.code, calls) == (7, [])


# ---- tokens ----


def test_a_token_of_the_environment(factory: Form) -> None:
    """REFRESH_TOKEN is sent unchanged."""
    caller = factory("identity")
    env = environment(REFRESH_TOKEN=token_for(AUDIENCE))
    assert refresh(caller.base, caller.world.model(), env=env).code == 0


def test_a_managed_identity(factory: Form) -> None:
    """The token comes from the endpoint of App Service, which requires a secret header."""
    caller = factory("identity")

    busy = [json_answer({"error": "too many requests"}, 429, Retry_After="1")]

    def identity(call: Call) -> Answer:
        if busy:
            return busy.pop()
        if call.headers.get("x-identity-header") != "secret" or "api-version=2019-08-01" not in call.url:
            return json_answer({"error": "bad request"}, 400)
        return json_answer({"access_token": token_for(AUDIENCE if "refresh-service" in call.url else "another")})

    with serving(identity) as endpoint:
        env = environment(IDENTITY_ENDPOINT=endpoint, IDENTITY_HEADER="secret")
        ended = refresh(caller.base, caller.world.model(), "--audience", AUDIENCE, env=env)
        assert ended.code == 0, ended.text
        ended = refresh(caller.base, WORKSPACE, "--audience", AUDIENCE, env={**env, "IDENTITY_HEADER": "wrong"})
        assert (ended.code, "No token from managed-identity" in ended.text) == (2, True), ended.text
        ended = refresh(caller.base, WORKSPACE, "--audience", "api://another", env=env)
        assert (ended.code, "Not accepted: HTTP 401" in ended.text) == (2, True), ended.text


def test_a_service_principal(factory: Form) -> None:
    """The command uses the client credentials flow with the scope of the audience."""
    caller = factory("identity")
    forms: list[str] = []

    def authority(call: Call) -> Answer:
        forms.append(f"{call.url} {call.body}")
        return json_answer({"access_token": token_for(AUDIENCE)})

    busy = [json_answer({"error": "temporarily_unavailable"}, 503), SILENT]
    with serving(lambda call: busy.pop() if busy else authority(call)) as host:
        login = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client", "AZURE_CLIENT_SECRET": "secret"}
        env = environment(AZURE_AUTHORITY_HOST=host, **login)
        ended = refresh(caller.base, caller.world.model(), "--audience", AUDIENCE, env=env)
    assert ended.code == 0, ended.text
    scope = "scope=api%3A%2F%2Frefresh-service%2F.default"
    credentials = f"grant_type=client_credentials&client_id=client&client_secret=secret&{scope}"
    assert forms == [f"/tenant/oauth2/v2.0/token {credentials}"]


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for az")
def test_a_login_with_az(factory: Form, tmp_path: Path) -> None:
    """az returns the token for the audience. If az fails, the command ends with its message."""
    caller = factory("identity")
    az = tmp_path / "az"
    az.write_text(
        "#!/bin/sh\n"
        f'[ "$4" = {AUDIENCE} ] && [ "$1 $2" = "account get-access-token" ] || {{ echo "az login" >&2; exit 1; }}\n'
        f'echo \'{{"accessToken": "{token_for(AUDIENCE)}"}}\'\n'
    )
    az.chmod(0o755)
    env = environment(PATH=f"{tmp_path}")
    assert refresh(caller.base, caller.world.model(), "--audience", AUDIENCE, env=env).code == 0
    ended = refresh(caller.base, WORKSPACE, "--audience", "api://another", env=env)
    assert (ended.code, "No token from az: ValueError az login" in ended.text) == (2, True), ended.text
