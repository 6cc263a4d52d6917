"""GET /api/capacity: the runs that hold the places of each capacity group, and the waiting runs."""

import asyncio
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from durable.engine import Engine
from power_bi.service import known_names
from refresh import clock
from refresh.capacity.limits import CapacityGroup
from refresh.capacity.state import Group, Place, Waiter
from refresh.settings import current_settings
from refresh.times import instant
from triggers.answers import answer
from triggers.looks import group_of
from triggers.routing import http_function

MAX_SHOWN = 100
"""The maximum number of waiting runs of a group in the answer."""

Json = dict[str, Any]

bp = df.Blueprint()


@http_function(bp, route="capacity", methods=["GET"], reads=True)
async def http_capacity(req: func.HttpRequest, engine: Engine) -> func.HttpResponse:
    """`groups`, in the order of CAPACITY_LIMITS; empty without that setting."""
    groups = current_settings().capacity_limits
    states = await asyncio.gather(*(group_of(engine, group.name) for group in groups))
    now = instant(clock.now())
    return answer({"groups": [_group(group, state, now) for group, state in zip(groups, states, strict=True)]}, 200)


def _group(group: CapacityGroup, state: Group, now: str) -> Json:
    waiting = state.in_order()
    closed = state.closed_until > now
    external = {dataset: seen for dataset, seen in state.counted_external.items() if seen.until > now}
    return {
        "name": group.name,
        "refreshes": group.refreshes,
        "workspaces": sorted(map(str, group.workspaces)) or None,
        "closedUntil": state.closed_until if closed else None,
        "holders": [{**_run(run, place), "since": place.at} for run, place in state.places.items()],
        "external": [
            {"datasetId": dataset, "modelName": seen.model_name, "until": seen.until}
            for dataset, seen in external.items()
        ],
        "waiting": [
            {
                "position": position,
                **_run(run, state.waiting[run]),
                "since": state.waiting[run].since,
                "priority": state.waiting[run].priority,
            }
            for position, run in enumerate(waiting[:MAX_SHOWN])
        ],
        "moreWaiting": max(0, len(waiting) - MAX_SHOWN),
    }


def _run(run: str, entry: Place | Waiter) -> Json:
    names = known_names(entry.workspace_id, entry.dataset_id)
    return {
        "runId": run,
        "incarnation": entry.incarnation,
        "workspaceId": entry.workspace_id,
        "datasetId": entry.dataset_id,
        "modelName": entry.model_name or names.model,
    }
