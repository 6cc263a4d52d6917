"""`dev.py smoke`: checks a deployed app without starting a refresh.

In this order: a start without credentials is refused; the headers of the platform's sign-in cannot be forged;
`/api/health`; with a model and the credentials of a caller, `/api/check`. Each failure is one sentence with advice.
If the app cannot be reached, or if anyone can start refreshes in it, the checks stop there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

SECONDS = 30.0
"""The read timeout in seconds. It allows for a cold start."""
MAX_BYTES = 100_000
EMPTY: dict[str, Any] = {}
"""A body without a model: an app that does not refuse the call answers that the body is invalid, and starts nothing."""
REFUSALS = (401, 403)
STATES = "the state of the storage account, its network rules and the roles of the app's identity"
ADVICE = {
    "TokenUnavailable": "The app cannot get a token for Power BI: check its managed identity and AZURE_CLIENT_ID, and "
    "whether POWER_BI_CLOUD is the cloud of the tenant.",
    "SignInUnavailable": "The sign-in service issues no token at the moment: try again in a few minutes.",
    "TokenRejected": "Power BI rejects the app's token: check whether POWER_BI_CLOUD is the cloud of the tenant.",
    "NotAuthorized": "The app's identity has no role in the workspace: give it Contributor, or correct the ids.",
    "ModelNotFound": "The app's identity does not see the model: give it Contributor in the workspace, or correct the "
    "ids.",
    "ApiNotAccessible": "The tenant setting 'Service principals can call Fabric public APIs' is off for the app: have "
    "a Fabric administrator turn it on for a group that contains the app's identity.",
    "WorkspaceNotAllowed": "The workspace is not in ALLOWED_WORKSPACES: correct --workspace, or add the workspace to "
    "the setting.",
}
"""The advice by error code; for other codes, the message of the error is shown."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, and the problem (None: passed)."""

    check: str
    problem: str | None = None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `body` is its JSON object, empty if it is not one."""

    status: int
    body: Json
    text: str
    location: str

    @property
    def code(self) -> str:
        """The code of the error in the body; empty if there is no error."""
        return str(_dict(self.body.get("error")).get("code", ""))


class NoAnswerError(Exception):
    """The app did not answer; the message names the error."""


class Smoke:
    """The checks of one app. `headers` are the credentials of a caller; empty for none."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._api = f"{url.rstrip('/').removesuffix('/api')}/api"
        self._headers = dict(headers)

    def findings(self, workspace: str | None, dataset: str | None) -> Iterator[Finding]:
        """The result of each check as soon as it is done."""
        for name, check in (
            ("a start without credentials is refused", self._start_is_refused),
            ("headers of the platform's sign-in cannot be forged", self._headers_are_refused),
        ):
            finding = self._tried(name, check)
            yield finding
            if finding.problem:
                return
        yield self._tried("/api/health", self._health)
        if workspace and dataset:
            model = {"workspaceId": workspace, "datasetId": dataset}
            yield self._tried("/api/check", lambda: self._model(model))
        else:
            yield Finding("/api/check (skipped: no --workspace and --dataset)")

    def _tried(self, name: str, check: Callable[[], str | None]) -> Finding:
        try:
            return Finding(name, check())
        except NoAnswerError as error:
            return Finding(name, f"The app does not answer at {self._api}: {error}. Check the address.")

    def _start_is_refused(self) -> str | None:
        answer = self._call("POST", "/refreshes", EMPTY, {})
        return None if answer.status in REFUSALS else self._not_refused(answer)

    def _headers_are_refused(self) -> str | None:
        """The platform removes these headers from incoming calls; if the app sees them, anyone can start refreshes."""
        stranger = str(uuid.uuid4())
        headers = {"x-ms-client-principal-id": stranger, "x-ms-client-principal-idp": "aad"}
        answer = self._call("POST", "/refreshes", EMPTY, headers)
        if answer.code == "CallerNotAllowed":
            return (
                "Sign-in is off: the app sees headers that the platform's sign-in would remove, so anyone can pretend "
                "to be a caller. Turn on App Service authentication."
            )
        return None if answer.status in REFUSALS else self._not_refused(answer)

    def _not_refused(self, answer: Answer) -> str:
        """The problem if a start without credentials is not refused."""
        status = answer.status
        if status == 400 or 200 <= status < 300:
            return "Sign-in is off: anyone can start refreshes. Turn on keys or the platform's sign-in."
        if 300 <= status < 400:
            return f"The address redirects ({answer.location or status}): give the address of the app, with https."
        if status == 404:
            return "There is no app at this address, or it has not started: look for 'App setting' in its log."
        if status == 503 and not answer.body:
            return f"The host of the app is not running (503 {answer.text[:60]!r}): check {STATES}, then the app's log."
        return f"A start without credentials was answered with {status} instead of 401."

    def _health(self) -> str | None:
        answer = self._call("GET", "/health", None, {})
        checks = _dict(answer.body.get("checks"))
        if answer.status in REFUSALS or 300 <= answer.status < 400:
            return (
                "The platform's sign-in refuses calls without a token, but statusUri and cancelUri contain a token of "
                "their own: set its unauthenticatedClientAction to AllowAnonymous."
            )
        if not checks:
            return (
                f"/api/health answered {answer.status} without a report: check that the address is that of this app, "
                "and that the app is as new as this clone."
            )
        if answer.status == 200 and answer.body.get("status") == "ok":
            return None
        return _unhealthy(checks)

    def _model(self, model: Json) -> str | None:
        answer = self._call("POST", "/check", model, self._headers)
        if answer.status in REFUSALS:
            return "These credentials have no access to the app: check --key or --token, and ALLOWED_CALLERS."
        error = _dict(answer.body.get("error"))
        if answer.status == 200 and answer.body.get("ok") is True:
            return None
        if answer.status != 200 or not error:
            return f"/api/check answered {answer.status}: {error.get('message') or answer.text[:200]}"
        advice = ADVICE.get(answer.code, "The model cannot be refreshed.")
        return f"{advice} ({answer.code}: {error.get('message')})"

    def _call(self, method: str, path: str, body: Json | None, headers: Mapping[str, str]) -> Answer:
        """Calls the app. Raises NoAnswerError."""
        try:
            with requests.request(
                method,
                f"{self._api}{path}",
                json=body,
                headers=headers,
                timeout=SECONDS,
                allow_redirects=False,  # a redirect could send the credentials to another host
                auth=lambda request: request,  # sends no credentials from a .netrc
                stream=True,
            ) as answer:
                content = answer.raw.read(MAX_BYTES, decode_content=True)
        except (requests.RequestException, OSError, ValueError) as error:
            raise NoAnswerError(type(error).__name__) from None
        text = content.decode("utf-8", "replace")
        return Answer(answer.status_code, _object(text), " ".join(text.split()), answer.headers.get("Location", ""))


