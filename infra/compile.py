#!/usr/bin/env python3
"""Compiles the deployment: `python3 infra/compile.py`, or with `--check` only checks whether it is up to date.

Writes `workbook.json` from the queries (see workbook.py) and `main.json`, the ARM template, from the Bicep sources.
The template contains a hash of its sources as `metadata.sources`, so that a machine without the compiler can tell
whether it is up to date. Standard library only.

The compiler is the program in the environment variable BICEP, or `bicep` on the PATH, or the one that
`az bicep install` has put into `~/.azure/bin`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

INFRA = Path(__file__).resolve().parent
if str(INFRA.parent) not in sys.path:
    sys.path.insert(0, str(INFRA.parent))

from infra import workbook  # noqa: E402  the path of the project is needed first

TEMPLATE = INFRA / "main.json"
SOURCES = ("**/*.bicep", "queries/**/*.kql", "workbook.json", "bicepconfig.json")
COMMAND = "python3 infra/compile.py"
Json = dict[str, Any]


class CompilationFailed(Exception):  # noqa: N818
    """The compiler is missing, or has found an error or a warning; the message says which."""


def sources_hash() -> str:
    """SHA-256 over the names and contents of all sources; it does not depend on the kind of line ends."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in SOURCES for path in INFRA.glob(pattern)}):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path.relative_to(INFRA).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def recorded_hash() -> str | None:
    """The hash of the sources from which main.json was compiled; None if it has no hash."""
    recorded = json.loads(TEMPLATE.read_text("utf-8")).get("metadata", {}).get("sources")
    return recorded if isinstance(recorded, str) else None


def compiler() -> str | None:
    """The path of a Bicep compiler on this machine; None if there is none."""
    installed = Path.home() / ".azure" / "bin" / ("bicep.exe" if os.name == "nt" else "bicep")
    named = os.environ.get("BICEP")
    return named or shutil.which("bicep") or (str(installed) if installed.is_file() else None)


def compile_template(program: str) -> Json:
    """The ARM template. Raises CompilationFailed for errors and for warnings.

    Runs the compiler only once: `build-params` compiles the parameter file of azd, and with it the template.
    """
    done = subprocess.run(  # noqa: S603  the program is the compiler of the machine
        [program, "build-params", str(INFRA / "main.bicepparam"), "--stdout"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or done.stderr.strip():
        raise CompilationFailed(
            f"{program} build-params main.bicepparam:\n{done.stderr.strip() or done.stdout.strip()}"
        )
    template: Json = json.loads(json.loads(done.stdout)["templateJson"])
    template["metadata"] = {**template.get("metadata", {}), "sources": sources_hash()}
    return template


def main(arguments: list[str]) -> int:
    """Returns 0 if everything is up to date or was written; otherwise 1, with the reason on stderr."""
    parser = argparse.ArgumentParser(description="Compiles the Bicep sources into infra/main.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is not up to date")
    if parser.parse_args(arguments).check:
        stale = []
        if workbook.WORKBOOK.read_text("utf-8") != workbook.text():
            stale.append("infra/workbook.json")
        if recorded_hash() != sources_hash():
            stale.append("infra/main.json")
        if stale:
            print(f"Not up to date: {', '.join(stale)}. Run: {COMMAND}", file=sys.stderr)
        return 1 if stale else 0
    program = compiler()
    if program is None:
        print(
            "No Bicep compiler found. Install one with `az bicep install`, or set BICEP to its path.", file=sys.stderr
        )
        return 1
    workbook.WORKBOOK.write_text(workbook.text(), "utf-8", newline="\n")
    try:
        template = compile_template(program)
    except CompilationFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    TEMPLATE.write_text(json.dumps(template, indent=2) + "\n", "utf-8", newline="\n")
    print(f"Wrote {TEMPLATE.relative_to(INFRA.parent)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
