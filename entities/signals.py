"""Applies an operation of an entity that only gets signals."""

import logging
from collections.abc import Callable
from datetime import datetime

import azure.durable_functions as df

from refresh import clock
from refresh.events import Event
from refresh.models.stored import Handled
from refresh.text import cut


def handled(
    context: df.DurableEntityContext,
    handle: Callable[[object, str, object, datetime], Handled],
    log: logging.Logger,
) -> None:
    """Applies the operation, stores the state, and logs the event of the operation.

    State and result are set together at the end: the engine does not undo the effects of a failed operation.
    """
    try:
        value = context.get_input()
    except (TypeError, ValueError):
        value = None  # other senders may write anything
    done = handle(context.get_state(lambda: None), context.operation_name, value, clock.now())
    event = done.event
    if done.problem:
        ids = {"entity": context.entity_name, "key": context.entity_key}
        event = Event("model.not_understood", logging.WARNING, **ids, error=cut(done.problem, 300))
    if event:
        log.log(event.level, event.line())
    context.set_result(None)
    if done.state is None:
        context.destruct_on_exit()
    elif done.state != "keep":
        context.set_state(done.state)
