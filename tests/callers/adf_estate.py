"""The app with its surroundings in a tenant, and a data factory that uses the shipped files to call it."""

import base64
import json
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devhost_tests.process import ROOT, Devhost, free_port
from tests.callers.clients.adf_function import FunctionActivity
from tests.callers.clients.adf_http import ActivityFailed, Answer, Call, send
from tests.callers.clients.adf_pipeline import PipelineRun, Runner
from tests.callers.clients.adf_web import WebActivity
from tests.callers.clients.adf_webhook import WebHookActivity
from tests.callers.clients.pace import Pace, Scaled
from tests.callers.servers import SECRET_NAME, Post, Respond, json_answer, token_for
from tests.callers.shipped import ADF, pipeline, read
from tests.e2e.world import FAST, WORKSPACE, World

Json = dict[str, Any]

AUDIENCE = "api://refresh-service"
FACTORY = "99999999-aaaa-bbbb-cccc-000000000001"
"""The object id of the factory's managed identity."""
END_SECONDS = 90.0
BRISK = 1 / 600
"""Real seconds per second of the factory: a minute of the factory takes a tenth of a second."""


class App:
    """The app on a devhost that checks function keys. It can be killed and restarted with its state."""

    def __init__(self, state: Path, power_bi: str, **settings: str) -> None:
        self._state = state
        self._env = {**FAST, **settings, "POWER_BI_API_URL": power_bi}
        self._host = self._start(str(free_port()))
        self.base = self._host.base
        assert self.base, self._host.log
        self.key = self._host.host_key()

    def restart(self) -> None:
        """Kills the process with kill -9 and starts a new one on the same port."""
        self._host.kill()
        self._host = self._start(self.base.rsplit(":", 1)[1])
        assert self._host.base == self.base, self._host.log

    def stop(self) -> None:
        """Ends the app."""
        self._host.stop()

    @property
    def log(self) -> str:
        """The output of the app since its latest start."""
        return self._host.log

    def _start(self, port: str) -> Devhost:
        return Devhost(ROOT, self._state, "--keys", "--exact-timers", "--port", port, env=self._env)


def sign_in(app: App) -> Respond:
    """The platform's sign-in in front of an app. It passes the principal of a valid token to the app, refuses invalid
    tokens, and removes the headers with which a caller could pretend to be a principal."""

    def respond(call: Call) -> Answer:
        headers = {name: text for name, text in call.headers.items() if not name.startswith("x-ms-client-principal")}
        token = headers.pop("authorization", None)
        if token is not None:
            if token != f"Bearer {token_for(AUDIENCE)}":
                return json_answer({"code": 401, "message": "IDX10214: Audience validation failed."}, 401)
            headers |= principal()
        headers.pop("host", None)
        return send(Call(call.method, app.base + call.url, 60, headers, call.body))

    return respond


def principal() -> dict[str, str]:
    """The headers with which the platform names the factory as the principal."""
    claims = [{"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": FACTORY}]
    named = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return {
        "X-MS-CLIENT-PRINCIPAL-ID": FACTORY,
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        "X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(named).encode()).decode(),
    }


@dataclass
class Line:
    """The network between the factory and the app. It loses the answers to the first `lost` starts; `before_loss` is
    called before the factory notices such a loss."""

    lost: int = 0
    before_loss: Callable[[], None] | None = None
    calls: list[tuple[Call, Answer]] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> Answer:
        """Sends a call."""
        answer = send(call)
        self.calls.append((call, answer))
        if call.method == "POST":
            self.started.set()
            if self.lost:
                self.lost -= 1
                if self.before_loss:
                    self.before_loss()
                raise ActivityFailed("2128", "No response from the endpoint.")
        return answer

    def starts(self) -> list[Json]:
        """The answers to the POSTs, in their order."""
        return [json.loads(answer.body) for call, answer in self.calls if call.method == "POST"]


@dataclass
class StartedRun:
    """A pipeline run in progress."""

    future: "Future[PipelineRun]"
    line: Line
    run_id: str

    def ended(self) -> PipelineRun:
        """The run, after it has ended."""
        return self.future.result(END_SECONDS)

    def started(self) -> Json:
        """The answer to the start."""
        assert self.line.started.wait(END_SECONDS)
        return self.line.starts()[0]


@dataclass
class Factory:
    """A data factory with the files of `folder`. `base` is the address of the app, `vault` that of its key vault."""

    app: App
    base: str
    vault: str
    post: Post
    world: World
    pool: ThreadPoolExecutor
    folder: Path = ADF

    def begin(
        self,
        name: str,
        dataset_id: str,
        options: Json | None = None,
        *,
        waits: float = BRISK,
        lost: int = 0,
        before_loss: Callable[[], None] | None = None,
        **parameters: Any,
    ) -> StartedRun:
        """Starts a pipeline run. `waits`: real seconds per second that the factory waits. `lost`, `before_loss`: as in
        Line.

        `parameters`: further parameters of the pipeline, or different values for those that it sets.
        """
        line, run_id = Line(lost, before_loss), str(uuid.uuid4())
        file = pipeline(name, self.folder)
        values = {
            "BaseUrl": self.base,
            "WorkspaceId": WORKSPACE,
            "DatasetId": dataset_id,
            "Options": options or {},
            "Audience": AUDIENCE,
            "KeySecretUri": f"{self.vault}/secrets/{SECRET_NAME}",
            **parameters,
        }
        given = {key: value for key, value in values.items() if key in file["properties"]["parameters"]}
        system = {"RunId": run_id, "Pipeline": name, "DataFactory": "contoso", "TriggeredByPipelineName": "Load sales"}
        pace = Scaled(waits)
        started = PipelineRun(file, given, self.runners(line, pace), pace, system)
        return StartedRun(self.pool.submit(started.run), line, run_id)

    def runners(self, line: Line, pace: Pace) -> dict[str, Runner]:
        """The runners of the activities that call the app: each call goes through a `Line`."""
        web = WebActivity(line, token_for, pace)
        hook = WebHookActivity(line, token_for, pace, self.post)
        function = FunctionActivity(line, token_for, pace, self._linked_services(), {SECRET_NAME: self.app.key})
        return {
            "WebActivity": lambda given, policy, timeout: web(given, timeout),
            "WebHook": lambda given, policy, timeout: hook(given),
            "AzureFunctionActivity": lambda given, policy, timeout: function(given, given["linkedService"]),
        }

    def requests(self, dataset_id: str) -> list[Json]:
        """The requests for a model in the list of the app."""
        proof = {"x-functions-key": self.app.key, "Authorization": f"Bearer {token_for(AUDIENCE)}"}
        answer = send(Call("GET", f"{self.base}/api/refreshes?datasetId={dataset_id}", 30, proof))
        assert answer.status == 200, answer.text
        found: list[Json] = json.loads(answer.body)["refreshes"]
        return found

    def _linked_services(self) -> dict[str, Json]:
        """The shipped linked services with the addresses of this test."""
        services = {}
        for name in ("RefreshServiceWithIdentity", "RefreshServiceWithKey"):
            services[name] = {**read(f"linkedService/{name}.json")["properties"]["typeProperties"]}
            services[name]["functionAppUrl"] = self.base
            if "resourceId" in services[name]:
                services[name]["resourceId"] = AUDIENCE
        return services
