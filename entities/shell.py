"""Applies a pure state machine as an entity: state and input are JSON values, and so are new state and answer."""

import logging
from collections.abc import Callable
from datetime import datetime

import azure.durable_functions as df

from refresh import clock
from refresh.events import Event
from refresh.packed import Handled
from refresh.text import cut

log = logging.getLogger(__name__)

Handle = Callable[[object, str, object, datetime], Handled]
"""Applies an operation, by its name and with its input, to a stored state at a time of the host's clock."""


def apply(context: df.DurableEntityContext, handle: Handle, not_understood: Event) -> None:
    """Applies the current operation and logs its event.

    `not_understood`: the event if this code cannot read the operation or the state. State and result are set together
    at the end: the engine does not undo the effects of a failed operation.
    """
    handled = handle(context.get_state(lambda: None), context.operation_name, _input(context), clock.now())
    event = not_understood.about(error=cut(handled.problem, 300)) if handled.problem else handled.event
    if event:
        log.log(event.level, event.line())
    context.set_result(handled.answer)
    if handled.state is None:
        context.destruct_on_exit()
    elif handled.state != "keep":
        context.set_state(handled.state)


def _input(context: df.DurableEntityContext) -> object:
    """The input; None if it is not a JSON string that contains JSON, as the SDK sends it. Other senders may write
    anything."""
    try:
        return context.get_input()
    except (TypeError, ValueError):
        return None
