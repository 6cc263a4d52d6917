"""Pools: a stall delays no other call, no call waits without a limit, and no log line is lost."""

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from outbound import deadline
from outbound.pools import CALLBACKS, ENGINE, POWER_BI, Pool, PoolBusyError

LONG = 60.0
log = logging.getLogger("refresh")


class Stall:
    """Calls that stall until they are released. `begun` counts them."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self) -> str:
        self.begun.release()
        assert self.release.wait(LONG)
        return threading.current_thread().name

    async def has_begun(self, times: int) -> None:
        """Waits until this many calls have begun."""
        for _ in range(times):
            assert await asyncio.to_thread(self.begun.acquire, timeout=LONG)


@pytest.fixture
def stall() -> Iterator[Stall]:
    """A stall that ends with the test."""
    stalled = Stall()
    yield stalled
    stalled.release.set()


def pool(threads: int = 4, for_each_key: int = 2, waiting: int = 10) -> Pool:
    """A small pool."""
    return Pool("test", threads=threads, for_each_key=for_each_key, waiting=waiting)


async def turns(count: int = 20) -> None:
    """Lets all code on this loop run that can run now."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_call_returns_or_raises_what_its_function_does() -> None:
    """The function runs on a thread of the pool, whose name appears in a dump."""

    def fails() -> None:
        raise LookupError("x")

    async def calls() -> None:
        assert await pool().run(lambda a, b: a + b, 1, 2, key="k", seconds=LONG) == 3
        assert (await pool().run(lambda: threading.current_thread().name, key="k", seconds=LONG)).startswith("test")
        with pytest.raises(LookupError, match="x"):
            await pool().run(fails, key="k", seconds=LONG)

    asyncio.run(calls())


def test_threads_are_created_when_needed_and_reused(stall: Stall) -> None:
    """There are as many threads as simultaneous calls, and never more than the pool allows."""

    def threads() -> int:
        return sum(thread.name.startswith("counted_") for thread in threading.enumerate())

    async def calls() -> None:
        counted = Pool("counted", threads=3, for_each_key=10, waiting=10)
        assert threads() == 0
        for _ in range(5):
            await counted.run(lambda: None, key="k", seconds=LONG)
        assert 1 <= threads() <= 3
        stalled = [asyncio.create_task(counted.run(stall, key="k", seconds=LONG)) for _ in range(5)]
        await stall.has_begun(3)
        assert threads() == 3
        stall.release.set()
        await asyncio.gather(*stalled)
        assert threads() == 3

    asyncio.run(calls())


