"""The tokens of a request: racing starts of one key agree on them, and only the app can make them."""

import re

from triggers.tokens import token

SECRET = b"code=management-key"


def test_the_token_of_a_keyed_request_follows_from_its_id() -> None:
    """The same for all starts, another one for each purpose, request and app."""
    one = token(SECRET, "read", "r", keyed=True)
    assert one == token(SECRET, "read", "r", keyed=True)
    others = {
        token(SECRET, "cancel", "r", keyed=True),
        token(SECRET, "read", "s", keyed=True),
        token(b"another", "read", "r", keyed=True),
    }
    assert len(others | {one}) == 4


def test_purpose_and_id_do_not_run_into_each_other() -> None:
    """`read x` and `rea dx` are two."""
    assert token(SECRET, "read", "x", keyed=True) != token(SECRET, "rea", "dx", keyed=True)


def test_without_a_key_or_a_secret_a_token_is_random() -> None:
    """Each time another one: a token that follows from what callers know would be none."""
    for secret, keyed in ((SECRET, False), (b"", True), (b"", False)):
        assert len({token(secret, "read", "r", keyed=keyed) for _ in range(20)}) == 20


def test_a_token_is_safe_in_a_url_and_long_enough() -> None:
    """192 bits in 32 characters, and nothing of the secret."""
    for secret, keyed in ((SECRET, True), (SECRET, False), (b"", True)):
        made = token(secret, "read", "r", keyed=keyed)
        assert re.fullmatch(r"[0-9A-Za-z_-]{32}", made)
        assert "management" not in made
