"""Access control: callers with a function key, or with AUTH_MODE entra the signed-in principals that the app allows.
Principals of ALLOWED_CALLERS have access to all routes, those of ALLOWED_READERS to the GET routes.

The platform's sign-in (App Service authentication) checks the token before a call reaches the app, and names the caller
in headers. It removes such headers from incoming calls. Without the sign-in any client could send them, so the app does
not start if it is off.
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
"""The level of all functions that need a sign-in. With AUTH_MODE key, the host refuses callers without a valid key."""

log = logging.getLogger(__name__)


def refusal(req: func.HttpRequest, *, reads: bool = False) -> func.HttpResponse | None:
    """The refusal of a caller without access; None if the caller has access. `reads`: readers have access, too."""
    settings = current_settings()
    if settings.auth_mode != "entra":
        return None
    principal = principal_of(req)
    if principal is None:
        message = "Sign in: send a Microsoft Entra ID token for this app in the header Authorization."
        return error(401, "SignInRequired", message, headers={"WWW-Authenticate": "Bearer"})
    if settings.allows_caller(principal) or (reads and settings.allows_reader(principal)):
        return None
    event = Event("auth.caller_refused", logging.WARNING, principal=principal, method=req.method)
    log.log(event.level, event.line())
    if settings.allows_reader(principal):
        message = f"The principal {principal} may only read: it is in ALLOWED_READERS, not in ALLOWED_CALLERS."
        return error(403, "CallerMayOnlyRead", message)
    message = f"The principal {principal} is not in the app setting ALLOWED_CALLERS."
    return error(403, "CallerNotAllowed", message)


def principal_of(req: func.HttpRequest) -> str | None:
    """The object id of the principal that Microsoft Entra ID signed in; None without sign-in."""
    if current_settings().auth_mode != "entra" or req.headers.get(PROVIDER) != "aad":
        return None
    return parse_guid(req.headers.get(PRINCIPAL))


def starter_of(req: func.HttpRequest, secret: bytes) -> str:
    """A digest of the caller's credential, its principal or its function key; equal for the same caller."""
    proof = principal_of(req) or req.headers.get("x-functions-key") or req.params.get("code") or ""
    return hmac.new(secret, b"starter " + proof.encode(), hashlib.sha256).hexdigest()[:16] if proof else ""


def secrets_match(value: str | None, expected: str) -> bool:
    """Compares a secret in constant time, so that the duration does not reveal how many of its characters were
    right."""
    return hmac.compare_digest((value or "").encode(), expected.encode())
