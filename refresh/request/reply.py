"""The keys of POST /api/refreshes that say how a caller gets the outcome, not what to refresh."""

from dataclasses import dataclass
from typing import Any

from refresh.request.callback_uri import UriError, check_uri
from refresh.request.spec import json_object
from refresh.request.values import BadRequestError, number
from refresh.settings import Settings

MAX_WAIT_SECONDS = 200
"""The platform ends every call after 230 s, and a caller gets nothing if it stops waiting before the answer."""


@dataclass(frozen=True)
class Reply:
    """How a caller gets the outcome. `wait_seconds`: how long the start may wait for the end before it answers.

    `call_back_uri` is called at the end. The URI is a capability: any client that has it can answer in our name. Keep
    it out of every log, error, status and list.
    """

    wait_seconds: float = 0
    call_back_uri: str | None = None


def parse_reply(body: bytes, settings: Settings) -> Reply:
    """The reply options in the body of a POST. Raises BadRequestError naming the key that cannot be used."""
    return reply_of(json_object(body), settings)


def reply_of(value: dict[str, Any], settings: Settings) -> Reply:
    """The reply options in the JSON object of a body. Raises BadRequestError like `parse_reply`."""
    wait, uri = number(value, "waitSeconds", 0), _call_back(value.get("callBackUri"), settings)
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        raise BadRequestError(f'"waitSeconds" must be from 0 to {MAX_WAIT_SECONDS}.', "waitSeconds")
    if wait and uri:
        raise BadRequestError(
            '"waitSeconds" and "callBackUri" exclude each other; leave one of them out.', "waitSeconds"
        )
    return Reply(wait, uri)


def _call_back(uri: object, settings: Settings) -> str | None:
    if uri is None:
        return None
    try:
        return check_uri(uri, settings)
    except UriError as error:
        raise BadRequestError(str(error), "callBackUri", error.code) from None
