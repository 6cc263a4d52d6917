"""The activity that calls back: one POST with the verdict to whoever asked to be told so.

It runs at least once, so a host that dies between the POST and the record of it calls twice; the other side takes the
first call and refuses the second.
"""

import asyncio
import json
import logging
from typing import Any

import azure.durable_functions as df
import requests

from refresh.reporting.callback import UriError, body_of, check_uri, kind_of
from refresh.reporting.stored import parse, verdict
from refresh.settings import current_settings, is_loopback

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0

Json = dict[str, Any]

# its debug lines show the whole path of every call, and ours is a capability
logging.getLogger("urllib3").setLevel(logging.INFO)

bp = df.Blueprint()


@bp.activity_trigger(input_name="order")
@bp.durable_client_input(client_name="client")
async def call_back(order: Json, client: df.DurableOrchestrationClient) -> Json:
    """Tells `uri` how a request ended. `order`: request, uri.

    Answers `delivered`; `again` (no answer, or one that may be another next time; `seconds` if it said when);
    `refused` (it is not heard there, or not yet); `gone` (it will not be heard there); `waiting` (the request has not
    ended); `unknown` (there is no such request). With `answer` (what came back, in words), and the request's `dataset`
    and `caller`.
    """
    status = await client.get_status(order["request"])
    found = parse(status.to_json()) if status else None
    if found is None:
        return {"kind": "unknown", "answer": "there is no such request"}
    told = verdict(found)
    if told is None:
        return {"kind": "waiting"}
    answer = await asyncio.to_thread(_post, order["uri"], body_of(told))
    return {**answer, "dataset": told.body["datasetId"], "caller": told.body["caller"]}


def _post(uri: str, body: Json) -> Json:
    try:
        # again: the setting may have changed since
        check_uri(uri, current_settings())
    except UriError as error:
        return {"kind": "gone", "answer": str(error)}
    try:
        with _session(uri) as session:
            response = session.post(
                uri,
                data=json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                auth=_nobody,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,  # what it has to say beside its status is not read
            )
            response.close()
    except Exception as error:
        # whatever it was, its text may not go on: it quotes the URI
        return {"kind": "again", "answer": type(error).__name__}
    said = response.headers.get("Retry-After", "")
    seconds = float(said) if said.isdecimal() and len(said) < 6 else None
    return {"kind": kind_of(response.status_code), "answer": f"HTTP {response.status_code}", "seconds": seconds}


def _session(uri: str) -> requests.Session:
    """A session for one call: nothing is kept, and no proxy is asked on the way to this very machine."""
    session = requests.Session()
    session.trust_env = not is_loopback(uri)
    return session


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No credentials: without an `auth`, requests would look for a password in ~/.netrc."""
    return request
