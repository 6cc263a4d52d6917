"""How a caller wishes to be told: the keys of POST /api/refreshes that say nothing about the refresh itself."""

from dataclasses import dataclass

from refresh.reporting.callback import UriError, check_uri
from refresh.request.spec import BadRequestError, json_object
from refresh.settings import Settings

MOST_WAIT_SECONDS = 200
"""The platform cuts every call after 230 s, and callers that wait longer than their own limit are told nothing."""


@dataclass(frozen=True)
class Answering:
    """`wait_seconds`: how long the start may wait for the end before it answers. `call_back_uri`: whom to tell of it.

    The URI is a capability: whoever knows it can speak in our name. It goes into no log, error, status or list.
    """

    wait_seconds: float = 0
    call_back_uri: str | None = None


def parse_answering(body: bytes, settings: Settings) -> Answering:
    """The way to be told in the body of a POST. Raises BadRequestError naming the key that cannot be served."""
    value = json_object(body)
    wait, uri = _wait(value.get("waitSeconds", 0)), _call_back(value.get("callBackUri"), settings)
    if wait and uri:
        raise BadRequestError("waitSeconds cannot be had with callBackUri; leave one of them out.", "waitSeconds")
    return Answering(wait, uri)


def _wait(seconds: object) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise BadRequestError("waitSeconds must be a number.", "waitSeconds")
    if not 0 <= seconds <= MOST_WAIT_SECONDS:  # not a number is in no range
        raise BadRequestError(f"waitSeconds must be from 0 to {MOST_WAIT_SECONDS}.", "waitSeconds")
    return float(seconds)


def _call_back(uri: object, settings: Settings) -> str | None:
    if uri is None:
        return None
    try:
        return check_uri(uri, settings)
    except UriError as error:
        raise BadRequestError(str(error), "callBackUri", error.code) from None
