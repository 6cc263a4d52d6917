"""What a caller may ask for: the body of POST /api/refreshes, checked key by key."""

import json
import re
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from refresh.request.options import check_options
from refresh.request.values import OptionError, boolean, number, whole_number
from refresh.settings import Settings

MAX_BODY_BYTES = 64 * 1024
MAX_CALLER_BYTES = 1024
DEFAULT_TIMEOUT_MINUTES = 660.0
"""Under the usual 12 h of a pipeline activity, so that our reason arrives before the activity's own time-out."""
MAX_TIMEOUT_MINUTES = 7 * 24 * 60.0
NOTIFY_OPTIONS = ("NoNotification", "MailOnFailure", "MailOnCompletion")
MAX_RETRIES = 10
MAX_KEY = 256
KEYS = (
    *("workspaceId", "datasetId", "refresh", "notifyOption", "timeoutMinutes", "onTimeout", "share", "retries"),
    *("idempotencyKey", "waitSeconds", "callBackUri", "caller"),
)

# A caller's own keys become keys of durable values, where `$type` would break the engine and `__class__` the SDK.
CALLER_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class BadRequestError(ValueError):
    """The request cannot be served as it is. `target` names the offending key; nothing has been started."""

    def __init__(self, message: str, target: str | None = None, code: str = "InvalidRequest") -> None:
        super().__init__(message)
        self.message, self.target, self.code = message, target, code

    def to_json(self) -> dict[str, Any]:
        """The error object of a 400 answer."""
        return {"error": {"code": self.code, "message": self.message, "target": self.target}}


@dataclass(frozen=True)
class Scope:
    """What a refresh does. Requests whose scopes are equal may share one refresh."""

    workspace_id: str
    refresh: dict[str, Any] | None = None
    notify_option: str = "NoNotification"

    @property
    def enhanced(self) -> bool:
        """True if Power BI will run it as an enhanced refresh, which can be read by id and cancelled."""
        return self.refresh is not None


@dataclass(frozen=True)
class Wish:
    """One caller's wish. GUIDs are lower case; `timeout_minutes` covers queue, idle wait and refresh together."""

    dataset_id: str
    scope: Scope
    timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES
    cancel_on_timeout: bool = False
    share: bool = True
    caller: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    """How often the request enrols again after a transient failure."""
    idempotency_key: str = ""
    """What the caller calls this request, so that asking again is not a second request; empty if it has no name."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for durable values."""
        return {**vars(self), "scope": dict(vars(self.scope))}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Wish":
        """The wish that `to_json` wrote."""
        return cls(**{**value, "scope": Scope(**value["scope"])})

    def differs_from(self, other: "Wish") -> list[str]:
        """The keys in which two wishes under one idempotency key contradict each other; empty if they do not."""
        mine, theirs = self.scope, other.scope
        pairs = {
            "workspaceId": (mine.workspace_id, theirs.workspace_id),
            "refresh": (mine.refresh, theirs.refresh),
            "notifyOption": (mine.notify_option, theirs.notify_option),
        }
        return [key for key, (ours, other_one) in pairs.items() if ours != other_one]


def parse_wish(body: bytes, settings: Settings, key_header: str | None = None) -> Wish:
    """The wish in the body of a POST. Raises BadRequestError naming the first key that cannot be served.

    `key_header` is the header Idempotency-Key, which says the same as the key `idempotencyKey`.
    """
    value = json_object(body)
    for key in value:
        if key not in KEYS:
            raise BadRequestError(f"{_shown(key)} is not a known key. Known keys: {', '.join(KEYS)}.", _shown(key))
    workspace_id = _guid(value, "workspaceId")
    if not settings.allows_workspace(workspace_id):
        raise BadRequestError(
            f"Workspace {workspace_id} is not in the app setting ALLOWED_WORKSPACES.",
            "workspaceId",
            "WorkspaceNotAllowed",
        )
    options = _options(value.get("refresh"))
    notify = _one_of(value, "notifyOption", NOTIFY_OPTIONS)
    if notify != "NoNotification" and settings.app_identity:
        raise BadRequestError(
            f"notifyOption {notify} is refused by Power BI for the identity of an app; leave it out.", "notifyOption"
        )
    if notify != "NoNotification" and options is not None:
        raise BadRequestError(
            "notifyOption has no effect on an enhanced refresh; leave it or refresh out.", "notifyOption"
        )
    cancel_on_timeout = _one_of(value, "onTimeout", ("leave", "cancel")) == "cancel"
    if cancel_on_timeout and options is None:
        raise BadRequestError(
            "onTimeout cancel needs an enhanced refresh (key refresh): a standard one cannot be cancelled.", "onTimeout"
        )
    return Wish(
        dataset_id=str(_guid(value, "datasetId")),
        scope=Scope(str(workspace_id), options, notify),
        timeout_minutes=_timeout(value.get("timeoutMinutes", DEFAULT_TIMEOUT_MINUTES)),
        cancel_on_timeout=cancel_on_timeout,
        share=_boolean(value, "share", default=True),
        caller=_caller(value.get("caller", {})),
        retries=_whole_number(value, "retries", MAX_RETRIES),
        idempotency_key=_idempotency_key(value.get("idempotencyKey"), key_header),
    )


