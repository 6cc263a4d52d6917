"""Looks of many callers within a second become one read. Errors are not cached."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest

from triggers.looks import KEPT_SECONDS, MAX_KEPT, Looks


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


class Source:
    """A source that counts its reads. `gate` delays them."""

    def __init__(self) -> None:
        self.count = 0
        self.gate: asyncio.Event | None = None
        self.problem: Exception | None = None

    async def look(self) -> int:
        """The number of this read."""
        self.count += 1
        number = self.count
        if self.gate:
            await self.gate.wait()
        if self.problem:
            raise self.problem
        return number


def run(use: Callable[[Looks[int], Source, Clock], Awaitable[None]]) -> None:
    """Runs a test on a loop of its own."""

    async def main() -> None:
        clock = Clock()
        await use(Looks(clock), Source(), clock)

    asyncio.run(main())


def test_a_look_is_shared_for_a_second() -> None:
    """Simultaneous callers and those within the next second share a look. Another key needs another look."""

    async def use(looks: Looks[int], source: Source, clock: Clock) -> None:
        assert await asyncio.gather(*(looks.at("a", source.look) for _ in range(200))) == [1] * 200
        clock.time += KEPT_SECONDS * 0.99
        assert await looks.at("a", source.look) == 1
        assert await looks.at("b", source.look) == 2
        clock.time += KEPT_SECONDS * 0.02
        assert await looks.at("a", source.look) == 3

    run(use)


def test_all_waiting_callers_get_an_error_and_it_is_not_cached() -> None:
    """After an error, the next caller looks again."""

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
def test_a_cancelled_caller_does_not_cancel_the_look_of_others(cancelled: int) -> None:
    """The look continues even if the cancelled caller began it."""

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
def test_a_look_that_fails_after_its_caller_was_cancelled_is_silent(
    seconds: float, caplog: pytest.LogCaptureFixture
) -> None:
    """No caller gets the error and there is no warning, even if another look has replaced the failed one."""
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


def test_the_number_of_cached_looks_is_limited() -> None:
    """If the cache is full of fresh values, a caller reads without it. Old values are removed."""

    async def use(looks: Looks[int], source: Source, clock: Clock) -> None:
        for key in map(str, range(MAX_KEPT)):
            await looks.at(key, source.look)
        assert await looks.at("more", source.look) != await looks.at("more", source.look)
        assert len(looks._kept) == MAX_KEPT
        clock.time += KEPT_SECONDS + 0.01
        assert await looks.at("more", source.look) == await looks.at("more", source.look)
        assert len(looks._kept) == 1

    run(use)


def test_each_loop_has_its_own_looks() -> None:
    """Each loop has looks of its own, because a look of a loop that has ended would never return."""
    looks: Looks[int] = Looks(Clock())
    source = Source()
    assert [asyncio.run(looks.at("a", source.look)) for _ in range(2)] == [1, 2]
