"""Text that others wrote, made fit to be shown, stored and sent on."""

import re

MAX_CLEANED = 20_000
"""Characters that are cleaned at most. What is shown is far shorter."""

# A token has no business in an error text, but a gateway may quote the request that it refuses, and a data source its
# connection string or a URL that carries a key.
_SECRETS = (
    (re.compile(r"(?i)bearer\s+[\w.~+/=-]+|\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}"), "***"),
    (
        re.compile(
            r"(?i)\b(password|pwd|account_?key|shared_?access_?key|shared_?secret|client_?secret|access_?token|"
            r"refresh_?token|api_?key)(\s?=\s?)(?!\s)[^\s;&,'\"<>]{1,2000}"
        ),
        r"\1\2***",
    ),
    (re.compile(r"(?i)([?&](?:sig|code|key|token|sv|se|st|skoid|sktid)=)[^\s;&,'\"<>]{1,2000}"), r"\1***"),
)
_INVISIBLE = re.compile(r"[\u00ad\u200b\u2060\ufeff]")
"""Marks of zero width: they stand within words, which stay whole."""
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
"""White space, control characters, halves of characters, and what breaks a line or turns the direction of a text."""


def clean(text: str) -> str:
    """One line without control and direction characters, halves of characters, and what looks like a secret."""
    text = _BLANK.sub(" ", _INVISIBLE.sub("", text[:MAX_CLEANED]))
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text.strip()


def cut(text: str, limit: int) -> str:
    """`text` cleaned, with at most `limit` characters; the last is an ellipsis if something is missing."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def joined(*parts: str | None) -> str:
    """The parts that there are, with commas."""
    return ", ".join(part for part in parts if part)
