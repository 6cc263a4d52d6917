"""Somebody else's text, made fit to be shown, stored and sent on."""

import re

# A token has no business in an error text, but a gateway may quote the request that it refuses.
_SECRET = re.compile(r"(?i)bearer\s+[\w.~+/=-]+|\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


def clean(text: str) -> str:
    """One line without control characters, halves of characters, and anything that looks like a token."""
    # whatever is shown is far shorter, and a megabyte of HTML is not worth two regular expressions
    return _SECRET.sub("***", _BLANK.sub(" ", text[:20_000])).strip()


def cut(text: str, limit: int) -> str:
    """`text` cleaned, with at most `limit` characters; the last is an ellipsis if something is missing."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def joined(*parts: str | None) -> str:
    """The parts that there are, with commas."""
    return ", ".join(part for part in parts if part)
