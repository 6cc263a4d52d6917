"""Hosts for the tests: one shared devhost on the tests' app, and devhosts that a test starts itself.

With an option of ../conftest.py, the tests run against another host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devhost_tests.process import APP, KEY, Client, Devhost, Elsewhere

Start = Callable[..., Devhost]
Reach = Callable[..., Client]
_FASTER = ("--exact-timers",)
"""Arguments that only shorten the tests."""


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the apps write their files."""
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="session")
def environment(scratch: Path) -> dict[str, str]:
    """The app settings of the tests' apps."""
    return {
        "SCRATCH": str(scratch),
        "CONFORMANCE_SCRATCH": str(scratch),
        "HUB_NAME": "testhub",
        "TICK_SCHEDULE": "0 0 3 1 1 *",
        "GREETING": "hello",
    }


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], pytestconfig: pytest.Config) -> Iterator[Start]:
    """Starts devhosts with one state directory, and stops those that still run. Skips if another host is tested."""
    if _other(pytestconfig):
        pytest.skip("the test needs a devhost of its own")
    started: list[Devhost] = []

    def begin(*arguments: str, app: Path = APP, **more: str) -> Devhost:
        devhost = Devhost(app, tmp_path / "state", *arguments, env={**environment, **more})
        started.append(devhost)
        return devhost

    yield begin
    for devhost in started:
        devhost.__exit__(None, None, None)


@pytest.fixture(scope="session")
def reach(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], pytestconfig: pytest.Config
) -> Iterator[Reach]:
    """A host that runs an app, one for all tests: the host from the command line, else a devhost."""
    reached: dict[Path, Client] = {}

    def begin(app: Path, *arguments: str) -> Client:
        if app not in reached:
            url, command, key = _other(pytestconfig)
            if url:
                reached[app] = Elsewhere(url, key)
            else:
                state = tmp_path_factory.mktemp("state")
                devhost = Devhost(app, state, *arguments, env=environment, command=command, key=key or KEY)
                assert devhost.base, devhost.log
                reached[app] = devhost
        return reached[app]

    yield begin
    for host in reached.values():
        if isinstance(host, Devhost):
            host.__exit__(None, None, None)


@pytest.fixture(scope="session")
def host(reach: Reach) -> Client:
    """One host that runs the tests' app, shared by all tests. So each test must use instance ids of its own."""
    return reach(APP, *_FASTER)


class _Other(tuple[str, str, str]):
    def __bool__(self) -> bool:
        return any(self)


def _other(config: pytest.Config) -> _Other:
    """URL, command and key of the other host to test; false if no other host is given."""
    return _Other(str(config.getoption(name, default="") or "") for name in ("--base-url", "--host-cmd", "--host-key"))
