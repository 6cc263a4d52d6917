"""Drives the engine in one thread with simulated time. A seed decides the order and the faults."""

from __future__ import annotations

import functools
import importlib.util
import os
import random
import tempfile
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
"""More steps than any test needs. If there are more, the engine runs in an endless loop."""


@functools.cache
def functions_of(path: Path) -> tuple[Function, ...]:
    """The functions of an app, loaded without effect on the other modules of this process."""
    os.environ.setdefault("CONFORMANCE_SCRATCH", _scratch.name)
    spec = importlib.util.spec_from_file_location(f"app_{abs(hash(path))}", path / "function_app.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(index(module.app))


class Simulation:
    """Runs an app's functions on an engine, up to `together` at a time. `fault` is called before a result is applied.

    It returns "" (no fault), "lost" (the worker of the item died), "hidden" (the worker died, and the item is hidden
    for a minute), "sent" (its messages were sent, but its state was not stored), "twice" (a second copy of the activity
    exists) or "restart" (the host died with all work in flight and starts again from the committed state). `cut`:
    messages arrive in parts of any size. `settings`: arguments of the Engine."""

    def __init__(
        self,
        app: Path,
        seed: int = 0,
        fault: Callable[[random.Random, Item], str] = lambda chance, item: "",
        *,
        together: int = 1,
        cut: bool = False,
        **settings: Any,
    ) -> None:
        self.functions = {(f.kind, f.durable_name.lower()): f for f in functions_of(app)}
        self.names = durable_functions(functions_of(app))
        self.random = random.Random(seed)  # noqa: S311
        self.fault = fault
        self.together, self.cut = together, cut
        self.now = START
        self.store = MemoryStore()
        self.ids = count(1)
        self.calls: list[Call] = []
        self.settings = settings
        self._open()

    def _open(self) -> None:
        self.engine = Engine(
            self.store,
            self.names,
            timers=whole_seconds,
            new_id=lambda: f"00000000-0000-0000-0000-{next(self.ids):012}",
            **self.settings,
        )
        self.hub = Hub(self.engine)
        self.flying: list[tuple[Item, Outcome]] = []

    def start(self, name: str, instance_id: str, input_text: str | None = None) -> None:
        self.hub.start(name, instance_id, input_text, self.now)
        self.engine.commit()

    def output(self, instance_id: str) -> Any:
        status = self.hub.status(instance_id)
        assert status is not None
        assert status["runtimeStatus"] == "Completed", status
        return status["output"]

    def run(self) -> None:
        """Runs until no item is ready and no timer is set."""
        for _ in range(_STEPS):
            if not self.step():
                return
        raise AssertionError(f"still busy after {_STEPS} steps: {self.engine.ready(self.now)}")

    def step(self) -> bool:
        """Begins an item, applies a result, or sets the clock to the next timer; False if there is none of these."""
        items = self.engine.ready(self.now)
        if items and len(self.flying) < self.together:
            self._begin(self.random.choice(items))
        if self.flying and (not items or len(self.flying) >= self.together or self.random.random() < 0.5):
            self._end(*self.flying.pop(self.random.randrange(len(self.flying))))
        elif not items:
            due = self.engine.next_due()
            if due is None:
                return False
            self.now = max(self.now, due)
        return True

    def _begin(self, item: Item) -> None:
        call = self.engine.begin(item, self.now, limit=self.random.randrange(1, 4) if self.cut else None)
        if call is None:
            self.engine.commit()
            return
        self.calls.append(call)
        with warnings.catch_warnings():
            # The SDK warns about repeated events and its own future changes; pytest would turn these warnings into
            # failures.
            warnings.simplefilter("ignore")
            self.flying.append((item, self._run(call)))

    def _end(self, item: Item, outcome: Outcome) -> None:
        fault = self.fault(self.random, item)
        if fault == "lost":
            self.engine.abandon(item)
        elif fault == "hidden":
            self.engine.abandon(item, self.now + timedelta(minutes=1))
        elif fault == "restart":
            self.engine.complete(item, outcome, self.now)
            self._open()  # uncommitted changes are lost
            return
        else:
            if fault == "twice" and item.kind == "activity":
                self.engine.duplicate(item)
            self.engine.complete(item, outcome, self.now, keep=fault != "sent")
        self.engine.commit()

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
