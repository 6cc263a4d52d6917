"""integrations/command/refresh_model.py with an old Python, in step templates, and in the examples of its README."""

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from devhost_tests.process import until
from tests.callers.adf_estate import AUDIENCE, BRISK, Connection, Factory
from tests.callers.clients.adf_pipeline import FAILED, SUCCEEDED, PipelineRun
from tests.callers.clients.adf_web import WebActivity
from tests.callers.clients.pace import Scaled
from tests.callers.command import COMMAND, FOLDER, SECONDS, arguments, environment, refresh, with_key
from tests.callers.servers import token_for
from tests.e2e.world import WORKSPACE

Json = dict[str, Any]
Form = Callable[[str], Factory]


def test_python_3_9_can_run_it() -> None:
    """The syntax of the command is valid in Python 3.9, and it imports only the standard library."""
    tree = ast.parse(COMMAND.read_text("utf-8"), feature_version=(3, 9))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_an_old_python_runs_it(keyed: Factory) -> None:
    """Python 3.9 itself runs the command from the start of a request to its outcome."""
    beside = sorted(Path(sys.base_prefix).parent.glob("3.9*/bin/python3.9"))  # the versions of pyenv
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
    login, step = template["steps"]
    [[with_login]] = login.values()
    assert with_login["task"] == "AzureCLI@2"
    plain = {name: value for name, value in step["env"].items() if isinstance(value, str)}
    key, token = (value for value in step["env"].values() if not isinstance(value, str))
    return {
        "GitHub": (github["run"], github["env"]),
        "Azure, key": (step["bash"], {**plain, **key}),
        "Azure, login": (step["bash"], {**plain, **token}),
        "Azure, token": (with_login["inputs"]["inlineScript"], with_login["env"]),
    }


@pytest.mark.skipif(BASH is None, reason="the steps need bash")
@pytest.mark.parametrize("name", ["GitHub", "Azure, key"])
@pytest.mark.parametrize("outcome", ["Completed", "Failed"])
def test_a_step_runs(keyed: Factory, name: str, outcome: str, tmp_path: Path) -> None:
    """The step gets its inputs from the environment. It fails and shows the reason unless the refresh has completed."""
    script, declared = scripts()[name]
    given = {"REFRESH_KEY": keyed.app.key, "INPUT_URL": keyed.base, "INPUT_WORKSPACE": WORKSPACE}
    given |= {"INPUT_ON_TIMEOUT": "cancel", "INPUT_RETRIES": "0", "INPUT_IDEMPOTENCY_KEY": f"{name}-{outcome}"}
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


def path_with_az(folder: Path) -> str:
    """A PATH whose `az` is a stand-in that gets tokens for the audience of the app."""
    az = folder / "az"
    token = token_for(AUDIENCE)
    answers = f"""*json) echo '{{"accessToken": "{token}"}}' ;; *) echo {token} ;;"""
    az.write_text(f'#!/bin/sh\n[ "$4" = "{AUDIENCE}" ] || exit 1\ncase "$*" in {answers} esac\n', "utf-8")
    az.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def token_from_service_connection(folder: Path) -> str:
    """The token that the step with the service connection stores for the next step."""
    env = {"PATH": path_with_az(folder), "INPUT_AUDIENCE": AUDIENCE}
    done = subprocess.run([str(BASH), "-c", scripts()["Azure, token"][0]], env=env, capture_output=True, check=True)
    command, token = done.stdout.decode().strip().split("]")
    assert command == "##vso[task.setvariable variable=refreshServiceToken;issecret=true"
    return token


@pytest.mark.skipif(BASH is None, reason="the steps need bash")
def test_a_step_on_an_agent_that_is_signed_in(factory: Form, tmp_path: Path) -> None:
    """Without a key and without a service connection, the command gets a token for the audience by itself."""
    script, declared = scripts()["Azure, key"]
    caller = factory("identity")
    given = {"INPUT_URL": caller.base, "INPUT_WORKSPACE": WORKSPACE, "INPUT_DATASET": caller.world.model()}
    given |= {"INPUT_AUDIENCE": AUDIENCE, "INPUT_SCRIPT": str(COMMAND), "PATH": path_with_az(tmp_path)}
    env = {**dict.fromkeys(declared, ""), **given}
    command = [str(BASH), "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(BASH is None or os.name == "nt", reason="the steps need bash, and signals of POSIX")
@pytest.mark.parametrize("name", ["GitHub", "Azure, login"])
@pytest.mark.parametrize("cancelled", [True, False])
def test_a_cancelled_step(factory: Form, tmp_path: Path, name: str, cancelled: bool) -> None:
    """The command replaces the shell, so it gets the signal that the runner or the task sends to the shell. It also has
    what it needs to cancel the request."""
    script, declared = scripts()[name]
    if name == "GitHub":
        caller = factory("key")
        access = {"REFRESH_KEY": caller.app.key, "GITHUB_ACTION_PATH": str(FOLDER)}
        option, number = str(cancelled).lower(), signal.SIGINT
    else:
        caller = factory("identity")
        access = {"REFRESH_TOKEN": token_from_service_connection(tmp_path), "INPUT_SCRIPT": str(COMMAND)}
        option, number = str(cancelled), signal.SIGTERM  # as Azure Pipelines writes a boolean
    model = caller.world.model(seconds=60)
    given = {"INPUT_URL": caller.base, "INPUT_WORKSPACE": WORKSPACE, "INPUT_DATASET": model, **access}
    given |= {"INPUT_REFRESH": '{"type": "full"}', "INPUT_CANCEL_ON_INTERRUPT": option, "PATH": os.environ["PATH"]}
    env = {**dict.fromkeys(declared, ""), **given}
    with subprocess.Popen([str(BASH), "-c", script], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as step:
        try:
            until(lambda: caller.world.own(model), SECONDS)
            step.send_signal(number)
            text = step.communicate(timeout=SECONDS)[0].decode()
        finally:
            step.kill()
    assert step.returncode == 130, text
    assert ("The request is being cancelled" in text) == cancelled, text


def test_both_step_templates_have_the_same_inputs() -> None:
    """The inputs have the same names, apart from their form. A service connection takes the place of azure/login."""
    action = yaml.safe_load((FOLDER / "action.yml").read_text("utf-8"))
    template = yaml.safe_load((FOLDER / "azure-pipelines-step.yml").read_text("utf-8"))
    names = {re.sub(r"-(\w)", lambda found: found[1].upper(), name) for name in action["inputs"]}
    assert {one["name"] for one in template["parameters"]} == names | {"serviceConnection", "script"}


def test_every_input_of_a_step_is_used() -> None:
    """Each input is one variable of the environment, and each variable is used. No input is pasted into a script."""
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
    """The activities of the README work whether or not a Web activity itself polls the Location of a 202."""
    caller = factory("identity")
    model = caller.world.model(outcome=outcome)
    text = (FOLDER / "README.md").read_text("utf-8").split("```json\n")[1].split("```")[0]
    text = text.replace("11111111-aaaa-bbbb-cccc-000000000001", WORKSPACE)
    activities = json.loads(text.replace("22222222-aaaa-bbbb-cccc-000000000002", model))
    variables = {name: {"type": "String", "defaultValue": ""} for name in ("Status", "Reason")}
    file = {"name": "fabric", "properties": {"activities": activities, "variables": variables}}
    pace = Scaled(BRISK)
    web = WebActivity(Connection(), token_for, pace)

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
    """The command of the task runs with the values from Airflow. If Airflow retries the task, it gets the same
    request."""
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
    """The README has all exit codes and files, and its links work. Its Databricks example has valid arguments."""
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
