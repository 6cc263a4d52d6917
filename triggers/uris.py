"""The absolute URIs that we hand out. They carry tokens: whoever has one may use it, so no log ever shows them."""

import json
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from refresh.settings import Settings, is_loopback

HOST_JSON = Path(__file__).parents[1] / "host.json"


def base_url(settings: Settings, request_url: str) -> str:
    """Scheme, host and perhaps a path, without a slash at the end.

    PUBLIC_BASE_URL, else the platform's name of the app; on a machine of one's own the host that was asked.
    Forwarded headers are never looked at: anybody can send them.
    """
    if settings.public_base_url:
        return settings.public_base_url
    asked = urlsplit(request_url)
    if is_loopback(request_url) or not settings.website_hostname:
        return f"{asked.scheme}://{asked.netloc}"
    return f"https://{settings.website_hostname}"


def request_uri(base: str, request_id: str) -> str:
    """The URI of a request, which opens nothing by itself."""
    return f"{base}/{route_prefix()}refreshes/{request_id}"


def status_uri(base: str, request_id: str, token: str) -> str:
    """The URI of a request's status (GET) or, with the other token, of its cancellation (DELETE)."""
    return f"{request_uri(base, request_id)}?token={token}"


def id_status_uri(base: str, request_id: str, _token: str) -> str:
    """The URI of a request's status for those who may start requests: it carries no token."""
    return f"{request_uri(base, request_id)}/status"


@cache
def route_prefix() -> str:
    """The prefix of all routes with a slash at its end, as host.json has it (default `api/`); empty if it has none."""
    host = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    prefix = host.get("extensions", {}).get("http", {}).get("routePrefix", "api").strip("/")
    return f"{prefix}/" if prefix else ""


def management_uris(links: dict[str, str], base: str) -> dict[str, str]:
    """Durable's own management URIs of an instance, on our base, and true to how the request ends.

    Without `returnInternalServerErrorOnFailure` Durable answers 200 for a failed orchestration; `showInput=false`
    keeps our tokens out of its answers.
    """
    uris = {}
    for name, link in links.items():
        if name.endswith("Uri"):
            parts = urlsplit(link)
            uris[name] = f"{base}{parts.path}?{parts.query}"
    uris["statusQueryGetUri"] += "&returnInternalServerErrorOnFailure=true&showInput=false"
    return uris
