"""The function app: registers the functions of all modules."""

import gc
import os

# imports leave no garbage, but garbage collections during them would take a quarter of the start-up time
gc.disable()

# set before the SDK is used: stored values are plain JSON and must never name classes to import
os.environ.setdefault("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "true")

import azure.durable_functions as df
import azure.functions as func

from activities import batch, callback, orchestrations, post, read
from entities import capacity_group, dataset_queue, model_index, model_record, timer_heartbeat
from orchestrators import batch_note, deliver_callback, refresh_batch, refresh_request, refresh_run
from refresh.settings import current_settings
from triggers import (
    http_batch_start,
    http_batch_status,
    http_cancel_by_key,
    http_capacity,
    http_check,
    http_health,
    http_list,
    http_models,
    http_openapi,
    http_queue,
    http_start,
    http_status,
    http_ui,
    timer_callbacks,
    timer_capacity,
    timer_housekeeping,
    timer_models,
    timer_reminders,
)

# read here, so that the app does not start with an invalid setting, and the error names the setting
current_settings()

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
for part in (
    http_start,
    http_status,
    http_cancel_by_key,
    http_list,
    http_batch_start,
    http_batch_status,
    http_models,
    http_queue,
    http_capacity,
    http_openapi,
    http_check,
    http_health,
    http_ui,
    timer_callbacks,
    timer_capacity,
    timer_housekeeping,
    timer_models,
    timer_reminders,
    refresh_request,
    refresh_run,
    deliver_callback,
    refresh_batch,
    batch_note,
    dataset_queue,
    capacity_group,
    model_index,
    model_record,
    timer_heartbeat,
    read,
    post,
    orchestrations,
    callback,
    batch,
):
    app.register_functions(part.bp)

gc.enable()
# imported objects are never freed, so later collections need not examine them
gc.freeze()
