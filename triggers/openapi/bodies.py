"""The bodies that callers send, as JSON Schema.

The schemas describe the strict form. The app also accepts numbers and booleans as text, and words in any case.
"""

from typing import Any

from refresh.queue.answers import PRIORITIES
from refresh.request.callback_uri import MAX_URI_CHARACTERS
from refresh.request.reply import MAX_WAIT_SECONDS
from refresh.request.spec import (
    CALLER_KEY,
    DEFAULT_TIMEOUT_MINUTES,
    MAX_CALLER_BYTES,
    MAX_KEY,
    MAX_RETRIES,
    MAX_TIMEOUT_MINUTES,
    NOTIFY_OPTIONS,
)
from refresh.scope.options import COMMIT_MODES, MAX_NAME, MAX_OBJECTS, MAX_PARALLELISM, TYPES, WITHOUT_POLICY
from refresh.scope.options import MAX_RETRIES as MAX_RETRY_COUNT
from refresh.settings import MAX_EXPECTED_HOURS

Json = dict[str, Any]

CONTINUATION_PATTERN = "^[0-9A-Za-z_-]+=*$"
GUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_CONTROL = r"\x00-\x1f\x7f-\x9f"


def guid(description: str) -> Json:
    """A GUID in Power BI's notation."""
    # the length excludes a trailing line end, which `$` would allow
    return {"type": "string", "format": "uuid", "pattern": GUID_PATTERN, "maxLength": 36, "description": description}


def _name(description: str) -> Json:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_NAME,
        "pattern": rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$",
        "description": description,
    }


def _choice(choices: tuple[str, ...], description: str, default: str) -> Json:
    return {"type": "string", "enum": list(choices), "default": default, "description": description}


def options() -> Json:
    """The key `refresh`: options of an enhanced refresh."""
    return {
        "type": "object",
        "additionalProperties": False,
        "description": "Options of an enhanced refresh, as in Power BI's own API. They need a Premium, Embedded or "
        "Fabric capacity. An empty object requests a standard refresh.",
        "properties": {
            "type": _choice(TYPES, "What the refresh processes.", TYPES[0]),
            "commitMode": _choice(
                COMMIT_MODES,
                "Whether everything is committed at once or in parts; PartialBatch needs applyRefreshPolicy false.",
                "Transactional",
            ),
            "maxParallelism": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_PARALLELISM,
                "description": "How many partitions are processed at the same time.",
            },
            "retryCount": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_RETRY_COUNT,
                "description": "How many times Power BI itself retries.",
            },
            "objects": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_OBJECTS,
                "description": "The tables and partitions to refresh; without this key, the whole model.",
                "items": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["table"],
                    "properties": {
                        "table": _name("Name of a table."),
                        "partition": _name("Name of a partition of the table; without this key, all its partitions."),
                    },
                },
            },
            "applyRefreshPolicy": {
                "type": "boolean",
                "description": "Whether to apply the incremental refresh policies of the tables.",
            },
            "effectiveDate": {
                "type": "string",
                "anyOf": [{"format": "date"}, {"format": "date-time"}],
                "description": "The date, or date and time, that an incremental refresh policy treats as the present.",
            },
            "timeout": {
                "type": "string",
                "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$",
                "maxLength": 8,
                "not": {"const": "00:00:00"},
                "description": "How long each of Power BI's own attempts may take, hh:mm:ss.",
            },
        },
        "allOf": [
            _rule({"commitMode": {"const": "PartialBatch"}}, {"required": ["applyRefreshPolicy"], **_no_policy()}),
            _rule({"type": {"enum": list(WITHOUT_POLICY)}}, _no_policy(effective_date=False)),
            _rule({"objects": {"contains": {"required": ["partition"]}}}, _no_policy(effective_date=False)),
            _rule({"applyRefreshPolicy": {"const": False}}, {"properties": {"effectiveDate": False}}),
        ],
    }


def _rule(given: Json, then: Json) -> Json:
    """The rule that applies if these keys have these values."""
    return {"if": {"required": list(given), "properties": given}, "then": then}


def _no_policy(*, effective_date: bool = True) -> Json:
    """No refresh policy is applied. `effective_date`: whether that key is allowed."""
    return {
        "properties": {
            "applyRefreshPolicy": {"const": False},
            **({} if effective_date else {"effectiveDate": False}),
        }
    }


