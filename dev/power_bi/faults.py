"""Faults: rules that make calls of a route fail, a number of times or with a probability."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dev.power_bi import checks, refusals
from dev.power_bi.checks import BadControl, Check
from dev.power_bi.messages import Response

Json = dict[str, Any]

OF_A_MODEL = ("start", "history", "details", "cancel", "dataset")
"""The routes of a single model. Their calls are counted for each model."""
ROUTES = (*OF_A_MODEL, "models")

ANSWERS: Mapping[str, Callable[[float], Response]] = {
    "notAuthorized": lambda seconds: refusals.not_authorized(),
    "unauthorized": lambda seconds: refusals.unauthorized(),
    "notAllowedByTenant": lambda seconds: refusals.not_allowed_by_tenant(),
    "notAccessible": lambda seconds: refusals.not_accessible(),
    "notAccessibleIn200": lambda seconds: refusals.not_accessible_200(),
    "forbiddenPage": lambda seconds: refusals.forbidden_page(),
    "tokenExpired": lambda seconds: refusals.token_expired(),
    "notFound": lambda seconds: refusals.not_found(),
    "datasetNotFound": lambda seconds: refusals.dataset_not_found(),
    "capacityNotActive": lambda seconds: refusals.capacity_not_active(),
    "capacityNotActive503": lambda seconds: refusals.capacity_not_active(503),
    "notModelBased": lambda seconds: refusals.not_model_based(),
    "directQuery": lambda seconds: refusals.direct_query(),
    "throttled": lambda seconds: refusals.throttled(math.ceil(seconds)),
    "throttledWithoutHeader": lambda seconds: refusals.throttled_without_header(math.ceil(seconds)),
    "fabricThrottled": lambda seconds: refusals.fabric_throttled(),
    "fabricThrottled429": lambda seconds: refusals.fabric_throttled(429),
    "capacityLimitExceeded": lambda seconds: refusals.capacity_limit_exceeded(),
    "tooManyRequestsForCapacity": lambda seconds: refusals.too_many_requests_for_capacity(math.ceil(seconds)),
    "notLicensed": lambda seconds: refusals.not_licensed(),
    "personalWorkspace": lambda seconds: refusals.personal_workspace(),
    "proxyPage": lambda seconds: refusals.proxy_page(),
    "unboundDataSource": lambda seconds: refusals.unbound_data_source(),
    "redirected": lambda seconds: refusals.redirected(),
    "signInPage": lambda seconds: refusals.sign_in_page(),
    "serverError": lambda seconds: refusals.server_error(),
    "badGateway": lambda seconds: refusals.bad_gateway(),
    "unavailable": lambda seconds: refusals.unavailable(),
    "gatewayTimeout": lambda seconds: refusals.gateway_timeout(),
    "drop": lambda seconds: Response(0, dropped=True),
    "hang": lambda seconds: Response(0, dropped=True, delay_seconds=seconds),
}
"""Faults that replace the answer of the service. With `afterEffect`, the service carries out the call before it
fails."""
SLOW, ACCEPTED_BUT_DROPPED = "slow", "acceptedButDropped"
FAULTS = (*ANSWERS, SLOW, ACCEPTED_BUT_DROPPED)
_SECONDS = {
    "throttled": 60.0,
    "throttledWithoutHeader": 60.0,
    "tooManyRequestsForCapacity": 60.0,
    "hang": 120.0,
    SLOW: 5.0,
}

_CHECKS: Mapping[str, Check] = {
    "fault": checks.one_of(*FAULTS),
    "route": checks.one_of(*ROUTES, "any"),
    "datasetId": checks.guid,
    "count": checks.whole(1),
    "probability": checks.number(0, 1),
    "skip": checks.whole(0),
    "seconds": checks.number(0, checks.YEAR),
    "afterEffect": checks.flag,
}
KEYS = tuple(_CHECKS)


@dataclass
class Fault:
    """One rule. `skip`: how many calls it lets pass first; `left`: how many calls it will still hit, None for no limit;
    `hit_count`: how many calls it has hit.
    """

    name: str
    route: str = "any"
    dataset_id: str | None = None
    left: int | None = 1
    probability: float = 1.0
    skip: int = 0
    seconds: float = 0.0
    after_effect: bool = False
    hit_count: int = 0

    def hits(self, route: str, dataset_id: str, chance: random.Random) -> bool:
        """Whether the rule hits this call; if it does, the hit is counted."""
        if self.route not in ("any", route) or self.dataset_id not in (None, dataset_id) or self.left == 0:
            return False
        if self.name == ACCEPTED_BUT_DROPPED and route != "start":
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.probability < 1 and chance.random() >= self.probability:
            return False
        if self.left is not None:
            self.left -= 1
        self.hit_count += 1
        return True

    def carry_out(self, effect: Callable[[bool], Response]) -> Response:
        """The answer to a call that the rule hits. `effect` carries out the call; `effect(True)` drops the refresh."""
        if self.name == ACCEPTED_BUT_DROPPED:
            return effect(True)
        if self.name == SLOW:
            return replace(effect(False), delay_seconds=self.seconds)
        if self.after_effect:
            effect(False)
        return ANSWERS[self.name](self.seconds)

    def to_json(self) -> Json:
        """The rule in the form of a control request, but with `left` instead of `count`, and with `struck` in
        addition."""
        result = {"fault": self.name, "route": self.route, "datasetId": self.dataset_id, "left": self.left}
        more = {"probability": self.probability, "skip": self.skip, "seconds": self.seconds}
        return {**result, **more, "afterEffect": self.after_effect, "struck": self.hit_count}


def fault(values: object) -> Fault:
    """A rule from a JSON object with KEYS. Raises BadControl."""
    found = checks.checked(values, _CHECKS, "fault")
    if "fault" not in found:
        raise BadControl('fault: "fault" is missing')
    name, route = found["fault"], found.get("route", "any")
    if name not in ANSWERS and "afterEffect" in found:
        raise BadControl(f'fault: "afterEffect" cannot be combined with {name}')
    if name == ACCEPTED_BUT_DROPPED and route not in ("any", "start"):
        raise BadControl(f'fault: with {name}, "route" must be "start"')
    return Fault(
        name=name,
        route=route,
        dataset_id=found.get("datasetId"),
        # a rule with a probability has no limit by default: it applies until it is removed
        left=found.get("count", None if "probability" in found else 1),
        probability=found.get("probability", 1.0),
        skip=found.get("skip", 0),
        seconds=found.get("seconds", _SECONDS.get(name, 0.0)),
        after_effect=found.get("afterEffect", False),
    )


@dataclass
class Faults:
    """The rules in order of creation; the first one that hits a call decides."""

    rules: list[Fault] = field(default_factory=list)

    def hit(self, route: str, dataset_id: str, chance: random.Random) -> Fault | None:
        """The rule that hits this call; None if there is none."""
        return next((rule for rule in self.rules if rule.hits(route, dataset_id, chance)), None)
