"""The activity `call_back`: one POST with the outcome of a request to a receiver that waits for it.

An activity runs at least once. If the host dies after the call but before the engine has recorded it, the callback is
sent again. The receiver accepts the first call and refuses the second.
"""

import json
from typing import Any

import azure.durable_functions as df

from durable.batches import NotThere, end_of
from durable.codec import decode, encode
from durable.engine import Engine
from durable.functions import engine_input
from outbound.exchange import ExchangeError, Limits, Outgoing, exchange
from outbound.pools import CALLBACKS, PoolBusyError
from refresh.reporting.callback import body_of, kind_of
from refresh.request.callback_uri import UriError, check_uri, host_of
from refresh.run import orders
from refresh.settings import current_settings

SECONDS = 40.0
LIMITS = Limits(connect_seconds=10.0, silence_seconds=30.0, whole_seconds=SECONDS, body_bytes=0)
"""The body of the receiver's answer is not read."""

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def call_back(order: Any, engine: Engine) -> Any:
    """Order: `orders.CallBack`. Answer: `orders.CallBackAnswer`."""
    job: orders.CallBack = decode(order, orders.CallBack)
    try:
        report, about = await end_of(engine, job.request)
    except NotThere:
        return encode(orders.NoRequest())
    if report is None:
        return encode(orders.NotEnded())
    try:
        # check again: the setting may have changed since the callback was added
        check_uri(job.uri, current_settings())
    except UriError as error:
        return encode(orders.NotDelivered(kind="gone", response=str(error), **about))
    body = json.dumps(body_of(report)).encode()
    outgoing = Outgoing("POST", job.uri, {"Content-Type": "application/json"}, body)
    try:
        received = await CALLBACKS.run(exchange, outgoing, LIMITS, key=host_of(job.uri), seconds=SECONDS)
    except (ExchangeError, PoolBusyError) as error:
        # the texts of these errors contain no URI
        return encode(orders.NotDelivered(kind="again", response=str(error), **about))
    response, kind = f"HTTP {received.status}", kind_of(received.status)
    if kind == "delivered":
        return encode(orders.Delivered(response=response, **about))
    retry_after = received.headers.get("Retry-After", "")
    seconds = float(retry_after) if retry_after.isdecimal() and len(retry_after) < 6 else None
    return encode(orders.NotDelivered(kind=kind, response=response, seconds=seconds, **about))
