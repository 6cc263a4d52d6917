"""The app settings: one frozen object, read once and checked as a whole.

With an invalid value the app does not start, and the error names the setting. So an app that starts has usable
settings.
"""

import ipaddress
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit
from uuid import UUID

from refresh.capacity.limits import CapacityGroup, CapacityLimit, LimitsError, limit_of, parse_limits
from refresh.ids import parse_guid
from refresh.polling.limits import Limits

MIN_PAUSE_SECONDS = 2
MAX_RETENTION_DAYS = 3650
MAX_EXPECTED_HOURS = 366 * 24.0
"""The maximum of EXPECTED_EVERY_HOURS, about a year."""
MAX_RECHECK_SECONDS = 43_200
"""A request must recheck its queue while the queue still keeps the outcome; the queue keeps it for a day."""
CLOUDS = ("public", "gcc", "gcchigh", "dod", "china")
CALLBACK_HOSTS = (
    "datafactory.azure.com",
    "datafactory.azure.net",
    "frontend.clouddatahub.net",
    "dev.azuresynapse.net",
    "logic.azure.com",
)
"""The hosts of Data Factory, Synapse and Logic Apps (Consumption) in the public cloud."""
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST_NAME = re.compile(rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
"""A name with a dot, in lower case. Its last label begins with a letter, so it cannot be an IP address."""
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})


