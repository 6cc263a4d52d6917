"""Activities that read: the history before and after a POST, and one refresh on its way. Safe to run any number of
times."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import azure.durable_functions as df

from activities.model import Json, Model, failed, shown
from power_bi.client import History
from power_bi.errors import PowerBiError, Refused
from refresh import clock
from refresh.failure.service_error import ServiceError, explained
from refresh.history import adoption
from refresh.history.progress import progress
from refresh.history.rows import RefreshRow, instant, parse_time
from refresh.polling import estimate as usual

MAX_FAILED_OBJECTS = 50
"""Of thousands of partitions: whoever is not named is tried once more, alone."""

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
def read_history(order: Json) -> Json:
    """Is the model idle? `order`: workspace_id, dataset_id, scope, before (or None), lost
    (None, or `since` and `until`: a refresh of ours may be new, begun between them).

    Answers `history` with `running` (the refresh that keeps the model busy, or None), `before` (what to compare with
    after a POST), `adoptable` (id of a refresh that is new since the `before` of the order), and `usual` (seconds that
    refreshes like the running one took; of those like ours `before` tells); or see `failed`.
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
    before = adoption.look_before(history.rows, service_time, read_at)
    if order["before"] is None:
        # behind a row that never ends we may POST, too
        before["usual"] = _usual(model, history.rows, order["scope"]["refresh"], idle=running is None)
    return {
        "kind": "history",
        "running": shown(running) if running else None,
        "usual": usual.of_blocker(history.rows, running) if running else [],
        "before": before,
        "adoptable": found.request_id if found else None,
    }


def _usual(model: Model, rows: Sequence[RefreshRow], options: Json | None, *, idle: bool) -> list[float]:
    """Seconds that refreshes like ours took. What cannot be read is left out: it is no reason to wait with a POST."""
    if options is None:
        return usual.of_standard(rows)
    details: list[RefreshRow] = []
    for row in usual.to_read(rows, options) if idle else ():
        try:
            read = model.by_id(row.request_id)
        except PowerBiError:
            break
        if read is not None:
            details.append(read)
    return usual.of_enhanced(rows, options, details)


@bp.activity_trigger(input_name="order")
def read_refresh(order: Json) -> Json:
    """How is the refresh doing? `order`: workspace_id, dataset_id, refresh_id, enhanced, posted_at.

    Answers `row` with the refresh as `refresh.history.rows.RefreshRow` writes it, its `progress`, and `failed_objects`,
    pairs of table and partition; `absent` with when it was not there (`read_at`) and whether newer refreshes pushed it
    out of the history (`pushed_out`); or see `failed`.
    """
    read_at = clock.now()
    try:
        model, refresh_id = Model.of(order), order["refresh_id"]
        row = model.by_id(refresh_id) if order["enhanced"] else None
        if row is not None:
            return _read(_explained(model, row))
        history = model.history()
        row = _listed(history, refresh_id)
        if row is None and not order["enhanced"]:
            row = _by_id_perhaps(model, refresh_id)
    except PowerBiError as error:
        return failed(error, order)
    if row is None:
        gone = _pushed_out(history, read_at, order.get("posted_at"))
        return {"kind": "absent", "read_at": instant(read_at), "pushed_out": gone}
    return _read(row)


def _read(row: RefreshRow) -> Json:
    failed_objects = [[entry.table, entry.partition] for entry in row.objects if entry.status.lower() == "failed"]
    found = {"progress": progress(row.objects), "failed_objects": failed_objects[:MAX_FAILED_OBJECTS]}
    return {"kind": "row", "row": row.to_json(), **found}


def _listed(history: History, refresh_id: str) -> RefreshRow | None:
    return next((row for row in history.rows if row.request_id == refresh_id), None)


def _explained(model: Model, row: RefreshRow) -> RefreshRow:
    """A refresh that failed may not say why where it is read by its id; the history may know."""
    known = row.error or ServiceError()
    if row.state in ("running", "completed") or known.code or known.text:
        return row
    try:
        listed = _listed(model.history(), row.request_id)
    except PowerBiError:
        return row
    if listed is None or listed.error is None:
        return row
    return replace(row, error=explained(known, listed.error))


def _by_id_perhaps(model: Model, refresh_id: str) -> RefreshRow | None:
    """A standard refresh by its id, which the reference has described since 2026 and not every service does."""
    try:
        return model.by_id(refresh_id)
    except Refused:
        return None


def _pushed_out(history: History, read_at: datetime, posted_at: str | None) -> bool:
    look = {"service_time": instant(history.service_time or read_at), "read_at": instant(read_at)}
    began = parse_time(adoption.service_clock(look, posted_at)) if posted_at else None
    return began is not None and adoption.pushed_out(history.rows, began)
