"""The example of GET /api/capacity."""

from triggers.openapi.schema import Json

SINCE, WAITING_SINCE = "2026-03-31T06:00:05.000Z", "2026-03-31T06:00:30.000Z"


def capacity(holder: Json, waiting: Json) -> Json:
    """One group with one place. `holder` has the place; `waiting`: how the run that waits differs from `holder`."""
    run = {"incarnation": 1, **holder}
    return {
        "groups": [
            {
                "name": "P1",
                "refreshes": 1,
                "workspaces": [holder["workspaceId"]],
                "closedUntil": None,
                "holders": [{**run, "since": SINCE}],
                "external": [],
                "waiting": [{"position": 0, **run, **waiting, "since": WAITING_SINCE, "priority": "high"}],
                "moreWaiting": 0,
            }
        ]
    }
