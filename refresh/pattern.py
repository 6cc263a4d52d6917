"""Regular expressions that are compiled on first use.

Compiling the many patterns that classify failures would take a tenth of the import time of the app, and most processes
have no failure to classify for hours.
"""

import re
from collections.abc import Callable, Iterator
from functools import cached_property


class Pattern:
    """The part of `re.Pattern` that this app uses."""

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self.pattern = pattern
        self.flags = flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern, self.flags)

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The first match at or after `start`."""
        return self.compiled.search(text, start)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """The match at `start`."""
        return self.compiled.match(text, start)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """The match of the whole text."""
        return self.compiled.fullmatch(text)

    def finditer(self, text: str, start: int = 0) -> Iterator[re.Match[str]]:
        """All matches at or after `start`, from left to right."""
        return self.compiled.finditer(text, start)

    def sub(self, instead: str | Callable[[re.Match[str]], str], text: str) -> str:
        """The text with each match replaced."""
        return self.compiled.sub(instead, text)

    def split(self, text: str) -> list[str]:
        """The parts between the matches."""
        return self.compiled.split(text)
