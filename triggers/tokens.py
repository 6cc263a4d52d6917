"""The tokens that open a request's status and its cancellation."""

import base64
import hashlib
import hmac
import secrets


def token(secret: bytes, purpose: str, request_id: str, *, keyed: bool) -> str:
    """A token for a purpose. It is kept with the request, and what is handed in is compared with that.

    With an idempotency key it follows from the request's id, so that racing starts agree on it; only a holder of the
    app's secret can make it. Else, and where the app has no secret, it is random.
    """
    if not (keyed and secret):
        return secrets.token_urlsafe(24)
    digest = hmac.new(secret, f"{purpose} {request_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()
