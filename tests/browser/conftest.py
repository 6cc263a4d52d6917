"""One browser and one server for each module of tests; a session of the browser for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.browser import Visitor, browsing, executable
from tests.browser.stand_in import World, serving

HERE = Path(__file__).parent
TEST_SECONDS = 600.0
"""The time limit of a test on a loaded machine. It makes no test longer."""

Visit = Callable[..., Visitor]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives these tests the time that a loaded machine needs."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser. Skips the tests if there is none."""
    if executable() is None:
        pytest.skip("no Chromium on this machine: python -m tests.browser.install, or set CHROMIUM to its path")
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[World]:
    """The stand-in for the app."""
    with serving(World()) as world:
        yield world


@pytest.fixture
def world(server: World) -> World:
    """The stand-in in its initial state."""
    fresh = World(base=server.base)
    for entry in fields(World):
        setattr(server, entry.name, getattr(fresh, entry.name))
    return server


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens sessions at an address. At the end it fails if a page had errors."""
    visitors: list[Visitor] = []

    def visiting(base: str, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, base, **options))
        return visitors[-1]

    yield visiting
    for visitor in visitors:
        visitor.close()
