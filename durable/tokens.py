"""The tokens of a request: one for its status, one for its cancellation."""

import base64
import hashlib
import hmac
import secrets


def token(secret: bytes, purpose: str, request_id: str, *, keyed: bool) -> str:
    """A token for a purpose. It is stored with the request, to be compared with the token of a call.

    With an idempotency key it is derived from the request's id, so that racing starts get the same; it takes the app's
    secret to derive it. Otherwise, and if the app has no secret, it is random.
    """
    if not (keyed and secret):
        return secrets.token_urlsafe(24)
    digest = hmac.new(secret, f"{purpose} {request_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()
