"""The control routes: their effects and answers, and the messages for invalid input."""

from __future__ import annotations

import pytest

from dev.power_bi.knobs import KNOBS, Knobs, to_json
from tests.power_bi_service.world import BEARER, DATASET, FULL, OTHER, REFRESHES, World

CONTROL = f"/control/datasets/{DATASET}"


def test_the_records_of_the_service() -> None:
    """The service records the calls by route (including refused ones), the accepted calls, and the true state of the
    refreshes."""
    world = World(visibilitySeconds=15)
    refresh_id = world.start()
    world.call("POST", REFRESHES, FULL)
    world.rows()
    world.details(refresh_id)
    world.cancel(refresh_id)
    world.control("POST", f"{CONTROL}/external", {"startsIn": 60})
    status, seen = world.control("GET", CONTROL)
    assert status == 200
    assert seen["calls"] == {"start": 2, "history": 1, "details": 1, "cancel": 1, "dataset": 0}
    assert (seen["accepted"], seen["dropped"], seen["planned"]) == (1, [], 1)
    assert seen["refreshes"] == [
        {
            "requestId": refresh_id,
            "refreshType": "ViaEnhancedApi",
            "enhanced": True,
            "external": False,
            "state": "NotStarted",
            "startTime": "2026-03-23T13:48:31.017000Z",
            "endTime": None,
            "listedFrom": "2026-03-23T13:48:46.017000Z",
            "cancelRequested": True,
            "body": {"type": "full"},
        }
    ]


def test_knobs_are_shown_as_they_were_set() -> None:
    """The knobs in the answer to GET can be sent back unchanged."""
    world = World()
    values = {
        "seconds": [1, 2],
        "visibilitySeconds": "never",
        "outcome": [
            "Failed",
            {"outcome": "Cancelled", "seconds": 3, "attempts": 2},
            {"outcome": "Failed", "errorCode": None},
        ],
        "dropHeaders": ["Location"],
        "conflict": "queue",
        "clockSkewSeconds": -5,
    }
    _, seen = world.control("POST", CONTROL, values)
    knobs = seen["knobs"]
    assert knobs["outcome"][1] == {"outcome": "Cancelled", "seconds": 3, "attempts": 2}
    assert {key: knobs[key] for key in values if key != "outcome"} == {
        k: v for k, v in values.items() if k != "outcome"
    }
    _, again = world.control("POST", CONTROL, knobs)
    assert again["knobs"] == knobs


def test_defaults_are_for_models_without_own_values() -> None:
    """Null resets a knob to the default."""
    world = World()
    world.control("POST", CONTROL, {"seconds": 1})
    assert world.control("POST", "/control/defaults", {"seconds": 7, "conflict": 409}) == (200, {})
    assert world.control("GET", CONTROL)[1]["knobs"]["seconds"] == 1
    assert world.control("GET", CONTROL)[1]["knobs"]["conflict"] == 409
    assert world.control("GET", f"/control/datasets/{OTHER}")[1]["knobs"]["seconds"] == 7
    world.control("POST", CONTROL, {"seconds": None})
    assert world.control("GET", CONTROL)[1]["knobs"]["seconds"] == 7


def test_the_running_refresh_is_cancelled_or_ended() -> None:
    """The answer has the request id of the refresh. If no refresh is running, it is 409."""
    world = World()
    assert world.control("POST", f"{CONTROL}/cancel") == (409, {"error": "no refresh is running"})
    refresh_id = world.start()
    assert world.control("POST", f"{CONTROL}/cancel") == (200, {"requestId": refresh_id})
    world.start()
    assert world.control("POST", f"{CONTROL}/end")[0] == 200
    world.start()
    assert world.control("POST", f"{CONTROL}/end", {"outcome": "Failed"})[0] == 200
    assert world.states() == ["Cancelled", "Completed", "Failed"]


def test_faults_over_http() -> None:
    """Faults can be added, listed with the remaining count, and removed."""
    world = World()
    assert world.control("POST", "/control/faults", {"fault": "drop"})[1]["faults"][0]["left"] == 1
    assert world.call("GET", REFRESHES).dropped
    assert world.control("GET", "/control/faults")[1]["faults"][0]["left"] == 0
    assert world.control("DELETE", "/control/faults") == (200, {"faults": []})


