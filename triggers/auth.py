"""Who may call: callers with a function key, or with AUTH_MODE entra those whom the platform has signed in and the app
allows.

The platform's sign-in (App Service authentication) checks the token before a call reaches the app and says in headers
who the caller is. It removes those headers from what callers send, so the app does not start where it is off.
"""

import hashlib
import hmac
import logging

import azure.functions as func

from refresh.events import Event
from refresh.ids import parse_guid
from refresh.settings import current_settings
from triggers.answers import error

PRINCIPAL, PROVIDER = "x-ms-client-principal-id", "x-ms-client-principal-idp"

LEVEL = func.AuthLevel.ANONYMOUS if current_settings().auth_mode == "entra" else func.AuthLevel.FUNCTION
"""Of all functions but those that a token of their own opens. With keys it is the host that refuses."""

log = logging.getLogger(__name__)


def refusal(req: func.HttpRequest) -> func.HttpResponse | None:
    """The answer to a caller that may not call; None if it may."""
    settings = current_settings()
    if settings.auth_mode != "entra":
        return None
    principal = principal_of(req)
    if principal is None:
        message = "Sign in: send a token of Microsoft Entra ID for this app in the header Authorization."
        return error(401, "SignInRequired", message, headers={"WWW-Authenticate": "Bearer"})
    if not settings.allows_caller(principal):
        event = Event("auth.caller_refused", logging.WARNING, principal=principal, method=req.method)
        log.log(event.level, event.line())
        message = f"The principal {principal} is not among those of the app setting ALLOWED_CALLERS."
        return error(403, "CallerNotAllowed", message)
    return None


def principal_of(req: func.HttpRequest) -> str | None:
    """The object id of the principal that Microsoft Entra ID has signed in; None without sign-in."""
    if current_settings().auth_mode != "entra" or req.headers.get(PROVIDER) != "aad":
        return None
    return parse_guid(req.headers.get(PRINCIPAL))


def starter_of(req: func.HttpRequest, secret: bytes) -> str:
    """A digest of what the caller signed in with, its principal or its function key; the same for the same caller."""
    proof = principal_of(req) or req.headers.get("x-functions-key") or req.params.get("code") or ""
    return hmac.new(secret, b"starter " + proof.encode(), hashlib.sha256).hexdigest()[:16] if proof else ""


def same(given: str | None, expected: str) -> bool:
    """Compares a secret without telling by the time it takes how much of it was right."""
    return hmac.compare_digest((given or "").encode(), expected.encode())
