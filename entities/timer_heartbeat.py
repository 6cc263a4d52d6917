"""The entity `timer_heartbeat`, one for each timer (key: the name of its function): when it ran last."""

import azure.durable_functions as df
import msgspec

from refresh.heartbeat import Heartbeat, latest

bp = df.Blueprint()


@bp.entity_trigger(context_name="context")
def timer_heartbeat(context: df.DurableEntityContext) -> None:
    """The operation `beat`; input and state are `Heartbeat`. What cannot be read changes nothing."""
    try:
        stored = msgspec.convert(context.get_state(lambda: None) or {}, Heartbeat)
        context.set_state(msgspec.to_builtins(latest(stored, msgspec.convert(context.get_input(), Heartbeat))))
    except (TypeError, ValueError):
        pass
    context.set_result(None)
