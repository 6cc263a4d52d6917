"""The report of /api/health names the commit of the package. tests/e2e/test_health.py has the checks."""

import asyncio
from typing import Any

import pytest

from durable.engine import Engine, EngineUnavailable
from triggers import http_health

COMMIT = "5d3f8a1c0b7e49f2a6d8c3b1e0f7a4d2c9b8e6f1"


class DownEngine(Engine):
    """An engine that does not answer."""

    def __init__(self) -> None:
        pass

    async def probe(self, seconds: float) -> tuple[bool, bool]:
        return False, False

    async def read_heartbeat(self, name: str) -> Any:
        raise EngineUnavailable


async def no_token() -> str:
    return "TokenUnavailable"


@pytest.mark.parametrize(("version", "more"), [(COMMIT, {"version": COMMIT}), (None, {})])
def test_the_report_has_the_commit(monkeypatch: pytest.MonkeyPatch, version: str | None, more: dict[str, str]) -> None:
    """The report has the commit even while the app is unhealthy. If the package has no commit, the key is left out."""
    monkeypatch.setattr(http_health, "_version", lambda: version)
    monkeypatch.setattr(http_health, "_token", no_token)
    report = asyncio.run(http_health._look(DownEngine()))
    assert report == {"status": "unhealthy", "checks": report["checks"], **more}
