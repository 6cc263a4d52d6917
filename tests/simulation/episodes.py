"""Runs the episodes of orchestrators. An episode continues where the last one stopped, instead of replaying the
history.

Replays would take most of the time of a simulated day, and show nothing new as long as the app is deterministic. So the
generator of an instance is kept and gets the new events. After an episode that was lost or sent twice, the instance
starts again from its history.

Some episodes of each day check whether the app is deterministic: they are also replayed from the beginning, and both
ways must give the same answer.
"""

import importlib
import logging
import random
from dataclasses import dataclass
from typing import Any

from devhost.engine import Call, Outcome, Raised, Returned
from devhost.engine.agenda import Flight
from devhost.engine.events import Event
from devhost.engine.model import Instance
from tests.simulation.platform import orchestrator

REPLAYED = 0.0625
"""Of the episodes that can continue a session, the fraction that is also replayed from the beginning."""

_models: Any = importlib.import_module("azure.durable_functions.models")
_executors: Any = importlib.import_module("azure.durable_functions.models.TaskOrchestrationExecutor")
_history: Any = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")


class NotDeterministicError(AssertionError):
    """18. An orchestrator gives the same answer when its history is replayed."""


@dataclass
class Session:
    """An execution that can continue, with the number of events that it got and the last of these events."""

    execution_id: str
    executor: Any
    event_count: int
    last: Event

    def follows(self, instance: Instance, history: list[Event]) -> bool:
        """Whether the history begins with the events of the session, so that nothing was lost or changed."""
        if instance.fresh or instance.execution_id != self.execution_id or len(history) < self.event_count:
            return False
        return history[self.event_count - 1] is self.last


class Episodes:
    """The sessions of all active instances of one world."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"replay {seed}")  # noqa: S311
        self._sessions: dict[str, Session] = {}

    def run(self, call: Call, instance: Instance, flight: Flight) -> Outcome:
        """The answer of an episode. Raises NotDeterministicError."""
        history = [*(instance.history or ()), *flight.arrived]
        session = self._sessions.pop(instance.id, None)
        if session is None or not session.follows(instance, instance.history or []):
            return self._begin(call, instance, history)
        if self._chance.random() >= REPLAYED:
            return self._go_on(session, instance, history)
        replayed = self._begin(call, instance, history)
        log = logging.getLogger("durable.calls")
        log.disabled = True  # the replay has already logged the events
        try:
            continued = self._go_on(session, instance, history)
        finally:
            log.disabled = False
        if continued != replayed:
            raise NotDeterministicError(f"18: {instance.id} answers {continued}, but {replayed} when it is replayed")
        return replayed

    def _begin(self, call: Call, instance: Instance, history: list[Event]) -> Outcome:
        function, input_type = orchestrator(call.function)
        context = _models.DurableOrchestrationContext.from_json(call.value)
        context._input_expected_type = input_type
        session = Session(instance.execution_id, _executors.TaskOrchestrationExecutor(), 0, {})
        execute = session.executor.execute
        return self._answered(session, instance, history, lambda: execute(context, context.histories, function))

    def _go_on(self, session: Session, instance: Instance, history: list[Event]) -> Outcome:
        executor = session.executor

        def feed() -> Any:
            executor._is_processing_new_events = True
            for event in history[session.event_count :]:
                executor.process_event(_history.HistoryEvent(**event))
                if executor.has_execution_completed:
                    break
            return executor.get_orchestrator_state_str()

        return self._answered(session, instance, history, feed)

    def _answered(self, session: Session, instance: Instance, history: list[Event], run: Any) -> Outcome:
        try:
            outcome: Outcome = Returned(run())
        except Exception as problem:
            return Raised(f"{type(problem).__name__}: {problem}", str(problem))
        if not session.executor.has_execution_completed:
            session.event_count, session.last = len(history), history[-1]
            self._sessions[instance.id] = session
        return outcome