def test_a_hanging_call_does_not_delay_the_end_of_the_process() -> None:
    """A process ends although a call hangs, because stopping a host must not take as long as the slowest service."""
    program = (
        "import asyncio, threading\n"
        "from outbound.pools import Pool\n"
        "async def main():\n"
        "    hanging = threading.Event()\n"
        "    pool = Pool('p', threads=1, for_each_key=1, waiting=1)\n"
        "    asyncio.create_task(pool.run(lambda: hanging.set() or threading.Event().wait(), key='k', seconds=600))\n"
        "    while not hanging.is_set():\n"
        "        await asyncio.sleep(0.001)\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=LONG, check=False).returncode == 0


def test_models_that_stall_do_not_delay_another_one(stall: Stall) -> None:
    """Thirty-one models stall with ten calls each, in a pool of the deployed size."""

    async def calls() -> None:
        stalled = [
            asyncio.create_task(POWER_BI.run(stall, key=f"model {number}", seconds=LONG))
            for number in range(31)
            for _ in range(10)
        ]
        await stall.has_begun(31 * POWER_BI.for_each_key)
        assert await POWER_BI.run(lambda: "fast", key="healthy", seconds=LONG) == "fast"
        assert not any(task.done() for task in stalled)
        stall.release.set()
        await asyncio.gather(*stalled)

    asyncio.run(calls())


def test_receivers_that_stall_delay_neither_other_receivers_nor_power_bi(stall: Stall) -> None:
    """A hundred callbacks stall at one host, which accepts connections and never answers."""

    async def calls() -> None:
        stalled = [asyncio.create_task(CALLBACKS.run(stall, key="silent.example", seconds=LONG)) for _ in range(100)]
        await stall.has_begun(CALLBACKS.for_each_key)
        for other in (CALLBACKS, POWER_BI, ENGINE):
            assert await other.run(lambda: "fast", key="healthy", seconds=LONG) == "fast"
        stall.release.set()
        await asyncio.gather(*stalled)

    asyncio.run(calls())


def test_calls_of_one_key_run_in_their_order_and_never_more_at_once_than_allowed(stall: Stall) -> None:
    """The limit of a key applies to calls from several loops together. The calls of each loop run in their order.

    The first call runs until all others have been made, so another one that ran meanwhile would be noticed.
    """
    one = pool(threads=8, for_each_key=1, waiting=1000)
    running, most, order, lock = 0, 0, [], threading.Lock()
    made = threading.Semaphore(0)

    def work(loop: int, number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            order.append((loop, number))
            first = len(order) == 1
        if first:
            stall()
        with lock:
            running -= 1

    async def calls(loop: int) -> None:
        tasks = [asyncio.create_task(one.run(work, loop, number, key="k", seconds=LONG)) for number in range(50)]
        await turns()
        made.release()
        await asyncio.gather(*tasks)

    with ThreadPoolExecutor(4) as loops:
        ended = [loops.submit(asyncio.run, calls(loop)) for loop in range(4)]
        for _ in ended:
            assert made.acquire(timeout=LONG)
        stall.release.set()
        for future in ended:
            future.result(LONG)
    assert (len(order), most) == (200, 1)
    for loop in range(4):
        assert [number for where, number in order if where == loop] == list(range(50))


def test_a_full_pool_refuses_at_once(stall: Stall) -> None:
    """A call that finds the pool full is refused instead of waiting. When there is room again, the pool works as
    before."""

    async def calls() -> None:
        full = pool(threads=2, for_each_key=1, waiting=3)
        stalled = [asyncio.create_task(full.run(stall, key="k", seconds=LONG)) for _ in range(5)]
        await stall.has_begun(1)
        with pytest.raises(PoolBusyError, match="test") as caught:
            await full.run(stall, key="other", seconds=LONG)
        assert caught.value.pool == "test"
        stall.release.set()
        await asyncio.gather(*stalled)
        assert await full.run(lambda: 1, key="k", seconds=LONG) == 1
        assert (full._calls, full._running, full._waiting) == (0, {}, {})

    asyncio.run(calls())


@pytest.mark.parametrize("threads", [1, 2])
def test_a_call_that_is_not_begun_in_time_is_withdrawn(stall: Stall, threads: int) -> None:
    """A call that waits too long for a thread (1) or for its key (2) is refused. It never runs later, when no caller
    needs it any more."""

    async def calls() -> None:
        busy = pool(threads=threads, for_each_key=1)
        stalled = asyncio.create_task(busy.run(stall, key="k", seconds=LONG))
        await stall.has_begun(1)
        late: list[int] = []
        with pytest.raises(PoolBusyError):
            await busy.run(late.append, 1, key="other" if threads == 1 else "k", seconds=0.05)
        stall.release.set()
        await stalled
        await busy.run(lambda: None, key="k", seconds=LONG)
        assert late == []
        assert (busy._calls, busy._running, busy._waiting) == (0, {}, {})

    asyncio.run(calls())


def test_the_place_of_a_cancelled_caller_is_free_after_its_function(stall: Stall) -> None:
    """Until the function of a cancelled caller has ended, its thread is busy, and a second call of the key must not run
    at the same time."""

    async def calls() -> None:
        one = pool(for_each_key=1)
        cancelled = asyncio.create_task(one.run(stall, key="k", seconds=LONG))
        waiting = asyncio.create_task(one.run(stall, key="k", seconds=LONG))
        await stall.has_begun(1)
        following = asyncio.create_task(one.run(lambda: "next", key="k", seconds=LONG))
        await turns()
        for task in (cancelled, waiting):
            task.cancel()
        await turns()
        assert (cancelled.cancelled(), waiting.cancelled(), following.done()) == (True, True, False)
        stall.release.set()
        assert await following == "next"

    asyncio.run(calls())


def test_the_function_has_the_time_of_the_call_and_the_context_of_its_caller() -> None:
    """Of the limit of the call and the deadline of the caller, the nearer one counts. The deadline of the caller is
    unchanged."""
    variable = contextvars.ContextVar("variable", default="")

    def seen() -> tuple[float, str]:
        return deadline.remaining(), variable.get()

    async def calls() -> None:
        variable.set("the caller's")
        left, value = await pool().run(seen, key="k", seconds=10)
        assert 0 < left <= 10
        assert value == "the caller's"
        with deadline.within(5):
            left, _ = await pool().run(seen, key="k", seconds=10)
        assert 0 < left <= 5
        assert deadline.remaining() == float("inf")

    asyncio.run(calls())


class Threads(logging.Handler):
    """Records each line with its task, like the platform's worker."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        self.seen.append((record.getMessage(), task.get_name() if task else None))


@pytest.fixture
def handled() -> Iterator[list[tuple[str, str | None]]]:
    """The lines that a handler gets, each with its task. None: the platform would drop the line. All handlers get the
    same lines."""
    handler, other = Threads(), Threads()
    root = logging.getLogger()
    root.addHandler(handler)
    root.addHandler(other)
    yield handler.seen
    root.removeHandler(handler)
    root.removeHandler(other)
    assert other.seen == handler.seen


def test_log_lines_become_those_of_the_caller(handled: list[tuple[str, str | None]]) -> None:
    """Each line of a function appears once, in its order, even if the function raises."""

    def work(fails: bool) -> None:
        log.warning("first %d", 1)
        logging.getLogger("azure.identity").error("second")
        if fails:
            raise LookupError

    async def calls() -> None:
        await pool().run(work, False, key="k", seconds=LONG)
        with pytest.raises(LookupError):
            await pool().run(work, True, key="k", seconds=LONG)
        log.warning("own")

    async def main() -> None:
        await asyncio.create_task(calls(), name="invocation")

    asyncio.run(main())
    once = [("first 1", "invocation"), ("second", "invocation")]
    assert handled == [*once, *once, ("own", "invocation")]


def test_a_handler_gets_no_line_below_its_level() -> None:
    """The level of the handler applies as if the caller's own thread had logged the line."""

    def work() -> None:
        log.warning("no")
        log.error("yes")

    handler = Threads()
    handler.setLevel(logging.ERROR)
    logging.getLogger().addHandler(handler)
    asyncio.run(pool().run(work, key="k", seconds=LONG))
    logging.getLogger().removeHandler(handler)
    assert [text for text, _ in handler.seen] == ["yes"]


def test_lines_of_a_function_after_the_end_of_its_caller(handled: list[tuple[str, str | None]], stall: Stall) -> None:
    """Lines after the end of the caller are logged without an invocation, so they appear only on the console of a
    development host."""

    def work() -> None:
        log.warning("before")
        stall()
        log.warning("after")

    async def calls() -> None:
        one = pool(for_each_key=1)
        task = asyncio.create_task(one.run(work, key="k", seconds=LONG), name="invocation")
        await stall.has_begun(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        stall.release.set()
        await one.run(lambda: None, key="k", seconds=LONG)

    asyncio.run(calls())
    assert handled == [("before", "invocation"), ("after", None)]
