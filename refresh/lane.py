"""The lane of one dataset: who shares which run, whose turn it is, and what became of it.

A pure state machine, `apply(state, operation, arguments) -> (state, answer)`; the entity around it only loads and
stores. The durable engine applies an operation twice now and then, and late, so every operation carries an id of ours
and gives the same answer when it is repeated; who has ended is remembered for half an hour, so that a late duplicate
brings nobody back.

A lane is a queue of runs. The first one is active, each of the others waits for its turn. A request is a member of
one run. A run lives as one orchestration at a time: its generation grows with each repair, and in each generation the
first life to claim the run (by its token) keeps it.

Operations, each with `at` (the caller's clock, ISO 8601 UTC). Of requests (`refresh.lane_requests`): `enroll`, `leave`,
`restart`; of whoever starts one: `reserve`; of whoever cancels one: `ask_to_leave`. Of runs (`refresh.lane_runs`):
`claim`, `wait_behind`, `seal`, `take_ticket`, `reopen`, `record`, `drop`, `finish`. Of a timer: `tidy`, which does no
more than every operation does, and `sweep`.
"""

from collections.abc import Callable

from refresh import lane_requests, lane_runs
from refresh.lane_state import Json, Lane

OPERATIONS: dict[str, Callable[[Lane, Json], Json]] = {
    "reserve": lane_requests.reserve,
    "enroll": lane_requests.enroll,
    "leave": lane_requests.leave,
    "ask_to_leave": lane_requests.ask_to_leave,
    "restart": lane_requests.restart,
    "claim": lane_runs.claim,
    "wait_behind": lane_runs.wait_behind,
    "seal": lane_runs.seal,
    "take_ticket": lane_runs.take_ticket,
    "reopen": lane_runs.reopen,
    "record": lane_runs.record,
    "drop": lane_runs.drop,
    "finish": lane_runs.finish,
    "tidy": lambda lane, args: {},
    "sweep": lane_runs.sweep,
}


def apply(state: Json | None, operation: str, arguments: Json) -> tuple[Json | None, Json]:
    """One operation on a lane: the new state (None for a quiet lane) and the answer. `state` is left as it was.

    Raises KeyError for an unknown operation or a missing argument.
    """
    lane = Lane.from_json(state)
    lane.at = max(lane.at, arguments["at"])
    answer = OPERATIONS[operation](lane, arguments)
    lane.forget()
    return (None if lane.quiet else lane.to_json()), answer
