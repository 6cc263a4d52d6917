"""Indexing the functions of a v2 app as the platform's worker does, with the same refusals."""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.functions as func

from devhost.app.sdk import make_faster
from devhost.engine import Functions

log = logging.getLogger("devhost.app")


class IndexingError(Exception):
    """The app can be hosted neither here nor on Azure. The message says what to change."""


@dataclass(slots=True)
class Function:
    """One function of the app."""

    name: str
    kind: str
    """http, orchestration, entity, activity or timer. Other triggers are not served; for these, the binding type."""
    handler: Callable[..., Any]
    trigger: dict[str, Any]
    """The binding of the trigger; its key `name` is the name of the parameter."""
    durable_name: str = ""
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The parameters for durable clients, with their bindings."""
    wants_context: bool = False

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)


_KINDS = {
    "httpTrigger": "http",
    "orchestrationTrigger": "orchestration",
    "entityTrigger": "entity",
    "activityTrigger": "activity",
    "timerTrigger": "timer",
}


def load(app: Path) -> list[Function]:
    """Imports the app in the folder `app` and returns its functions, sorted by name. Raises IndexingError.

    Changes the working directory and sys.path of this process, as the worker does, so a process can load only one app.
    """
    os.chdir(app)
    sys.path.insert(0, str(app))
    module_name = Path(os.environ.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")).stem
    if not (app / f"{module_name}.py").exists():
        raise IndexingError(f"{app / module_name}.py is missing: an app of the v2 model has its FunctionApp there")
    try:
        module = importlib.import_module(module_name)
    except Exception as problem:
        log.exception("importing %s failed", app / f"{module_name}.py")
        raise IndexingError(
            f"{module_name}.py cannot be imported: {type(problem).__name__}: {problem} (the traceback is above)"
        ) from problem
    found = index(_the_app(vars(module)))
    return sorted(found, key=lambda f: f.name.lower())


def _the_app(names: dict[str, Any]) -> func.FunctionRegister:
    apps = {id(v): (n, v) for n, v in names.items() if isinstance(v, func.FunctionRegister)}
    if not apps:
        raise IndexingError(
            "no FunctionApp or DFApp at module level: write `app = df.DFApp(...)` "
            "(a Blueprint does not count: register it with the app)"
        )
    if len(apps) > 1:
        raise IndexingError(
            f"more than one FunctionApp at module level ({', '.join(n for n, _ in apps.values())}): "
            "the platform takes exactly one; make the others Blueprints"
        )
    return next(iter(apps.values()))[1]


def index(app: func.FunctionRegister) -> list[Function]:
    """The functions of an app object, after checking them. Call this once per app: the SDK does not allow a second
    call."""
    make_faster()
    try:
        functions = [_function(f) for f in app.get_functions()]
    except ValueError as problem:
        raise IndexingError(str(problem)) from problem
    _unique((f.name for f in functions), "function")
    for function in functions:
        _check(function)
    # The engine compares durable names case-insensitively, and compares the names of all kinds with each other.
    _unique((f.durable_name for f in functions if f.durable_name), "durable function")
    return functions


def durable_functions(functions: Iterable[Function]) -> Functions:
    """The durable names of the functions, for the engine."""
    names: dict[str, list[str]] = {"orchestration": [], "activity": [], "entity": []}
    for function in functions:
        if function.kind in names:
            names[function.kind].append(function.durable_name)
    return Functions(names["orchestration"], names["activity"], names["entity"])


def _function(function: Any) -> Function:
    trigger: dict[str, Any] | None = None
    name = function.get_function_name()
    clients: dict[str, dict[str, Any]] = {}
    bound: set[str] = set()
    for raw in function.get_raw_bindings():
        binding = json.loads(raw)
        bound.add(binding["name"])
        if binding["type"] == "durableClient":
            clients[binding["name"]] = binding
        elif binding["type"].lower().endswith("trigger"):
            trigger = binding
            if binding["type"] not in _KINDS:
                log.warning("function %s is not served: the devhost has no %s", name, binding["type"])
        elif (binding["type"], binding["direction"].upper()) != ("http", "OUT"):
            log.warning(
                "function %s: the devhost has no %s binding; its parameter %s gets no value, so calls fail",
                name, binding["type"], binding["name"],
            )  # fmt: skip
    if trigger is None:
        raise IndexingError(f"function {name} has no trigger")
    kind = _KINDS.get(trigger["type"], trigger["type"])
    durable = {
        "orchestration": trigger.get("orchestration") or name,
        "activity": trigger.get("activity") or name,
        "entity": (trigger.get("entityName") or name).lower(),
    }.get(kind, "")
    handler = function.get_user_function()
    indexed = Function(name, kind, handler, trigger, durable, clients)
    _check_parameters(indexed, bound - {"$return"})
    return indexed


def _check_parameters(function: Function, bound: set[str]) -> None:
    parameters = set(inspect.signature(function.handler).parameters)
    function.wants_context = "context" in parameters and "context" not in bound
    missing = bound - parameters
    if missing and function.kind in ("orchestration", "entity"):
        raise IndexingError(
            f"function {function.name}: context_name is {function.trigger['name']!r}, but the SDK's wrapper calls the "
            "parameter `context`; the platform cannot load this. "
            'Write context_name="context" and name the parameter context'
        )
    if missing:
        raise IndexingError(
            f"function {function.name}: bound to {', '.join(sorted(missing))}, "
            "which is not a parameter of the Python function"
        )
    extra = parameters - bound - {"context"}
    if extra:
        raise IndexingError(
            f"function {function.name}: parameter {', '.join(sorted(extra))} has no binding; "
            "add the decorator that fills it or remove the parameter"
        )


def _check(function: Function) -> None:
    user_code = getattr(function.handler, "client_function", None)
    if user_code is not None and not inspect.iscoroutinefunction(user_code):
        raise IndexingError(
            f"function {function.name} has a durable client and is not async: every call would fail with "
            "\"object ... can't be used in 'await' expression\". Write `async def`"
        )
    if function.kind == "orchestration" and function.durable_name.startswith("@"):
        raise IndexingError(f"orchestrator {function.durable_name}: the name must not start with @")
    inner = getattr(function.handler, "orchestrator_function", None) or getattr(
        function.handler, "entity_function", None
    )
    if inner is not None and inspect.iscoroutinefunction(inner):
        raise IndexingError(
            f"{function.kind} {function.name} is `async def`: the SDK never awaits it. Write a plain `def`"
            + (" with yield" if function.kind == "orchestration" else "")
        )


def _unique(names: Iterable[str], what: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other is not name:
            raise IndexingError(
                f"{what} names of all kinds must differ by more than case: {other!r} and {name!r}. Rename one"
            )
