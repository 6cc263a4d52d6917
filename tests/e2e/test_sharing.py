"""Wider and merged refreshes serve several wishes, and fail nobody through somebody else's mistake."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.world import Told, World

SALES, DATES = {"table": "Sales", "partition": "Sales-2026"}, {"table": "DimDate", "partition": "DimDate"}


def behind_another(world: World, model: str, *wishes: dict[str, object]) -> list[Told]:
    """Requests with these wishes, in this order, while somebody else's refresh keeps the model busy."""
    world.external(model)
    started = []
    for wish in wishes:
        started.append(world.ask(model, **wish))
        world.until(started[-1]["statusUri"], lambda status: status.get("runId"))
    world.end(model)
    with ThreadPoolExecutor(len(started)) as pool:
        return list(pool.map(lambda each: world.follow(each["statusUri"]), started))


def test_fifty_callers_within_a_second(world: World) -> None:
    """At most two refreshes, fifty right verdicts, each told with how many it shared."""
    model = world.model(seconds=2)
    with ThreadPoolExecutor(50) as pool:
        verdicts = list(pool.map(lambda _: world.refreshed(model), range(50)))
    made = {refresh["requestId"]: 0 for refresh in world.own(model)}
    assert len(made) <= 2
    for told in verdicts:
        assert told.code == 200
        made[told.body["refreshId"]] += 1
    assert all(told.body["sharedWith"] + 1 == made[told.body["refreshId"]] for told in verdicts)


def test_wishes_for_parts_become_one_refresh(world: World) -> None:
    """One POST with the objects of both, sorted, and each hears that it was served by more than it asked for."""
    model = world.model()
    verdicts = behind_another(
        world, model, {"refresh": {"objects": [SALES]}}, {"refresh": {"objects": [DATES]}}, {"share": False}
    )
    both, alone = world.own(model)
    assert both["body"]["objects"] == [DATES, SALES]
    assert [told.code for told in verdicts] == [200, 200, 200]
    assert [told.body["refreshId"] for told in verdicts] == [both["requestId"], both["requestId"], alone["requestId"]]
    assert [told.body["servedBy"] for told in verdicts] == ["merged", "merged", "own"]


def test_a_refresh_of_the_whole_model_serves_a_part(world: World) -> None:
    """With the same commit mode; a wish with another one stands alone."""
    model = world.model()
    other = {"type": "Full", "commitMode": "PartialBatch", "applyRefreshPolicy": False, "objects": [SALES]}
    verdicts = behind_another(
        world, model, {"refresh": {"type": "Full"}}, {"refresh": {"objects": [SALES]}}, {"refresh": other}
    )
    whole, alone = world.own(model)
    assert "objects" not in whole["body"]
    assert [told.code for told in verdicts] == [200, 200, 200]
    assert [told.body["servedBy"] for told in verdicts] == ["own", "wider", "own"]
    assert verdicts[1].body["refreshId"] == whole["requestId"]
    assert verdicts[2].body["refreshId"] == alone["requestId"]


def test_nobody_turns_red_through_somebody_elses_table(world: World) -> None:
    """Sales fails in the merged refresh: who wished DimDate gets one of its own, who wished Sales is told."""
    failed = {"outcome": "Failed", "errorCode": "QuerySystemError", "errorDescription": "no such column"}
    failed["objects"] = [{**SALES, "status": "Failed"}, {**DATES, "status": "Cancelled"}]  # type: ignore[assignment]
    model = world.model(outcome=[failed, "Completed"])
    sales, dates = behind_another(world, model, {"refresh": {"objects": [SALES]}}, {"refresh": {"objects": [DATES]}})
    merged, alone = world.own(model)
    assert (sales.code, sales.body["refreshId"]) == (424, merged["requestId"])
    assert (dates.code, dates.body["refreshId"], dates.body["servedBy"]) == (200, alone["requestId"], "own")
    assert alone["body"]["objects"] == [DATES]
