#!/usr/bin/env python3
"""Before `azd provision`: checks what Bicep cannot check early, and creates what Bicep cannot create.

* With AUTH_MODE entra, it stops if no callers are named. It creates the app registration for which callers request
  tokens, unless SIGN_IN_CLIENT_ID names one. The registration gets no secret and no permission: the platform only
  validates tokens with it. The hook stops if a registration of the same name exists. It may belong to a deployment
  from another machine: with a second registration, the callers of that deployment would get 401.
* If there is a budget without a first day, it sets that day to the first of this month: for a new budget, Azure
  accepts no earlier month, and it does not allow a later change.

If something is missing, the exit code is 1, with a message.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
CALLER = re.compile(rf"{GUID}:{GUID}")
GRAPH = {
    "AzureCloud": "https://graph.microsoft.com",
    "AzureUSGovernment": "https://graph.microsoft.us",
    "AzureChinaCloud": "https://microsoftgraph.chinacloudapi.cn",
}
Runner = Callable[[list[str]], str]
"""Runs a command; returns its output. Raises HookFailed."""

NO_CALLERS = """\
AUTH_MODE entra needs the identities that may call: the application id and the object id of each.
  az ad sp show --id OBJECT_ID --query "{applicationId:appId, objectId:id}"     (OBJECT_ID: Data Factory, Properties)
  azd env set CALLERS "applicationId:objectId,applicationId:objectId"
Or allow every caller with a function key:  azd env set AUTH_MODE key"""


REGISTERED = """\
The app registration {name!r} already exists, but SIGN_IN_CLIENT_ID is not set. Nothing was changed.
If this environment was deployed from another machine, set its values here first (docs/operations.md, section Deploy):
  azd env set SIGN_IN_CLIENT_ID {client_id}
  azd env set CALLERS ..., and READERS, BUDGET_START_DATE and all other values as on that machine
If an earlier attempt was interrupted and no deployment uses the registration, delete it and try again:
  az ad app delete --id {client_id}
If another team has deployed an environment of this name, choose another name:  azd env new NAME"""


class HookFailed(Exception):  # noqa: N818
    """The deployment cannot continue; the message says what to do."""


def prepare(environ: Mapping[str, str], run: Runner, today: datetime) -> None:
    """Checks the environment and sets missing values. Raises HookFailed."""
    check_callers(environ)
    if (environ.get("AUTH_MODE") or "entra") == "entra" and not environ.get("SIGN_IN_CLIENT_ID"):
        client_id = register(environ["AZURE_ENV_NAME"], run)
        run(["azd", "env", "set", "SIGN_IN_CLIENT_ID", client_id])
        # infra/hooks/after_down.py deletes only what this hook has created
        run(["azd", "env", "set", "SIGN_IN_CREATED", client_id])
    if (environ.get("MONTHLY_BUDGET") or "0") != "0" and not environ.get("BUDGET_START_DATE"):
        run(["azd", "env", "set", "BUDGET_START_DATE", f"{today:%Y-%m}-01"])


def check_callers(environ: Mapping[str, str]) -> None:
    """Raises HookFailed if CALLERS is missing, or if CALLERS or READERS is malformed."""
    if (environ.get("AUTH_MODE") or "entra") != "entra":
        return
    pairs = [pair.strip() for pair in environ.get("CALLERS", "").split(",") if pair.strip()]
    if not pairs:
        raise HookFailed(NO_CALLERS)
    for name in ("CALLERS", "READERS"):
        for pair in filter(None, (pair.strip() for pair in environ.get(name, "").split(","))):
            if not CALLER.fullmatch(pair):
                raise HookFailed(f"{name}: {pair!r} is not applicationId:objectId, two GUIDs.\n{NO_CALLERS}")


def register(environment_name: str, run: Runner) -> str:
    """Creates the app registration and its service principal; returns the client id. Raises HookFailed if it exists."""
    name = f"Power BI refresh service ({environment_name})"
    same_name = f"[?displayName=='{name}'].appId"
    existing = run(["az", "ad", "app", "list", "--display-name", name, "--query", same_name, "--output", "tsv"]).split()
    if existing:
        raise HookFailed(REGISTERED.format(name=name, client_id=existing[0]))
    created = json.loads(
        run(
            [
                "az",
                "ad",
                "app",
                "create",
                "--display-name",
                name,
                "--sign-in-audience",
                "AzureADMyOrg",
                "--output",
                "json",
            ]
        )
    )
    client_id, object_id = str(created["appId"]), str(created["id"])
    cloud = run(["az", "cloud", "show", "--query", "name", "--output", "tsv"]).strip()
    # version 2, because modules/functionApp.bicep names the issuer of tokens of that version
    change = {"api": {"requestedAccessTokenVersion": 2}, "identifierUris": [f"api://{client_id}"]}
    run(
        [
            *("az", "rest", "--method", "PATCH", "--body", json.dumps(change)),
            *("--uri", f"{GRAPH.get(cloud, GRAPH['AzureCloud'])}/v1.0/applications/{object_id}"),
            *("--headers", "Content-Type=application/json"),
        ]
    )
    # managed identities can request tokens only for a registration that has a service principal in the tenant
    run(["az", "ad", "sp", "create", "--id", client_id, "--output", "none"])
    return client_id


def run_command(command: list[str]) -> str:
    """Runs a program that is on the PATH; returns its output. Raises HookFailed."""
    program = shutil.which(command[0])
    if program is None:
        raise HookFailed(f"{command[0]} is not installed.")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise HookFailed(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """Returns 0, or 1 with the reason on stderr."""
    try:
        prepare(os.environ, run_command, datetime.now(UTC))
    except HookFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
