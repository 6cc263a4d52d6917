"""integrations/command: refresh_model.py against the app, with every access control, and its wrappers."""

import ast
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from devhost_tests.process import ROOT, until
from tests.callers.adf_estate import AUDIENCE, BRISK, Factory, Line
from tests.callers.clients.adf_http import Answer, Call, send
from tests.callers.clients.adf_pipeline import FAILED, SUCCEEDED, PipelineRun
from tests.callers.clients.adf_web import WebActivity
from tests.callers.clients.pace import Scaled
from tests.callers.servers import SILENT, json_answer, serving, token_for
from tests.e2e.world import WORKSPACE

Json = dict[str, Any]
Form = Callable[[str], Factory]

FOLDER = ROOT / "integrations" / "command"
COMMAND = FOLDER / "refresh_model.py"
SECONDS = 60
ENHANCED = ["--refresh", '{"type": "full"}']


@dataclass(frozen=True)
class Ended:
    """How the command ended: exit code and all of its output."""

    code: int
    text: str


def environment(**variables: str) -> dict[str, str]:
    """An environment without any login of the machine that runs the tests."""
    return {
        "PATH": "/nowhere",
        **{name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        **variables,
    }


def arguments(url: str, dataset: str, *more: str) -> list[str]:
    """The command line; python prints no warnings and reads no settings of the user."""
    command = [sys.executable, "-I", "-W", "error", str(COMMAND)]
    return [*command, "--url", url, "--workspace", WORKSPACE, "--dataset", dataset, *more]


def refresh(url: str, dataset: str, *more: str, env: Mapping[str, str]) -> Ended:
    """Runs the command to its end."""
    command = arguments(url, dataset, *more)
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=SECONDS, check=False)
    assert "Traceback" not in done.stderr
    return Ended(done.returncode, done.stdout + done.stderr)


@contextmanager
def started(url: str, dataset: str, *more: str, env: Mapping[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """The command while it runs."""
    command = arguments(url, dataset, *more)
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=dict(env), text=True, **output) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def keyed(factory: Form) -> Factory:
    """The app with function keys."""
    return factory("key")


def with_key(caller: Factory, **more: str) -> dict[str, str]:
    return environment(REFRESH_KEY=caller.app.key, **more)


def test_completed(keyed: Factory, tmp_path: Path) -> None:
    """Exit code 0 after one refresh; the final status can be written to a file; no secret is printed."""
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
    """Exit code 1 with the message of the service."""
    ended = refresh(keyed.base, model := keyed.world.model(outcome="Failed"), env=with_key(keyed))
    assert ended.code == 1, ended.text
    assert "Failed: Semantic model" in ended.text
    assert keyed.requests(model)[0]["error"]["message"] in ended.text


def test_timed_out(keyed: Factory) -> None:
    """Exit code 4."""
    ended = refresh(keyed.base, keyed.world.model(seconds=60), "--timeout-minutes", "0.02", env=with_key(keyed))
    assert ended.code == 4, ended.text


def test_cancelled(keyed: Factory) -> None:
    """Exit code 3 if the refresh is cancelled in Power BI."""
    model = keyed.world.model(seconds=60)
    with started(keyed.base, model, *ENHANCED, env=with_key(keyed)) as process:
        until(lambda: keyed.world.own(model), 30)
        keyed.world.control(model, "/cancel")
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 3, text


def test_an_idempotency_key_gives_the_same_request(keyed: Factory) -> None:
    """A second run with the key gets the outcome at once, without a second refresh."""
    model = keyed.world.model()
    for _ in range(2):
        assert refresh(keyed.base, model, "--idempotency-key", "run-1", env=with_key(keyed)).code == 0
    assert len(keyed.world.own(model)) == 1


def test_a_restart_of_the_service(factory: Form) -> None:
    """Failed calls are repeated; the command gets the outcome of the single refresh."""
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
    """Exit code 130; the refresh is cancelled only with the option."""
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
    """Exit code 2 with a message, and no refresh."""
    ended = refresh(keyed.base, model := keyed.world.model(), *more, env=with_key(keyed))
    assert (ended.code, message in ended.text) == (2, True), ended.text
    assert keyed.world.own(model) == []


def test_no_credentials() -> None:
    """A remote service is not called without credentials."""
    ended = refresh("https://app.invalid", WORKSPACE, env=environment())
    assert (ended.code, "Set the environment variable REFRESH_KEY" in ended.text) == (2, True)


def test_unreachable() -> None:
    """Exit code 7 after --outage-minutes; nothing listens on port 9 (discard)."""
    ended = refresh("http://127.0.0.1:9", WORKSPACE, "--outage-minutes", "0.02", env=environment())
    assert ended.code == 7, ended.text
    assert "The refresh service does not answer (" in ended.text


@dataclass
class Troubled:
    """A network between the command and the app. Each fault is spent on one call; the rest goes through."""

    app: str
    faults: list[Answer]
    calls: list[tuple[Call, float]] = field(default_factory=list)

    def respond(self, call: Call) -> Answer:
        """The fault whose turn it is, else the answer of the app. An answer that is lost was given by the app."""
        self.calls.append((call, time.monotonic()))
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and fault != SILENT:
            return fault
        # the app's URIs lead through this network, too: they begin with the host that was asked
        answer = send(Call(call.method, self.app + call.url, 30, call.headers, call.body))
        return fault or answer

    def pauses(self) -> list[float]:
        """Seconds between calls."""
        times = [at for _, at in self.calls]
        return [later - earlier for earlier, later in pairwise(times)]


def test_lost_answers_and_throttles(keyed: Factory) -> None:
    """Each call is repeated, as late as Retry-After says, under one idempotency key: one request, one refresh."""
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
    """An answer to a poll is lost, or a gateway answers in place of the app: the command polls again."""
    model = keyed.world.model(seconds=3)
    page = Answer(502, b"<html>Bad Gateway</html>")
    troubled = Troubled(keyed.base, [])
    with serving(troubled.respond) as url, started(url, model, env=with_key(keyed)) as process:
        until(lambda: troubled.calls, 30)
        troubled.faults += [SILENT, page]
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, text
    assert not troubled.faults
    assert "token=" not in text


def test_json(keyed: Factory) -> None:
    """The final status alone on the standard output, progress beside it; the same for a refresh that failed."""
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
    """The answer to the start was lost, so no URI is known: the request is cancelled by its idempotency key."""
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
    """The key would go to another address."""
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
    """From the endpoint of App Service, with the secret header that it requires."""
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
    """The client credentials flow, with the scope of the audience."""
    caller = factory("identity")
    forms: list[str] = []

    def authority(call: Call) -> Answer:
        forms.append(f"{call.url} {call.body}")
        return json_answer({"access_token": token_for(AUDIENCE)})

    busy = [json_answer({"error": "temporarily_unavailable"}, 503)]
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
    """The token for the audience; a failed call of az ends the command with its message."""
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


# ---- where the command runs ----


def test_python_3_9_can_run_it() -> None:
    """Its syntax, and imports of the standard library only."""
    tree = ast.parse(COMMAND.read_text("utf-8"), feature_version=(3, 9))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_an_old_python_runs_it(keyed: Factory) -> None:
    """With Python 3.9 itself, from start to outcome."""
    beside = sorted(Path(sys.base_prefix).parent.glob("3.9*/bin/python3.9"))  # as pyenv installs them
    found = [str(path) for path in (*beside, shutil.which("python3.9")) if path]
    old = next(
        (path for path in found if not subprocess.run([path, "-V"], capture_output=True, check=False).returncode), None
    )
    if old is None:
        pytest.skip("there is no Python 3.9 on this machine")
    command = [old, *arguments(keyed.base, keyed.world.model())[1:]]
    path = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")}
    done = subprocess.run(command, env={**with_key(keyed), **path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


BASH = shutil.which("bash")


def scripts() -> dict[str, tuple[str, dict[str, str]]]:
    """The scripts of the step templates, each with its environment from the template."""
    action = yaml.safe_load((FOLDER / "action.yml").read_text("utf-8"))
    [github] = action["runs"]["steps"]
    template = yaml.safe_load((FOLDER / "azure-pipelines-step.yml").read_text("utf-8"))
    [with_key_step], [with_login] = (steps for conditional in template["steps"] for steps in conditional.values())
    return {
        "GitHub": (github["run"], github["env"]),
        "Azure, key": (with_key_step["bash"], with_key_step["env"]),
        "Azure, login": (with_login["inputs"]["inlineScript"], with_login["env"]),
    }


@pytest.mark.skipif(BASH is None, reason="the steps need bash")
@pytest.mark.parametrize("name", scripts())
@pytest.mark.parametrize("outcome", ["Completed", "Failed"])
def test_a_step_runs(keyed: Factory, name: str, outcome: str, tmp_path: Path) -> None:
    """With its inputs in the environment; it fails unless the refresh has completed, and shows the reason."""
    script, declared = scripts()[name]
    given = {"REFRESH_KEY": keyed.app.key, "INPUT_URL": keyed.base, "INPUT_WORKSPACE": WORKSPACE}
    given |= {"INPUT_DATASET": keyed.world.model(outcome=outcome), "INPUT_SCRIPT": str(COMMAND)}
    given |= {"INPUT_REFRESH": '{"type": "full", "objects": [{"table": "a \'b\' $(c)"}]}', "INPUT_TIMEOUT_MINUTES": "5"}
    env = {**dict.fromkeys(declared, ""), **given, "PATH": os.environ["PATH"]}
    output = tmp_path / "output"
    if name == "GitHub":
        env |= {"GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(FOLDER), "GITHUB_OUTPUT": str(output)}
        env |= {"GITHUB_REPOSITORY": "o/r", "GITHUB_WORKFLOW": "load", "GITHUB_RUN_ID": "7"}
    else:
        env |= {"TF_BUILD": "True", "BUILD_DEFINITIONNAME": "load", "BUILD_BUILDID": "7"}
    command = [str(BASH), "-e", "-o", "pipefail", "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == (0 if outcome == "Completed" else 1), done.stdout + done.stderr
    [request] = keyed.requests(given["INPUT_DATASET"])
    assert request["caller"]["runId"] == "7"
    marks = {"GitHub": "::error title=Refresh Failed::Semantic model"}
    mark = marks.get(name, "##vso[task.logissue type=error]Refresh Failed: Semantic model")
    assert (mark in done.stdout) == (outcome == "Failed")
    if name == "GitHub":
        outputs = dict(line.split("=", 1) for line in output.read_text("utf-8").splitlines())
        assert (outputs["status"], outputs["request-id"]) == (outcome, request["id"])


def test_every_input_of_a_step_is_used() -> None:
    """Each input is one variable of the environment, each variable is used, and no input is pasted into a script."""
    for name, (script, declared) in scripts().items():
        assert "${{" not in script, name
        assert [variable for variable in declared if variable.startswith("INPUT_") and variable not in script] == []
    action = yaml.safe_load((FOLDER / "action.yml").read_text("utf-8"))
    inputs = {value.split("inputs.")[1].rstrip(" }") for value in scripts()["GitHub"][1].values()}
    assert inputs == set(action["inputs"])
    template = yaml.safe_load((FOLDER / "azure-pipelines-step.yml").read_text("utf-8"))
    text = json.dumps(template["steps"])
    assert [one["name"] for one in template["parameters"] if f"parameters.{one['name']}" not in text] == []


def test_another_text_cannot_start_a_logging_command(keyed: Factory) -> None:
    """A message of Power BI that looks like a command is printed as a message."""
    failure = {
        "outcome": "Failed",
        "errorCode": "X",
        "errorDescription": "a\n##vso[task.setvariable variable=x]y\n::set-env::z",
    }
    model = keyed.world.model(outcome=failure)
    ended = refresh(keyed.base, model, env=with_key(keyed, TF_BUILD="True", GITHUB_ACTIONS="true"))
    assert ended.code == 1
    assert "task.setvariable" in ended.text
    commands = [line for line in ended.text.splitlines() if line.startswith("::") or "##vso[" in line]
    assert [line.split("]")[0].split(" ")[0] for line in commands] == ["::error", "##vso[task.logissue"]


# ---- README.md ----


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="data-factory-testing-framework 0.2.17 needs Python before 3.13"
)
@pytest.mark.parametrize("polls", [True, False])
@pytest.mark.parametrize(("outcome", "status"), [("Completed", SUCCEEDED), ("Failed", FAILED)])
def test_the_activities_for_fabric(factory: Form, outcome: str, status: str, polls: bool) -> None:
    """Whether or not a Web activity polls the Location of a 202 by itself."""
    caller = factory("identity")
    model = caller.world.model(outcome=outcome)
    text = (FOLDER / "README.md").read_text("utf-8").split("```json\n")[1].split("```")[0]
    text = text.replace("11111111-aaaa-bbbb-cccc-000000000001", WORKSPACE)
    activities = json.loads(text.replace("22222222-aaaa-bbbb-cccc-000000000002", model))
    variables = {name: {"type": "String", "defaultValue": ""} for name in ("Status", "Reason")}
    file = {"name": "fabric", "properties": {"activities": activities, "variables": variables}}
    pace = Scaled(BRISK)
    web = WebActivity(Line(), token_for, pace)

    def connected(given: Json, policy: Json, timeout: float) -> Json:
        """The parts that the connection adds: the address and the sign-in."""
        url = caller.base + given.pop("relativeUrl")
        access = {"authentication": {"type": "MSI", "resource": AUDIENCE}, "turnOffAsync": not polls}
        return web({**given, "url": url, **access}, timeout)

    run = PipelineRun(file, {}, {"WebActivity": connected}, pace, {"RunId": f"{outcome}-{polls}"}).run()
    assert run.status == status, run.history
    assert ("ModelRefreshFailed_CredentialsNotSpecified" in run.message) == (outcome == "Failed")
    assert len(caller.world.own(model)) == 1


def test_the_airflow_task(keyed: Factory) -> None:
    """Its command runs with the values that Airflow puts in; a retried task is the same request."""
    tree = ast.parse((FOLDER / "README.md").read_text("utf-8").split("```python\n")[2].split("```")[0])
    [task] = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = {one.arg: one.value for one in task.keywords}
    assert ast.literal_eval(given["env"]) == {"REFRESH_KEY": "{{ conn.refresh_service.password }}"}
    values = {"{{ run_id }}": "scheduled__2026-03-31", "{{ task.task_id }}": "refresh", "{{ dag.dag_id }}": "load"}
    command = ast.literal_eval(given["bash_command"])
    for name, value in values.items():
        assert name in command
        command = command.replace(name, value)
    assert "{{" not in command
    model = keyed.world.model()
    words = shlex.split(command)[3:]
    for old, new in (("--url", keyed.base), ("--workspace", WORKSPACE), ("--dataset", model)):
        words[words.index(old) + 1] = new
    command_line = [sys.executable, "-I", str(COMMAND), *words]
    for _ in range(2):
        assert subprocess.run(command_line, env=with_key(keyed), timeout=SECONDS, check=False).returncode == 0
    [request] = keyed.requests(model)
    assert request["caller"] == {"dag": "load"}


def test_the_readme_is_complete() -> None:
    """Exit codes, files and links; the Databricks example calls the command with valid arguments."""
    text = (FOLDER / "README.md").read_text("utf-8")
    codes = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ") and line[2].isdigit()}
    assert codes == {"0", "1", "2", "3", "4", "5", "6", "7", "130"}
    assert all(file.name in text for file in FOLDER.iterdir() if file.suffix in (".py", ".yml"))
    calls = [
        node for node in ast.walk(ast.parse(text.split("```python\n")[1].split("```")[0])) if isinstance(node, ast.Call)
    ]
    [given] = [
        ast.literal_eval(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "main"
    ]
    done = subprocess.run(
        [sys.executable, COMMAND, *given, "--auth", "token"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "REFRESH_TOKEN is not set" in done.stderr) == (2, True), done.stderr
