"""The answers of GET /api/health, as JSON Schema."""

from triggers.openapi.schema import Json, maybe, record, text, time


def health() -> Json:
    """Whether the app can work."""
    timer = record(
        {
            "lastRun": maybe(time("When the timer last ran; null if it never ran.")),
            "late": {"type": "boolean", "description": "Whether the timer has missed runs."},
        },
        "A timer of the app.",
    )
    step = text("The result of the check.", enum=["passed", "failed", "unknown"])
    checks = record(
        {
            "engine": step,
            "storage": step,
            "token": text("passed, or the code of the error."),
            "timers": {"type": "object", "description": "The timers by name.", "additionalProperties": timer},
        },
        "The results of the checks.",
    )
    status = text("Whether all checks passed.", enum=["ok", "unhealthy"])
    version = text("The deployed commit, with `+changes` if files differed from it; omitted if it is not known.")
    properties = {"status": status, "checks": checks, "version": version}
    return record(properties, "Whether the app can work.", optional=("version",))
