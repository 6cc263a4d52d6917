"""The tokens of requests and batches: "read" for the status, "cancel" for the cancellation. A request also has the
token "enroll", with which it identifies itself to its queue."""

import base64
import hashlib
import hmac
import secrets


def token(secret: bytes, purpose: str, request_id: str, *, keyed: bool) -> str:
    """A token for a purpose. It is stored with the request or batch, to be compared with the token of a call.

    `keyed`: the token is derived from the id and the app's secret, so that racing starts of one id get the same token.
    Otherwise, and if the app has no secret, it is random.
    """
    if not (keyed and secret):
        return secrets.token_urlsafe(24)
    digest = hmac.new(secret, f"{purpose} {request_id}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()
