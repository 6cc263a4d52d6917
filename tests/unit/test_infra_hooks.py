"""The hooks of `azd up`: their checks, programs and output. The programs are recorded, not run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from infra import publish
from infra.hooks import after_deployment, after_down, before_provision, environment, start

ROOT = Path(__file__).parents[2]
APPLICATION, OBJECT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
TODAY = datetime(2026, 11, 25, tzinfo=UTC)
VALUES = {
    "APP_URL": "https://func-refresh-abc.azurewebsites.net",
    "APP_NAME": "func-refresh-abc",
    "AZURE_RESOURCE_GROUP": "rg-refresh",
    "AUTH_MODE": "entra",
    "AUDIENCE": f"api://{APPLICATION}",
    "IDENTITY_NAME": "id-refresh-abc",
    "IDENTITY_CLIENT_ID": APPLICATION,
    "IDENTITY_PRINCIPAL_ID": OBJECT,
    "PACKAGE_CONTAINER_URL": "https://strefreshabc.blob.core.windows.net/packages",
}
MODEL = {"SMOKE_WORKSPACE": APPLICATION, "SMOKE_DATASET": OBJECT}


class Recorder:
    """Replaces the programs. It records their command lines, and gives their answers."""

    def __init__(self, cloud: str = "AzureCloud", registered: str = "", login: str = "") -> None:
        self.commands: list[list[str]] = []
        self.cloud = cloud
        self.registered = registered
        self.login = login

    def __call__(self, command: list[str]) -> str:
        self.commands.append(command)
        if command[:4] == ["az", "ad", "app", "create"]:
            return json.dumps({"appId": APPLICATION, "id": OBJECT})
        if command[:4] == ["az", "ad", "app", "list"]:
            return self.registered
        if command[:3] == ["az", "account", "show"]:
            if not self.login:
                raise before_provision.HookFailed("az account show failed")
            return f"{self.login}\n"
        return f"{self.cloud}\n" if command[:3] == ["az", "cloud", "show"] else ""


def test_a_deployment_without_callers_stops_with_the_commands_to_set_them() -> None:
    run = Recorder()
    with pytest.raises(before_provision.HookFailed, match="azd env set CALLERS"):
        before_provision.prepare({"AZURE_ENV_NAME": "dev"}, run, TODAY)
    assert run.commands == []


@pytest.mark.parametrize("callers", [APPLICATION, f"{APPLICATION}:", f"{APPLICATION}:{OBJECT[:-1]}", "factory:factory"])
def test_a_malformed_caller_is_named(callers: str) -> None:
    with pytest.raises(before_provision.HookFailed, match="is not applicationId:objectId"):
        before_provision.check_callers({"CALLERS": callers})


def test_callers_may_be_several() -> None:
    before_provision.check_callers({"CALLERS": f"{APPLICATION}:{OBJECT}, {OBJECT}:{APPLICATION}"})


@pytest.mark.parametrize(
    ("cloud", "graph"),
    [("AzureCloud", "graph.microsoft.com"), ("AzureUSGovernment", "graph.microsoft.us")],
)
def test_the_registration_is_made_once_and_without_a_secret(cloud: str, graph: str) -> None:
    run = Recorder(cloud)
    before_provision.prepare({"AZURE_ENV_NAME": "dev", "CALLERS": f"{APPLICATION}:{OBJECT}"}, run, TODAY)
    patch = next(command for command in run.commands if command[:2] == ["az", "rest"])
    assert f"https://{graph}/v1.0/applications/{OBJECT}" in patch
    body = json.loads(patch[patch.index("--body") + 1])
    assert body == {"api": {"requestedAccessTokenVersion": 2}, "identifierUris": [f"api://{APPLICATION}"]}
    assert ["azd", "env", "set", "SIGN_IN_CLIENT_ID", APPLICATION] in run.commands
    assert not any("credential" in word or "password" in word for command in run.commands for word in command)


def test_a_second_machine_makes_no_second_registration() -> None:
    """With a second registration, callers would request tokens for the first one, and get 401."""
    run = Recorder(registered=f"{APPLICATION}\n")
    with pytest.raises(before_provision.HookFailed, match=f"azd env set SIGN_IN_CLIENT_ID {APPLICATION}"):
        before_provision.prepare({"AZURE_ENV_NAME": "dev", "CALLERS": f"{APPLICATION}:{OBJECT}"}, run, TODAY)
    (search,) = run.commands
    assert search[search.index("--query") + 1] == "[?displayName=='Power BI refresh service (dev)'].appId"


def test_existing_values_are_kept() -> None:
    run = Recorder()
    known = {"AZURE_ENV_NAME": "dev", "CALLERS": f"{APPLICATION}:{OBJECT}", "SIGN_IN_CLIENT_ID": APPLICATION}
    budget = {"MONTHLY_BUDGET": "100", "BUDGET_START_DATE": "2026-01-01"}
    before_provision.prepare({**known, **budget}, run, TODAY)
    assert run.commands == []


def test_keys_need_neither_callers_nor_a_registration() -> None:
    run = Recorder()
    before_provision.prepare({"AZURE_ENV_NAME": "dev", "AUTH_MODE": "key"}, run, TODAY)
    assert run.commands == []


@pytest.mark.parametrize(("budget", "begins"), [("100", True), ("0", False), ("", False)])
def test_a_budget_begins_in_the_month_of_its_first_deployment(budget: str, begins: bool) -> None:
    """The budget begins in the month in which it is first deployed, even if the app is older: Azure accepts no earlier
    month for a new budget."""
    run = Recorder()
    before_provision.prepare({"AZURE_ENV_NAME": "dev", "AUTH_MODE": "key", "MONTHLY_BUDGET": budget}, run, TODAY)
    assert run.commands == ([["azd", "env", "set", "BUDGET_START_DATE", "2026-11-01"]] if begins else [])


def test_only_a_registration_of_the_hook_is_deleted() -> None:
    run = Recorder()
    after_down.clean_up({"SIGN_IN_CLIENT_ID": APPLICATION}, run)
    assert run.commands == []
    after_down.clean_up({"SIGN_IN_CLIENT_ID": APPLICATION, "SIGN_IN_CREATED": APPLICATION}, run)
    assert run.commands[0] == ["az", "ad", "app", "delete", "--id", APPLICATION]
    assert ["azd", "env", "set", "SIGN_IN_CREATED", ""] in run.commands


def test_the_manual_steps_have_the_exact_names_and_ids() -> None:
    text = after_deployment.manual_steps(VALUES)
    assert "Service principals can call Fabric public APIs" in text
    assert "add id-refresh-abc\n     as Contributor" in text
    assert f"--member-id {OBJECT}" in text
    assert f"--web-redirect-uris {VALUES['APP_URL']}/.auth/login/aad/callback" in text
    assert "Status page" not in after_deployment.manual_steps({**VALUES, "AUTH_MODE": "key"})


def test_the_tenant_setting_is_spelled_as_in_the_errors() -> None:
    assert f'"{after_deployment.TENANT_SETTING}"' in (ROOT / "docs" / "errors.md").read_text("utf-8")


def test_the_parameters_fit_the_pipelines() -> None:
    """Each name that the hook prints is a parameter of the pipelines for its kind of sign-in."""
    for mode, kind in (("entra", "identity"), ("key", "key")):
        text = after_deployment.pipeline_parameters({**VALUES, "AUTH_MODE": mode})
        pipeline = json.loads((ROOT / f"integrations/adf/pipeline/refresh-with-web-{kind}.json").read_text("utf-8"))
        named = set(pipeline["properties"]["parameters"]) - {"WorkspaceId", "DatasetId", "Options"}
        assert {line.split()[0] for line in text.splitlines()[1:] if line[:3].strip() and line[2] != " "} == named
    assert VALUES["AUDIENCE"] in after_deployment.pipeline_parameters(VALUES)


def test_the_address_of_the_secret_has_no_version() -> None:
    """Data Factory reads the secret at each run. With a version, it would read the old key after a renewal."""
    text = after_deployment.pipeline_parameters({**VALUES, "AUTH_MODE": "key"})
    assert "KeySecretUri  https://VAULT.vault.azure.net/secrets/refresh-function-key\n" in text
    assert "--query id" not in text, "the id of a secret ends with its version"


class Start:
    """A host that gives the listed answers, then the last one repeatedly. Sleeping moves the clock."""

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.now = 1000.0
        self.lines: list[str] = []

    def look(self) -> int | None:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self) -> float:
        """Runs the hook, and returns the seconds that it took."""
        start.wait(self.look, self.lines.append, lambda: self.now, self.sleep)
        return self.now - 1000.0


@pytest.mark.parametrize("status", [200, 401, 302])
def test_an_app_that_answers_is_not_waited_for(status: int) -> None:
    """If the app answers, the hook ends. The smoke test then says what is wrong with the answer."""
    app = Start(status)
    assert (app.wait(), app.lines) == (0.0, [])


def test_a_new_app_is_waited_for() -> None:
    """At first nothing listens, then the platform answers instead of the host, then a check of the app fails."""
    app = Start(None, 404, 502, 504, 503, 200)
    assert app.wait() == 5 * start.PAUSE_SECONDS
    assert "does not answer" in app.lines[0]
    assert app.lines[1:] == ["The app answers."]


def test_a_wait_that_is_interrupted_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who knows that the app is not new may interrupt the wait. The smoke test follows."""

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    app = Start(503)
    monkeypatch.setattr(app, "sleep", interrupt)
    assert app.wait() == 0.0
    assert app.lines[1:] == ["The wait was interrupted; the smoke test says what is wrong."]


