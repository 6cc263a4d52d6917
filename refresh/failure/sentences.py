"""Splits a text into sentences, and tells advice from causes."""

import re

from refresh.pattern import Pattern

_ADVICE = Pattern(
    r"(?:please|either|see|if you|to learn|learn|try|retry|contact|check|verify|make sure|ensure|for more|consider|"
    r"refer|replace|grant|go to|you can|you (?:should|must|need))\b",
    re.IGNORECASE,
)
_BETWEEN = Pattern(r"(?<=[.!?])\s+(?=[A-Z'\"<(\[])")


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [part for part in _BETWEEN.split(text) if part.strip()]


def is_advice(sentence: str) -> bool:
    """Whether a sentence gives advice, not a cause."""
    return _ADVICE.match(sentence.lstrip(" '\"")) is not None