def parse_cancellation(body: bytes) -> tuple[str, str]:
    """Dataset id and idempotency key of a request to be cancelled. Raises BadRequestError."""
    value = json_object(body)
    for key in value:
        if key not in ("datasetId", "idempotencyKey"):
            raise BadRequestError(
                f"{_shown(key)} is not a known key. Known keys: datasetId, idempotencyKey.", _shown(key)
            )
    if value.get("idempotencyKey") is None:
        raise BadRequestError("idempotencyKey is required.", "idempotencyKey")
    return str(_guid(value, "datasetId")), _idempotency_key(value["idempotencyKey"], None)


def json_object(body: bytes) -> dict[str, Any]:
    """The body of a POST. Raises BadRequestError if it is no JSON object, or too large to be read."""
    if len(body) > MAX_BODY_BYTES:
        raise BadRequestError(f"The body has {len(body)} bytes, at most {MAX_BODY_BYTES} are read.", "body")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("The body is not JSON.", "body") from None
    if not isinstance(value, dict):
        raise BadRequestError("The body must be a JSON object.", "body")
    return value


def _guid(value: dict[str, Any], key: str) -> UUID:
    text = value.get(key)
    if text is None:
        raise BadRequestError(f"{key} is required.", key)
    # uuid.UUID alone would take braces, urn: and missing hyphens, which Power BI does not write
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise BadRequestError(f"{key} must be a GUID such as 01234567-89ab-cdef-0123-456789abcdef.", key)
    return UUID(text)


def _one_of(value: dict[str, Any], key: str, choices: tuple[str, ...]) -> str:
    text = value.get(key, choices[0])
    for choice in choices:
        if isinstance(text, str) and text.lower() == choice.lower():
            return choice
    raise BadRequestError(f"{key} must be one of {', '.join(choices)}.", key)


def _boolean(value: dict[str, Any], key: str, *, default: bool) -> bool:
    try:
        return boolean(value.get(key, default), key)
    except OptionError as error:
        raise BadRequestError(error.message, error.target) from None


def _whole_number(value: dict[str, Any], key: str, most: int) -> int:
    try:
        return whole_number(value.get(key, 0), key, 0, most)
    except OptionError as error:
        raise BadRequestError(error.message, error.target) from None


def _idempotency_key(value: object, header: str | None) -> str:
    for target, text in (("idempotencyKey", value), ("Idempotency-Key", header)):
        if text is not None and not (isinstance(text, str) and 1 <= len(text) <= MAX_KEY and text.isprintable()):
            raise BadRequestError(f"{target} must be a text of 1 to {MAX_KEY} printable characters.", target)
    if value is not None and header is not None and value != header:
        raise BadRequestError("idempotencyKey and the header Idempotency-Key are two different keys.", "idempotencyKey")
    return str(value if value is not None else header or "")


def _timeout(minutes: object) -> float:
    try:
        minutes = number(minutes, "timeoutMinutes")
    except OptionError as error:
        raise BadRequestError(error.message, error.target) from None
    if not 0 < minutes <= MAX_TIMEOUT_MINUTES:  # not a number is in no range
        raise BadRequestError(
            f"timeoutMinutes must be above 0 and at most {MAX_TIMEOUT_MINUTES:.0f}.", "timeoutMinutes"
        )
    return minutes


def _options(value: object) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        return check_options(value)
    except OptionError as error:
        raise BadRequestError(error.message, error.target) from None


def _caller(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadRequestError("caller must be an object of strings.", "caller")
    for key, text in value.items():
        target = f"caller.{_shown(key)}"
        if not CALLER_KEY.fullmatch(key):
            raise BadRequestError(
                f"{target}: a key begins with a letter; letters, digits and ._- follow, 64 in all.", target
            )
        if not isinstance(text, str):
            raise BadRequestError(f"{target} must be a string.", target)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise BadRequestError(f"{target} holds half a character, which cannot be written as UTF-8.", target)
    if len(json.dumps(value).encode()) > MAX_CALLER_BYTES:
        raise BadRequestError(f"caller is larger than {MAX_CALLER_BYTES} bytes.", "caller")
    return value


def _shown(key: str) -> str:
    """A key as an error may show it: somebody else's text, so cut and without line breaks."""
    return repr(key)[1:-1][:64]
