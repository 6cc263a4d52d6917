"""The shipped Logic Apps files with the values of a deployment, and the apps that they call."""

import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from dev.power_bi.server import serve
from dev.power_bi.service import PowerBiService
from devhost_tests.process import KEY, ROOT, Devhost, until
from tests.callers.clients.logic_http import Callbacks, Network, callbacks
from tests.callers.clients.logic_run import Run, Workflow
from tests.e2e.world import CALL_SECONDS, END_SECONDS, FAST, WORKSPACE, World

Json = dict[str, Any]

FOLDER = ROOT / "integrations" / "logic_apps"
ALL_FILES = {
    path.relative_to(FOLDER).as_posix(): path
    for path in sorted([*FOLDER.glob("consumption/*.json"), *FOLDER.glob("standard/*/*/workflow.json")])
}
FILES = {name: path for name, path in ALL_FILES.items() if "refresh-batch" not in name}
"""The files that start a request for each model."""
BATCH_FILES = {name: path for name, path in ALL_FILES.items() if name not in FILES}
"""The files that start one batch."""
AUDIENCE = "api://00000000-0000-4000-8000-0000000000aa"
PRINCIPAL = "00000000-0000-4000-8000-0000000000bb"
STRANGER = "00000000-0000-4000-8000-0000000000cc"
SCALE = 0.02
"""Real seconds per second of a pause, limit or Retry-After: 30 s take 0.6 s, twelve hours a quarter of an hour."""
SETTINGS = {**FAST, "CALLBACK_ALLOWED_HOSTS": "127.0.0.1"}
ENTRA = {"AUTH_MODE": "entra", "ALLOWED_CALLERS": PRINCIPAL, "WEBSITE_AUTH_ENABLED": "True"}


def signs_in(name: str) -> bool:
    """True if a file authenticates with a managed identity, False if it sends a key."""
    return "identity" in name


def calls_back(name: str) -> bool:
    """True if a file waits for a callback, False if it polls."""
    return "webhook" in name


def load(name: str, base_url: str, key: str) -> Workflow:
    """A shipped file with values for its parameters."""
    content = json.loads(ALL_FILES[name].read_text("utf-8"))
    if ALL_FILES[name].name != "workflow.json":
        resource = content["resources"][0]
        given = {"baseUrl": base_url, "functionKey": key, "audience": AUDIENCE}
        values = resource["properties"]["parameters"]
        parameters = {
            own: _filled(value["value"], r"\[parameters\('(\w+)'\)\]", given) for own, value in values.items()
        }
        return Workflow(content["parameters"]["logicAppName"]["defaultValue"], _definition(resource), parameters)
    beside = json.loads((ALL_FILES[name].parent.parent / "parameters.json").read_text("utf-8"))
    settings = {"REFRESHER_URL": base_url, "REFRESHER_KEY": key, "REFRESHER_AUDIENCE": AUDIENCE}
    parameters = {own: _filled(value["value"], r"@appsetting\('(\w+)'\)", settings) for own, value in beside.items()}
    return Workflow(ALL_FILES[name].parent.name, content["definition"], parameters)


def changed(workflow: Workflow, **options: Any) -> Workflow:
    """The workflow with different values in the body of its start, as a user may change them in the designer."""
    definition = json.loads(json.dumps(workflow.definition))
    inputs = definition["actions"]["For_each_model"]["actions"]["Refresh"]["inputs"]
    inputs.get("subscribe", inputs)["body"] |= options
    return Workflow(workflow.name, definition, workflow.parameters)


def _definition(resource: Json) -> Json:
    definition: Json = resource["properties"]["definition"]
    return definition


def _filled(text: str, pattern: str, values: dict[str, str]) -> str:
    found = re.fullmatch(pattern, text)
    assert found, text
    return values[found[1]]


@dataclass(frozen=True)
class HostedApp:
    """The app with one kind of access. All apps use the same Power BI service."""

    world: World
    key: str
    callbacks: Callbacks

    def network(self, principal: str = PRINCIPAL) -> Network:
        """The network to the app, and the platform's sign-in, which turns an identity into trusted headers."""

        def sign_in(authentication: Json) -> dict[str, str]:
            assert authentication == {"type": "ManagedServiceIdentity", "audience": AUDIENCE}
            return platform_headers(principal)

        return Network(sign_in)

    def run(
        self, workflow: Workflow, *models: Json, scale: float = SCALE, body: Json | None = None, **more: Any
    ) -> Run:
        """A run that is not started yet, for these models or with this body of its trigger."""
        name = f"0858{secrets.token_hex(13)}CU{secrets.randbelow(90) + 10}"
        more.setdefault("network", self.network())
        return Run(workflow, body or {"models": list(models)}, callbacks=self.callbacks, scale=scale, name=name, **more)

    def listed(self, dataset_id: str) -> list[Json]:
        """The requests for a model in the list of the app, newest first."""
        headers = {**platform_headers(PRINCIPAL), "x-functions-key": self.key}
        uri = f"{self.world.app}/api/refreshes"
        answer = requests.get(uri, params={"datasetId": dataset_id}, headers=headers, timeout=CALL_SECONDS)
        assert answer.ok, answer.text
        return list(answer.json()["refreshes"])

    def wait_for_status(self, dataset_id: str, status: str) -> None:
        """Waits until the newest request for a model has a status."""

        def has_status() -> bool:
            return [row["status"] for row in self.listed(dataset_id)[:1]] == [status]

        until(has_status, END_SECONDS, lambda: str(self.listed(dataset_id)))

    def workflow(self, name: str) -> Workflow:
        """A shipped file, set up for this app."""
        return load(name, self.world.app, self.key)


def platform_headers(principal: str) -> dict[str, str]:
    """The headers that the platform's sign-in adds to a call with a valid token."""
    return {"X-MS-CLIENT-PRINCIPAL-ID": principal, "X-MS-CLIENT-PRINCIPAL-IDP": "aad"}


def model_of(dataset_id: str, **more: Any) -> Json:
    """An item of the trigger's list."""
    return {"workspaceId": WORKSPACE, "datasetId": dataset_id, **more}


@dataclass(frozen=True)
class HostedApps:
    """Two apps: one with function keys, one with the sign-in of identities."""

    key: HostedApp
    identity: HostedApp

    def of(self, name: str) -> HostedApp:
        """The app that a file can call."""
        return self.identity if signs_in(name) else self.key


@contextmanager
def hosted_apps(folder: Path) -> Iterator[HostedApps]:
    """Both apps, which run during the block."""
    with ExitStack() as stack:
        service = stack.enter_context(serve(PowerBiService()))
        served = stack.enter_context(callbacks())
        env = {**SETTINGS, "POWER_BI_API_URL": service.base_url}
        arguments = ("--key", KEY, "--exact-timers")
        keyed = Devhost(ROOT, folder / "key", *arguments, "--keys", env=env)
        signed = stack.enter_context(Devhost(ROOT, folder / "identity", *arguments, env={**env, **ENTRA}))
        stack.enter_context(keyed)
        key = keyed.host_key()
        yield HostedApps(
            HostedApp(World(keyed.base, service.base_url, key), key, served),
            HostedApp(World(signed.base, service.base_url), "", served),
        )


@contextmanager
def in_progress(run: Run) -> Iterator[None]:
    """Runs the workflow in a thread; the run has ended when the block ends."""
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(run.to_the_end)
        yield
        ending.result(END_SECONDS)
