"""How a caller wants to hear the outcome: the keys of POST /api/refreshes that say nothing about the refresh itself."""

from dataclasses import dataclass

from refresh.request.callback_uri import UriError, check_uri
from refresh.request.spec import json_object
from refresh.request.values import BadRequestError, number
from refresh.settings import Settings

MAX_WAIT_SECONDS = 200
"""The platform cuts every call after 230 s, and a caller that waits longer than its own limit hears nothing."""


@dataclass(frozen=True)
class Reply:
    """`wait_seconds`: how long the start may wait for the end before it answers. `call_back_uri`: called at the end.

    The URI is a capability: whatever knows it can answer in our name. It goes into no log, error, status or list.
    """

    wait_seconds: float = 0
    call_back_uri: str | None = None


def parse_reply(body: bytes, settings: Settings) -> Reply:
    """The reply that the body of a POST asks for. Raises BadRequestError naming the key that cannot be served."""
    value = json_object(body)
    wait, uri = number(value, "waitSeconds", 0), _call_back(value.get("callBackUri"), settings)
    if not 0 <= wait <= MAX_WAIT_SECONDS:
        raise BadRequestError(f"waitSeconds must be from 0 to {MAX_WAIT_SECONDS}.", "waitSeconds")
    if wait and uri:
        raise BadRequestError("waitSeconds cannot be combined with callBackUri; leave one of them out.", "waitSeconds")
    return Reply(wait, uri)


def _call_back(uri: object, settings: Settings) -> str | None:
    if uri is None:
        return None
    try:
        return check_uri(uri, settings)
    except UriError as error:
        raise BadRequestError(str(error), "callBackUri", error.code) from None
