"""A pipeline run: the dependencies, retries, loops and branches of activities, as the service documents them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.callers.clients.adf_expressions import ExpressionError, State, evaluate, evaluated
from tests.callers.clients.adf_http import ActivityFailed, seconds_of
from tests.callers.clients.pace import Pace

Json = dict[str, Any]

SUCCEEDED, FAILED, SKIPPED = "Succeeded", "Failed", "Skipped"
LONGEST = "7.00:00:00"
INNER = ("activities", "ifTrueActivities", "ifFalseActivities")
HIDDEN = "(hidden)"
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "array": list,
    "object": dict,
    "bool": bool,
    "int": int,
    "float": (int, float),
}
"""The Python types of the values of each type of parameter."""

Runner = Callable[[Json, Json, float], Json]
"""Runs an activity with evaluated `typeProperties` for at most this many seconds. Returns its output, or raises
ActivityFailed."""


@dataclass(frozen=True)
class ActivityRun:
    """A line of the run history. `tries`: the number of attempts. Secure input and output are hidden."""

    name: str
    kind: str
    status: str
    tries: int
    input: Any
    output: Any
    message: str = ""


@dataclass
class PipelineRun:
    """Runs a pipeline file once. `runners`, by type, run the activities that make calls."""

    file: Json
    parameters: Json
    runners: dict[str, Runner]
    pace: Pace
    system: Json
    history: list[ActivityRun] = field(default_factory=list)
    status: str = ""

    def run(self) -> "PipelineRun":
        """Runs the pipeline to its end. Returns this object."""
        properties = self.file["properties"]
        declared = properties.get("parameters", {})
        assert set(self.parameters) <= set(declared), self.parameters
        given = {
            name: self.parameters.get(name, declaration.get("defaultValue")) for name, declaration in declared.items()
        }
        missing = [name for name, value in given.items() if value is None]
        assert not missing, f"parameters without a value: {missing}"
        # Data Factory converts no values: "Expected a value of type 'String', but received a value of type 'Array'"
        wrong = [name for name, value in given.items() if not isinstance(value, TYPES[declared[name]["type"].lower()])]
        assert not wrong, f"parameters with a value of a wrong type: {wrong}"
        variables = {
            name: declaration.get("defaultValue") for name, declaration in properties.get("variables", {}).items()
        }
        system = {"TriggeredByPipelineName": None, "TriggeredByPipelineRunId": None, **self.system}
        self.status = self._scope(properties["activities"], State(given, system, variables))
        return self

    @property
    def message(self) -> str:
        """The message of the last activity that failed."""
        failed = [line.message for line in self.history if line.status == FAILED and line.kind not in ("Until",)]
        return failed[-1] if failed else ""

    @property
    def count(self) -> int:
        """The number of activity runs, which Data Factory bills."""
        return sum(1 for line in self.history if line.status != SKIPPED)

    def _scope(self, activities: list[Json], state: State) -> str:
        """Runs activities in the order of their dependencies. Returns their common status."""
        statuses: dict[str, str] = {}
        for activity in _in_order(activities):
            name = activity["name"]
            statuses[name] = self._one(activity, state) if _may_run(activity, statuses) else SKIPPED
            if statuses[name] == SKIPPED:
                self.history.append(ActivityRun(name, activity["type"], SKIPPED, 0, None, None))
        # the last activities of the branches determine the status; a skipped activity counts like the activities before
        # it
        named = {dependency["activity"] for activity in activities for dependency in activity.get("dependsOn", [])}
        by_name = {activity["name"]: activity for activity in activities}
        leaves = [name for name in by_name if name not in named]
        return SUCCEEDED if all(_good(name, by_name, statuses) for name in leaves) else FAILED

    def _one(self, activity: Json, state: State) -> str:
        """Runs one activity with its retries. Returns its status."""
        policy = activity.get("policy", {})
        tries, failure, output, given = 0, None, {}, None
        while True:
            tries += 1
            try:
                given = self._input(activity, state)
                output = self._act(activity, given, state, seconds_of(policy.get("timeout", LONGEST)))
                failure = None
            except ExpressionError as problem:
                failure = ActivityFailed("ExpressionEvaluationFailed", str(problem))
            except ActivityFailed as problem:
                failure = problem
            if failure is None or tries > policy.get("retry", 0):
                break
            self.pace.wait(policy.get("retryIntervalInSeconds", 30))
        error = {"errorCode": failure.code, "message": failure.message} if failure else {"message": ""}
        state.results[activity["name"]] = {"output": output, "error": error}
        status = FAILED if failure else SUCCEEDED
        self.history.append(
            ActivityRun(
                activity["name"],
                activity["type"],
                status,
                tries,
                HIDDEN if policy.get("secureInput") else given,
                HIDDEN if policy.get("secureOutput") else output,
                error["message"],
            )
        )
        return status

    def _input(self, activity: Json, state: State) -> Json:
        kept = {key: value for key, value in activity["typeProperties"].items() if key not in (*INNER, "expression")}
        properties: Json = evaluated(kept, state)
        files = {key: activity[key] for key in ("inputs", "outputs") if key in activity}
        properties |= evaluated(files, state)
        if "linkedServiceName" in activity:
            properties["linkedService"] = activity["linkedServiceName"]["referenceName"]
        return properties

    def _act(self, activity: Json, given: Json, state: State, timeout: float) -> Json:
        properties = activity["typeProperties"]
        match activity["type"]:
            case "Wait":
                self.pace.wait(given["waitTimeInSeconds"])
            case "SetVariable":
                assert given["variableName"] in state.variables
                if not isinstance(given["value"], str):
                    raise ActivityFailed("2001", f"{given['value']!r} is not of the variable's type String.")
                state.variables[given["variableName"]] = given["value"]
            case "Fail":
                if not isinstance(given["message"], str) or not given["message"]:
                    raise ActivityFailed("ErrorCodeNotString", "Failed to interpret the message.")
                raise ActivityFailed(given["errorCode"], given["message"])
            case "IfCondition":
                branch = "ifTrueActivities" if _true(properties, state) else "ifFalseActivities"
                if self._scope(properties.get(branch, []), state) == FAILED:
                    raise ActivityFailed("ActionFailed", self.message)
            case "Until":
                self._until(properties, state)
            case kind:
                return self.runners[kind](given, activity.get("policy", {}), timeout)
        return {}

    def _until(self, properties: Json, state: State) -> None:
        """Runs a loop. A failed iteration does not end the loop; the last iteration determines its status."""
        end = self.pace.now() + seconds_of(properties.get("timeout", LONGEST))
        while True:
            status = self._scope(properties["activities"], state)
            if _true(properties, state):
                break
            if self.pace.now() > end:
                raise ActivityFailed("TimedOut", "The loop ran into its timeout.")
        if status == FAILED:
            raise ActivityFailed("ActionFailed", self.message)


def _true(properties: Json, state: State) -> bool:
    value = evaluate(properties["expression"]["value"], state)
    if not isinstance(value, bool):
        raise ActivityFailed("2001", f"The condition is {value!r}, which is neither true nor false.")
    return value


def _may_run(activity: Json, statuses: dict[str, str]) -> bool:
    """Whether one of the conditions of each dependency holds."""
    return all(
        any(_holds(condition, statuses[dependency["activity"]]) for condition in dependency["dependencyConditions"])
        for dependency in activity.get("dependsOn", [])
    )


def _holds(condition: str, status: str) -> bool:
    return status == condition or (condition == "Completed" and status != SKIPPED)


def _good(name: str, activities: dict[str, Json], statuses: dict[str, str]) -> bool:
    if statuses[name] == SKIPPED:
        return all(_good(before["activity"], activities, statuses) for before in activities[name]["dependsOn"])
    return statuses[name] == SUCCEEDED


def _in_order(activities: list[Json]) -> Iterator[Json]:
    """The activities, each after its dependencies. Raises ValueError for an unknown activity or a cycle."""
    waiting, done = {activity["name"]: activity for activity in activities}, set[str]()
    while waiting:
        ready = [a for a in waiting.values() if {d["activity"] for d in a.get("dependsOn", [])} <= done]
        if not ready:
            raise ValueError(f"activities that wait for each other, or for an unknown one: {sorted(waiting)}")
        for activity in ready:
            del waiting[activity["name"]]
            done.add(activity["name"])
            yield activity
