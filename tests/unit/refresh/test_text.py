"""Texts from outside the app are shown in one line, without secrets and without characters that hide, reverse or
break a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refresh.text import clean, cut

UNFIT = "\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"


@pytest.mark.parametrize("character", [*UNFIT, "\x00", "\x1b", "\x7f", "\x85", "\x9b", "\ud800", "\u00a0", "\r\n"])
def test_characters_that_hide_reverse_or_break_a_text_are_removed(character: str) -> None:
    """The characters are direction marks, zero-width marks, byte order marks, control characters, surrogates and line
    separators."""
    assert clean(f"Sales{character} total{character}") == "Sales total"
    assert clean(f"{character}Sales{character}") == "Sales"


def test_a_word_is_not_split() -> None:
    """A zero-width mark in a word is removed without a blank."""
    assert clean("Umsatz\u00adzahlen \u200bof Fi\ufeffnance") == "Umsatzzahlen of Finance"


@given(st.text(), st.integers(2, 50))
def test_any_text_can_be_shown(text: str, limit: int) -> None:
    """Any text becomes one line within the limit. Cleaning it again changes nothing."""
    result = cut(text, limit)
    assert len(result) <= limit
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in result)
    assert not set(result) & set(UNFIT)
    assert clean(result) == result
    result.encode()
