"""Callers that wait inside the start: the verdict itself if it comes in time, the ordinary answer if not."""

import threading
import time

import pytest

from tests.e2e.world import WORKSPACE, World


@pytest.mark.parametrize(("outcome", "code"), [("Completed", 200), ("Failed", 424)])
def test_an_end_in_time_is_the_answer(world: World, outcome: str, code: int) -> None:
    """The same status that a poller sees at the end, as soon as it is known, and no Location to poll."""
    model = world.model(outcome=outcome)
    began = time.monotonic()
    answer = world.post({"workspaceId": WORKSPACE, "datasetId": model, "waitSeconds": 60})
    took = time.monotonic() - began
    body = answer.json()
    assert (answer.status_code, body["status"]) == (code, outcome)
    assert "Location" not in answer.headers
    assert took < 40
    assert body["refreshId"] == world.own(model)[0]["requestId"]
    assert next(iter(body)) == ("error" if outcome == "Failed" else "id")
    (row,) = world.listing(datasetId=model).json()["refreshes"]
    assert (row["id"], row["status"]) == (body["id"], outcome)


def test_an_end_that_does_not_come_in_time(world: World) -> None:
    """The ordinary 202 after the wait, and the request goes on to its end."""
    began = time.monotonic()
    answer = world.post({"workspaceId": WORKSPACE, "datasetId": world.model(seconds=4), "waitSeconds": 1})
    took = time.monotonic() - began
    assert answer.status_code == 202
    assert 1 <= took < 1 + 2
    assert answer.headers["Location"] == answer.json()["statusUri"]
    assert world.follow(answer.json()["statusUri"]).code == 200


def test_a_wait_blocks_nobody_else(world: World) -> None:
    """While some wait, others are answered at once."""

    def wait() -> None:
        world.post({"workspaceId": WORKSPACE, "datasetId": world.model(seconds=30), "waitSeconds": 8})

    waiting = [threading.Thread(target=wait) for _ in range(10)]
    for thread in waiting:
        thread.start()
    quick = world.model()
    began = time.monotonic()
    started = world.ask(quick)
    assert time.monotonic() - began < 2
    assert world.follow(started["statusUri"], 30).code == 200
    for thread in waiting:
        thread.join(30)
