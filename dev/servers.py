"""The servers used in development: their command lines, their environment, and the app's local settings."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev.environment import ROOT, replace_process
from dev.routes import routes

POWER_BI = "http://127.0.0.1:7072"
"""Where `dev.py power-bi` listens by default."""
STATE = ROOT / ".dev" / "host"
SETTINGS, SAMPLE = "local.settings.json", "local.settings.sample.json"


@dataclass(frozen=True)
class HostOptions:
    """How to host an app. `power_bi` None: the address in the settings, or the development service."""

    app: Path = ROOT
    state: Path = STATE
    port: int = 7071
    power_bi: str | None = None
    key: str | None = None
    check_keys: bool = False
    exact_timers: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """The options from the command line; their paths are relative to the current folder."""
        return cls(
            app=(options.app or ROOT).resolve(),
            state=(options.state or STATE).resolve(),
            port=options.port,
            power_bi=options.power_bi,
            key=options.key,
            check_keys=options.keys,
            exact_timers=options.exact_timers,
        )

    def command(self) -> list[str]:
        """The devhost's command line, to be run in the project's folder."""
        command = [sys.executable, "-m", "devhost", "--app", str(self.app), "--state", str(self.state)]
        command += ["--port", str(self.port)]
        if self.key:
            command.append(f"--key={self.key}")
        if self.check_keys:
            command.append("--keys")
        if self.exact_timers:
            command.append("--exact-timers")
        return command

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with POWER_BI_API_URL: the value of the option, else the existing value, else the development
        service.

        POWER_BI_CLOUD selects the real Power BI: if it is set in the environment, an address in local.settings.json,
        such as that of the sample, has no effect.
        """
        if self.power_bi is not None:
            return {**environ, "POWER_BI_API_URL": self.power_bi}
        local = local_settings(self.app)
        if environ.get("POWER_BI_CLOUD") and local.get("POWER_BI_API_URL"):
            return {"POWER_BI_API_URL": "", **environ}
        values = {**local, **environ}
        if values.get("POWER_BI_API_URL") or values.get("POWER_BI_CLOUD"):
            return dict(environ)
        return {**environ, "POWER_BI_API_URL": POWER_BI}


def local_settings(app: Path, name: str = SETTINGS) -> dict[str, str]:
    """`Values` of the app's local.settings.json; empty if the file cannot be read: then the devhost reports why."""
    try:
        values = json.loads((app / name).read_text("utf-8-sig"))["Values"]
        return {str(key): str(value) for key, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def make_local_settings(app: Path) -> bool:
    """Copies local.settings.sample.json to local.settings.json if the app has only the sample. Returns whether it
    did."""
    sample, settings = app / SAMPLE, app / SETTINGS
    if settings.exists() or not sample.exists():
        return False
    shutil.copyfile(sample, settings)
    return True


def _announce_local_settings(app: Path) -> None:
    if make_local_settings(app):
        print(f"Created {SETTINGS} from {SAMPLE}: change app settings there.", file=sys.stderr)


def power_bi_command(arguments: list[str]) -> list[str]:
    """The command line of the Power BI service for development, to be run in the project's folder."""
    return [sys.executable, "-m", "dev.power_bi", *arguments]


def host(options: HostOptions) -> int:
    """Replaces this process with the devhost."""
    _announce_local_settings(options.app)
    os.environ.update(options.environment(os.environ))
    if found := routes(options.app, {**local_settings(options.app), **os.environ}):
        print(f"Routes:\n{found}", file=sys.stderr)
    os.chdir(ROOT)
    return replace_process(options.command())


def power_bi(arguments: list[str]) -> int:
    """Replaces this process with the Power BI service for development. The sample settings connect the app to it."""
    _announce_local_settings(ROOT)
    os.chdir(ROOT)
    return replace_process(power_bi_command(arguments))


def devhost_bench(arguments: list[str]) -> int:
    """Replaces this process with the benchmark of the devhost. The benchmark limits its process to one core."""
    os.chdir(ROOT)
    return replace_process([sys.executable, "-m", "devhost.bench", *arguments])
