"""Parses and checks the body of POST /api/refreshes."""

import json
import re
from typing import Any

import msgspec

from refresh.messages import Message, typed
from refresh.queue.answers import PRIORITIES, Priority
from refresh.request.values import BadRequestError, boolean, choice, guid, number, shown_key, whole_number
from refresh.scope.options import OptionError, check_options
from refresh.scope.scope import NotifyOption, RefreshOptions, Scope, canonical_objects
from refresh.settings import MAX_EXPECTED_HOURS, Settings

MAX_BODY_BYTES = 64 * 1024
MAX_CALLER_BYTES = 1024
DEFAULT_TIMEOUT_MINUTES = 660.0
"""Less than the usual 12 h of a pipeline activity, so that our error arrives before the activity's own time-out."""
MAX_TIMEOUT_MINUTES = 7 * 24 * 60.0
NOTIFY_OPTIONS: tuple[NotifyOption, ...] = ("NoNotification", "MailOnFailure", "MailOnCompletion")
MAX_RETRIES = 10
MAX_KEY = 256
KEYS = (
    "workspaceId",
    "datasetId",
    "refresh",
    "notifyOption",
    "timeoutMinutes",
    "onTimeout",
    "share",
    "retries",
    "priority",
    "idempotencyKey",
    "waitSeconds",
    "callBackUri",
    "caller",
    "expectedEveryHours",
)

# A caller's own keys become keys of durable values, where `$type` would break the engine and `__class__` the SDK.
CALLER_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class RequestSpec(Message, frozen=True, kw_only=True):
    """The content of one request. `timeout_minutes` covers the queue, the wait for an idle model, and the refresh.

    `retries`: how many times the request tries again after a transient failure. `idempotency_key`: the caller's own
    name for this request, so that sending it again does not create a second request; empty if there is no name.
    `priority`: which run goes first where a capacity limit is reached. `expected_every_hours`: how often the caller
    expects the model to be refreshed, 0 to withdraw that; None if the request does not say.
    """

    dataset_id: str
    scope: Scope
    timeout_minutes: float = DEFAULT_TIMEOUT_MINUTES
    cancel_on_timeout: bool = False
    share: bool = True
    caller: dict[str, str] = msgspec.field(default_factory=dict)
    retries: int = 0
    idempotency_key: str = ""
    priority: Priority = "normal"
    expected_every_hours: float | None = None

    def differs_from(self, other: "RequestSpec") -> list[str]:
        """The keys in which two requests with one idempotency key differ; empty if they request the same refresh."""
        scope, other_scope = self.scope, other.scope
        pairs: dict[str, tuple[object, object]] = {
            "workspaceId": (scope.workspace_id, other_scope.workspace_id),
            "refresh": (scope.refresh, other_scope.refresh),
            "notifyOption": (scope.notify_option, other_scope.notify_option),
        }
        return [key for key, (value, other_value) in pairs.items() if value != other_value]


def parse_spec(body: bytes, settings: Settings, key_header: str | None = None) -> RequestSpec:
    """The request in the body of a POST. Raises BadRequestError naming the first key that cannot be used.

    `key_header` is the header Idempotency-Key, an alternative to the key `idempotencyKey`.
    """
    return spec_of(json_object(body), settings, key_header)


def spec_of(value: dict[str, Any], settings: Settings, key_header: str | None = None) -> RequestSpec:
    """The request in the JSON object of a body. Raises BadRequestError like `parse_spec`."""
    only_known(value, KEYS)
    workspace_id = guid(value, "workspaceId")
    if not settings.allows_workspace(workspace_id):
        raise BadRequestError(
            f"Workspace {workspace_id} is not in the app setting ALLOWED_WORKSPACES.",
            "workspaceId",
            "WorkspaceNotAllowed",
        )
    options = _options(value.get("refresh"))
    cancel_on_timeout = choice(value, "onTimeout", ("leave", "cancel")) == "cancel"
    if cancel_on_timeout and options is None:
        raise BadRequestError(
            '"onTimeout": "cancel" needs an enhanced refresh (the key "refresh"), because a standard refresh cannot be '
            "cancelled.",
            "onTimeout",
        )
    return RequestSpec(
        dataset_id=str(guid(value, "datasetId")),
        scope=Scope(
            workspace_id=str(workspace_id), refresh=options, notify_option=_notify_option(value, options, settings)
        ),
        timeout_minutes=timeout_of(value),
        cancel_on_timeout=cancel_on_timeout,
        share=boolean(value, "share", default=True),
        caller=caller_of(value.get("caller", {})),
        retries=whole_number(value, "retries", MAX_RETRIES),
        idempotency_key=idempotency_key_of(value.get("idempotencyKey"), key_header),
        priority=_priority(value),
        expected_every_hours=_expected_every_hours(value),
    )


