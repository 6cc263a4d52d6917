"""The answers of GET /api/health, as JSON Schema."""

from triggers.openapi.schema import Json, maybe, record, text, time


def health() -> Json:
    """Whether the app can work."""
    timer = record(
        {
            "lastRun": maybe(time("When it last ran; null if it never ran.")),
            "late": {"type": "boolean", "description": "Whether it has missed runs."},
        },
        "A timer of the app.",
    )
    step = text("Whether it works.", enum=["passed", "failed", "unknown"])
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
    return record({"status": status, "checks": checks}, "Whether the app can work.")
