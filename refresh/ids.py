"""Ids: GUIDs of Power BI, and the instance ids of our orchestrations.

A request is `<dataset>-<random>`, or with an idempotency key `<dataset>-k<hash of the key>-<submission>-<hash of the
options>`; a run is named after the request that it was made for, and each incarnation of it has an instance of its own.
"""

import re
from hashlib import sha256
from uuid import UUID

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,100}", re.ASCII)
CALLBACK_PREFIX = "callback-"
"""What the instance ids of callbacks begin with, so that they can be listed."""


def parse_guid(value: object) -> str | None:
    """A GUID in lower case, or None."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if _GUID.fullmatch(text) else None


def request_prefix(dataset_id: str) -> str:
    """What the ids of all requests of a dataset begin with."""
    return f"{UUID(dataset_id).hex}-"


def key_prefix(dataset_id: str, key: str) -> str:
    """What the ids of all requests with an idempotency key begin with."""
    return f"{request_prefix(dataset_id)}k{sha256(key.encode()).hexdigest()[:32]}-"


def keyed_request(dataset_id: str, key: str, submission: int, fingerprint: str) -> str:
    """The id of the request that is sent the `submission`-th time (from 1) under a key, with these options."""
    return f"{key_prefix(dataset_id, key)}{submission}-{fingerprint}"


def submission_of(request_id: str, prefix: str) -> int:
    """Which submission a request with an idempotency key is; 0 if the id is not one of them."""
    number = request_id.removeprefix(prefix).split("-")[0]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def run_instance(run: str, incarnation: int) -> str:
    """The instance id of an incarnation of a run."""
    return f"{run}-g{incarnation}"


def callback_prefix(request_id: str) -> str:
    """What the instance ids of all callbacks of a request begin with."""
    return f"{CALLBACK_PREFIX}{request_id}-"


def callback_instance(request_id: str, uri: str) -> str:
    """The instance id of a callback: the same for the same URI, so that adding it twice adds it once."""
    return f"{callback_prefix(request_id)}{sha256(uri.encode()).hexdigest()[:16]}"
