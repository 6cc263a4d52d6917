"""host.json and the app settings of a function app."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from devhost.engine.versions import FailureStrategy, MatchStrategy, Versioning

T = TypeVar("T", bound=str)


class BadSettings(Exception):  # noqa: N818
    """A file of the app cannot be used; the message contains its name."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The settings of host.json that the devhost uses. All other keys are accepted and ignored."""

    route_prefix: str = "api"
    hub_name: str = "TestHubName"
    entity_batch_size: int = 50
    versioning: Versioning = field(default_factory=Versioning)
    """`defaultVersion`, `versionMatchStrategy` and `versionFailureStrategy`."""


def load_app_settings(app: Path) -> None:
    """Copies `Values` of local.settings.json to the process environment. Variables that exist take precedence."""
    path = app / "local.settings.json"
    if path.exists():
        for key, value in _read(path).get("Values", {}).items():
            os.environ.setdefault(key, str(value))


def load_host_settings(app: Path, environment: Mapping[str, str] = os.environ) -> HostSettings:
    """Reads host.json; `%NAME%` in the hub name is the app setting NAME. Raises BadSettings."""
    path = app / "host.json"
    if not path.exists():
        raise BadSettings(f"{path} is missing: this is not a function app")
    extensions = _read(path).get("extensions", {})
    durable = extensions.get("durableTask", {})
    return HostSettings(
        route_prefix=str(extensions.get("http", {}).get("routePrefix", "api")).strip("/"),
        hub_name=_resolve(
            str(durable.get("hubName") or environment.get("WEBSITE_SITE_NAME") or "TestHubName"), environment
        ),
        entity_batch_size=int(durable.get("maxEntityOperationBatchSize") or 50),
        versioning=_versioning(durable),
    )


def _versioning(durable: Mapping[str, Any]) -> Versioning:
    version = durable.get("defaultVersion")
    return Versioning(
        default=None if version is None else str(version),
        match=_word(durable, "versionMatchStrategy", get_args(MatchStrategy), "CurrentOrOlder"),
        failure=_word(durable, "versionFailureStrategy", get_args(FailureStrategy), "Reject"),
    )


def _word(durable: Mapping[str, Any], key: str, known: tuple[T, ...], default: T) -> T:
    """A value of a .NET enumeration, given by its name (case-insensitive) or by its number."""
    value = durable.get(key)
    if value is None:
        return default
    for number, word in enumerate(known):
        if str(value).lower() in (word.lower(), str(number)):
            return word
    raise BadSettings(f"host.json: {key} is {value!r}; it must be one of {', '.join(known)}")


def _resolve(text: str, environment: Mapping[str, str]) -> str:
    def setting(match: re.Match[str]) -> str:
        try:
            return environment[match[1]]
        except KeyError:
            raise BadSettings(f"host.json: hubName uses the app setting {match[1]}, which is not set") from None

    return re.sub(r"%([^%]+)%", setting, text)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except ValueError as problem:
        raise BadSettings(f"{path} is not JSON: {problem}") from None
    if not isinstance(content, dict):
        raise BadSettings(f"{path} is not a JSON object")
    return content