def idempotency_key() -> Json:
    """The caller's own name for a request, in the body or in the header Idempotency-Key."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY,
        "description": "Your name for the request; printable characters only. Calls with the same key count as one "
        "request.",
    }


def cancellation() -> Json:
    """The body of POST /refreshes/cancel."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["datasetId", "idempotencyKey"],
        "properties": {"datasetId": guid("The semantic model."), "idempotencyKey": idempotency_key()},
    }


def request() -> Json:
    """The body of POST /refreshes."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["workspaceId", "datasetId"],
        "properties": {
            "workspaceId": guid("The workspace."),
            "datasetId": guid("The semantic model."),
            "refresh": {"anyOf": [{"$ref": "#/components/schemas/RefreshOptions"}, {"type": "null"}]},
            "notifyOption": _choice(
                NOTIFY_OPTIONS,
                "Mail that Power BI sends after a standard refresh. `MailOnFailure` and `MailOnCompletion` are refused "
                "with 400 if the app signs in as a managed identity or service principal, or if the body also has "
                "`refresh`.",
                NOTIFY_OPTIONS[0],
            ),
            "timeoutMinutes": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": MAX_TIMEOUT_MINUTES,
                "default": DEFAULT_TIMEOUT_MINUTES,
                "description": "Deadline in minutes. It covers the time in the queue, the wait for an idle model and "
                "the refresh. Fractions are allowed.",
            },
            "onTimeout": _choice(
                ("leave", "cancel"),
                "What happens at the deadline. `leave`: the refresh continues. `cancel`: the refresh is cancelled "
                "unless another request shares it (enhanced refreshes only).",
                "leave",
            ),
            "share": {
                "type": "boolean",
                "default": True,
                "description": "Whether other requests may share the refresh.",
            },
            "retries": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_RETRIES,
                "default": 0,
                "description": "How many times the request tries again after a transient failure (retryable).",
            },
            "priority": _choice(
                PRIORITIES,
                "Which refreshes start first when a capacity limit is reached (CAPACITY_LIMITS).",
                "normal",
            ),
            "idempotencyKey": {**idempotency_key(), "type": ["string", "null"]},
            "waitSeconds": {
                "type": "number",
                "minimum": 0,
                "maximum": MAX_WAIT_SECONDS,
                "default": 0,
                "description": "How many seconds the answer may wait for the end of the request; not with callBackUri.",
            },
            "callBackUri": {
                "type": ["string", "null"],
                "format": "uri",
                "maxLength": MAX_URI_CHARACTERS,
                "description": "The app calls this URI when the request has ended, in the form of the WebHook "
                "activity of Data Factory. After a crash, the call may be made twice. The URI must begin with https, "
                "be on a host that the app allows, and have neither user information nor a fragment.",
            },
            "caller": {
                "type": "object",
                "propertyNames": {"pattern": f"^{CALLER_KEY.pattern}$", "maxLength": 64},
                "additionalProperties": {"type": "string"},
                "description": f"Describes the sender, such as pipeline and run; at most {MAX_CALLER_BYTES} bytes. "
                "It is shown in the status, the list, the queue and the log lines of the request.",
            },
            "expectedEveryHours": {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": MAX_EXPECTED_HOURS,
                "description": "How often this model is expected to be refreshed successfully, in hours. Without a "
                "success for longer than this, the model is shown as overdue. The value is valid until a later request "
                "sends another one; 0 means that no success is expected. The app setting EXPECTED_EVERY_HOURS takes "
                "precedence.",
            },
        },
        "allOf": [
            {
                "if": {"required": ["onTimeout"], "properties": {"onTimeout": {"const": "cancel"}}},
                "then": {
                    "required": ["refresh"],
                    "properties": {"refresh": {"type": "object", "minProperties": 1}},
                },
            },
            {
                "if": {
                    "required": ["notifyOption"],
                    "properties": {"notifyOption": {"not": {"const": NOTIFY_OPTIONS[0]}}},
                },
                "then": {"properties": {"refresh": {"maxProperties": 0}}},
            },
            {
                "if": {"required": ["callBackUri"], "properties": {"callBackUri": {"type": "string"}}},
                "then": {"properties": {"waitSeconds": {"maximum": 0}}},
            },
        ],
    }