def _unhealthy(checks: Json) -> str:
    """The problem in a report of `/api/health`."""
    if checks.get("engine") != "passed":
        return f"The durable engine does not answer: check {STATES}, then the log of the host."
    if checks.get("storage") != "passed":
        return f"The storage account cannot be reached: check {STATES}."
    code = str(checks.get("token"))
    if code != "passed":
        return ADVICE.get(code, f"The app cannot get a token for Power BI: {code}.")
    timers = {name: _dict(timer) for name, timer in _dict(checks.get("timers")).items()}
    late = [f"{name} (last run {timer.get('lastRun')})" for name, timer in timers.items() if timer.get("late")]
    if late:
        return f"Timers are late: {', '.join(late)}. Restart the app."
    return f"/api/health has checks that this version does not know: {json.dumps(checks)[:200]}"


def run(options: argparse.Namespace) -> int:
    """Prints each check; returns 1 if one fails."""
    code = 0
    for finding in Smoke(options.url, credentials(options)).findings(options.workspace, options.dataset):
        print(f"{'FAILED' if finding.problem else 'passed':7} {finding.check}", flush=True)
        if finding.problem:
            code = 1
            print(f"        {finding.problem}", flush=True)
    return code


def credentials(options: argparse.Namespace) -> dict[str, str]:
    """The headers of a caller: a function key, a token, or a token from `az` for AUDIENCE in the environment."""
    if options.key:
        return {"x-functions-key": str(options.key)}
    token = options.token or (_token_of_az(os.environ["AUDIENCE"]) if os.environ.get("AUDIENCE") else None)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _token_of_az(audience: str) -> str | None:
    """The token that `az` returns; None, with the reason on stderr, if it returns none."""
    command = ["az", "account", "get-access-token", "--resource", audience, "--query", "accessToken", "-o", "tsv"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"az returned no token: {type(error).__name__}", file=sys.stderr)
        return None
    if done.returncode:
        print(f"az returned no token: {done.stderr.strip()[:300]}", file=sys.stderr)
    return done.stdout.strip() or None


def _object(text: str) -> Json:
    """The JSON object in a text; empty if the text is anything else."""
    try:
        return _dict(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}
