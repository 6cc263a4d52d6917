#!/usr/bin/env python3
"""Deploys the app on the plan ElasticPremium: `python3 infra/publish.py`, after `azd provision`.

The app reads its package from the storage account with its own identity, so it needs neither a file share nor its key.
The platform does not build such a package, so it contains the installed packages for Linux and the Python
version of the app. This script needs uv, and the Azure CLI signed in as a principal that has the role Storage Blob Data
Contributor on the storage account. The values come from the azd environment (`azd env get-values`, or the environment
of a hook).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

if __package__ is None or __package__ == "":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra import package
from infra.hooks import after_deployment, environment

NEEDED = ("PACKAGE_CONTAINER_URL", "APP_NAME", "AZURE_RESOURCE_GROUP", "BACKEND", "PYTHON_VERSION")


def commands(values: dict[str, str], archive: Path, az: str = "az") -> list[list[str]]:
    """The commands: the upload, and a restart that loads the new package."""
    return [
        [
            *(az, "storage", "blob", "upload", "--auth-mode", "login", "--overwrite", "--file", str(archive)),
            *("--blob-url", f"{values['PACKAGE_CONTAINER_URL']}/app.zip"),
        ],
        [
            *(az, "functionapp", "restart"),
            *("--name", values["APP_NAME"], "--resource-group", values["AZURE_RESOURCE_GROUP"]),
        ],
    ]


def main() -> int:
    """Returns the exit code of the smoke test; 1, with the reason on stderr, if the deployment fails."""
    values = environment.values(os.environ)
    missing = [name for name in NEEDED if not values.get(name)]
    az = shutil.which("az")
    if missing or az is None:
        print(f"infra/publish.py: missing {', '.join(missing) or 'the Azure CLI (az)'}.", file=sys.stderr)
        return 1
    try:
        package.build(values["BACKEND"])
        package.add_dependencies(values["PYTHON_VERSION"])
    except package.PackageFailed as problem:
        print(f"infra/publish.py: {problem}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "app.zip"
        package.write_zip(archive)
        for command in commands(values, archive, az):
            if subprocess.run(command, check=False).returncode:  # noqa: S603
                print(f"infra/publish.py: failed: {' '.join(command)}", file=sys.stderr)
                return 1
    return after_deployment.main()


if __name__ == "__main__":
    sys.exit(main())