def test_reset_removes_everything() -> None:
    """A reset removes models, knobs and faults."""
    world = World()
    world.control("POST", CONTROL, {"seconds": 1})
    world.control("POST", "/control/faults", {"fault": "drop", "probability": 0})
    world.start()
    assert world.control("POST", "/control/reset") == (200, {})
    assert world.states() == []
    assert world.service.faults() == []
    assert world.service.knobs(DATASET) == Knobs()


def test_ids_are_unique_after_a_reset() -> None:
    """The service uses no id again after a reset, because apps may have stored earlier ids."""
    world = World()
    ids = set()
    for _ in range(3):
        ids.add(world.start())
        world.service.reset()
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (CONTROL, {"colour": 1}, "unknown key 'colour'; known keys: exists, capacity"),
        (CONTROL, {"seconds": -1}, '"seconds" must be a number from 0 to 31622400'),
        (CONTROL, {"seconds": 1e300}, '"seconds" must be a number'),
        (CONTROL, {"seconds": float("nan")}, '"seconds" must be a number'),
        (CONTROL, {"seconds": [2, 1]}, r'"seconds" must be [least, most]'),
        (CONTROL, {"seconds": "5"}, '"seconds" must be a number'),
        (CONTROL, {"seconds": True}, '"seconds" must be a number'),
        (CONTROL, {"seconds": [1]}, '"seconds" must be seconds or [least, most]'),
        (CONTROL, {"exists": 1}, '"exists" must be true or false'),
        (CONTROL, {"conflict": 500}, '"conflict" must be one of 400, 409, queue'),
        (CONTROL, {"outcome": []}, '"outcome" needs at least one'),
        (CONTROL, {"outcome": "Fine"}, '"outcome" must be one of Completed'),
        (CONTROL, {"outcome": {"mood": 1}}, "\"outcome\" has a bad entry: unknown key 'mood'"),
        (CONTROL, {"outcome": {"outcome": "Failed", "messages": "no"}}, '"messages" must be a list'),
        (
            CONTROL,
            {"outcome": {"outcome": "Failed", "errorCode": ""}},
            '"errorCode" must be a string that is not empty',
        ),
        (CONTROL, {"dropHeaders": ["Date"]}, '"dropHeaders" must be one of RequestId'),
        (CONTROL, [1], "the body must be a JSON object"),
        ("/control/datasets/sales", {}, '"datasetId" must be a GUID'),
        ("/control/defaults", {"colour": 1}, "unknown key 'colour'"),
        (f"{CONTROL}/external", {"refreshType": "Mine"}, '"refreshType" must be one of'),
        (f"{CONTROL}/external", {"startsIn": "soon"}, '"startsIn" must be a number'),
        (f"{CONTROL}/cancel", {"now": True}, "unknown key 'now'"),
        (f"{CONTROL}/end", {"outcome": "Stuck"}, '"outcome" cannot be Stuck'),
        ("/control/faults", {"fault": "flood"}, '"fault" must be one of'),
        ("/control/reset", {"hard": True}, "unknown key 'hard'"),
    ],
)
def test_invalid_input_is_refused_with_its_key(path: str, body: object, named: str) -> None:
    """The answer is 400 with a message, and nothing is changed."""
    world = World()
    before = world.service.report(DATASET, world.now)
    status, answer = world.control("POST", path, body)
    assert status == 400
    assert named in answer["error"]
    assert world.service.report(DATASET, world.now) == before


def test_one_invalid_knob_refuses_all() -> None:
    """If one knob is invalid, none is changed."""
    world = World()
    world.control("POST", CONTROL, {"seconds": 99, "colour": 1})
    assert world.service.knobs(DATASET).seconds == (10, 10)


def test_a_body_that_is_not_json_is_refused() -> None:
    """The answer is 400."""
    assert World().call("POST", CONTROL, b"seconds=5", BEARER).status == 400


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/control"), ("GET", "/control/reset"), ("PUT", CONTROL), ("POST", f"{CONTROL}/x/y")]
)
def test_unknown_control_routes(method: str, path: str) -> None:
    """The answer is 404 with a message."""
    status, answer = World().control(method, path)
    assert status == 404
    assert "no such control route" in answer["error"]


def test_every_knob_has_a_field() -> None:
    """Every field is also a knob."""
    assert set(to_json(Knobs())) == set(KNOBS)
