"""The absolute URIs in our answers. They contain tokens, which give access by themselves: never log these URIs."""

import json
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from refresh.settings import Settings, is_loopback

HOST_JSON = Path(__file__).parents[1] / "host.json"


def base_url(settings: Settings, request_url: str) -> str:
    """Scheme, host and, if configured, a path, without a trailing slash.

    PUBLIC_BASE_URL; without it, the platform's host name of the app; on a developer's machine, the host of the call.
    Forwarded headers are ignored, because any client can send them.
    """
    if settings.public_base_url:
        return settings.public_base_url
    called = urlsplit(request_url)
    if is_loopback(request_url) or not settings.website_hostname:
        return f"{called.scheme}://{called.netloc}"
    return f"https://{settings.website_hostname}"


def request_uri(base: str, request_id: str) -> str:
    """The URI of a request. It gives no access by itself."""
    return f"{base}/{route_prefix()}refreshes/{request_id}"


def status_uri(base: str, request_id: str, token: str) -> str:
    """The URI of a request's status (GET with the read token) or of its cancellation (DELETE with the cancel token)."""
    return f"{request_uri(base, request_id)}?token={token}"


def batch_uri(base: str, batch_id: str) -> str:
    """The URI of a batch. It gives no access by itself."""
    return f"{base}/{route_prefix()}batches/{batch_id}"


def batch_status_uri(base: str, batch_id: str, token: str) -> str:
    """The URI of a batch's status (GET with the read token) or of its cancellation (DELETE with the cancel token)."""
    return f"{batch_uri(base, batch_id)}?token={token}"


def id_batch_status_uri(base: str, batch_id: str, _token: str) -> str:
    """The URI of the status of a batch for callers and readers of the app: it contains no token."""
    return f"{batch_uri(base, batch_id)}/status"


def id_status_uri(base: str, request_id: str, _token: str) -> str:
    """The URI of a request's status for callers and readers of the app: it contains no token."""
    return f"{request_uri(base, request_id)}/status"


@cache
def route_prefix() -> str:
    """The prefix of all routes with a trailing slash, from host.json (default `api/`); empty if there is none."""
    host = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    prefix = host.get("extensions", {}).get("http", {}).get("routePrefix", "api").strip("/")
    return f"{prefix}/" if prefix else ""


def management_uris(links: dict[str, str], base: str) -> dict[str, str]:
    """Durable's own management URIs of an instance, with our base, changed to give correct answers for failed requests.

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
