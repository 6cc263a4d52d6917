"""The command lines and the environment of the servers used in development."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dev.cli import POWER_BI
from dev.environment import ROOT, replace_process


@dataclass(frozen=True)
class HostOptions:
    """How to host an app. `power_bi` None: what the settings say, or the development service."""

    app: Path = ROOT
    state: Path = ROOT / ".dev" / "host"
    port: int = 7071
    power_bi: str | None = None
    key: str | None = None
    check_keys: bool = False
    exact_timers: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace) -> Self:
        """From the command line; paths are relative to where the person is."""
        return cls(
            app=(options.app or ROOT).resolve(),
            state=(options.state or ROOT / ".dev" / "host").resolve(),
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
            command += ["--key", self.key]
        if self.check_keys:
            command.append("--keys")
        if self.exact_timers:
            command.append("--exact-timers")
        return command

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` with POWER_BI_API_URL: as asked for, else as set, else the development service.

        A cloud that is set counts as set: whoever chose one does not mean the development service.
        """
        if self.power_bi is not None:
            return {**environ, "POWER_BI_API_URL": self.power_bi}
        values = {**local_settings(self.app), **environ}
        if values.get("POWER_BI_API_URL") or values.get("POWER_BI_CLOUD"):
            return dict(environ)
        return {**environ, "POWER_BI_API_URL": POWER_BI}


def local_settings(app: Path, name: str = "local.settings.json") -> dict[str, str]:
    """`Values` of the app's local.settings.json; nothing if it cannot be read, the devhost will say why."""
    try:
        values = json.loads((app / name).read_text("utf-8-sig"))["Values"]
        return {str(key): str(value) for key, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def power_bi_command(arguments: list[str]) -> list[str]:
    """The development Power BI service's command line, to be run in the project's folder."""
    return [sys.executable, "-m", "dev.power_bi", *arguments]


def host(options: HostOptions) -> int:
    """Becomes the devhost."""
    os.environ.update(options.environment(os.environ))
    os.chdir(ROOT)
    return replace_process(options.command())


def power_bi(arguments: list[str]) -> int:
    """Becomes the development Power BI service."""
    os.chdir(ROOT)
    return replace_process(power_bi_command(arguments))


BENCHES = {"devhost": "devhost.bench", "queue": "dev.bench_queue", "polling": "dev.bench_polling"}
"""The module that measures each thing."""


def bench(what: str, arguments: list[str]) -> int:
    """Becomes a benchmark."""
    if what != "polling":  # which takes a path from where the person is
        os.chdir(ROOT)
    return replace_process([sys.executable, "-m", BENCHES[what], *arguments])
