"""Runs a workflow definition by the documented rules of Logic Apps: order, statuses, loops, and the actions in use.

Durations of the definition are multiplied by `scale` and those of Retry-After by `poll_scale`, so that hours pass
in seconds; everything else takes its real time. Sources: schema reference for trigger and action types; handling errors
and exceptions; HTTP; HTTP webhook.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.callers.clients.logic_durations import seconds_of
from tests.callers.clients.logic_evaluate import InvalidTemplateError, evaluate, holds
from tests.callers.clients.logic_http import NO_ANSWER, Answer, Callbacks, Network, retried

Json = dict[str, Any]

RETRY_AFTER = 20.0
"""The seconds between two polls of a Location if there is no Retry-After."""
LOOK_SECONDS = 0.02
HIDDEN = "hidden: the action's inputs are secured"


class TerminatedError(Exception):
    """A Terminate action has ended the run."""

    def __init__(self, inputs: Json) -> None:
        super().__init__(inputs["runStatus"])
        self.inputs = inputs


class CancelledRunError(Exception):
    """The run was cancelled."""


class TimeIsUpError(Exception):
    """An action reached its limit.timeout."""


@dataclass
class Done:
    """The result of an action. `error`: the value of actions('x')?['error']."""

    status: str
    outputs: Json | None = None
    error: Json | None = None


@dataclass(frozen=True)
class Workflow:
    """A definition with the values of its parameters."""

    name: str
    definition: Json
    parameters: Json


@dataclass
class Frame:
    """The values that an expression can refer to: the results of earlier actions, and the items of the enclosing
    loops."""

    run: "Run"
    done: dict[str, Done] = field(default_factory=dict)
    items: dict[str, Any] = field(default_factory=dict)
    callback: str | None = None

    def inner(self, **items: Any) -> "Frame":
        """A frame for one iteration of a loop. It has the results from outside the loop; its own results are not
        visible outside."""
        return Frame(self.run, dict(self.done), {**self.items, **items})

    def refer(self, function: str, name: str | None) -> Any:
        """See tests.callers.clients.logic_evaluate.Scope."""
        run = self.run
        if function == "workflow":
            return {"name": run.workflow.name, "run": {"name": run.name}}
        if function == "triggerbody":
            return run.body
        if function == "listcallbackurl" and self.callback:
            return self.callback
        places: dict[str, dict[str, Any]] = {
            "parameters": run.workflow.parameters,
            "variables": run.variables,
            "items": self.items,
        }
        if function in places:
            if name not in places[function]:
                raise InvalidTemplateError(f"{function}('{name}') does not exist")
            return places[function][name]
        if function in ("actions", "outputs", "body") and name in self.done:
            done = self.done[name]
            if function == "actions":
                return {"name": name, "status": done.status, "outputs": done.outputs, "error": done.error}
            return done.outputs if function == "outputs" else (done.outputs or {}).get("body")
        raise InvalidTemplateError(f"{function}({name or ''}) cannot be evaluated here")


@dataclass
class Run:
    """One run. `status` and `error` are those of the run history; `response` is the answer to the caller.

    `timed_out`: the status of an action that reaches its limit. The reference says Cancelled, the portal TimedOut.
    """

    workflow: Workflow
    body: Json
    network: Network
    callbacks: Callbacks
    scale: float
    name: str
    poll_scale: float = 0.2
    timed_out: str = "Cancelled"
    status: str = "Running"
    error: Json | None = None
    response: tuple[int, Any] | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cancel(self) -> None:
        """Cancels the run as in the portal: running actions are cancelled, webhooks unsubscribe."""
        self.cancelled.set()

    def to_the_end(self) -> "Run":
        """Runs all actions."""
        try:
            self.status = self._group(self.workflow.definition["actions"], Frame(self))
        except TerminatedError as end:
            self.status, self.error = end.inputs["runStatus"], end.inputs.get("runError")
        except CancelledRunError:
            self.status = "Cancelled"
        return self

    # ---- order and statuses ----

    def _group(self, actions: Json, frame: Frame) -> str:
        """Runs a group of actions. Its status is that of its leaves; a skipped leaf counts like the actions before
        it."""
        left = dict(actions)
        while left:
            ready = [name for name, action in left.items() if not set(action.get("runAfter", {})) & set(left)]
            for name in ready:
                action = left.pop(name)
                after = action.get("runAfter", {})
                due = all(frame.done[other].status in statuses for other, statuses in after.items())
                frame.done[name] = self._action(name, action, frame) if due else Done("Skipped")
        followed = {other for action in actions.values() for other in action.get("runAfter", {})}
        leaves = [name for name in actions if name not in followed]
        ends = [status for leaf in leaves for status in self._ends(leaf, actions, frame)]
        return "Succeeded" if all(status == "Succeeded" for status in ends) else "Failed"

    def _ends(self, name: str, actions: Json, frame: Frame) -> Iterator[str]:
        status, before = frame.done[name].status, actions[name].get("runAfter", {})
        if status != "Skipped" or not before:
            yield status
        for other in before if status == "Skipped" else ():
            yield from self._ends(other, actions, frame)

    def _action(self, name: str, action: Json, frame: Frame) -> Done:
        if self.cancelled.is_set():
            raise CancelledRunError
        secured = action.get("runtimeConfiguration", {}).get("secureData", {}).get("properties", [])
        record: Json = {"action": name, "inputs": HIDDEN if "inputs" in secured else None}
        with self._lock:
            self.history.append(record)
        try:
            done = self._do(name, action, frame, record)
        except InvalidTemplateError as problem:
            done = Done("Failed", error={"code": "InvalidTemplate", "message": str(problem)})
        record |= {"status": done.status, "outputs": None if "outputs" in secured else done.outputs}
        return done

    def _do(self, name: str, action: Json, frame: Frame, record: Json) -> Done:
        kind = action["type"]
        if kind == "Foreach":
            return self._foreach(name, action, frame)
        if kind == "If":
            branch = (
                action["actions"] if holds(action["expression"], frame) else action.get("else", {}).get("actions", {})
            )
            return Done(self._group(branch, frame))
        if kind == "HttpWebhook":
            return self._webhook(name, action, frame, record)
        inputs = self._inputs(action["inputs"], frame, record)
        if kind == "Http":
            return self._http(action, inputs)
        if kind == "InitializeVariable":
            self.variables |= {variable["name"]: variable["value"] for variable in inputs["variables"]}
        elif kind == "AppendToArrayVariable":
            with self._lock:
                self.variables[inputs["name"]] = [*self.variables[inputs["name"]], inputs["value"]]
        elif kind == "Response":
            assert self.response is None, "a run answers only once"
            self.response = (inputs["statusCode"], inputs["body"])
        elif kind == "Terminate":
            raise TerminatedError(inputs)
        else:
            raise AssertionError(f"actions of type {kind} are not implemented")
        return Done("Succeeded")

    def _inputs(self, inputs: Any, frame: Frame, record: Json) -> Any:
        value = evaluate(inputs, frame)
        if record["inputs"] is None:
            record["inputs"] = value
        return value

    def _foreach(self, name: str, action: Json, frame: Frame) -> Done:
        items = evaluate(action["foreach"], frame)
        if not isinstance(items, list):
            raise InvalidTemplateError(f"the foreach of '{name}' must be an array, it is {type(items).__name__}")
        if not items:
            return Done("Succeeded")
        together = action.get("runtimeConfiguration", {}).get("concurrency", {}).get("repetitions", 20)
        with ThreadPoolExecutor(min(together, len(items))) as pool:
            frames = [frame.inner(**{name: item}) for item in items]
            statuses = list(pool.map(lambda inner: self._group(action["actions"], inner), frames))
        return Done("Succeeded" if set(statuses) == {"Succeeded"} else "Failed")

    # ---- the two actions that wait ----

    def _http(self, action: Json, inputs: Json) -> Done:
        """Polls the Location of a 202 until the status is different. The limit counts from the first call."""
        clock = _Limit(self, action)
        policy = inputs.get("retryPolicy")
        try:
            answer = retried(lambda: self.network.call(inputs), policy, clock.wait)
            while answer.status == 202 and action.get("operationOptions") != "DisableAsyncPattern":
                location = answer.header("Location")
                clock.wait(float(answer.header("Retry-After") or RETRY_AFTER), self.poll_scale)
                if location:  # without a Location the action waits until its limit
                    look: Json = {"method": "GET", "uri": location}
                    answer = retried(lambda look=look: self.network.call(look), policy, clock.wait)  # type: ignore[misc]
        except TimeIsUpError:
            return self._out_of_time()
        return _answered(answer)

    def _webhook(self, name: str, action: Json, frame: Frame, record: Json) -> Done:
        """Subscribes, waits for one callback, and always unsubscribes."""
        clock = _Limit(self, action)
        uri, called, received = self.callbacks.make(self.name, name)
        inside = Frame(self, frame.done, frame.items, callback=uri)
        inputs = self._inputs(action["inputs"], inside, record)
        start, stop = inputs["subscribe"], inputs["unsubscribe"]
        try:
            answer = retried(lambda: self.network.call(start), start.get("retryPolicy"), clock.wait)
            if not 200 <= answer.status < 300:
                return _answered(answer)
            assert (answer.status, answer.header("Location")) == (200, None), (
                "the effect of a 202 is not documented here"
            )
            clock.wait_for(called)
            done = Done("Succeeded", outputs=_outputs(received[0]))
        except TimeIsUpError:
            done = self._out_of_time()
        except CancelledRunError:
            self._unsubscribe(stop)
            raise
        finally:
            self.callbacks.close(uri)
        self._unsubscribe(stop)
        return done

    def _unsubscribe(self, stop: Json) -> None:
        def wait(seconds: float) -> None:
            threading.Event().wait(seconds * self.scale)  # this wait does not end if the run is cancelled

        retried(lambda: self.network.call(stop), stop.get("retryPolicy"), wait)

    def _out_of_time(self) -> Done:
        return Done(
            self.timed_out, error={"code": "ActionTimedOut", "message": "The action took longer than its limit."}
        )


class _Limit:
    """The limit.timeout of an action, and waits that end when the limit is reached or the run is cancelled."""

    def __init__(self, run: Run, action: Json) -> None:
        self._run = run
        self._left = (seconds_of(action.get("limit", {}).get("timeout")) or 86_400.0) * run.scale

    def wait(self, seconds: float, scale: float | None = None) -> None:
        """Waits. Raises TimeIsUpError or CancelledRunError."""
        scaled = seconds * (self._run.scale if scale is None else scale)
        if self._run.cancelled.wait(min(scaled, self._left)):
            raise CancelledRunError
        self._left -= scaled
        if self._left <= 0:
            raise TimeIsUpError

    def wait_for(self, event: threading.Event) -> None:
        """Waits for an event."""
        while not event.is_set():
            self.wait(LOOK_SECONDS, 1)


def _outputs(answer: Answer) -> Json:
    return {"statusCode": answer.status, "headers": answer.headers, "body": answer.body}


def _answered(answer: Answer) -> Done:
    if answer.status == NO_ANSWER:
        return Done("Failed", error={"code": "ServiceUnavailable", "message": "The remote name could not be reached."})
    if 200 <= answer.status < 300:
        return Done("Succeeded", outputs=_outputs(answer))
    return Done("Failed", outputs=_outputs(answer), error={"code": "ActionFailed", "message": "An action failed."})
