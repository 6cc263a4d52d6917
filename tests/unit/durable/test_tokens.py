"""The tokens of a request: racing starts with one key get the same, and only the app can create them."""

import re

from durable.tokens import token

SECRET = b"code=management-key"


def test_the_token_of_a_keyed_request_follows_from_its_id() -> None:
    """The token is the same for all starts of a request, and different for each purpose, request and app."""
    one = token(SECRET, "read", "r", keyed=True)
    assert one == token(SECRET, "read", "r", keyed=True)
    others = {
        token(SECRET, "cancel", "r", keyed=True),
        token(SECRET, "read", "s", keyed=True),
        token(b"another", "read", "r", keyed=True),
    }
    assert len(others | {one}) == 4


def test_purpose_and_id_are_separated() -> None:
    """`read x` and `rea dx` give different tokens."""
    assert token(SECRET, "read", "x", keyed=True) != token(SECRET, "rea", "dx", keyed=True)


def test_without_a_key_or_a_secret_a_token_is_random() -> None:
    """Without a key or a secret, callers could compute a token from known values. So it is random, and different each
    time."""
    for secret, keyed in ((SECRET, False), (b"", True), (b"", False)):
        assert len({token(secret, "read", "r", keyed=keyed) for _ in range(20)}) == 20


def test_a_token_is_safe_in_a_url_and_long_enough() -> None:
    """A token has 192 bits in 32 characters, and contains no part of the secret."""
    for secret, keyed in ((SECRET, True), (SECRET, False), (b"", True)):
        made = token(secret, "read", "r", keyed=keyed)
        assert re.fullmatch(r"[0-9A-Za-z_-]{32}", made)
        assert "management" not in made