def parse_cancellation(body: bytes) -> tuple[str, str]:
    """Dataset id and idempotency key of a request to cancel. Raises BadRequestError."""
    value = json_object(body)
    only_known(value, ("datasetId", "idempotencyKey"))
    if value.get("idempotencyKey") is None:
        raise BadRequestError('"idempotencyKey" is required.', "idempotencyKey")
    return str(guid(value, "datasetId")), idempotency_key_of(value["idempotencyKey"], None)


def json_object(body: bytes, limit: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The body of a POST. Raises BadRequestError if it is not a JSON object or has more than `limit` bytes."""
    if len(body) > limit:
        raise BadRequestError(f"The body has {len(body)} bytes; the maximum is {limit}.", "body")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequestError("The body is not JSON.", "body") from None
    if not isinstance(value, dict):
        raise BadRequestError("The body must be a JSON object.", "body")
    return value


def only_known(value: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Raises BadRequestError for a key that is not one of these."""
    for key in value:
        if key not in keys:
            name = shown_key(key)
            raise BadRequestError(f'"{name}" is not a known key. Known keys: {", ".join(keys)}.', name)


def _notify_option(value: dict[str, Any], options: RefreshOptions | None, settings: Settings) -> NotifyOption:
    word = choice(value, "notifyOption", NOTIFY_OPTIONS)
    if word != "NoNotification" and settings.app_identity:
        raise BadRequestError(
            f'Power BI refuses "notifyOption": "{word}" for the identity of an app; leave it out.', "notifyOption"
        )
    if word != "NoNotification" and options is not None:
        raise BadRequestError(
            '"notifyOption" has no effect on an enhanced refresh; leave out "notifyOption" or "refresh".',
            "notifyOption",
        )
    return next(option for option in NOTIFY_OPTIONS if option == word)


def _priority(value: dict[str, Any]) -> Priority:
    word = choice({"priority": "normal", **value}, "priority", PRIORITIES)
    return next(priority for priority in PRIORITIES if priority == word)


def idempotency_key_of(value: object, header: str | None) -> str:
    """The key of the body or of the header Idempotency-Key; empty if there is none. Raises BadRequestError."""
    for target, text in (("idempotencyKey", value), ("Idempotency-Key", header)):
        if text is not None and not (isinstance(text, str) and 1 <= len(text) <= MAX_KEY and text.isprintable()):
            raise BadRequestError(f'"{target}" must be a string of 1 to {MAX_KEY} printable characters.', target)
    if value is not None and header is not None and value != header:
        raise BadRequestError(
            '"idempotencyKey" and the header "Idempotency-Key" differ; send only one of them.', "idempotencyKey"
        )
    return str(value if value is not None else header or "")


def timeout_of(value: dict[str, Any]) -> float:
    """The minutes until the deadline. Raises BadRequestError."""
    minutes = number(value, "timeoutMinutes", DEFAULT_TIMEOUT_MINUTES)
    if not 0 < minutes <= MAX_TIMEOUT_MINUTES:
        raise BadRequestError(
            f'"timeoutMinutes" must be above 0 and at most {MAX_TIMEOUT_MINUTES:.0f}.', "timeoutMinutes"
        )
    return minutes


def _expected_every_hours(value: dict[str, Any]) -> float | None:
    if value.get("expectedEveryHours") is None:
        return None
    hours = number(value, "expectedEveryHours", 0)
    if not 0 <= hours <= MAX_EXPECTED_HOURS:
        raise BadRequestError(
            f'"expectedEveryHours" must be from 0 (nothing is expected any more) to {MAX_EXPECTED_HOURS:.0f}.',
            "expectedEveryHours",
        )
    return hours


def _options(value: object) -> RefreshOptions | None:
    if value is None:
        return None
    try:
        options = check_options(value)
    except OptionError as error:
        raise BadRequestError(error.message, error.target) from None
    if options is None:
        return None
    found = typed(options, RefreshOptions)
    return msgspec.structs.replace(found, objects=canonical_objects(found.objects))


def caller_of(value: object) -> dict[str, str]:
    """What the caller says about itself. Raises BadRequestError."""
    if not isinstance(value, dict):
        raise BadRequestError('"caller" must be an object of strings.', "caller")
    for key, text in value.items():
        target = f"caller.{shown_key(key)}"
        if not CALLER_KEY.fullmatch(key):
            raise BadRequestError(
                f"{target}: a key starts with a letter, followed by letters, digits and ._- (at most 64 characters).",
                target,
            )
        if not isinstance(text, str):
            raise BadRequestError(f'"{target}" must be a string.', target)
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise BadRequestError(f'"{target}" contains an unpaired surrogate, which UTF-8 cannot encode.', target)
    if len(json.dumps(value).encode()) > MAX_CALLER_BYTES:
        raise BadRequestError(f'"caller" is larger than {MAX_CALLER_BYTES} bytes.', "caller")
    return value
