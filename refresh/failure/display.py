"""A text of the service as a person should read it, and as much of it as there is room for."""

import re

from refresh.failure.sentences import is_advice, sentences
from refresh.failure.texts import MAX_SENTENCES, bounded, unmarked, without_noise, without_passing


def shown(text: str) -> str:
    """A text as a person should read it: without marks, ids, links, and what is said twice."""
    text = without_passing(without_noise(unmarked(bounded(text, MAX_SENTENCES))))
    text = re.sub(r"(?<!\.)\.\.(?!\.)", ".", text)
    text = re.sub(r"\s{1,20}", " ", text).replace(" ;", ";").replace(".;", ". ")
    kept: list[str] = []
    for part in sentences(text):
        # Power Query repeats its sentence, once with the details and once without
        if len(part) < 20 or not any(part.strip(" .;") in earlier for earlier in kept[-20:]):
            kept.append(part.strip())
    return " ".join(kept).strip(" ;,")


def shortened(text: str, room: int) -> str:
    """A text that fits: what the service advises goes first, then its middle, so that names at its end stay."""
    if len(text) <= room:
        return text
    parts = sentences(text)
    for index in range(len(parts) - 1, 0, -1):
        if is_advice(parts[index]) and not re.search(r"\d|['\"]", parts[index]):
            del parts[index]
            if len(" ".join(parts)) <= room:
                return " ".join(parts)
    text = " ".join(parts)
    tail = min(room // 3, 120) if room > 90 else 0
    head = text[: room - tail - 3].rstrip()
    return f"{head} … {text[-tail:].lstrip()}" if tail else text[: room - 1].rstrip() + "…"
