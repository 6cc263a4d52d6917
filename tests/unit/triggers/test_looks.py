"""A look is made once for all that ask within a second, also for those that stop waiting."""

import asyncio

import pytest

from triggers.looks import Looks


def test_a_caller_that_waits_no_longer_causes_no_second_look() -> None:
    """The first look goes on, and those that come within the second wait for it."""

    async def story() -> tuple[int, int]:
        looks, made, go_on = Looks[int](clock=lambda: 0.0), 0, asyncio.Event()

        async def look() -> int:
            nonlocal made
            made += 1
            await go_on.wait()
            return made

        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(looks.at("a", look), 0.001)
        go_on.set()
        return await looks.at("a", look), made

    assert asyncio.run(story()) == (1, 1)


def test_what_failed_is_looked_up_again() -> None:
    """By the next one; all that waited for it get the error."""

    async def story() -> list[object]:
        looks, answers = Looks[int](clock=lambda: 0.0), list[OSError | int]([OSError(), 5])

        async def look() -> int:
            await asyncio.sleep(0)
            answer = answers.pop(0)
            if isinstance(answer, OSError):
                raise answer
            return answer

        both = await asyncio.gather(looks.at("a", look), looks.at("a", look), return_exceptions=True)
        return [*map(type, both), await looks.at("a", look)]

    assert asyncio.run(story()) == [OSError, OSError, 5]
