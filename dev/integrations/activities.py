"""Activities of Data Factory as plain JSON. Names and rules are those of its REST API, version 2018-06-01."""

from typing import Any

Json = dict[str, Any]

RETRIES = 3
PAUSE_SECONDS = 60
"""Between two tries of an activity."""
LONGEST = "0.12:00:00"
"""For activities that wait for the verdict: an hour above the default deadline of a request (660 minutes)."""
SHORTEST = "0.00:10:00"
"""For activities that ask something and get their answer at once."""
ANSWER = "00:04:00"
"""For one HTTP answer: more than the 230 s after which Azure cuts a call, so that `waitSeconds` may be 200."""
LOOK_SECONDS = 30
"""Between two looks of the loop."""
JSON_HEADER = {"Content-Type": "application/json"}


def expression(text: str) -> Json:
    """An expression of the pipeline language; `text` begins with @."""
    return {"value": text, "type": "Expression"}


def after(activity: str, *conditions: str) -> list[Json]:
    """`dependsOn` for one activity before; Succeeded unless other conditions are given."""
    return [{"activity": activity, "dependencyConditions": list(conditions or ("Succeeded",))}]


def policy(timeout: str, *, secure_input: bool = False, secure_output: bool = False) -> Json:
    """How long one try may take, how often it is tried again, and what the run history does not show."""
    return {
        "timeout": timeout,
        "retry": RETRIES,
        "retryIntervalInSeconds": PAUSE_SECONDS,
        "secureInput": secure_input,
        "secureOutput": secure_output,
    }


def activity(name: str, kind: str, properties: Json, depends_on: list[Json], **more: Any) -> Json:
    """One activity; `more` are keys beside `typeProperties`, such as policy."""
    return {"name": name, "type": kind, "dependsOn": depends_on, **more, "typeProperties": properties}


def wait(name: str, seconds: int, depends_on: list[Json]) -> Json:
    """Waits."""
    return activity(name, "Wait", {"waitTimeInSeconds": seconds}, depends_on)


def set_variable(name: str, variable: str, value: str, depends_on: list[Json]) -> Json:
    """Keeps the value of an expression in a variable."""
    return activity(name, "SetVariable", {"variableName": variable, "value": expression(value)}, depends_on)


def until(name: str, condition: str, inner: list[Json], depends_on: list[Json]) -> Json:
    """Repeats activities until a condition holds; it is looked at after each turn."""
    properties = {"expression": expression(condition), "timeout": LONGEST, "activities": inner}
    return activity(name, "Until", properties, depends_on)


def unless(name: str, condition: str, inner: list[Json], depends_on: list[Json]) -> Json:
    """Runs activities if a condition does not hold."""
    properties = {"expression": expression(condition), "ifFalseActivities": inner}
    return activity(name, "IfCondition", properties, depends_on)


def fail(name: str, message: str, code: str) -> Json:
    """Ends the pipeline as failed, with the value of an expression as its message."""
    return activity(name, "Fail", {"message": expression(message), "errorCode": code}, [])
