#!/usr/bin/env python3
"""After `azd deploy`: prints the manual steps, waits for the app, tests it, and prints parameters for the pipelines.

The smoke test also checks a model if SMOKE_WORKSPACE and SMOKE_DATASET of the azd environment name one, and `az` is
signed in as a service principal: a person gets no token for the app. Otherwise the model is not checked, and the reason
is printed. To run it by hand: `python3 infra/hooks/after_deployment.py`. The exit code is that of the smoke test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __package__ is None or __package__ == "":
    sys.path.insert(0, str(ROOT))

# these imports need the path of the project, which is set above
from infra.hooks import environment, start  # noqa: E402
from infra.hooks.before_provision import HookFailed, Runner, run_command  # noqa: E402

TENANT_SETTING = "Service principals can call Fabric public APIs"
NEEDED = ("APP_URL", "APP_NAME", "AZURE_RESOURCE_GROUP", "AUTH_MODE", "IDENTITY_NAME", "IDENTITY_PRINCIPAL_ID")


def manual_steps(values: Mapping[str, str]) -> str:
    """The steps that a deployment cannot do, with the exact names and ids."""
    name, client_id = values["IDENTITY_NAME"], values.get("IDENTITY_CLIENT_ID", "")
    return f"""\
To do by hand, once
  1. Workspace role. In each workspace (Manage access, Add people or groups): add {name}
     as Contributor. Client id {client_id}, object id {values["IDENTITY_PRINCIPAL_ID"]}.
  2. Tenant setting. A Fabric administrator (Admin portal, Tenant settings, Developer settings) turns on
     "{TENANT_SETTING}" for a security group that {name} is in:
       az ad group member add --group SECURITY_GROUP --member-id {values["IDENTITY_PRINCIPAL_ID"]}
     It takes effect within about 30 minutes.{people_steps(values)}"""


def people_steps(values: Mapping[str, str]) -> str:
    """The step for AUTH_MODE entra that lets people sign in to the status page.

    It is not automated, because other apps may share the registration.
    """
    if values["AUTH_MODE"] != "entra":
        return ""
    client_id = values.get("SIGN_IN_CLIENT_ID") or "CLIENT_ID"
    return f"""
  3. Status page, {values["APP_URL"]}/api/ui. To let people sign in to it:
       az ad app update --id {client_id} --enable-id-token-issuance true \\
         --web-redirect-uris {values["APP_URL"]}/.auth/login/aad/callback
     and name them in READERS or CALLERS as {client_id}:OBJECT_ID."""


def pipeline_parameters(values: Mapping[str, str]) -> str:
    """The parameters to paste into the pipelines of integrations/."""
    lines = [
        "Parameters for the pipelines (integrations/adf, integrations/synapse)",
        f"  BaseUrl   {values['APP_URL']}",
    ]
    if values["AUTH_MODE"] == "entra":
        lines.append(f"  Audience  {values.get('AUDIENCE', '')}")
    else:
        # the key must not appear in the log of a deployment; an address with a version would lead to an old key
        lines += [
            "  KeySecretUri  https://VAULT.vault.azure.net/secrets/refresh-function-key",
            "    Without a version at its end, so that the pipelines read a renewed key. To store the key:",
            "    az keyvault secret set --vault-name VAULT --name refresh-function-key --output none \\",
            '      --value "$(az functionapp keys list --query functionKeys.default --output tsv \\',
            f'      --name {values["APP_NAME"]} --resource-group {values["AZURE_RESOURCE_GROUP"]})"',
        ]
    return "\n".join(lines)


def model_arguments(values: Mapping[str, str]) -> list[str]:
    """The arguments that let the smoke test check a model; none if no model is set."""
    if values.get("SMOKE_WORKSPACE") and values.get("SMOKE_DATASET"):
        return ["--workspace", values["SMOKE_WORKSPACE"], "--dataset", values["SMOKE_DATASET"]]
    return []


def why_no_model(values: Mapping[str, str], run: Runner) -> str:
    """Why the configured model cannot be checked here, and how to check it by hand; empty if it can be checked."""
    by_hand = f"python3 dev.py smoke --url {values['APP_URL']} {' '.join(model_arguments(values))}"
    if values["AUTH_MODE"] != "entra":
        return f"The model is not checked, because that needs a function key. By hand:\n  {by_hand} --key KEY"
    if login(run) != "servicePrincipal":
        return (
            "The model is not checked, because az is not signed in as a service principal. To check it by hand, sign "
            f"in as a service principal that is in CALLERS:\n  AUDIENCE={values.get('AUDIENCE', '')} {by_hand}"
        )
    return ""


def login(run: Runner) -> str:
    """The kind of principal that `az` is signed in as: `user` or `servicePrincipal`; empty without a login."""
    try:
        return run(["az", "account", "show", "--query", "user.type", "--output", "tsv"]).strip()
    except HookFailed:
        return ""


def smoke_command(values: Mapping[str, str], run: Runner) -> tuple[list[str], str]:
    """The command of the smoke test for the deployed app. If it omits the configured model, also the reason."""
    command = [sys.executable, str(ROOT / "dev.py"), "smoke", "--url", values["APP_URL"]]
    model = model_arguments(values)
    reason = why_no_model(values, run) if model else ""
    return command if reason else command + model, reason


def main() -> int:
    """Returns the exit code of the smoke test; 1 if the outputs of the deployment are missing."""
    values = environment.values(os.environ)
    missing = [name for name in NEEDED if not values.get(name)]
    if missing:
        print(f"The azd environment has no {', '.join(missing)}. Run: azd provision", file=sys.stderr)
        return 1
    print(manual_steps(values), end="\n\n", flush=True)
    start.wait(lambda: start.health(values["APP_URL"]), lambda text: print(text, end="\n\n", flush=True))
    command, reason = smoke_command(values, run_command)
    print(f"Smoke test: {' '.join(command[1:])}", flush=True)
    # by hand, AUDIENCE comes from azd
    environ = {**os.environ, "AUDIENCE": values.get("AUDIENCE", "")}
    code = subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode  # noqa: S603
    if reason:
        print(reason)
    print(f"\n{pipeline_parameters(values)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
