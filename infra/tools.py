#!/usr/bin/env python3
"""Installs the programs that only the checks of the deployment need: `python3 infra/tools.py`. Takes about a minute.

* checkov, the policies (infra/policies.py), into an environment of its own: it needs older packages than the project.
* Microsoft's parser and type checker of KQL (tests/kql/check.js). Needs npm.

Both go into `.dev/tools`, at the versions given here; what is there already stays. The Bicep compiler is not among
them: no registry has it (`az bicep install`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".dev" / "tools"
CHECKOV = "checkov==3.3.30"
KUSTO = "@kusto/language-service-next@12.4.1"


def install(name: str, version: str, commands: list[list[str]]) -> None:
    """Runs the commands, unless the tool is there at this version. Raises CalledProcessError."""
    stamp = TOOLS / name / "version.txt"
    if stamp.is_file() and stamp.read_text("utf-8") == version:
        return
    for command in commands:
        subprocess.run(command, check=True)  # noqa: S603
    stamp.write_text(version, "utf-8")
    print(f"Installed {version}")


def main() -> int:
    """0, or 1 if a tool could not be installed."""
    code = 0
    folder = TOOLS / "checkov"
    if not folder.is_dir():
        venv.create(folder, with_pip=True)
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    npm = shutil.which("npm")
    todo = [("checkov", CHECKOV, [[python, "-m", "pip", "install", "--quiet", CHECKOV]])]
    if npm is None:
        print("npm is not installed: the queries are not checked by Microsoft's parser.", file=sys.stderr)
        code = 1
    else:
        (TOOLS / "kusto").mkdir(parents=True, exist_ok=True)
        options = ["--no-save", "--no-audit", "--no-fund", "--silent"]
        todo.append(("kusto", KUSTO, [[npm, "install", "--prefix", str(TOOLS / "kusto"), *options, KUSTO]]))
    for name, version, commands in todo:
        try:
            install(name, version, commands)
        except subprocess.CalledProcessError as problem:
            print(f"{version} could not be installed: {problem}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
