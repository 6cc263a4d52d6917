"""`python -m dev.routes DIR`: lists the HTTP routes of a function app. `dev.py host` prints them at its start.

It runs in a process of its own, because a process can import an app only once.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dev.environment import ROOT

TIMEOUT_SECONDS = 30


def routes(app: Path, environ: Mapping[str, str]) -> str:
    """Method, path and function of each route; empty if the app cannot be imported: then the host reports why."""
    command = [sys.executable, "-W", "ignore", "-m", "dev.routes", str(app)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=dict(environ), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _lines(app: Path) -> Iterator[str]:
    from devhost.app.index import load

    host = json.loads((app / "host.json").read_text("utf-8-sig"))
    prefix = str(host.get("extensions", {}).get("http", {}).get("routePrefix", "api")).strip("/")
    found = [
        (f"/{prefix}/{function.trigger.get('route') or function.name}".replace("//", "/"), str(method), function.name)
        for function in load(app)
        if function.kind == "http"
        for method in function.trigger.get("methods") or ["ANY"]
    ]
    width = max((len(path) for path, _, _ in found), default=0)
    for path, method, name in sorted(found):
        yield f"  {method.rpartition('.')[2]:<7} {path:<{width}}  {name}"


if __name__ == "__main__":
    print("\n".join(_lines(Path(sys.argv[1]).resolve())))
