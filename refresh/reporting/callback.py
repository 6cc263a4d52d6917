"""The call back to whoever asked to be told: where it may go, what it says, when it is tried again. Pure.

The body is that of the WebHook activity of Data Factory (`Output`, `Error`, `StatusCode`); `status` and its
neighbours are for callers that read whatever arrives, as Logic Apps do.
"""

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from refresh.reporting.status import Report
from refresh.settings import HOST_NAME, LOCAL_HOSTS, Settings

SCHEMA = 1
PREFIX = "callback-"
"""What the instance ids of callbacks begin with, so that they can be listed."""
ENDED_EVENT = "Ended"
"""Tells a callback to look again; its orchestration waits for it once in each of its histories."""
MOST_URI_CHARACTERS = 4000
PATIENCE = timedelta(days=1)
"""How long a callback is tried again, counted from the first attempt that failed."""
STORING = timedelta(minutes=5)
"""A callback is stored before its request, and perhaps before the other side listens: so long both may still come."""
LONGEST_PAUSE = 900.0
LOOKS = 3
"""How often a callback looks again that was told of an end and does not see it yet: the engine sends messages before
it writes what statuses are read from."""
MOST_LIVES = 3
"""How often a callback is started whose orchestration failed: it cannot fail, but code can be wrong."""
GIVEN_KEYS = (
    "error",
    "id",
    "status",
    "workspaceId",
    "datasetId",
    "caller",
    "runId",
    "refreshId",
    "sharedWith",
    "servedBy",
    "requestedAt",
    "startedAt",
    "endedAt",
)
"""What of a status is handed on; the rest is for pollers, or has nothing to say at the end."""

# Nothing that one parser could read differently from another: no user, no brackets, no percent signs in the host, no
# backslash, no blank, no fragment. The scheme and the host may be written in capitals.
_URI = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][a-z0-9/?:@!$&'()*+,;=%._~|{}\[\]-]*)?",
    re.ASCII | re.IGNORECASE,
)

Json = dict[str, Any]
Kind = Literal["delivered", "again", "refused", "gone"]
GIVEN_UP = "given up"
"""The output of a callback that will not be heard any more."""


class UriError(ValueError):
    """A URI that is not called. The text names host and setting, never path and query."""

    def __init__(self, message: str, code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.code = code


def check_uri(uri: object, settings: Settings) -> str:
    """The URI, if it may be called: https, a host that CALLBACK_ALLOWED_HOSTS allows, port 443. Raises UriError.

    Hosts of this machine, at any port and with http, count only where a development set-up lists them.
    """
    if not isinstance(uri, str) or len(uri) > MOST_URI_CHARACTERS or not (found := _URI.fullmatch(uri)):
        raise UriError(
            f"callBackUri must be a URI such as https://host/path?query without user and fragment, "
            f"at most {MOST_URI_CHARACTERS} characters."
        )
    host = found["host"].lower()
    if host in LOCAL_HOSTS and host in settings.callback_allowed_hosts and settings.local:
        return uri
    if not HOST_NAME.fullmatch(host) or not _allowed(host, settings):
        raise UriError(
            f"callBackUri: the host {host[:253]} is not among those of the app setting CALLBACK_ALLOWED_HOSTS.",
            "CallbackHostNotAllowed",
        )
    if found["scheme"].lower() != "https" or found["port"] not in (None, "443"):
        raise UriError(f"callBackUri: {host} is called with https and at port 443 only.")
    return uri


def _allowed(host: str, settings: Settings) -> bool:
    names = settings.callback_allowed_hosts
    return any(host == name or host.endswith(f".{name}") for name in names if name not in LOCAL_HOSTS)


def host_of(uri: str) -> str:
    """The host of a URI that was checked: all of it that may be shown."""
    found = _URI.fullmatch(uri)
    return found["host"].lower() if found else ""


def instance_of(request_id: str, uri: str) -> str:
    """The instance id of a callback: the same for the same URI, so that who adds it twice adds it once."""
    return f"{prefix_of(request_id)}{sha256(uri.encode()).hexdigest()[:16]}"


def prefix_of(request_id: str) -> str:
    """What the instance ids of all callbacks of a request begin with."""
    return f"{PREFIX}{request_id}-"


def body_of(told: Report) -> Json:
    """What is POSTed: the end of a request as its status tells it."""
    given = {key: told.body[key] for key in GIVEN_KEYS if key in told.body}
    # the WebHook activity may read keys whatever their case: an `error` beside `Error` could hide its code
    beside = {key: value for key, value in given.items() if key != "error"}
    body = {"StatusCode": str(told.http_status), "Output": given, **beside}
    if error := told.body.get("error"):
        body["Error"] = {"ErrorCode": error["code"], "Message": error["message"]}
    return body


def kind_of(http_status: int) -> Kind:
    """What an answer to the POST means. A redirect is not followed: it is no answer of whoever asked.

    `refused`: gone, or not there yet, for whoever waits may have to hear the answer to his own call first.
    """
    if 200 <= http_status < 300:
        return "delivered"
    if http_status in (404, 409):
        return "refused"
    return "again" if http_status in (408, 429) or http_status >= 500 else "gone"


@dataclass(frozen=True)
class CallbackState:
    """A callback between two attempts: the input of each generation of its orchestration."""

    request: str
    uri: str
    added_at: str
    first_pause: float
    failures: int = 0
    failing_since: str | None = None
    life: int = 1
    looks: int = 0

    def told(self) -> "CallbackState":
        """The state after the news that the request has ended."""
        return replace(self, looks=LOOKS)

    def looked(self) -> "CallbackState":
        """The state after a look that saw no end yet."""
        return replace(self, looks=self.looks - 1)

    def failed(self, now: datetime) -> "CallbackState":
        """The state after an attempt that came to nothing."""
        return replace(self, failures=self.failures + 1, failing_since=self.failing_since or now.isoformat())

    def revived(self) -> "CallbackState":
        """The state to start again with, after the orchestration failed."""
        return replace(self, life=self.life + 1)

    def pause(self, wanted: float | None) -> float:
        """Seconds until the next attempt: doubling, or what the other side asked for, up to a quarter of an hour."""
        own = self.first_pause * 2 ** min(max(self.failures - 1, 0), 12)
        return float(min(max(own, wanted or 0.0), LONGEST_PAUSE))

    def too_late(self, now: datetime) -> bool:
        """True once it has been tried for a day."""
        return self.failing_since is not None and now - datetime.fromisoformat(self.failing_since) >= PATIENCE

    def young(self, now: datetime) -> bool:
        """True as long as the request may not have been stored yet, or the other side may not listen yet."""
        return now - datetime.fromisoformat(self.added_at) < STORING

    def to_json(self) -> Json:
        """Plain JSON, for the input of the orchestration."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, value: Json) -> "CallbackState":
        """The state that `to_json` wrote. Keys of a newer code are left out."""
        return cls(**{key: value[key] for key in cls.__dataclass_fields__ if key in value})