class SettingsError(ValueError):
    """A setting that cannot be used. `name` is the name of the app setting; the message says what is expected."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"App setting {name}: {problem}")
        self.name = name


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The app settings, checked. Durations are seconds unless the name says otherwise."""

    power_bi_cloud: str = "public"
    power_bi_api_url: str | None = None
    power_bi_scope: str | None = None
    azure_client_id: str | None = None
    allowed_workspaces: frozenset[UUID] = frozenset()
    callback_allowed_hosts: tuple[str, ...] = CALLBACK_HOSTS
    poll_min_seconds: float = 5
    poll_max_seconds: float = 60
    outage_budget_seconds: float = 900
    visibility_grace_seconds: float = 120
    recheck_seconds: float = 21_600
    retention_days: float = 30
    capacity_limits: tuple[CapacityGroup, ...] = ()
    expose_management_uris: bool = False
    ui_enabled: bool = True
    exact_timers: bool = False
    """True if the engine's timers are exact, as those of the devhost can be. Then pauses need not be whole seconds."""
    auth_mode: str = "key"
    allowed_callers: frozenset[UUID] = frozenset()
    allowed_readers: frozenset[UUID] = frozenset()
    expected_every_hours: Mapping[str, float] = field(default_factory=dict)
    """Hours by dataset id (GUID in lower case)."""
    public_base_url: str | None = None
    website_hostname: str | None = None
    slot: str | None = None
    """The deployment slot in which the app runs; None in the production slot, and for an app without slots."""
    app_identity: bool = False
    """True if the app runs as a managed identity or service principal; Power BI sends no mail for those."""

    @property
    def local(self) -> bool:
        """True for a development set-up, with a Power BI service on this machine."""
        return self.power_bi_api_url is not None and is_loopback(self.power_bi_api_url)

    @property
    def limits(self) -> Limits:
        """The durations that a run waits. The engine cuts timers to whole seconds, and a timer of one second fires at
        once."""
        shortest, longest = self.poll_min_seconds, self.poll_max_seconds
        if not self.exact_timers:
            shortest = max(math.ceil(shortest), MIN_PAUSE_SECONDS)
            longest = max(math.ceil(longest), shortest)
        return Limits(
            poll_min=shortest, poll_max=longest, grace=self.visibility_grace_seconds, outage=self.outage_budget_seconds
        )

    def allows_workspace(self, workspace_id: UUID) -> bool:
        """True if refreshes in this workspace are allowed: in any workspace, unless ALLOWED_WORKSPACES names some."""
        return not self.allowed_workspaces or workspace_id in self.allowed_workspaces

    def capacity_of(self, workspace_id: UUID) -> CapacityLimit | None:
        """The limit of simultaneous refreshes for a workspace; None if it has no limit."""
        return limit_of(self.capacity_limits, workspace_id)

    def allows_caller(self, principal_id: str) -> bool:
        """True for a principal in ALLOWED_CALLERS."""
        return UUID(principal_id) in self.allowed_callers

    def allows_reader(self, principal_id: str) -> bool:
        """True for a principal with read access: one in ALLOWED_READERS or ALLOWED_CALLERS."""
        return UUID(principal_id) in self.allowed_readers | self.allowed_callers

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """The settings in `environ`: on Azure Functions, app settings are environment variables.

        Raises SettingsError with the name of the first setting that cannot be used. An empty value counts as not set.
        """
        values = {name: value.strip() for name, value in environ.items() if value.strip()}
        settings = cls(
            power_bi_cloud=_one_of(values, "POWER_BI_CLOUD", CLOUDS, "public"),
            power_bi_api_url=_service_url(values, "POWER_BI_API_URL"),
            power_bi_scope=values.get("POWER_BI_SCOPE"),
            azure_client_id=values.get("AZURE_CLIENT_ID"),
            allowed_workspaces=_guids(values, "ALLOWED_WORKSPACES"),
            callback_allowed_hosts=_hosts(values, "CALLBACK_ALLOWED_HOSTS", CALLBACK_HOSTS),
            poll_min_seconds=_number(values, "POLL_MIN_SECONDS", 5),
            poll_max_seconds=_number(values, "POLL_MAX_SECONDS", 60),
            outage_budget_seconds=_number(values, "OUTAGE_BUDGET_SECONDS", 900),
            visibility_grace_seconds=_number(values, "VISIBILITY_GRACE_SECONDS", 120),
            recheck_seconds=_number(values, "RECHECK_SECONDS", 21_600),
            retention_days=_number(values, "RETENTION_DAYS", 30),
            capacity_limits=_capacity_limits(values, "CAPACITY_LIMITS"),
            expose_management_uris=_switch(values, "EXPOSE_MANAGEMENT_URIS"),
            ui_enabled=_switch(values, "UI_ENABLED", default=True),
            exact_timers=_switch(values, "EXACT_TIMERS"),
            auth_mode=_one_of(values, "AUTH_MODE", ("key", "entra"), "key"),
            allowed_callers=_guids(values, "ALLOWED_CALLERS"),
            allowed_readers=_guids(values, "ALLOWED_READERS"),
            expected_every_hours=_hours_by_model(values, "EXPECTED_EVERY_HOURS"),
            public_base_url=_service_url(values, "PUBLIC_BASE_URL"),
            website_hostname=values.get("WEBSITE_HOSTNAME"),
            slot=_slot(values),
            app_identity=any(name in values for name in ("IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_CLIENT_SECRET")),
        )
        if settings.poll_max_seconds < settings.poll_min_seconds:
            raise SettingsError("POLL_MAX_SECONDS", "must not be smaller than POLL_MIN_SECONDS")
        if settings.recheck_seconds > MAX_RECHECK_SECONDS:
            raise SettingsError("RECHECK_SECONDS", f"must be at most {MAX_RECHECK_SECONDS}")
        if settings.retention_days > MAX_RETENTION_DAYS:
            raise SettingsError("RETENTION_DAYS", f"must be at most {MAX_RETENTION_DAYS} days")
        if settings.exact_timers and not settings.local:
            raise SettingsError("EXACT_TIMERS", "is for development, with POWER_BI_API_URL on this machine")
        if settings.power_bi_api_url and not settings.power_bi_scope and not is_loopback(settings.power_bi_api_url):
            raise SettingsError("POWER_BI_SCOPE", "is required with POWER_BI_API_URL, unless that is on this machine")
        if settings.auth_mode == "entra":
            # without the platform's sign-in, any client can send the headers that identify the caller
            if values.get("WEBSITE_AUTH_ENABLED", "").lower() not in ("true", "1"):
                raise SettingsError("AUTH_MODE", "entra needs the platform's sign-in (authentication), which is off")
            if not settings.allowed_callers:
                raise SettingsError("ALLOWED_CALLERS", "is required with AUTH_MODE entra; it names the allowed callers")
        elif settings.allowed_callers:
            raise SettingsError("ALLOWED_CALLERS", "has no effect with AUTH_MODE key; every caller with a key may call")
        elif settings.allowed_readers:
            raise SettingsError("ALLOWED_READERS", "has no effect with AUTH_MODE key; every caller with a key may read")
        if settings.slot and not settings.public_base_url:
            # after a swap, the host name that the platform reports may be that of the other slot
            problem = f"is required in the deployment slot {settings.slot}, because the URIs in answers begin with it"
            raise SettingsError("PUBLIC_BASE_URL", f"{problem}; make it a slot setting")
        if LOCAL_HOSTS.intersection(settings.callback_allowed_hosts) and not settings.local:
            raise SettingsError(
                "CALLBACK_ALLOWED_HOSTS", "may name this machine only if POWER_BI_API_URL is also on this machine"
            )
        return settings


