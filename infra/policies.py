#!/usr/bin/env python3
"""Checks the deployment with checkov: `python3 infra/policies.py`.

checkov reads compiled templates only one level deep, and does not know the newer syntax of Bicep. So it gets each
module of `main.json` as a separate template. An exception is a comment in the module, inside the resource:

    // checkov:skip=CKV_AZURE_17: reason

An exception that is no longer needed is also an error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parent
if str(INFRA.parent) not in sys.path:
    sys.path.insert(0, str(INFRA.parent))

from infra import tools  # noqa: E402  the path of the project is needed first

EXCEPTION = re.compile(r"//\s*checkov:skip=(\w+):\s*(\S.*)")
Json = dict[str, Any]


class PoliciesFailed(Exception):  # noqa: N818
    """checkov did not run; the message is that of checkov."""


def program() -> str | None:
    """The path of checkov, installed by infra/tools.py or on the PATH; None if it is not installed."""
    folder = tools.CHECKOV.installed()
    own = os.pathsep.join(str(folder / name) for name in ("bin", "Scripts")) if folder else ""
    return (own and shutil.which("checkov", path=own)) or shutil.which("checkov")


def modules(template: Json, name: str = "main") -> Iterator[tuple[str, Json]]:
    """The template and its nested templates by the name of the deployment, each with only its own resources."""
    resources = template["resources"]
    own = []
    for resource in resources.values() if isinstance(resources, dict) else resources:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from modules(resource["properties"]["template"], resource["name"])
        elif not resource.get("existing"):
            # checkov gets only one resource for a loop
            own.append({key: value for key, value in resource.items() if key != "copy"})
    if own:
        yield name, {**template, "resources": own}


def source(module: str) -> Path:
    """The Bicep file of a module. A deployment has the name of its file."""
    return INFRA / "main.bicep" if module == "main" else INFRA / "modules" / f"{module}.bicep"


def exceptions(module: str) -> dict[str, str]:
    """The checks that a module is exempt from, with the reasons."""
    return dict(EXCEPTION.findall(source(module).read_text("utf-8")))


def findings(checkov: str) -> dict[str, dict[str, str]]:
    """The failed checks of each module: id and title. Raises PoliciesFailed."""
    template = json.loads((INFRA / "main.json").read_text("utf-8"))
    found: dict[str, dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, module in modules(template):
            found[name] = {}
            (Path(folder) / f"{name}.json").write_text(json.dumps(module), "utf-8")
        done = subprocess.run(  # noqa: S603
            [checkov, "-d", folder, "--framework", "arm", "--quiet", "--compact", "--skip-download", "-o", "json"],
            capture_output=True,
            text=True,
            check=False,
        )
        try:
            report = json.loads(done.stdout)
            checked = report["summary"]["passed"] + report["summary"]["failed"]
        except (ValueError, KeyError, TypeError) as problem:
            raise PoliciesFailed(f"{problem!r}\n{done.stdout}\n{done.stderr}") from None
    if report["summary"]["parsing_errors"] or not checked:
        raise PoliciesFailed(f"checkov could not read the templates: {report['summary']}")
    for check in report["results"]["failed_checks"]:
        found[Path(check["file_path"]).stem][check["check_id"]] = check["check_name"]
    return found


def faults(checkov: str) -> list[str]:
    """A sentence for each failed check without an exception, and for each exception that is not needed."""
    sentences = []
    for module, failed in findings(checkov).items():
        excepted = exceptions(module)
        name = source(module).relative_to(INFRA.parent).as_posix()
        sentences += [f"{name}: {check}: {title}" for check, title in failed.items() if check not in excepted]
        sentences += [f"{name}: {check} passes, remove its exception" for check in excepted if check not in failed]
    return sentences


def main() -> int:
    """Returns 0 if all policies are met; otherwise 1, with the reasons on stdout."""
    checkov = program()
    if checkov is None:
        print("checkov is not installed. Run: python3 infra/tools.py", file=sys.stderr)
        return 1
    found = faults(checkov)
    print("\n".join(found) or "All policies are met.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
