"""The engine driven in one thread with a time of its own: the order and the faults come from a seed."""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import tempfile
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from azure.functions import meta
from azure.functions.durable_functions import ActivityTriggerConverter

from devhost.app.index import Function, durable_functions, index
from devhost.app.invoke import handle
from devhost.engine import Call, Engine, Hub, Item, MemoryStore, Outcome, Raised, Returned, whole_seconds

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
_scratch = tempfile.TemporaryDirectory(prefix="devhost-")
_STEPS = 20_000
"""More than any test needs: beyond it something goes round and round."""


@functools.cache
def functions_of(path: Path) -> tuple[Function, ...]:
    """The functions of an app, loaded beside whatever else this process has loaded."""
    os.environ.setdefault("CONFORMANCE_SCRATCH", _scratch.name)
    spec = importlib.util.spec_from_file_location(f"app_{abs(hash(path))}", path / "function_app.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(index(module.app))


class Simulation:
    """Runs an app's functions on an engine. `fault` is asked before each step's result is applied.

    It answers "" (all goes well), "lost" (whoever worked on it died), "sent" (its messages went out, its state was not
    kept) or "restart" (the whole host died, and starts again from what was committed).
    """

    def __init__(
        self, app: Path, seed: int = 0, fault: Callable[[random.Random, Item], str] = lambda chance, item: ""
    ) -> None:
        self.functions = {(f.kind, f.durable_name.lower()): f for f in functions_of(app)}
        self.names = durable_functions(functions_of(app))
        self.random = random.Random(seed)  # noqa: S311
        self.fault = fault
        self.now = START
        self.store = MemoryStore()
        self.ids = count(1)
        self.calls: list[Call] = []
        self.longest_history = 0
        self._open()

    def _open(self) -> None:
        self.engine = Engine(
            self.store, self.names, timers=whole_seconds, new_id=lambda: f"00000000-0000-0000-0000-{next(self.ids):012}"
        )
        self.hub = Hub(self.engine)

    def start(self, name: str, instance_id: str, input_text: str | None = None) -> None:
        self.hub.start(name, instance_id, input_text, self.now)
        self.engine.commit()

    def output(self, instance_id: str) -> Any:
        status = self.hub.status(instance_id)
        assert status is not None
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    def run(self) -> None:
        """Goes on until nothing is ready and no timer is set."""
        for _ in range(_STEPS):
            if not self.step():
                return
        raise AssertionError(f"still busy after {_STEPS} steps: {self.engine.ready(self.now)}")

    def step(self) -> bool:
        """One item, or the clock set to the next timer; False when there is neither."""
        items = self.engine.ready(self.now)
        if not items:
            due = self.engine.next_due()
            if due is None:
                return False
            self.now = max(self.now, due)
            return True
        item = self.random.choice(items)
        call = self.engine.begin(item, self.now)
        if call is None:
            self.engine.commit()
            return True
        self.calls.append(call)
        with warnings.catch_warnings():
            # The SDK warns of what it is told twice, and of its own future; pytest would make failures of it.
            warnings.simplefilter("ignore")
            outcome = self._run(call)
        match self.fault(self.random, item):
            case "lost":
                self.engine.abandon(item)
            case "sent":
                self.engine.complete(item, outcome, self.now, keep=False)
            case "restart":
                self.engine.complete(item, outcome, self.now)
                self._open()  # what was not committed is gone
                return True
            case _:
                self.engine.complete(item, outcome, self.now)
        self.engine.commit()
        return True

    def _run(self, call: Call) -> Outcome:
        kind = "orchestration" if call.kind == "episode" else call.kind
        handler = self.functions[kind, call.function.lower()].handler
        if kind != "activity":
            return handle(handler, call.value)
        parameter = self.functions[kind, call.function.lower()].trigger["name"]
        value = ActivityTriggerConverter.decode(meta.Datum(call.value, "json"), trigger_metadata={})
        try:
            return Returned(ActivityTriggerConverter.encode(handler(**{parameter: value}), expected_type=None).value)
        except Exception as problem:
            return Raised(f"{type(problem).__name__}: {problem}", str(problem))
