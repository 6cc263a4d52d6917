"""`python -m devhost.bench`: measures how many orchestrations of five sequential activities the devhost runs per
second.

Runs the parts of the devhost without HTTP in this process: the engine with its state on disk (SQLite), the pool of
threads, and the real SDK.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

from devhost.app.index import durable_functions, load
from devhost.app.invoke import Invoker
from devhost.engine import Engine, Hub, SqliteStore
from devhost.runner import Runner

ACTIVITIES = 5


def measure(count: int, state: Path) -> float:
    """The seconds for `count` orchestrations that start together. Raises RuntimeError for a wrong output."""
    functions = load(Path(__file__).parent / "bench_app")
    invoker = Invoker(functions, lambda binding: "{}")
    store = SqliteStore(state)
    engine = Engine(store, durable_functions(functions))
    runner = Runner(engine, invoker.run)
    runner.start()

    def start(hub: Hub, now: datetime) -> None:
        for n in range(count):
            hub.start("five_steps", f"bench-{n}", None, now)

    begin = time.perf_counter()
    runner.submit(start).result()
    while runner.submit(lambda hub, now: any(not i.terminal for i in hub.engine.instances.values())).result():
        time.sleep(0.02)
    seconds = time.perf_counter() - begin
    outputs = runner.submit(lambda hub, now: {i.output for i in hub.engine.instances.values()}).result()
    runner.stop()
    store.close()
    if outputs != {str(ACTIVITIES)}:
        raise RuntimeError(f"wrong outputs: {outputs}")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="devhost.bench", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count: int = parser.parse_args().count
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the number is for one core
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        seconds = measure(count, Path(directory))
    cpu = time.process_time()
    print(
        f"{count / seconds:.0f} orchestrations of {ACTIVITIES} sequential activities per second on one core, "
        "state on disk "
        f"({count} in {seconds:.2f} s, {cpu:.2f} s of CPU, {threading.active_count()} threads)"
    )


if __name__ == "__main__":
    main()
