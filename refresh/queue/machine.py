"""The queue of one dataset: who shares which run, whose turn it is, and what became of it.

A pure state machine, `apply(state, operation, arguments) -> (state, answer)`; the entity around it only loads and
stores. The durable engine applies an operation twice now and then, and late, so every operation carries an id of ours
and gives the same answer when it is repeated; who has ended is remembered for half an hour, so that a late duplicate
brings nobody back.

A queue is a queue of runs. The first one is active, each of the others waits for its turn. A request is a member of
one run. A run lives as one orchestration at a time: its generation grows with each repair, and in each generation the
first life to claim the run (by its token) keeps it.

Operations, each with `at` (the caller's clock, ISO 8601 UTC). Of requests (`refresh.queue.requests`): `enroll`, `leave`,
`restart`; of whoever starts one: `reserve`; of whoever cancels one: `ask_to_leave`. Of runs (`refresh.queue.runs`):
`claim`, `wait_behind`, `close`, `take_permit`, `reopen`, `record`, `drop`, `finish`. Of a timer: `tidy`, which does no
more than every operation does, and `sweep`.
"""

from collections.abc import Callable

from refresh.queue import requests as queue_requests
from refresh.queue import runs as queue_runs
from refresh.queue.state import Json, Queue

OPERATIONS: dict[str, Callable[[Queue, Json], Json]] = {
    "reserve": queue_requests.reserve,
    "enroll": queue_requests.enroll,
    "leave": queue_requests.leave,
    "ask_to_leave": queue_requests.ask_to_leave,
    "restart": queue_requests.restart,
    "claim": queue_runs.claim,
    "wait_behind": queue_runs.wait_behind,
    "close": queue_runs.close,
    "take_permit": queue_runs.take_permit,
    "reopen": queue_runs.reopen,
    "record": queue_runs.record,
    "drop": queue_runs.drop,
    "finish": queue_runs.finish,
    "tidy": lambda queue, args: {},
    "sweep": queue_runs.sweep,
}


def apply(state: Json | None, operation: str, arguments: Json) -> tuple[Json | None, Json]:
    """One operation on a queue: the new state (None for a quiet queue) and the answer. `state` is left as it was.

    Raises KeyError for an unknown operation or a missing argument.
    """
    queue = Queue.from_json(state)
    queue.at = max(queue.at, arguments["at"])
    answer = OPERATIONS[operation](queue, arguments)
    queue.forget()
    return (None if queue.quiet else queue.to_json()), answer
