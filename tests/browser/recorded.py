"""Answers of the JSON routes about invented models: in every state, with hostile names, and in large numbers.

All times are relative to the moment at which an answer is built. Nothing is random.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]

WORKSPACES = {name: str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("Finance", "Supply chain", "People")}
HOSTILE = (
    "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>",
    "\u202egnp.selaS\u202c \u2066and\u2069 \u200fעברית Sales",
    "N" * 200,
    "Umsätze & «Größe» \u0000\u0007 💶 {{7*7}} ${7*7}",
)
"""Hostile names: markup, marks that change the direction of text, a name that cannot be broken into lines, control
characters."""

MINUTE, HOUR = 60, 3600
OF_THE_RUN = ("waitsFor", "waitsSince", "waitsForPlace", "expectedEnd", "progress", "lastReadError", "nextLookAt")
"""The keys that only the active run has."""


def ago(seconds: float) -> str:
    """The time this many seconds ago, in the form of the API."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def _age(text: str) -> float:
    """The seconds since a time."""
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


def model_id(name: str) -> str:
    """The id of the model of this name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def days(pattern: str) -> list[Json]:
    """Fourteen days, the newest first. In `pattern`: `.` no run, `+` completed, `-` failed, `*` both."""
    found = []
    for back, sign in enumerate(pattern):
        if sign != ".":
            numbers = {"+": (4, 0), "-": (0, 2), "*": (3, 1)}[sign]
            date = (datetime.now(UTC) - timedelta(days=back)).date().isoformat()
            found.append({"date": date, "completed": numbers[0], "failed": numbers[1]})
    return found


def run(number: int, ended: float, took: float, *, waited: float = 20, status: str = "Completed", **more: Any) -> Json:
    """A run that ended this many seconds ago."""
    return {
        "runId": f"run-{number}",
        "refreshId": str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))),
        "status": status,
        "waitingSince": ago(ended + took + waited),
        "startedAt": ago(ended + took),
        "endedAt": ago(ended),
        "durationSeconds": took,
        "waitedSeconds": waited,
        "requests": 1 + number % 3,
        "servedBy": "own",
        **more,
    }


PLACE = {"group": "Finance capacity", "since": "2026-11-25T20:00:00.000Z", "position": 2, "behind": []}
CREDENTIALS = {
    "code": "CredentialsInvalid",
    "message": "The credentials of the data source 'warehouse.example.com' are missing or wrong.",
    "action": "Enter them again in the settings of the semantic model, then ask for a refresh.",
}


def model(name: str, workspace: str = "Finance", **more: Any) -> Json:
    """A model in the list. By default it is fresh and idle, and has four refreshes on each day."""
    return {
        "datasetId": model_id(name),
        "workspaceId": WORKSPACES[workspace],
        "modelName": name,
        "workspaceName": workspace,
        "health": "ok",
        "activity": "idle",
        "lastSuccess": {"startedAt": ago(2 * HOUR + 840), "endedAt": ago(2 * HOUR)},
        "lastSuccessAgeSeconds": 2 * HOUR,
        "lastOutcome": {"status": "Completed", "at": ago(2 * HOUR)},
        "failuresInARow": 0,
        "durations": {"usualSeconds": 840, "p95Seconds": 1020, "count": 38},
        "days": days("++++++.+++++++"),
        **more,
    }


def fleet() -> list[Json]:
    """Models in every state; those that need attention come first."""
    failed = {"status": "Failed", "at": ago(50 * MINUTE), **CREDENTIALS}
    late = {"startedAt": ago(31 * HOUR), "endedAt": ago(30 * HOUR)}
    return [
        model(
            "Stock and deliveries",
            "Supply chain",
            health="overdue",
            failuresInARow=3,
            lastSuccess=late,
            lastSuccessAgeSeconds=30 * HOUR,
            lastOutcome=failed,
            expectedEveryHours=24,
            overdueSince=ago(6 * HOUR),
            days=days("-*++++.+++++++"),
            durations={"usualSeconds": 2520, "p95Seconds": 3300, "count": 41},
        ),
        model(
            "Headcount",
            "People",
            health="failing",
            failuresInARow=1,
            lastOutcome={**failed, "code": "TableNotFound", "message": "The table 'Leavers' does not exist."},
            lastSuccess=late,
            lastSuccessAgeSeconds=30 * HOUR,
            days=days("-++.+++++..+++"),
            durations={"usualSeconds": 95, "p95Seconds": 130, "count": 22},
        ),
        model(
            "Sales",
            activity="refreshing",
            active={
                "runId": "live-1",
                "since": ago(9 * MINUTE),
                "status": "Refreshing",
                "requests": 3,
                "refreshId": "r",
            },
            days=days("++*+++.+++++++"),
        ),
        model(
            "Orders of the day",
            "Supply chain",
            activity="waiting",
            active={"runId": "live-2", "since": ago(4 * MINUTE), "status": "WaitingForIdle", "requests": 2},
            days=days("+++++++++++++*"),
        ),
        model("Margin by customer", days=days("++++.....+++++")),
        model(
            "Open invoices",
            activity="waiting",
            active={"runId": "live-3", "since": ago(90), "status": "WaitingForCapacity", "requests": 1},
            days=days("++++++.++++++"),
        ),
        model(
            "Budget 2027",
            "Finance",
            days=days("+..+..+..+..+."),
            durations={"usualSeconds": 15300, "p95Seconds": 16800, "count": 9},
        ),
        model("Applicants", "People", days=days("+++++..+++++..")),
        model(
            "Carbon report",
            "Supply chain",
            health="unknown",
            lastSuccess=None,
            lastOutcome=None,
            durations=None,
            days=[],
            activity="waiting",
            active={"runId": "run-9", "since": ago(20), "status": "Starting", "requests": 1},
        ),
        *(model(name, "People") for name in HOSTILE),
    ]


def many(number: int) -> list[Json]:
    """A list of this many models."""
    patterns = ("++++++.+++++++", "+*++++.+++++++", "+-++++.++.++++", "++.++..++.++++")
    return [
        model(f"Model {at:03}", list(WORKSPACES)[at % 3], days=days(patterns[at % 4]), lastSuccessAgeSeconds=at * 600)
        for at in range(number)
    ]


def clean(value: Json) -> Json:
    """An answer without the keys that have no value."""
    return {key: entry for key, entry in value.items() if entry is not None}


def details(row: Json) -> Json:
    """GET /api/models/{datasetId}."""
    summaries = {
        "overdue": "A refresh was due 6 h ago: the last three failed because of the credentials of the data source.",
        "failing": "The last refresh failed (50 min ago): the table 'Leavers' does not exist.",
        "ok": "Its data are of 2 h ago, and nothing waits.",
        "unknown": "The first request waits for its refresh.",
    }
    busy = {
        "refreshing": "Refreshing for 8 min (usually 14 min); fresh: the last success was 2 h ago.",
        "waiting": "Waits behind a scheduled refresh that began 12 min ago and usually takes 14 min.",
    }
    failed = row["health"] in ("overdue", "failing")
    took = [840, 815, 868, 822, 1530, 850, 835, 844, 861, 829, 838, 847]
    runs = [run(number, ended=(2 + number * 2.1) * HOUR, took=seconds) for number, seconds in enumerate(took)]
    runs[3] |= {"requests": 5, "waitedSeconds": 900, "waitingSince": ago(8.3 * HOUR + 1722)}
    runs[6] |= {"status": "Failed", "durationSeconds": 120, **CREDENTIALS}
    if failed:
        runs = [run(90 + at, (0.9 + at) * HOUR, 45, status="Failed") | CREDENTIALS for at in range(3)] + runs
    if row["lastSuccess"] is None:
        runs = []
    return {
        **row,
        "asOf": ago(0),
        "summary": busy.get(row["activity"], summaries[row["health"]]),
        "runs": [{key: value for key, value in one.items() if key != "action"} for one in runs],
        "requests": [request_of_model(one, at) for at, one in enumerate(runs)],
    }


def request_of_model(one: Json, at: int) -> Json:
    """A request that a run served."""
    callers = ("Load orders", "Load prices", "Nightly", HOSTILE[0])
    return {
        "id": f"request-{one['runId']}",
        "status": one["status"],
        **({"code": one["code"]} if "code" in one else {}),
        "caller": {"pipeline": callers[at % 4], "factory": "adf-finance-prod"},
        "requestedAt": one["waitingSince"],
        "endedAt": one["endedAt"],
        "waitedSeconds": one["waitedSeconds"],
        "runId": one["runId"],
        "servedBy": "merged" if one["requests"] > 4 else one["servedBy"],
        "shared": one["requests"] > 1,
    }


def queue(row: Json) -> Json:
    """GET /api/queues/{datasetId}."""
    ids = {key: row.get(key) for key in ("datasetId", "modelName", "workspaceName")}
    if "active" not in row:
        return {**ids, "waiting": 0, "active": None, "queue": []}
    active = row["active"]
    callers = ("Load orders", "Load prices", HOSTILE[1])
    requests = [
        {
            "id": f"live-{at}",
            "since": ago(9 * MINUTE - at * 30),
            "caller": {"pipeline": callers[at], "factory": "adf-finance-prod", "run": "8d1f"},
        }
        for at in range(active["requests"])
    ]
    refreshing = active["status"] == "Refreshing"
    blocker = {"refreshId": "x", "refreshType": "Scheduled", "startedAt": ago(12 * MINUTE)}
    progress = {
        "objects": 24,
        "byStatus": {"NotStarted": 8, "InProgress": 3, "Completed": 13},
        "tables": [
            {"table": "Sales", "status": "InProgress", "completed": 9, "objects": 12},
            {"table": HOSTILE[2][:40], "status": "Failed", "completed": 1, "objects": 4},
        ],
        "moreTables": 2,
    }
    row_of_run = {
        "runId": active["runId"],
        "incarnation": 1,
        "status": active["status"],
        "enhanced": True,
        "refreshId": "r" if refreshing else None,
        "adopted": False,
        "startedAt": ago(8 * MINUTE) if refreshing else None,
        "requests": requests,
        "moreRequests": 0,
        "waitsFor": blocker if active["status"] == "WaitingForIdle" else None,
        "waitsSince": None if refreshing else ago(4 * MINUTE),
        "waitsForPlace": PLACE if active["status"] == "WaitingForCapacity" else None,
        "expectedEnd": ago(-6 * MINUTE) if refreshing else None,
        "progress": progress if refreshing else None,
        "lastReadError": None,
        "nextLookAt": ago(-20),
    }
    behind = {
        **{key: value for key, value in row_of_run.items() if key not in OF_THE_RUN},
        "runId": "behind",
        "status": "Queued",
        "requests": [{"id": "live-behind", "since": ago(30), "caller": None}],
    }
    return {**ids, "waiting": len(requests) + 1, "active": row_of_run, "queue": [behind]}


def finding(*, busy: bool = False) -> Json:
    """The answer of POST /api/check without problems. `busy`: a refresh is running."""
    row = model("Sales")
    ids = {key: row[key] for key in ("workspaceId", "workspaceName", "datasetId", "modelName")}
    kind = {"refreshId": "x", "refreshType": "Scheduled"}
    ended = {**kind, "status": "Completed", "startedAt": ago(3 * HOUR), "endedAt": ago(2 * HOUR)}
    at_work = {**kind, "status": "Unknown", "startedAt": ago(12 * MINUTE), "endedAt": None}
    return {
        "ok": True,
        "checks": dict.fromkeys(("workspaceAllowed", "token", "history"), "passed"),
        "lastRefresh": at_work if busy else ended,
        "running": at_work if busy else None,
        "notChecked": "Only a refresh can show whether this identity may start one.",
        **ids,
    }


def durable(request_id: str, runtime_status: str) -> Json:
    """The keys of Durable's own status, which the page does not read."""
    times = {"createdTime": ago(HOUR), "lastUpdatedTime": ago(MINUTE)}
    return {
        "instanceId": request_id,
        "runtimeStatus": runtime_status,
        "customStatus": None,
        "output": None,
        **times,
    }


