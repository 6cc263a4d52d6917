"""Ids: GUIDs of Power BI, and the instance ids of our orchestrations.

A request is `<dataset>-<random>`, or with an idempotency key `<dataset>-k<hash of the key>-<submission>-<hash of the
scope>`, or in a batch `<dataset>-b<hash of the batch and the name of the model>`. A batch is `batch-<random>`, or
`batch-k<hash of the key>-<submission>-<hash of the models>`, and its notes are named after it. A run is named after the
request that it was created for, and each incarnation of it has its own instance.
"""

import re
from hashlib import sha256
from uuid import UUID

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]{32}")
REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,100}", re.ASCII)
BATCH_PREFIX = "batch-"
"""The prefix of the ids of batches."""
CALLBACK_PREFIX = "callback-"
"""The prefix of the instance ids of callbacks, so that they can be listed."""


def parse_guid(value: object) -> str | None:
    """A GUID in lower case, or None."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if _GUID.fullmatch(text) else None


def request_prefix(dataset_id: str) -> str:
    """The prefix of the ids of all requests of a dataset."""
    return f"{UUID(dataset_id).hex}-"


def key_prefix(dataset_id: str, key: str) -> str:
    """The prefix of the ids of all requests with an idempotency key."""
    return f"{request_prefix(dataset_id)}k{sha256(key.encode()).hexdigest()[:32]}-"


def keyed_request(dataset_id: str, key: str, submission: int, fingerprint: str) -> str:
    """The id of a request with an idempotency key. `submission` counts from 1; `fingerprint` is the digest of its
    scope."""
    return f"{key_prefix(dataset_id, key)}{submission}-{fingerprint}"


def batch_key_prefix(key: str) -> str:
    """The prefix of the ids of all batches with an idempotency key."""
    return f"{BATCH_PREFIX}k{sha256(key.encode()).hexdigest()[:32]}-"


def request_in_batch(batch_id: str, dataset_id: str, name: str) -> str:
    """The id of the request of a model in a batch: always the same, so a repeated start creates no second request."""
    return f"{request_prefix(dataset_id)}b{sha256(f'{batch_id} {name}'.encode()).hexdigest()[:24]}"


def cancel_note(batch_id: str) -> str:
    """The instance id of the note that stores that a batch was cancelled."""
    return f"{batch_id}-cancel"


def end_note(batch_id: str) -> str:
    """The instance id of the note that stores how a batch ended."""
    return f"{batch_id}-end"


def submission_of(request_id: str, prefix: str) -> int:
    """The submission number of a request with an idempotency key; 0 if the id has another form."""
    number = request_id.removeprefix(prefix).split("-")[0]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def dataset_of(instance_id: str) -> str | None:
    """The dataset that a request, a run or a callback belongs to, from its instance id; None for other instances."""
    hexadecimal = instance_id.removeprefix(CALLBACK_PREFIX).partition("-")[0]
    return str(UUID(hexadecimal)) if _HEX.fullmatch(hexadecimal) else None


def run_instance(run: str, incarnation: int) -> str:
    """The instance id of an incarnation of a run."""
    return f"{run}-g{incarnation}"


def callback_prefix(request_id: str) -> str:
    """The prefix of the instance ids of all callbacks of a request."""
    return f"{CALLBACK_PREFIX}{request_id}-"


def callback_instance(request_id: str, uri: str) -> str:
    """The instance id of a callback: the same for the same URI, so that a callback that is added twice exists once."""
    return f"{callback_prefix(request_id)}{sha256(uri.encode()).hexdigest()[:16]}"
