"""The ISO 8601 durations that Logic Apps accepts."""

import re

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def seconds_of(duration: object) -> float | None:
    """The seconds of a duration such as PT12H or P1DT30M; None for anything else."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds
