"""The service as a whole: it answers requests, each at a given time, and has control methods.

It has no clock and no sockets: the same seed and the same requests at the same times give the same answers.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlsplit
from uuid import UUID

from dev.power_bi import api, checks, control
from dev.power_bi.checks import BadControl
from dev.power_bi.dataset import Dataset, history_of
from dev.power_bi.faults import Fault, Faults, fault
from dev.power_bi.knobs import Knobs, Outcome, Settings, outcome, to_json
from dev.power_bi.messages import Json, Request, Response


class PowerBiService:
    """A Power BI service with any number of semantic models. Safe to use from several threads.

    Times are aware and must not run backwards. `BadControl` is raised for invalid values, and names the key.
    """

    def __init__(self, seed: int | str = 0) -> None:
        self._seed, self._resets = seed, 0
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Deletes all models, knobs and faults. Ids are not reused."""
        with self._lock:
            self._resets += 1
            self._defaults = Settings()
            self._knobs: dict[str, Settings] = {}
            self._in_force: dict[str, Knobs] = {}
            """The resulting knobs by model, a cache that is cleared when a knob changes."""
            self._datasets: dict[str, Dataset] = {}
            self._faults = Faults()
            self._chance = random.Random(f"{self._seed}/{self._resets}")  # noqa: S311

    def handle(self, request: Request, now: datetime) -> Response:
        """The answer of the API or of the control routes to a request that arrives at `now`."""
        now = _utc(now)
        path = urlsplit(request.path).path
        with self._lock:
            if path == "/control" or path.startswith("/control/"):
                return control.answer(self, request, path, now)
            workspace_id = api.listed_workspace(request, path)
            if workspace_id:
                return self._complete(
                    self._models(request, workspace_id), None, self._defaults.applied_to(Knobs()), now
                )
            call = api.routed(request, path)
            knobs = self.knobs(call.dataset_id) if call else self._defaults.applied_to(Knobs())
            response = self._answer(call, knobs, now) if call else api.other_path(request, path)
            return self._complete(response, call, knobs, now)

    def set_defaults(self, values: Mapping[str, object]) -> None:
        """Sets knobs of all models that have no value of their own; None resets a knob."""
        with self._lock:
            self._defaults.change(values)
            self._in_force.clear()

    def set_knobs(self, dataset_id: str | UUID, values: Mapping[str, object]) -> None:
        """Sets knobs of one model; None resets a knob. Setting `outcome` restarts its sequence."""
        with self._lock:
            key = checks.dataset_id(dataset_id)
            self._knobs.setdefault(key, Settings()).change(values)
            self._in_force.pop(key, None)
            if "outcome" in values:
                self._dataset(key).outcomes_used = 0

    def knobs(self, dataset_id: str | UUID) -> Knobs:
        """The knobs of a model."""
        with self._lock:
            key = checks.dataset_id(dataset_id)
            if key not in self._in_force:
                own, defaults = self._knobs.get(key), self._defaults.applied_to(Knobs())
                self._in_force[key] = own.applied_to(defaults) if own else defaults
            return self._in_force[key]

    def add_external(self, dataset_id: str | UUID, values: Mapping[str, object], now: datetime) -> None:
        """Adds an external refresh that starts in `startsIn` seconds; it started in the past if that is negative."""
        with self._lock:
            self._dataset(checks.dataset_id(dataset_id)).plan(values, _utc(now))
            self._advanced(dataset_id, now)

    def end(self, dataset_id: str | UUID, now: datetime, value: object = "Completed") -> str | None:
        """Ends the running refresh with an outcome. Returns its request id; None if no refresh is running."""
        with self._lock:
            found = checks.checked({"outcome": value}, {"outcome": outcome}, "end")["outcome"]
            if found.outcome == "Stuck":
                raise BadControl('end: "outcome" cannot be Stuck, which never ends')
            return self._end(dataset_id, now, found)

    def cancel(self, dataset_id: str | UUID, now: datetime) -> str | None:
        """Cancels the running refresh, also a standard one. Returns its request id; None if no refresh is running."""
        with self._lock:
            return self._end(dataset_id, now, Outcome("Cancelled"))

    def add_fault(self, values: Mapping[str, object]) -> None:
        """Adds a rule that makes calls fail."""
        with self._lock:
            self._faults.rules.append(fault(values))

    def faults(self) -> list[Json]:
        """The rules in order, with the number of calls that each has hit and will still hit."""
        with self._lock:
            return [rule.to_json() for rule in self._faults.rules]

    def clear_faults(self) -> None:
        """Removes all rules."""
        with self._lock:
            self._faults = Faults()

    def report(self, dataset_id: str | UUID, now: datetime) -> Json:
        """The counts of the calls for a model, and its refreshes with their true states."""
        with self._lock:
            dataset, now = self._advanced(dataset_id, now), _utc(now)
            return {
                "datasetId": checks.dataset_id(dataset_id),
                "calls": dict(dataset.calls),
                "accepted": dataset.accepted,
                "dropped": list(dataset.dropped),
                "refreshes": list(history_of(dataset, now)),
                "planned": len(dataset.planned),
                "knobs": to_json(self.knobs(dataset_id)),
            }

    def _models(self, request: Request, workspace_id: str) -> Response:
        found = {key: self.knobs(key) for key in self._knobs}
        listed = {key: knobs for key, knobs in found.items() if knobs.exists and knobs.workspace_id == workspace_id}
        rule: Fault | None = self._faults.hit("models", workspace_id, self._chance)
        if rule is None:
            return api.models(request, workspace_id, listed)
        return rule.carry_out(lambda forget: api.models(request, workspace_id, listed))

    def _answer(self, call: api.Call, knobs: Knobs, now: datetime) -> Response:
        dataset = self._advanced(call.dataset_id, now)
        dataset.calls[call.route] += 1
        rule: Fault | None = self._faults.hit(call.route, call.dataset_id, self._chance)
        if rule is None:
            return api.answer(call, dataset, knobs, now)
        return rule.carry_out(lambda forget: api.answer(call, dataset, knobs, now, forget))

    def _complete(self, response: Response, call: api.Call | None, knobs: Knobs, now: datetime) -> Response:
        clock = now + timedelta(seconds=knobs.clock_skew_seconds)
        headers = {
            "Date": format_datetime(clock, usegmt=True),
            "RequestId": str(UUID(int=self._chance.getrandbits(128), version=4)),
            "Cache-Control": "no-store, must-revalidate, no-cache",
            "Pragma": "no-cache",
            "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
            "request-redirected": "true",
            "home-cluster-uri": f"{api.CLUSTER}/",
            **response.headers,
        }
        if call and call.route == "start" and response.status == 202:
            headers = {name: value for name, value in headers.items() if name not in knobs.drop_headers}
        return Response(response.status, headers, response.body, response.dropped, response.delay_seconds)

    def _end(self, dataset_id: str | UUID, now: datetime, how: Outcome) -> str | None:
        now = _utc(now)
        dataset = self._advanced(dataset_id, now)
        refresh = next(iter(dataset.running(now)), None)
        if refresh is None:
            return None
        refresh.cut = now, how
        return refresh.request_id

    def _advanced(self, dataset_id: str | UUID, now: datetime) -> Dataset:
        dataset = self._dataset(checks.dataset_id(dataset_id))
        dataset.advance(_utc(now), self.knobs(dataset_id))
        return dataset

    def _dataset(self, key: str) -> Dataset:
        if key not in self._datasets:
            self._datasets[key] = Dataset(random.Random(f"{self._seed}/{self._resets}/{key}"))  # noqa: S311
        return self._datasets[key]


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("now must be an aware time")
    return now.astimezone(UTC)
