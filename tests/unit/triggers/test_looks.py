"""Looks that many callers ask for within a second are made once; nothing wrong is kept."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest

from triggers.looks import KEPT_SECONDS, MAX_KEPT, Looks


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Source:
    """What is looked at; counts the looks. `gate` holds them up."""

    def __init__(self) -> None:
        self.count = 0
        self.gate: asyncio.Event | None = None
        self.problem: Exception | None = None

    async def look(self) -> int:
        """The number of the look."""
        self.count += 1
        number = self.count
        if self.gate:
            await self.gate.wait()
        if self.problem:
            raise self.problem
        return number


def run(use: Callable[[Looks[int], Source, Clock], Awaitable[None]]) -> None:
    """Runs a story on a loop of its own."""

    async def main() -> None:
        clock = Clock()
        await use(Looks(clock), Source(), clock)

    asyncio.run(main())


def test_a_look_is_shared_for_a_second() -> None:
    """By those that come together, and by those that come a moment later; another key is another look."""

    async def use(looks: Looks[int], source: Source, clock: Clock) -> None:
        assert await asyncio.gather(*(looks.at("a", source.look) for _ in range(200))) == [1] * 200
        clock.time += KEPT_SECONDS * 0.99
        assert await looks.at("a", source.look) == 1
        assert await looks.at("b", source.look) == 2
        clock.time += KEPT_SECONDS * 0.02
        assert await looks.at("a", source.look) == 3

    run(use)


def test_an_error_goes_to_all_that_wait_and_is_not_kept() -> None:
    """The next caller looks for itself."""

    async def use(looks: Looks[int], source: Source, _: Clock) -> None:
        source.gate, source.problem = asyncio.Event(), RuntimeError("no engine")
        waiting = [asyncio.ensure_future(looks.at("a", source.look)) for _ in range(3)]
        await asyncio.sleep(0)
        source.gate.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(result) for result in results] == ["no engine"] * 3
        source.problem = None
        assert await looks.at("a", source.look) == 2

    run(use)


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_caller_that_goes_away_takes_the_look_from_no_other(cancelled: int) -> None:
    """Also not the one that began it."""

    async def use(looks: Looks[int], source: Source, _: Clock) -> None:
        source.gate = asyncio.Event()
        waiting = [asyncio.ensure_future(looks.at("a", source.look)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[cancelled].cancel()
        await asyncio.sleep(0)
        source.gate.set()
        assert await waiting[1 - cancelled] == 1
        assert waiting[cancelled].cancelled()

    run(use)


@pytest.mark.parametrize("seconds", [0.0, KEPT_SECONDS * 2])
def test_a_look_that_fails_after_its_caller_went_away_is_quiet(
    seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """No caller hears it, and nothing complains about that; also when another look has taken its place."""
    caplog.set_level(logging.WARNING)

    async def use(looks: Looks[int], source: Source, clock: Clock) -> None:
        source.gate, source.problem = asyncio.Event(), RuntimeError("no engine")
        waiting = asyncio.ensure_future(looks.at("a", source.look))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        gate, problem, source.gate, source.problem = source.gate, source.problem, None, None
        clock.time += seconds
        if seconds:
            assert await looks.at("a", source.look) == 2
        source.problem = problem
        gate.set()
        for _ in range(3):
            await asyncio.sleep(0)

    run(use)
    gc.collect()
    assert caplog.text == ""


def test_what_is_kept_is_bounded() -> None:
    """When it is full of fresh looks a caller looks for itself; old ones make room."""

    async def use(looks: Looks[int], source: Source, clock: Clock) -> None:
        for key in map(str, range(MAX_KEPT)):
            await looks.at(key, source.look)
        assert await looks.at("more", source.look) != await looks.at("more", source.look)
        assert len(looks._kept) == MAX_KEPT
        clock.time += KEPT_SECONDS + 0.01
        assert await looks.at("more", source.look) == await looks.at("more", source.look)
        assert len(looks._kept) == 1

    run(use)


def test_another_loop_looks_for_itself() -> None:
    """A look of a loop that has ended would never come."""
    looks: Looks[int] = Looks(Clock())
    source = Source()
    assert [asyncio.run(looks.at("a", source.look)) for _ in range(2)] == [1, 2]
