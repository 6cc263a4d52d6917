"""Wider and merged refreshes serve several requests, and no request fails because of the mistake of another."""

from concurrent.futures import ThreadPoolExecutor

from tests.e2e.world import LONG, Result, World

SALES, DATES = {"table": "Sales", "partition": "Sales-2026"}, {"table": "DimDate", "partition": "DimDate"}


def behind_another(world: World, model: str, *variants: dict[str, object]) -> list[Result]:
    """Requests with these options, in this order, while an external refresh keeps the model busy."""
    world.external(model)
    started = []
    for options in variants:
        started.append(world.ask(model, **options))
        world.until(started[-1]["statusUri"], lambda status: status.get("runId"))
    world.end(model)
    with ThreadPoolExecutor(len(started)) as pool:
        return list(pool.map(lambda each: world.follow(each["statusUri"]), started))


def test_fifty_callers_at_the_same_moment(world: World) -> None:
    """Fifty callers get the right outcomes from at most two refreshes. Each outcome has the number of callers that
    shared the refresh."""
    model = world.model(seconds=LONG)
    verdicts = world.refresh_together(model, 50)
    made = {refresh["requestId"]: 0 for refresh in world.own(model)}
    assert len(made) <= 2
    for result in verdicts:
        assert result.code == 200
        made[result.body["refreshId"]] += 1
    assert all(result.body["sharedWith"] + 1 == made[result.body["refreshId"]] for result in verdicts)


def test_requests_for_parts_become_one_refresh(world: World) -> None:
    """One POST has the sorted objects of both requests. Each caller learns that its refresh had additional objects."""
    model = world.model()
    verdicts = behind_another(
        world, model, {"refresh": {"objects": [SALES]}}, {"refresh": {"objects": [DATES]}}, {"share": False}
    )
    both, alone = world.own(model)
    assert both["body"]["objects"] == [DATES, SALES]
    assert [result.code for result in verdicts] == [200, 200, 200]
    assert [result.body["refreshId"] for result in verdicts] == [
        both["requestId"],
        both["requestId"],
        alone["requestId"],
    ]
    assert [result.body["servedBy"] for result in verdicts] == ["merged", "merged", "own"]


def test_a_refresh_of_the_whole_model_serves_a_part(world: World) -> None:
    """A refresh of the whole model serves a request for a part with the same commit mode. With a different one, a
    request gets its own refresh."""
    model = world.model()
    other = {"type": "Full", "commitMode": "PartialBatch", "applyRefreshPolicy": False, "objects": [SALES]}
    verdicts = behind_another(
        world, model, {"refresh": {"type": "Full"}}, {"refresh": {"objects": [SALES]}}, {"refresh": other}
    )
    whole, alone = world.own(model)
    assert "objects" not in whole["body"]
    assert [result.code for result in verdicts] == [200, 200, 200]
    assert [result.body["servedBy"] for result in verdicts] == ["own", "wider", "own"]
    assert verdicts[1].body["refreshId"] == whole["requestId"]
    assert verdicts[2].body["refreshId"] == alone["requestId"]


def test_no_request_fails_because_of_another_ones_table(world: World) -> None:
    """The table Sales fails in a merged refresh. The request for Sales fails, and the request for DimDate gets its own
    refresh."""
    failed = {"outcome": "Failed", "errorCode": "QuerySystemError", "errorDescription": "no such column"}
    failed["objects"] = [{**SALES, "status": "Failed"}, {**DATES, "status": "Cancelled"}]  # type: ignore[assignment]
    model = world.model(outcome=[failed, "Completed"])
    sales, dates = behind_another(world, model, {"refresh": {"objects": [SALES]}}, {"refresh": {"objects": [DATES]}})
    merged, alone = world.own(model)
    assert (sales.code, sales.body["refreshId"]) == (424, merged["requestId"])
    assert (dates.code, dates.body["refreshId"], dates.body["servedBy"]) == (200, alone["requestId"], "own")
    assert alone["body"]["objects"] == [DATES]