def test_the_wait_for_an_app_ends() -> None:
    app = Start(503)
    assert app.wait() == start.WAIT_SECONDS
    assert "answers 503" in app.lines[0]
    assert "still not available" in app.lines[1]


@pytest.mark.parametrize("status", [200, 503])
def test_the_health_of_an_app_is_its_status(status: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the base class
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.handle_request)
        thread.start()
        assert start.health(url) == status
        thread.join()
    assert start.health("http://127.0.0.1:9") is None, "nothing listens there"


def test_the_smoke_test_checks_a_model_if_one_is_set() -> None:
    run = Recorder(login="servicePrincipal")
    plain, reason = after_deployment.smoke_command(VALUES, run)
    assert plain[1:] == [str(ROOT / "dev.py"), "smoke", "--url", VALUES["APP_URL"]]
    assert (reason, run.commands) == ("", [])
    command, reason = after_deployment.smoke_command({**VALUES, **MODEL}, run)
    assert (command[5:], reason) == (["--workspace", APPLICATION, "--dataset", OBJECT], "")


@pytest.mark.parametrize(
    ("mode", "login", "by_hand"),
    [
        ("entra", "user", f"AUDIENCE={VALUES['AUDIENCE']} python3 dev.py smoke --url {VALUES['APP_URL']}"),
        ("entra", "", "sign in as a service principal that is in CALLERS"),
        ("key", "servicePrincipal", f"--workspace {APPLICATION} --dataset {OBJECT} --key KEY"),
    ],
    ids=["a person", "no login", "a key"],
)
def test_a_model_that_cannot_be_checked_is_left_out_with_the_reason(mode: str, login: str, by_hand: str) -> None:
    """A user, or a workflow without a login of az, has no token. With keys, there may be no key."""
    values = {**VALUES, **MODEL, "AUTH_MODE": mode}
    command, reason = after_deployment.smoke_command(values, Recorder(login=login))
    assert command[5:] == []
    assert "The model is not checked" in reason
    assert by_hand in reason


