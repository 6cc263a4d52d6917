"""Activities that read: the history before and after a POST, and one refresh on its way. Safe to run any number of
times."""

import azure.durable_functions as df

from activities.model import Json, Model, failed, shown
from power_bi.errors import PowerBiError
from refresh import adoption, clock
from refresh.history import instant

MAX_FAILED_OBJECTS = 50
"""Of thousands of partitions: whoever is not named is tried once more, alone."""

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
def read_history(order: Json) -> Json:
    """Is the model idle? `order`: workspace_id, dataset_id, scope, before (or None), lost
    (None, or `since` and `until`: a refresh of ours may be new, begun between them).

    Answers `history` with `running` (the refresh that keeps the model busy, or None), `before` (what to compare with
    after a POST) and `adoptable` (id of a refresh that is new since the `before` of the order); or see `failed`.
    """
    read_at = clock.now()
    try:
        model = Model.of(order)
        history = model.history()
        found = None
        if order["before"]:
            found = model.adoptable(history.rows, order["before"], order["scope"], lost=order["lost"])
    except PowerBiError as error:
        return failed(error, order)
    service_time = history.service_time or read_at
    running = adoption.blocker(history.rows, service_time)
    return {
        "kind": "history",
        "running": shown(running) if running else None,
        "before": adoption.look_before(history.rows, service_time, read_at),
        "adoptable": found.request_id if found else None,
    }


@bp.activity_trigger(input_name="order")
def read_refresh(order: Json) -> Json:
    """How is the refresh doing? `order`: workspace_id, dataset_id, refresh_id, enhanced.

    Answers `row` with the refresh as `refresh.history.RefreshRow` writes it and `failed_objects`, pairs of table and
    partition; `absent` with when it was not there yet (`read_at`); or see `failed`.
    """
    read_at = clock.now()
    try:
        model = Model.of(order)
        row = model.by_id(order["refresh_id"]) if order["enhanced"] else None
        if row is None:
            rows = model.history().rows
            row = next((row for row in rows if row.request_id == order["refresh_id"]), None)
    except PowerBiError as error:
        return failed(error, order)
    if row is None:
        return {"kind": "absent", "read_at": instant(read_at)}
    failed_objects = [[entry.table, entry.partition] for entry in row.objects if entry.status.lower() == "failed"]
    return {"kind": "row", "row": row.to_json(), "failed_objects": failed_objects[:MAX_FAILED_OBJECTS]}
