"""Activities of Data Factory as JSON, as its REST API (version 2018-06-01) defines them."""

from typing import Any

Json = dict[str, Any]

RETRIES = 3
PAUSE_SECONDS = 60
"""The pause between two attempts of an activity."""
WAITING_TIMEOUT = "0.12:00:00"
"""The timeout of activities that wait for the outcome: an hour above the default deadline (660 minutes)."""
QUICK_TIMEOUT = "0.00:10:00"
"""The timeout of activities that get their answer at once."""
HTTP_TIMEOUT = "00:04:00"
"""The timeout of one HTTP answer: above the 230 s after which Azure ends a call, so `waitSeconds` may be 200."""
POLL_SECONDS = 30
"""The pause between two polls of the loop."""
JSON_HEADER = {"Content-Type": "application/json"}


def expression(text: str) -> Json:
    """An expression of the pipeline language; `text` begins with @."""
    return {"value": text, "type": "Expression"}


def after(activity: str, *conditions: str) -> list[Json]:
    """`dependsOn` with one activity; the condition is Succeeded unless others are given."""
    return [{"activity": activity, "dependencyConditions": list(conditions or ("Succeeded",))}]


def policy(timeout: str, *, secure_input: bool = False, secure_output: bool = False) -> Json:
    """The timeout of one attempt, the retries, and what the run history hides."""
    return {
        "timeout": timeout,
        "retry": RETRIES,
        "retryIntervalInSeconds": PAUSE_SECONDS,
        "secureInput": secure_input,
        "secureOutput": secure_output,
    }


def activity(name: str, kind: str, properties: Json, depends_on: list[Json], **more: Any) -> Json:
    """An activity; `more` are keys beside `typeProperties`, such as `policy`."""
    return {"name": name, "type": kind, "dependsOn": depends_on, **more, "typeProperties": properties}


def wait(name: str, seconds: int, depends_on: list[Json]) -> Json:
    """A Wait activity."""
    return activity(name, "Wait", {"waitTimeInSeconds": seconds}, depends_on)


def set_variable(name: str, variable: str, value: str, depends_on: list[Json]) -> Json:
    """Sets a variable to the value of an expression."""
    return activity(name, "SetVariable", {"variableName": variable, "value": expression(value)}, depends_on)


def until(name: str, condition: str, inner: list[Json], depends_on: list[Json]) -> Json:
    """Repeats activities until a condition is true, which is evaluated after each iteration."""
    properties = {"expression": expression(condition), "timeout": WAITING_TIMEOUT, "activities": inner}
    return activity(name, "Until", properties, depends_on)


def unless(name: str, condition: str, inner: list[Json], depends_on: list[Json]) -> Json:
    """Runs activities if a condition is false."""
    properties = {"expression": expression(condition), "ifFalseActivities": inner}
    return activity(name, "IfCondition", properties, depends_on)


def fail(name: str, message: str, code: str) -> Json:
    """Fails the pipeline with the value of an expression as its message."""
    return activity(name, "Fail", {"message": expression(message), "errorCode": code}, [])
