"""A devhost on the tests' own app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.devhost.process import APP, KEY, Devhost

Start = Callable[..., Devhost]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """App settings of the tests' app; files it leaves go to `tmp_path`."""
    return {"SCRATCH": str(tmp_path), "HUB_NAME": "testhub", "TICK_SCHEDULE": "0 0 3 1 1 *", "GREETING": "hello"}


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Starts devhosts on one state directory; ends those that still run."""
    started: list[Devhost] = []

    def begin(*arguments: str, app: Path = APP, **more: str) -> Devhost:
        devhost = Devhost(app, tmp_path / "state", "--key", KEY, *arguments, env={**environment, **more})
        started.append(devhost)
        return devhost

    yield begin
    for devhost in started:
        devhost.__exit__(None, None, None)


@pytest.fixture
def host(start: Start) -> Devhost:
    """One devhost, ready."""
    devhost = start("--exact-timers")
    assert devhost.base, devhost.log
    return devhost
