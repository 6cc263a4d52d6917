"""The app with what is around it in a tenant, and a data factory that calls it with the shipped files."""

import base64
import json
import re
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devhost_tests.process import ROOT, Devhost
from tests.callers.clients.adf_function import FunctionActivity
from tests.callers.clients.adf_http import ActivityFailed, Answer, Call, send
from tests.callers.clients.adf_pipeline import PipelineRun
from tests.callers.clients.adf_web import WebActivity
from tests.callers.clients.adf_webhook import WebHookActivity
from tests.callers.clients.pace import Scaled
from tests.callers.servers import SECRET_NAME, Post, Respond, json_answer, token_for
from tests.callers.shipped import ADF, pipeline, read
from tests.e2e.world import FAST, WORKSPACE, World

Json = dict[str, Any]

AUDIENCE = "api://refresh-service"
FACTORY = "99999999-aaaa-bbbb-cccc-000000000001"
"""The object id of the factory's managed identity."""
END_SECONDS = 90.0
BRISK = 1 / 600
"""A minute of the factory is a tenth of a second."""


class App:
    """The app on a devhost that checks function keys; it can be killed, and started again on what it had stored."""

    def __init__(self, state: Path, power_bi: str, **settings: str) -> None:
        self._state = state
        self._env = {**FAST, **settings, "POWER_BI_API_URL": power_bi}
        self._host = self._start("0")
        self.base = self._host.base
        assert self.base, self._host.log
        self._host.said("devhost keys:")
        found = re.search(r"host key ([^\s,]+)", self._host.log)
        assert found
        self.key = found[1]

    def restart(self) -> None:
        """kill -9, and a new process on the same port."""
        self._host.kill()
        self._host = self._start(self.base.rsplit(":", 1)[1])
        assert self._host.base == self.base, self._host.log

    def stop(self) -> None:
        """Ends it."""
        self._host.stop()

    @property
    def log(self) -> str:
        """What it wrote since it was started last."""
        return self._host.log

    def _start(self, port: str) -> Devhost:
        return Devhost(ROOT, self._state, "--keys", "--exact-timers", "--port", port, env=self._env)


def sign_in(app: App) -> Respond:
    """The platform's sign-in in front of an app: who has a good token is named to the app, who has none is nobody, and
    nobody can name himself."""

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
    """The headers by which the platform names the factory."""
    claims = [{"typ": "http://schemas.microsoft.com/identity/claims/objectidentifier", "val": FACTORY}]
    named = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return {
        "X-MS-CLIENT-PRINCIPAL-ID": FACTORY,
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
        "X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(named).encode()).decode(),
    }


@dataclass
class Line:
    """The way of the factory's calls. The answers to the first `lost` starts arrive, but not at the factory."""

    lost: int = 0
    calls: list[tuple[Call, Answer]] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Call) -> Answer:
        """Sends it."""
        answer = send(call)
        self.calls.append((call, answer))
        if call.method == "POST":
            self.started.set()
            if self.lost:
                self.lost -= 1
                raise ActivityFailed("2128", "No response from the endpoint.")
        return answer

    def starts(self) -> list[Json]:
        """What was answered to each POST, in turn."""
        return [json.loads(answer.body) for call, answer in self.calls if call.method == "POST"]


@dataclass
class Going:
    """A pipeline that runs."""

    future: "Future[PipelineRun]"
    line: Line
    run_id: str

    def ended(self) -> PipelineRun:
        """The run, once it is over."""
        return self.future.result(END_SECONDS)

    def started(self) -> Json:
        """What was answered to the start."""
        assert self.line.started.wait(END_SECONDS)
        return self.line.starts()[0]


@dataclass
class Factory:
    """A data factory that has the files of `folder`. `base` is where it finds the app, `vault` its key vault."""

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
    ) -> Going:
        """Starts a pipeline run. `waits` are seconds of this machine for each second of the factory's waits."""
        line, run_id = Line(lost), str(uuid.uuid4())
        file = pipeline(name, self.folder)
        values = {
            "BaseUrl": self.base,
            "WorkspaceId": WORKSPACE,
            "DatasetId": dataset_id,
            "Options": options or {},
            "Audience": AUDIENCE,
            "KeySecretUri": f"{self.vault}/secrets/{SECRET_NAME}",
        }
        given = {key: value for key, value in values.items() if key in file["properties"]["parameters"]}
        system = {"RunId": run_id, "Pipeline": name, "DataFactory": "contoso", "TriggeredByPipelineName": "Load sales"}
        pace = Scaled(waits)
        web = WebActivity(line, token_for, pace)
        hook = WebHookActivity(line, token_for, pace, self.post)
        function = FunctionActivity(line, token_for, pace, self._linked_services(), {SECRET_NAME: self.app.key})
        runners = {
            "WebActivity": lambda given, policy, timeout: web(given, timeout),
            "WebHook": lambda given, policy, timeout: hook(given),
            "AzureFunctionActivity": lambda given, policy, timeout: function(given, given["linkedService"]),
        }
        return Going(self.pool.submit(PipelineRun(file, given, runners, pace, system).run), line, run_id)

    def requests(self, dataset_id: str) -> list[Json]:
        """What the app says of the requests for a model, asked by whoever may start them."""
        proof = {"x-functions-key": self.app.key, "Authorization": f"Bearer {token_for(AUDIENCE)}"}
        answer = send(Call("GET", f"{self.base}/api/refreshes?datasetId={dataset_id}", 30, proof))
        assert answer.status == 200, answer.text
        found: list[Json] = json.loads(answer.body)["refreshes"]
        return found

    def _linked_services(self) -> dict[str, Json]:
        """The shipped ones, with the addresses filled in."""
        services = {}
        for name in ("RefreshServiceWithIdentity", "RefreshServiceWithKey"):
            services[name] = {**read(f"linkedService/{name}.json")["properties"]["typeProperties"]}
            services[name]["functionAppUrl"] = self.base
            if "resourceId" in services[name]:
                services[name]["resourceId"] = AUDIENCE
        return services
