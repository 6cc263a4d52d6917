"""`dev.py smoke`: is a deployed app what it has to be? It starts nothing.

Checks, in this order: the app answers; a start without credentials is refused; `/api/health`; with a model, and with
credentials of a caller, `/api/check`. The first thing that is wrong is said in one sentence with what to do.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

SECONDS = 30.0
EMPTY: dict[str, str] = {}
"""A body without a model: where a start is not refused, it is a bad request, and starts nothing."""
ADVICE = {
    "TokenUnavailable": "The app gets no token: check its managed identity and AZURE_CLIENT_ID.",
    "SignInUnavailable": "The sign-in service gives the app no token for now: try again in some minutes.",
    "TokenRejected": "Power BI rejects the app's token: POWER_BI_CLOUD is not the cloud of the tenant.",
    "NotAuthorized": "The app's identity has no role in the workspace: give it Contributor, or correct the ids.",
    "ModelNotFound": "The app's identity does not see the model: give it Contributor, or correct the ids.",
    "ApiNotAccessible": "A tenant setting keeps the app out: 'Service principals can call Fabric public APIs'.",
    "WorkspaceNotAllowed": "The workspace is not in ALLOWED_WORKSPACES.",
}

Json = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, and what is wrong (None: nothing)."""

    check: str
    problem: str | None = None


class Smoke:
    """The checks of one app. `headers` are the credentials of a caller; empty for none."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._api = f"{url.rstrip('/')}/api"
        self._headers = dict(headers)

    def findings(self, workspace: str | None, dataset: str | None) -> list[Finding]:
        """Every check up to the first one that fails."""
        found = []
        for check in (self._sign_in, self._health, lambda: self._model(workspace, dataset)):
            finding = check()
            found.append(finding)
            if finding.problem:
                break
        return found

    def _sign_in(self) -> Finding:
        check = "a start without credentials is refused"
        try:
            answer = requests.post(f"{self._api}/refreshes", json=EMPTY, timeout=SECONDS)
        except requests.RequestException as error:
            return Finding(check, f"The app does not answer at {self._api}: {type(error).__name__}.")
        if answer.status_code in (401, 403):
            return Finding(check)
        if answer.status_code == 400:
            return Finding(check, "Sign-in is off: anyone can start refreshes. Turn on keys or the platform's sign-in.")
        return Finding(check, f"A start without credentials was answered {answer.status_code}, expected was 401.")

    def _health(self) -> Finding:
        check = "/api/health"
        try:
            answer = requests.get(f"{self._api}/health", timeout=SECONDS)
            body: Json = answer.json()
            checks: Json = body["checks"]
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return Finding(check, "/api/health gives no JSON answer: is this the app, and has it started?")
        if answer.status_code == 200:
            return Finding(check)
        if checks.get("engine") == "failed":
            return Finding(check, "The durable engine does not answer: look at the log of the host.")
        if checks.get("storage") != "passed":
            return Finding(check, "The storage account cannot be reached: check its network rules and the app's roles.")
        code = str(checks.get("token"))
        if code != "passed":
            return Finding(check, ADVICE.get(code, f"The app gets no token for Power BI: {code}."))
        late = [name for name, timer in (checks.get("timers") or {}).items() if timer.get("late")]
        return Finding(check, f"Timers are late: {', '.join(late)}. Restart the app.")

    def _model(self, workspace: str | None, dataset: str | None) -> Finding:
        check = "/api/check"
        if not (workspace and dataset):
            return Finding(f"{check} (left out: no --workspace and --dataset)")
        body = {"workspaceId": workspace, "datasetId": dataset}
        answer = requests.post(f"{self._api}/check", json=body, headers=self._headers, timeout=SECONDS)
        if answer.status_code in (401, 403):
            return Finding(check, "These credentials may not call the app: --key, --token, or ALLOWED_CALLERS.")
        if not answer.ok:
            return Finding(check, f"/api/check was answered {answer.status_code}: {_message(answer)}")
        result: Json = answer.json()
        if result.get("ok"):
            return Finding(check)
        error: Json = result.get("error") or {}
        code = str(error.get("code"))
        return Finding(check, f"{ADVICE.get(code, 'The model cannot be refreshed.')} ({code}: {error.get('message')})")


def run(options: argparse.Namespace) -> int:
    """Prints each check; 1 if one fails."""
    findings = Smoke(options.url, credentials(options)).findings(options.workspace, options.dataset)
    for finding in findings:
        print(f"{'FAILED' if finding.problem else 'passed':7} {finding.check}")
        if finding.problem:
            print(f"        {finding.problem}")
    return int(any(finding.problem for finding in findings))


def credentials(options: argparse.Namespace) -> dict[str, str]:
    """The headers of a caller: a function key, a token, or a token of `az` for AUDIENCE in the environment."""
    if options.key:
        return {"x-functions-key": str(options.key)}
    token = options.token or (_token_of_az(os.environ["AUDIENCE"]) if os.environ.get("AUDIENCE") else None)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _token_of_az(audience: str) -> str | None:
    command = ["az", "account", "get-access-token", "--resource", audience, "--query", "accessToken", "-o", "tsv"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason
