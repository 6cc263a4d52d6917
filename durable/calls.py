"""Calls of orchestrators to activities and entities, with typed orders, operations and answers.

Never put `finally` or a bare `except` around a yield: it would run at the end of every episode.
"""

import logging
import warnings
from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, TypeVar

import azure.durable_functions as df

from durable import names
from durable.codec import NotUnderstoodError, decode, encode
from durable.models import ModelNews, addressed
from refresh.batch import orders as batch
from refresh.capacity.answers import AnyGroupAnswer
from refresh.capacity.operations import GroupOperation
from refresh.events import Event
from refresh.ids import dataset_of
from refresh.messages import tag_of
from refresh.queue.answers import AnyAnswer, NotUnderstood
from refresh.queue.operations import Operation
from refresh.run import orders
from refresh.text import cut
from refresh.times import TIMER_EARLY

A = TypeVar("A")
T = TypeVar("T")

Steps = Generator[Any, Any, T]
"""The steps of an orchestration: it yields durable tasks, receives their results, and returns T."""

NOT_UNDERSTOOD_SECONDS, LONGEST_NOT_UNDERSTOOD_SECONDS = 30.0, 600.0
"""The pause before the next try if this code, or the code of an entity, cannot read a value, because the app is being
updated or was rolled back. The pause doubles up to the longest."""

DEADLINE_EARLY = TIMER_EARLY + timedelta(seconds=0.5)
"""If a timer fires earlier than this before a deadline, it was set for something else. The engine fires timers up to a
second early; half a second is margin."""

ACTIVITIES: dict[type[orders.Order[Any]], tuple[str, Any]] = {
    orders.ReadHistory: (names.READ_HISTORY, orders.ReadHistoryAnswer),
    orders.PostRefresh: (names.POST_REFRESH, orders.PostResult | orders.ActivityFailure),
    orders.ReadRefresh: (names.READ_REFRESH, orders.ReadRefreshAnswer),
    orders.CancelRefresh: (names.CANCEL_REFRESH, orders.CancelAnswer),
    orders.StartRun: (names.START_RUN, orders.NotifyAnswer),
    orders.NotifyRequests: (names.NOTIFY_REQUESTS, orders.NotifyAnswer),
    orders.ReadRun: (names.READ_RUN, orders.ReadRunAnswer),
    orders.NotifyCallbacks: (names.NOTIFY_CALLBACKS, orders.NotifyAnswer),
    orders.CallBack: (names.CALL_BACK, orders.CallBackAnswer),
    orders.NotifyBatch: (names.NOTIFY_BATCH, orders.NotifyAnswer),
    batch.ReadRequests: (names.READ_REQUESTS, batch.ReadRequestsAnswer),
    batch.StartRequests: (names.START_REQUESTS, orders.NotifyAnswer),
    batch.Settle: (names.SETTLE_REQUESTS, batch.SettleAnswer),
    batch.ReadNotes: (names.READ_NOTES, batch.ReadNotesAnswer),
    batch.KeepEnd: (names.KEEP_END, orders.NotifyAnswer),
    batch.ListModels: (names.LIST_MODELS, batch.ListModelsAnswer),
}
"""For each order, the name of its activity and the type of its answer."""

log = logging.getLogger(__name__)

# A notification that arrives together with the end of a history is passed to the next history, where no task waits for
# it. The SDK considers that a fault and warns.
warnings.filterwarnings("ignore", "Potential duplicate Task completion", UserWarning)


def call(context: df.DurableOrchestrationContext, order: orders.Order[A]) -> Steps[A | orders.ActivityFailure]:
    """The answer of an activity. If it raises, or its answer cannot be read, the answer is `ActivityFailure`."""
    name, kind = ACTIVITIES[type(order)]
    try:
        value = yield context.call_activity(name, encode(order))
        answer: A | orders.ActivityFailure = decode(value, kind)
    except Exception as error:
        text = cut(str(error), 300)
        facts = {**_about(context), "activity": name, "error": text}
        log_once(context, Event("activity.failed", logging.ERROR, **facts))
        return orders.ActivityFailure(error=text)
    return answer


def ask(context: df.DurableOrchestrationContext, dataset_id: str, operation: Operation[A]) -> Steps[A]:
    """The answer of the dataset's queue to an operation.

    A queue that does not know the operation, or gives an answer that this code does not know, is asked again after a
    pause.
    """
    name = tag_of(operation)
    facts = {"instanceId": context.instance_id, "datasetId": dataset_id, "operation": name}
    event = Event("queue.not_understood", logging.WARNING, **facts)
    queue = df.EntityId(names.DATASET_QUEUE, dataset_id)
    answer: A = yield from _answered(context, queue, name, encode(operation), AnyAnswer, event)
    return answer


def ask_group(context: df.DurableOrchestrationContext, group: str, operation: GroupOperation[A]) -> Steps[A]:
    """The answer of a capacity group to an operation; otherwise as `ask`."""
    name = tag_of(operation)
    facts = {"instanceId": context.instance_id, "group": group, "operation": name}
    event = Event("capacity.not_understood", logging.WARNING, **facts)
    entity = df.EntityId(names.CAPACITY_GROUP, group)
    answer: A = yield from _answered(context, entity, name, encode(operation), AnyGroupAnswer, event)
    return answer


def _answered(
    context: df.DurableOrchestrationContext, entity: df.EntityId, name: str, value: object, kind: Any, event: Event
) -> Steps[Any]:
    """The answer of an entity. The operation is repeated until this code can read the answer."""
    pause = NOT_UNDERSTOOD_SECONDS
    while True:
        answer = yield context.call_entity(entity, name, value)
        try:
            understood: Any = decode(answer, kind)
        except NotUnderstoodError:
            understood = NotUnderstood()
        if not isinstance(understood, NotUnderstood):
            return understood
        log_once(context, event)
        yield from sleep(context, pause)
        pause = min(pause * 2, LONGEST_NOT_UNDERSTOOD_SECONDS)


def tell(context: df.DurableOrchestrationContext, dataset_id: str, operation: Operation[Any]) -> None:
    """Signals an operation to the dataset's queue. A signal takes half the messages of `ask`, but has no answer."""
    context.signal_entity(df.EntityId(names.DATASET_QUEUE, dataset_id), tag_of(operation), encode(operation))


def tell_model(context: df.DurableOrchestrationContext, news: ModelNews | None) -> None:
    """Signals the state of a model to its entities. The engine sends all messages of an episode, or none."""
    if news:
        for entity, operation in addressed(news):
            context.signal_entity(entity, tag_of(operation), encode(operation))


def input_of(context: df.DurableOrchestrationContext, kind: type[T]) -> Steps[T | None]:
    """The input of the orchestration; None if this code cannot read it.

    In that case newer code wrote it, and the orchestration continues as new with the same input after a pause.
    """
    value = context.get_input()
    try:
        state: T = decode(value, kind)
    except NotUnderstoodError as error:
        facts = {**_about(context), "error": cut(str(error), 300)}
        log_once(context, Event("input.not_understood", logging.ERROR, **facts))
        yield from sleep(context, LONGEST_NOT_UNDERSTOOD_SECONDS)
        context.continue_as_new(value)
        return None
    return state


def _about(context: df.DurableOrchestrationContext) -> dict[str, object]:
    """The facts of an orchestration for a log line, with the model, so that a search by its id finds the line."""
    return {"instanceId": context.instance_id, "datasetId": dataset_of(context.instance_id)}


def sleep(context: df.DurableOrchestrationContext, seconds: float) -> Steps[None]:
    """Waits with a durable timer. It may fire a second early or some seconds late; a fired timer counts as due."""
    yield context.create_timer(now(context) + timedelta(seconds=seconds))


def wait_for(context: df.DurableOrchestrationContext, event: str, seconds: float) -> Steps[None]:
    """Waits for an event for at most `seconds`. No other wait may use the name of the event."""
    yield from wait_until(context, event, now(context) + timedelta(seconds=seconds))


def wait_until(context: df.DurableOrchestrationContext, event: str, until: datetime) -> Steps[bool]:
    """Waits for an event until a time; returns whether it came. No other wait may use the name of the event."""
    timer, awaited = context.create_timer(until), context.wait_for_external_event(event)
    first = yield context.task_any([awaited, timer])
    if not timer.is_completed:
        timer.cancel()
    return bool(first == awaited)


def now(context: df.DurableOrchestrationContext) -> datetime:
    """The orchestration's own time (UTC)."""
    time: datetime = context.current_utc_datetime
    return time


def log_once(context: df.DurableOrchestrationContext, event: Event | None) -> None:
    """Logs an event, unless the orchestration is replaying, because then an earlier episode has logged it."""
    if event and not context.is_replaying:
        log.log(event.level, event.line())
