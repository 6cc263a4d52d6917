"""The options of a POST: a standard or an enhanced refresh.

A refresh is enhanced if the body has any key except notifyOption, provided that its type is application/json. Names are
case-insensitive, and numbers and booleans may be strings, because Microsoft's own samples send them like this.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from dev.power_bi import refusals
from dev.power_bi.knobs import Knobs
from dev.power_bi.messages import Response

Json = dict[str, Any]

_TYPES = ("Full", "ClearValues", "Calculate", "DataOnly", "Automatic", "Defragment")
_COMMIT_MODES = ("Transactional", "PartialBatch")
_NOTIFY_OPTIONS = ("NoNotification", "MailOnFailure", "MailOnCompletion")
_TIMEOUT = re.compile(r"([0-1]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")


class NotAccepted(Exception):  # noqa: N818
    """The POST is refused with this response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True)
class StartOptions:
    """The options of a POST, completed with the service's defaults. `body`: the body as it was sent."""

    enhanced: bool = False
    type: str = "Full"
    commit_mode: str = "Transactional"
    timeout: timedelta = timedelta(hours=5)
    retries: int = 0
    objects: tuple[Json, ...] = ()
    apply_refresh_policy: bool = True
    effective_date: bool = False
    body: Json = field(default_factory=dict)


def options_of(content: bytes, content_type: str, knobs: Knobs) -> StartOptions:
    """The options of a POST. Raises NotAccepted."""
    is_json = content_type.partition(";")[0].strip().lower() == "application/json"
    if not content.strip() or (knobs.strict_content_type and not is_json):
        return StartOptions()
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise NotAccepted(refusals.invalid("The body is not a JSON object"))
    reader = _BodyReader(body, knobs.strict_enums)
    notify = reader.one_of("notifyOption", _NOTIFY_OPTIONS, "")
    if knobs.app_only and notify.startswith("Mail"):
        raise NotAccepted(refusals.mail_refused(notify))
    if not body.keys() - {"notifyOption"}:
        return StartOptions(body=body)
    if knobs.capacity == "shared":
        raise NotAccepted(refusals.invalid(""))
    reader.whole("maxParallelism", 10)
    return StartOptions(
        enhanced=True,
        # as in the real service: without a type, even a body with only a timeout gets Automatic, which may load nothing
        type=reader.one_of("type", _TYPES, "Automatic"),
        commit_mode=reader.one_of("commitMode", _COMMIT_MODES, "Transactional"),
        timeout=reader.duration("timeout", timedelta(hours=5)),
        retries=reader.whole("retryCount", 0),
        objects=reader.objects(),
        apply_refresh_policy=reader.flag("applyRefreshPolicy", True),
        effective_date=body.get("effectiveDate") is not None,
        body=body,
    )


class _BodyReader:
    """Reads the keys of a body; an invalid value refuses the whole request."""

    def __init__(self, body: Json, strict: bool) -> None:
        self._body, self._strict = body, strict

    def one_of(self, key: str, words: tuple[str, ...], default: str) -> str:
        value = self._body.get(key)
        if value is None:
            return default
        for word in words:
            if value == word or (isinstance(value, str) and not self._strict and value.lower() == word.lower()):
                return word
        raise self._refused(key)

    def whole(self, key: str, default: int) -> int:
        value = self._scalar(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._refused(key)
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self._scalar(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._refused(key)
        return value

    def duration(self, key: str, default: timedelta) -> timedelta:
        value = self._body.get(key)
        if value is None:
            return default
        if not isinstance(value, str) or not _TIMEOUT.fullmatch(value):
            raise self._refused(key)
        hours, minutes, seconds = map(int, value.split(":"))
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)

    def objects(self) -> tuple[Json, ...]:
        value = self._body.get("objects")
        if value is None:
            return ()
        found = []
        for entry in value if isinstance(value, list) else [None]:
            if not isinstance(entry, dict) or not isinstance(entry.get("table"), str):
                raise self._refused("objects")
            found.append({key: entry[key] for key in ("table", "partition") if key in entry})
        return tuple(found)

    def _scalar(self, key: str) -> object:
        value = self._body.get(key)
        if isinstance(value, str) and not self._strict:
            try:
                value = json.loads(value.lower())
            except ValueError:
                return value
        return value

    def _refused(self, key: str) -> NotAccepted:
        return NotAccepted(refusals.invalid(f"Property {key} has an invalid value"))
