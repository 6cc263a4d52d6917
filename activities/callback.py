"""The activity that calls back: one POST with the outcome to a receiver that waits for it.

It runs at least once, so a host that dies between the POST and the record of it calls twice; the receiver takes the
first call and refuses the second.
"""

import json
from typing import Any

import azure.durable_functions as df

from durable.codec import decode, encode
from durable.engine import Engine
from durable.functions import engine_input
from durable.requests import find_request
from outbound.exchange import ExchangeError, Limits, Outgoing, exchange
from outbound.pools import CALLBACKS, PoolBusyError
from refresh.reporting.callback import body_of, kind_of
from refresh.reporting.status import final_report
from refresh.request.callback_uri import UriError, check_uri, host_of
from refresh.run import orders
from refresh.settings import current_settings

SECONDS = 40.0
LIMITS = Limits(connect_seconds=10.0, silence_seconds=30.0, whole_seconds=SECONDS, body_bytes=0)
"""What the receiver has to say beside its status is not read."""

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@engine_input(bp)
async def call_back(order: Any, engine: Engine) -> Any:
    """Order: `orders.CallBack`. Answer: `orders.CallBackAnswer`."""
    asked: orders.CallBack = decode(order, orders.CallBack)
    request = await find_request(engine, asked.request)
    if request is None:
        return encode(orders.NoRequest())
    report = final_report(request)
    if report is None:
        return encode(orders.NotEnded())
    spec = request.state.spec
    about: dict[str, Any] = {"dataset_id": spec.dataset_id, "caller": spec.caller}
    try:
        # again: the setting may have changed since
        check_uri(asked.uri, current_settings())
    except UriError as error:
        return encode(orders.NotDelivered(kind="gone", response=str(error), **about))
    body = json.dumps(body_of(report)).encode()
    outgoing = Outgoing("POST", asked.uri, {"Content-Type": "application/json"}, body)
    try:
        received = await CALLBACKS.run(exchange, outgoing, LIMITS, key=host_of(asked.uri), seconds=SECONDS)
    except (ExchangeError, PoolBusyError) as error:
        # the texts of these errors hold no URI
        return encode(orders.NotDelivered(kind="again", response=str(error), **about))
    response, kind = f"HTTP {received.status}", kind_of(received.status)
    if kind == "delivered":
        return encode(orders.Delivered(response=response, **about))
    wanted = received.headers.get("Retry-After", "")
    seconds = float(wanted) if wanted.isdecimal() and len(wanted) < 6 else None
    return encode(orders.NotDelivered(kind=kind, response=response, seconds=seconds, **about))
