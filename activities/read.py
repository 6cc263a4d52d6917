"""Activities that read: the history before and after a POST, and a refresh that is running.

Safe to run any number of times.
"""

import dataclasses
from datetime import datetime
from typing import Any

import azure.durable_functions as df

from activities.model import Model, on_power_bi
from durable.codec import decode, encode
from power_bi.client import History
from power_bi.errors import PowerBiError, Refused
from refresh import clock
from refresh.failure.catalogue import ModelNames
from refresh.failure.service_error import ServiceError, merged_error
from refresh.history import adoption
from refresh.history.look import Look
from refresh.history.outcome import judge
from refresh.history.progress import progress
from refresh.history.rows import RefreshRow
from refresh.messages import replace
from refresh.polling import estimate
from refresh.run import orders
from refresh.scope.scope import RefreshOptions
from refresh.settings import current_settings
from refresh.times import instant, iso, parse_time

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
async def read_history(order: Any) -> Any:
    """Order: `orders.ReadHistory`. Answer: `orders.ReadHistoryAnswer`."""
    job: orders.ReadHistory = decode(order, orders.ReadHistory)
    read_at = clock.now()
    about = {"runId": job.turn.run, "incarnation": job.turn.incarnation}
    return encode(await on_power_bi(job.model, lambda model: _history(model, job, read_at), about))


def _history(model: Model, job: orders.ReadHistory, read_at: datetime) -> orders.HistoryRead:
    history = model.history()
    service_time = history.service_time or read_at
    running = adoption.blocker(history.rows, service_time)
    look = adoption.look_at(history.rows, service_time, read_at)
    found: RefreshRow | None = None
    unproven: list[RefreshRow] = []
    changed_since = False
    capacity = None
    if job.look is None:
        capacity = current_settings().capacity_of(model.workspace_id)
        # the run may post even behind a row that never ends, so it needs the durations
        durations = _durations(model, history, job.scope.refresh, idle=running is None)
        look = replace(look, durations=durations)
    else:
        found, unproven = model.adoptable(history, job.look, job.scope, lost=job.lost, known=job.objects)
        changed_since = bool(adoption.new_rows(history.rows, job.look))
    return orders.HistoryRead(
        look=look,
        running=adoption.external_refresh(running) if running else None,
        adoptable=found.request_id if found else None,
        durations=estimate.of_blocker(history.rows, running) if running else (),
        changed=changed_since,
        sole=unproven[0].request_id if len(unproven) == 1 else None,
        sole_objects=adoption.digest_of(unproven[0].objects) if len(unproven) == 1 else None,
        # last, and only after all reads succeeded, because reading a name can take seconds
        names=model.names(),
        capacity=capacity,
    )


def _durations(model: Model, history: History, options: RefreshOptions | None, *, idle: bool) -> tuple[float, ...]:
    """Seconds that refreshes like ours took. Errors are ignored, because an estimate must not delay a POST."""
    if options is None:
        return estimate.of_standard(history.rows)
    details: list[RefreshRow] = []
    for row in estimate.to_read(history.rows) if idle else ():
        try:
            details_row = model.by_id(row.request_id)
        except PowerBiError:
            break
        if details_row is not None:
            details.append(details_row)
    return estimate.of_enhanced(history.rows, options, details)


@bp.activity_trigger(input_name="order")
async def read_refresh(order: Any) -> Any:
    """Order: `orders.ReadRefresh`. Answer: `orders.ReadRefreshAnswer`."""
    job: orders.ReadRefresh = decode(order, orders.ReadRefresh)
    read_at = clock.now()
    about = {"runId": job.turn.run, "incarnation": job.turn.incarnation, "refreshId": job.refresh_id}
    return encode(await on_power_bi(job.model, lambda model: _refresh(model, job, read_at), about))


def _refresh(model: Model, job: orders.ReadRefresh, read_at: datetime) -> orders.RefreshRead | orders.RefreshAbsent:
    row = model.by_id(job.refresh_id) if job.enhanced else None
    if row is not None:
        return _read(_explained(model, row), job, model.known_names)
    history = model.history()
    row = _listed(history, job.refresh_id)
    if row is None and not job.enhanced:
        row = _by_id_perhaps(model, job.refresh_id)
    if row is None:
        return orders.RefreshAbsent(read_at=instant(read_at), rolled_over=_rolled_over(history, read_at, job.posted_at))
    return _read(row, job, model.known_names)


def _read(row: RefreshRow, job: orders.ReadRefresh, names: ModelNames) -> orders.RefreshRead:
    return orders.RefreshRead(
        began_at=iso(row.start),
        outcome=judge(row, job.model.dataset_id, names),
        progress=progress(row.objects),
        objects=adoption.digest_of(row.objects),
    )


def _listed(history: History, refresh_id: str) -> RefreshRow | None:
    return next((row for row in history.rows if row.request_id == refresh_id), None)


def _explained(model: Model, row: RefreshRow) -> RefreshRow:
    """Adds the error from the history to a failed refresh that was read by id, because that answer may not contain
    it."""
    known = row.error or ServiceError()
    if row.state in ("running", "completed") or known.code or known.text:
        return row
    try:
        listed = _listed(model.history(), row.request_id)
    except PowerBiError:
        return row
    if listed is None or listed.error is None:
        return row
    return dataclasses.replace(row, error=merged_error(known, listed.error))


def _by_id_perhaps(model: Model, refresh_id: str) -> RefreshRow | None:
    """Reads a standard refresh by its id. This has been documented since 2026, but not every service supports it."""
    try:
        return model.by_id(refresh_id)
    except Refused:
        return None


def _rolled_over(history: History, read_at: datetime, posted_at: str) -> bool:
    look = Look(service_time=instant(history.service_time or read_at), read_at=instant(read_at))
    began = parse_time(adoption.service_clock(look, posted_at))
    return began is not None and adoption.rolled_over(history.rows, began)
