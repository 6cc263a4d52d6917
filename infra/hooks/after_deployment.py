#!/usr/bin/env python3
"""After `azd deploy`: prints the manual steps, runs the smoke test, and prints the parameters for the pipelines.

If SMOKE_WORKSPACE and SMOKE_DATASET are set in the azd environment, the smoke test checks that model, too. By hand:
`python3 infra/hooks/after_deployment.py`. The exit code is that of the smoke test.
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

from infra.hooks import environment  # noqa: E402  the path of the project is needed first

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
       az ad group member add --group GROUP --member-id {values["IDENTITY_PRINCIPAL_ID"]}
     It takes effect within about 30 minutes.{people_steps(values)}"""


def people_steps(values: Mapping[str, str]) -> str:
    """What people need to sign in to the status page, with entra. Not done here: the registration may be shared."""
    if values["AUTH_MODE"] != "entra":
        return ""
    client_id = values.get("SIGN_IN_CLIENT_ID") or "CLIENT_ID"
    return f"""
  3. Status page, {values["APP_URL"]}/api/ui. For people to sign in to it:
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
        # the key itself must not appear in the log of a deployment
        lines += [
            "  KeySecretUri  the address of a key vault secret with a function key. To store one:",
            "    az keyvault secret set --vault-name VAULT --name refresh-function-key --query id --output tsv \\",
            '      --value "$(az functionapp keys list --query functionKeys.default --output tsv \\',
            f'      --name {values["APP_NAME"]} --resource-group {values["AZURE_RESOURCE_GROUP"]})"',
        ]
    return "\n".join(lines)


def smoke_command(values: Mapping[str, str]) -> list[str]:
    """The command of the smoke test for the deployed app."""
    command = [sys.executable, str(ROOT / "dev.py"), "smoke", "--url", values["APP_URL"]]
    if values.get("SMOKE_WORKSPACE") and values.get("SMOKE_DATASET"):
        command += ["--workspace", values["SMOKE_WORKSPACE"], "--dataset", values["SMOKE_DATASET"]]
    return command


def main() -> int:
    """The exit code of the smoke test; 1 if the outputs of the deployment are missing."""
    values = environment.values(os.environ)
    missing = [name for name in NEEDED if not values.get(name)]
    if missing:
        print(f"The azd environment has no {', '.join(missing)}. Run: azd provision", file=sys.stderr)
        return 1
    print(manual_steps(values), end="\n\n")
    command = smoke_command(values)
    print(f"Smoke test: {' '.join(command[1:])}", flush=True)
    code = subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603
    print(f"\n{pipeline_parameters(values)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
