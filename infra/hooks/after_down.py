#!/usr/bin/env python3
"""After `azd down`: deletes the app registration, if before_provision.py created it.

All other resources were in the resource group.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

if __package__ is None or __package__ == "":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.hooks.before_provision import HookFailed, Runner, run_command


def clean_up(environ: Mapping[str, str], run: Runner) -> None:
    """Deletes the registration, and its id from the environment. Raises HookFailed."""
    client_id = environ.get("SIGN_IN_CREATED")
    if not client_id:
        return
    run(["az", "ad", "app", "delete", "--id", client_id])
    for name in ("SIGN_IN_CLIENT_ID", "SIGN_IN_CREATED"):
        run(["azd", "env", "set", name, ""])


def main() -> int:
    """Returns 0, or 1 with the reason on stderr."""
    try:
        clean_up(os.environ, run_command)
    except HookFailed as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
