"""How orchestrators call activities and queues: typed orders go out, typed answers come in.

Never a `finally` or a bare `except` around a yield: they would run at the end of every episode.
"""

import logging
import warnings
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import azure.durable_functions as df

from durable import names
from durable.codec import NotUnderstoodError, decode, encode
from refresh.events import Event
from refresh.queue.answers import AnyAnswer, NotUnderstood
from refresh.queue.operations import Operation, name_of
from refresh.run import orders
from refresh.text import cut

A = TypeVar("A")
T = TypeVar("T")

Steps = Generator[Any, Any, T]
"""The steps of an orchestration: durable tasks go out, their results come in, T is returned."""

NOT_UNDERSTOOD_SECONDS, LONGEST_NOT_UNDERSTOOD_SECONDS = 30.0, 600.0
"""Pause before a value that this code, or that of a queue, cannot read is tried again: the app is being updated, or was
rolled back. It doubles up to the longest."""

ACTIVITIES: dict[type[orders.Order[Any]], tuple[str, Any]] = {
    orders.ReadHistory: (names.READ_HISTORY, orders.ReadHistoryAnswer),
    orders.PostRefresh: (names.POST_REFRESH, orders.PostResult | orders.Broke),
    orders.ReadRefresh: (names.READ_REFRESH, orders.ReadRefreshAnswer),
    orders.CancelRefresh: (names.CANCEL_REFRESH, orders.CancelAnswer),
    orders.StartRun: (names.START_RUN, orders.NotifyAnswer),
    orders.NotifyRequests: (names.NOTIFY_REQUESTS, orders.NotifyAnswer),
    orders.ReadRun: (names.READ_RUN, orders.ReadRunAnswer),
    orders.NotifyCallbacks: (names.NOTIFY_CALLBACKS, orders.NotifyAnswer),
    orders.CallBack: (names.CALL_BACK, orders.CallBackAnswer),
}
"""For each order the name of its activity and the type of the answer."""

log = logging.getLogger(__name__)

# A notification that comes together with the end of a history is handed to the next one, where no task waits for it any
# more. The SDK takes that for a fault and warns.
warnings.filterwarnings("ignore", "Potential duplicate Task completion", UserWarning)


def call(context: df.DurableOrchestrationContext, order: orders.Order[A]) -> Steps[A | orders.Broke]:
    """The answer of an activity. An activity that raises, or whose answer cannot be read, answers `Broke`."""
    name, kind = ACTIVITIES[type(order)]
    try:
        value = yield context.call_activity(name, encode(order))
        answer: A | orders.Broke = decode(value, kind)
    except Exception as error:
        text = cut(str(error), 300)
        facts = {"instanceId": context.instance_id, "activity": name, "error": text}
        note(context, Event("activity.failed", logging.ERROR, **facts))
        return orders.Broke(error=text)
    return answer


def ask(context: df.DurableOrchestrationContext, dataset_id: str, operation: Operation[A]) -> Steps[A]:
    """The answer of the dataset's queue to an operation.

    A queue whose code does not know the operation, or answers what this code does not know, is asked again after a
    pause.
    """
    queue, pause = df.EntityId(names.DATASET_QUEUE, dataset_id), NOT_UNDERSTOOD_SECONDS
    while True:
        value = yield context.call_entity(queue, name_of(operation), encode(operation))
        try:
            answer: Any = decode(value, AnyAnswer)
        except NotUnderstoodError:
            answer = NotUnderstood()
        if not isinstance(answer, NotUnderstood):
            return cast(A, answer)  # the operation says of what type
        facts = {"instanceId": context.instance_id, "datasetId": dataset_id, "operation": name_of(operation)}
        note(context, Event("queue.not_understood", logging.WARNING, **facts))
        yield from sleep(context, pause)
        pause = min(pause * 2, LONGEST_NOT_UNDERSTOOD_SECONDS)


def input_of(context: df.DurableOrchestrationContext, kind: type[T]) -> Steps[T | None]:
    """The input of the orchestration; None if this code cannot read it.

    Then newer code wrote it, and the orchestration continues as new with the same input, after a pause.
    """
    value = context.get_input()
    try:
        state: T = decode(value, kind)
    except NotUnderstoodError as error:
        facts = {"instanceId": context.instance_id, "error": cut(str(error), 300)}
        note(context, Event("input.not_understood", logging.ERROR, **facts))
        yield from sleep(context, LONGEST_NOT_UNDERSTOOD_SECONDS)
        context.continue_as_new(value)
        return None
    return state


def sleep(context: df.DurableOrchestrationContext, seconds: float) -> Steps[None]:
    """Lets time pass, with a durable timer. It may fire a second early or some seconds late: fired means due."""
    yield context.create_timer(now(context) + timedelta(seconds=seconds))


def now(context: df.DurableOrchestrationContext) -> datetime:
    """The orchestration's own time (UTC)."""
    time: datetime = context.current_utc_datetime
    return time


def note(context: df.DurableOrchestrationContext, event: Event | None) -> None:
    """Logs an event, unless this episode only replays the moment in which it was written."""
    if event and not context.is_replaying:
        log.log(event.level, event.line())