@cache
def current_settings() -> Settings:
    """The settings of this process, read and checked at the first call."""
    return Settings.from_environment(os.environ)


def is_loopback(url: str) -> bool:
    """True for a URL on this machine, the only place where plain http and made-up tokens are allowed."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _one_of(values: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    value = values.get(name, default).lower()
    if value not in choices:
        raise SettingsError(name, f"must be one of {', '.join(choices)}, not {value!r}")
    return value


def _slot(values: Mapping[str, str]) -> str | None:
    name = values.get("WEBSITE_SLOT_NAME", "")
    return name if name.lower() not in ("", "production") else None


def _switch(values: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    return _one_of(values, name, ("true", "false", "1", "0"), str(default).lower()) in ("true", "1")


def _number(values: Mapping[str, str], name: str, default: float) -> float:
    text = values.get(name, str(default))
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text) or float(text) <= 0:
        unit = "days" if name.endswith("_DAYS") else "seconds"
        raise SettingsError(name, f"must be a number of {unit} above 0 (fractions allowed), not {text!r}")
    return float(text)


def _guids(values: Mapping[str, str], name: str) -> frozenset[UUID]:
    guids = set()
    for part in re.split(r"[,;\s]+", values.get(name, "")):
        if part:
            try:
                guids.add(UUID(part))
            except ValueError:
                raise SettingsError(name, f"must be GUIDs separated by commas; {part!r} is not a GUID") from None
    if name in values and not guids:
        raise SettingsError(name, "is set, but contains no GUID; leave it empty, or list GUIDs separated by commas")
    return frozenset(guids)


def _capacity_limits(values: Mapping[str, str], name: str) -> tuple[CapacityGroup, ...]:
    try:
        return parse_limits(values[name]) if name in values else ()
    except LimitsError as error:
        raise SettingsError(name, str(error)) from None


def _hours_by_model(values: Mapping[str, str], name: str) -> dict[str, float]:
    """Hours by dataset id, from a JSON object that has each id at most once."""
    form = 'must be a JSON object such as {"01234567-89ab-cdef-0123-456789abcdef": 24}'
    try:
        pairs = json.loads(values.get(name, "{}"), object_pairs_hook=list, parse_constant=str)
    except (ValueError, RecursionError):
        raise SettingsError(name, form) from None
    # the hook turns each object into a list of pairs, so that an id that occurs twice is noticed; any other value is
    # invalid
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise SettingsError(name, form)
    found: dict[str, float] = {}
    for model, hours in pairs:
        dataset_id = parse_guid(model)
        if dataset_id is None:
            raise SettingsError(name, f"must name models by their dataset ids; {model!r} is not a GUID")
        if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= MAX_EXPECTED_HOURS:
            raise SettingsError(name, f"the hours of {model} must be above 0 and at most {MAX_EXPECTED_HOURS:.0f}")
        if dataset_id in found:
            raise SettingsError(name, f"names the model {dataset_id} twice")
        found[dataset_id] = float(hours)
    if name in values and not found:
        raise SettingsError(name, "is set, but names no model; leave it empty, or name models")
    return found


def _hosts(values: Mapping[str, str], name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    hosts = []
    for part in re.split(r"[,;\s]+", values.get(name, "").lower()):
        if part and part not in LOCAL_HOSTS and not HOST_NAME.fullmatch(part):
            raise SettingsError(name, f"must be host names separated by commas; {part!r} is not a host name")
        if part:
            hosts.append(part)
    if name in values and not hosts:
        raise SettingsError(name, "is set, but contains no host; leave it empty, or list hosts separated by commas")
    return tuple(hosts) or default


def _service_url(values: Mapping[str, str], name: str) -> str | None:
    text = values.get(name)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.query or parts.fragment or "@" in parts.netloc or re.search(r"\s", text):
        raise SettingsError(name, "must be an absolute URL without user, query or fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(text)):
        raise SettingsError(name, "must use https (http is only allowed for this machine)")
    return text.rstrip("/")
