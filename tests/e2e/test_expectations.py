"""A waiting caller sees when the refresh is expected to end, and its progress."""

from datetime import datetime

import pytest

from tests.e2e.world import LONG, World

SECONDS = 4


def test_a_refresh_like_earlier_ones_is_expected_to_take_as_long(world: World) -> None:
    """Status and queue show when the refresh is expected to end: three earlier refreshes took equally long."""
    model = world.model(seconds=LONG)
    for days in range(1, 4):
        earlier = {"refreshType": "Scheduled", "startsIn": -86_400 * days, "seconds": SECONDS}
        world.control(model, "/external", earlier)
    request = world.ask(model)
    status = world.until(request["statusUri"], lambda body: body.get("expectedEnd"))
    taken = datetime.fromisoformat(status["expectedEnd"]) - datetime.fromisoformat(status["startedAt"])
    assert taken.total_seconds() == pytest.approx(SECONDS, abs=0.01)
    queue = world.queue_when(model, lambda queue: (queue["active"] or {}).get("expectedEnd"))
    assert queue["active"]["expectedEnd"] == status["expectedEnd"]
    assert "progress" not in status
    world.end(model)
    result = world.follow(request["statusUri"])
    assert result.body["status"] == "Completed"


def test_an_enhanced_refresh_shows_its_tables(world: World) -> None:
    """The status shows the number of finished partitions, and the tables in progress."""
    tables = [{"table": "Sales", "partition": f"Sales-{year}"} for year in (2024, 2025, 2026)]
    # such a refresh has completed half of its partitions until the test ends it
    model = world.model(outcome="Stuck", objects=[*tables, {"table": "DimDate", "partition": "DimDate"}])
    request = world.ask(model, refresh={"type": "full"})

    def at_work(body: dict[str, object]) -> object:
        progress = body.get("progress")
        return isinstance(progress, dict) and progress["byStatus"].get("Completed")

    status = world.until(request["statusUri"], at_work)
    progress = status["progress"]
    assert progress["objects"] == 4
    assert sum(progress["byStatus"].values()) == 4
    assert progress.get("moreTables", 0) == 0
    assert {table["table"] for table in progress["tables"]} <= {"Sales", "DimDate"}
    assert (
        world.queue_when(model, lambda queue: (queue["active"] or {}).get("progress"))["active"]["progress"]["objects"]
        == 4
    )
    assert "expectedEnd" not in status
    world.end(model)
    assert world.follow(request["statusUri"]).body["status"] == "Completed"
