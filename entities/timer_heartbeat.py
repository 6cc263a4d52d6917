"""The entity `timer_heartbeat`, one for each timer (key: the name of its function): when the timer last ran."""

from collections.abc import Callable
from typing import Any

import azure.durable_functions as df
import msgspec

from refresh.heartbeat import Heartbeat, latest
from refresh.messages import typed

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def timer_heartbeat(context: df.DurableEntityContext) -> None:
    """The operation `beat`; input and state are `Heartbeat`. If the state cannot be read, the beat replaces it."""
    beat = _read(context.get_input)
    context.set_state(msgspec.to_builtins(latest(_read(lambda: context.get_state(dict)), beat)))
    context.set_result(None)


def _read(value: Callable[[], Any]) -> Heartbeat:
    """The heartbeat; an empty one if the value is not a heartbeat."""
    try:
        return typed(value() or {}, Heartbeat)
    except (TypeError, ValueError):
        return Heartbeat()