def test_the_guide_shows_the_end_of_a_deployment() -> None:
    """docs/getting-started.md has the text that the hook prints for the same values."""
    (block,) = re.findall(
        r"```text\n(To do by hand.*?)```", (ROOT / "docs/getting-started.md").read_text("utf-8"), re.S
    )
    values = {
        **VALUES,
        "AUDIENCE": "api://33333333-aaaa-bbbb-cccc-000000000003",
        "SIGN_IN_CLIENT_ID": "33333333-aaaa-bbbb-cccc-000000000003",
        "IDENTITY_CLIENT_ID": "44444444-aaaa-bbbb-cccc-000000000004",
        "IDENTITY_PRINCIPAL_ID": "55555555-aaaa-bbbb-cccc-000000000005",
    }
    first, _, last = block.partition("\n\nSmoke test: ")
    assert first == after_deployment.manual_steps(values)
    assert last.endswith(f"\n\n{after_deployment.pipeline_parameters(values)}\n")


def test_values_of_azd_are_read_with_their_quotes() -> None:
    text = 'PLAN="FlexConsumption"\nTUNING="{\\"POLL_MAX_SECONDS\\": \\"90\\"}"\nEMPTY=""\n\n'
    assert environment.parse(text) == {"PLAN": "FlexConsumption", "TUNING": '{"POLL_MAX_SECONDS": "90"}', "EMPTY": ""}


def test_a_hook_uses_the_values_of_azd() -> None:
    assert environment.values({"APP_URL": "https://a"}) == {"APP_URL": "https://a"}


def test_a_package_with_its_own_dependencies_is_uploaded_and_read_at_a_restart() -> None:
    upload, restart = publish.commands(VALUES, Path("app.zip"))
    assert upload[-1] == f"{VALUES['PACKAGE_CONTAINER_URL']}/app.zip"
    assert "login" in upload, "signed in as a person or pipeline, not with a key"
    assert "key" not in " ".join(upload)
    assert restart[:3] == ["az", "functionapp", "restart"]


@pytest.mark.parametrize("script", ["hooks/after_deployment.py", "hooks/before_provision.py", "publish.py"])
def test_scripts_without_their_values_fail_with_a_sentence(script: str, tmp_path: Path) -> None:
    """Each script runs with any Python, without the packages of the project and from any folder. Without its values, it
    fails with a message."""
    environ = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-S", str(ROOT / "infra" / script)],
        cwd=tmp_path,
        env={**environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr
