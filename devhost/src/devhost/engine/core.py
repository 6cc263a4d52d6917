"""The durable engine: it decides which work is ready, how it is run, and what follows from its result.

It has no clock, thread or socket. The driver passes the time, runs the functions and chooses what runs next:

    for item in engine.ready(now):          # choose one, or all
        call = engine.begin(item, now)      # what to run; None: nothing to run in the app
        engine.complete(item, outcome, now) # or engine.abandon(item): as if the process had died
    engine.commit()                         # one transaction; only now does new work become ready

Only committed work is ever ready, so every effect outside the engine follows from stored state.

Simulations and chaos tests imitate the faults of the real engine with arguments and methods: the timer policy,
`latency`, `blob_reads`, `begin(limit=)`, `complete(keep=False)`, `abandon(hidden_until=)`, `hide`, `duplicate` and
`crash`."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from devhost.engine import events as ev
from devhost.engine import times
from devhost.engine.agenda import Flight
from devhost.engine.answers import activity_failure
from devhost.engine.entities import begin_batch, complete_batch
from devhost.engine.episodes import begin_episode, complete_episode
from devhost.engine.model import Call, Entity, Instance, Item, Message, Outcome, Raised
from devhost.engine.state import State


class Engine(State):
    """State and rules of all instances and entities of one task hub. See State for its arguments."""

    # ---- driving ------------------------------------------------------------------------------------------------

    def ready(self, now: datetime) -> list[Item]:
        """The items that can begin at `now`, oldest first. Delivers the messages that are due."""
        self.deliver_due(now)
        if self.agenda.staged and not self.changes:
            self.agenda.release()
        return list(self.agenda.ready)

    def next_due(self) -> datetime | None:
        """When the next timer, delayed message or hidden item is due; None if nothing is."""
        return self.agenda.next_due()

    @property
    def idle(self) -> bool:
        """Whether nothing is ready, in flight or due later."""
        return self.agenda.idle

    def in_flight(self) -> list[Item]:
        return list(self.agenda.flying)

    def begin(self, item: Item, now: datetime, *, limit: int | None = None) -> Call | None:
        """Takes `item` and returns what to run; None if there is nothing to run (a termination, or only stale
        messages): then the item is done.

        `limit` is the maximum number of waiting messages that are taken, because the real queues can split them
        anywhere. It does not apply to the first episode, which needs the start message.
        """
        if item.kind == "episode":
            instance = self.instances[item.key]
            whole = limit is None or instance.status == "Pending"
            waiting = 0 if instance.fresh else len(instance.inbox) if whole else limit
            flight = Flight(instance, list(islice(instance.inbox, waiting)))
            for _ in flight.messages:
                instance.inbox.popleft()
            self.agenda.take(item, flight)
            call = begin_episode(self, instance, flight, now)
        elif item.kind == "entity":
            entity = self.entities[item.key]
            most = self.batch_size if limit is None else min(limit, self.batch_size)
            flight = Flight(entity, [entity.inbox.popleft() for _ in range(min(len(entity.inbox), most))])
            self.agenda.take(item, flight)
            call = begin_batch(entity, flight.messages)
        else:
            message = self.activities[item.key]
            self.agenda.take(item, Flight(None, [message]))
            call = Call("activity", message.body["name"], message.body["input"], message.target)
        if call is None:
            self._settle(item)
        return call

    def complete(self, item: Item, outcome: Outcome, now: datetime, *, keep: bool = True) -> None:
        """Applies the outcome of `item`. Takes effect with the next commit().

        `keep=False` is a fault: the messages are sent, but history, state and the consumption of messages are not
        stored, as when the real host dies between the two steps. The item becomes ready again and sends a second time.
        """
        flight = self.agenda.flying[item]
        if item.kind == "activity":
            self._complete_activity(flight.messages[0], outcome, now)
            if keep:
                self.activities.pop(item.key, None)
        elif not self._alive(item, flight):
            keep = True  # purged while in flight: nothing is left to apply the outcome to
        elif isinstance(flight.subject, Entity):
            if not complete_batch(self, flight.subject, flight.messages, outcome, now, keep=keep):
                self.abandon(item, hidden_until=self.poison_until(item, now))
                return
        elif flight.subject is not None:
            complete_episode(self, flight.subject, flight, outcome, now, keep=keep)
        if keep:
            self._settle(item)
        else:
            self.abandon(item)

    def abandon(self, item: Item, hidden_until: datetime | None = None) -> None:
        """Puts an item back as if its worker had died. If `hidden_until` is given, the item is ready again at that
        time."""
        flight = self.agenda.flying[item]
        if not self._alive(item, flight):
            self._settle(item)
            return
        del self.agenda.flying[item]
        if flight.subject is not None:
            flight.subject.inbox.extendleft(reversed(flight.messages))
        if hidden_until is not None:
            self.agenda.hide(item, hidden_until, next(self._numbers))
        elif isinstance(flight.subject, Instance):
            self.stage(flight.subject)
        else:
            self.agenda.stage(item)

    def hide(self, item: Item, until: datetime) -> None:
        """Hides a ready item until a time, like a message that another host had locked when it died."""
        self.agenda.hide(item, until, next(self._numbers))

    def duplicate(self, item: Item) -> Item:
        """Makes a second copy of an activity that is ready or in flight, as when its message was sent twice.

        The copy becomes ready with the next commit. Both can be in flight at once, and both answer. Raises KeyError for
        an activity that has ended, and for other items: use complete(keep=False) for those.
        """
        message = self.activities[item.key]
        self.send("activity", message.target, message.body, message.execution_id)
        return Item("activity", next(reversed(self.activities)))

    def crash(self, hidden_until: datetime | None = None) -> list[Item]:
        """Abandons all items in flight, as when the host dies. Returns them."""
        lost = self.in_flight()
        for item in lost:
            self.abandon(item, hidden_until)
        return lost

    def poison_until(self, item: Item, now: datetime) -> datetime:
        """The time at which to repeat a batch whose entity function crashed. The real host repeats it endlessly,
        without a pause."""
        return now + times.POISON_DELAY

    # ---- inside -------------------------------------------------------------------------------------------------

    def _alive(self, item: Item, flight: Flight) -> bool:
        """Whether the instance or entity of an item still exists and was not replaced by a new one."""
        subject = flight.subject
        if isinstance(subject, Instance):
            return self.instances.get(item.key) is subject
        return subject is None or self.entities.get(item.key) is subject

    def _settle(self, item: Item) -> None:
        """Ends an item: consumes its messages, and stages the item again if more messages have arrived."""
        flight = self.agenda.flying.pop(item)
        self.consume(flight.messages)
        if item.kind == "episode":
            instance = self.instances.get(item.key)
            if instance is not None and (instance.fresh or (instance.inbox and not instance.terminal)):
                self.stage(instance)
            elif instance is not None and instance.inbox:
                self.consume(instance.inbox)
                instance.inbox.clear()
        elif item.kind == "entity":
            entity = self.entities.get(item.key)
            if entity is not None and entity.inbox:
                self.agenda.stage(item)

    def _complete_activity(self, message: Message, outcome: Outcome, now: datetime) -> None:
        task_id = message.body["task"]
        if isinstance(outcome, Raised):
            event = ev.task_failed(now, task_id, *activity_failure(message.body["name"], outcome))
        else:
            event = ev.task_completed(now, task_id, None if outcome.value == "null" else outcome.value)
        self.send("event", message.target, event, message.execution_id, sent=now)