def status(request_id: str, models: Iterable[Json]) -> tuple[int, Json]:
    """GET /api/refreshes/{id}/status: HTTP status and body."""
    for row in models:
        ids = {key: row[key] for key in ("workspaceId", "workspaceName", "datasetId", "modelName")}
        found = next((one for one in details(row)["requests"] if one["id"] == request_id), None)
        if found:
            return _ended(found, ids)
        if "active" in row:
            active = queue(row)["active"]
            found = next((one for one in active["requests"] if one["id"] == request_id), None)
            if found:
                return _live(found, active, ids)
    return 404, {"error": {"code": "RequestNotFound", "message": "There is no such request.", "target": "id"}}


def _ended(found: Json, ids: Json) -> tuple[int, Json]:
    body = {
        "id": found["id"],
        "status": found["status"],
        **ids,
        "startedAt": ago(_age(found["requestedAt"]) - found["waitedSeconds"]),
        **{key: found[key] for key in ("requestedAt", "endedAt", "caller", "runId", "servedBy")},
        "sharedWith": 2 if found["shared"] else 0,
        **durable(found["id"], "Completed" if found["status"] == "Completed" else "Failed"),
    }
    if found["status"] == "Completed":
        return 200, body
    error = {**CREDENTIALS, "retryable": False, "table": HOSTILE[0]}
    return 424, {"error": error, **body}


def _live(found: Json, active: Json, ids: Json) -> tuple[int, Json]:
    return 202, {
        "id": found["id"],
        "status": active["status"],
        **ids,
        "caller": found["caller"],
        "requestedAt": found["since"],
        "runId": active["runId"],
        "sharedWith": len(active["requests"]) - 1,
        "position": 0,
        **{key: active[key] for key in ("waitsFor", "expectedEnd", "progress", "startedAt") if active[key]},
        **durable(found["id"], "Running"),
    }
