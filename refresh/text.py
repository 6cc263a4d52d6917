"""Makes text from outside safe to show, store and send on."""

import re

MAX_CLEANED = 20_000
"""The maximum number of characters that are cleaned; the rest is dropped. Texts that are shown are far shorter."""

# A token does not belong in an error text, but a gateway may quote the request that it refuses, and a data source may
# quote its connection string or a URL with a key in it.
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
"""Zero-width characters. They occur inside words, so they are removed without leaving a space."""
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
"""White space, control characters, unpaired surrogates, and characters that break a line or change its direction."""


def clean(text: str) -> str:
    """The text on one line, with everything masked that looks like a secret.

    Control characters, characters that change the direction, and unpaired surrogates become spaces.
    """
    text = _BLANK.sub(" ", _INVISIBLE.sub("", text[:MAX_CLEANED]))
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text.strip()


def cut(text: str, limit: int) -> str:
    """`text` cleaned and cut to `limit` characters. If it was cut, the last character is an ellipsis."""
    text = clean(text)
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def joined(*parts: str | None) -> str:
    """The parts that are set, joined with commas."""
    return ", ".join(part for part in parts if part)
