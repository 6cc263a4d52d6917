"""Every query of the alerts and of the workbook, run over recorded log lines.

Two programs check the queries. DuckDB runs them, translated by duckdb-kql, which refuses queries that it cannot
translate exactly. Microsoft's own language service for KQL (an npm package) parses and type-checks them against the
columns of the log.

Not covered: the engine of Azure Monitor itself, its time limits and its sampling; that the platform writes a line of
the app into `traces` unchanged; how an alert is evaluated and mailed, beyond its window and its dimensions, which are
read from the compiled template; how a workbook draws. The lines in tests/data/log are those of the app on the devhost
(`tests.log.record`); the times of the log below are chosen, and a few lines of the host are written by hand.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra import tools, workbook
from tests.log.record import BROKEN_ACTIVITY, BROKEN_STEP
from tests.log.sample_log import (
    HOOKS,
    LOGIC_APP,
    NEVER,
    ORDERS,
    PRICES,
    REFUSED,
    SALES,
    STOCK,
    recorded,
    refresh,
    runs_of,
)
from tests.log.timeline import Row as Line
from tests.log.timeline import Timeline, stories, story

ROOT = Path(__file__).parents[2]
QUERIES = ROOT / "infra" / "queries"
ALERTS = sorted(path.stem for path in (QUERIES / "alerts").glob("*.kql"))
CHARTS = sorted(path.stem for path in (QUERIES / "workbook").glob("*.kql"))

NOT_RECORDED = {"run.superseded", "capacity.not_understood"}
"""Events of races and of a capacity group, which do not occur in a recording."""

PLACEHOLDERS = {"{throttleThreshold}": "10", "{freshnessHours}": "26", "{expectedDatasets}": f'"{SALES}", "{NEVER}"'}
"""The texts that modules/alerts.bicep puts into the queries."""

Row = dict[str, Any]


def query_text(group: str, name: str) -> str:
    text = (QUERIES / group / f"{name}.kql").read_text("utf-8")
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


def run(text: str, log: Sequence[Line], window: dt.timedelta = dt.timedelta(days=30)) -> list[Row]:
    """The rows that a query finds in the lines within a window that ends now."""
    import duckdb_kql  # the import is slow, and few test processes need it

    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the translator about itself
        connection = duckdb_kql.connect()
        connection.execute("CREATE TABLE traces (timestamp TIMESTAMP, message VARCHAR)")
        connection.execute(
            "CREATE TABLE _LogOperation (TimeGenerated TIMESTAMP, Category VARCHAR, Operation VARCHAR, Detail VARCHAR)"
        )
        for minutes, message in log:
            if dt.timedelta(minutes=minutes) <= window:
                connection.execute("INSERT INTO traces VALUES (?, ?)", [now - dt.timedelta(minutes=minutes), message])
        connection.execute(
            "INSERT INTO _LogOperation VALUES (?, 'Ingestion', 'Data collection stopped', 'OverQuota: daily limit'), "
            "(?, 'Ingestion', 'Data collection started', 'Quota was reset')",
            [now - dt.timedelta(minutes=3)] * 2,
        )
        result = duckdb_kql.query(connection, text)
        return [dict(zip(result.columns, row, strict=True)) for row in result.fetchall()]


@cache
def rules() -> dict[str, Row]:
    """The deployed alert rules by name, from the variables of the compiled module."""
    template = json.loads((ROOT / "infra" / "main.json").read_text("utf-8"))
    module = template["resources"]["resources"]["properties"]["template"]["resources"]["alerts"]["properties"][
        "template"
    ]
    return {rule["name"]: rule for rule in module["variables"]["rules"]}


def window(rule: str) -> dt.timedelta:
    found = re.fullmatch(r"PT?(\d+)([MHD])", rules()[rule]["window"])
    assert found, rules()[rule]["window"]
    return dt.timedelta(**{{"M": "minutes", "H": "hours", "D": "days"}[found[2]]: int(found[1])})


def alert(name: str, log: Sequence[Line] | None = None) -> list[Row]:
    """The rows for which an alert fires, with the recorded lines or with others."""
    return run(query_text("alerts", name), recorded() if log is None else log, window(name))


def chart(name: str) -> list[Row]:
    return run(query_text("workbook", name), recorded())


def test_the_deployed_queries_are_those_of_the_files() -> None:
    """The deployed queries are exactly those that the tests run."""
    deployed = texts_of(json.loads((ROOT / "infra" / "main.json").read_text("utf-8")))
    texts = texts_of(json.loads((ROOT / "infra" / "workbook.json").read_text("utf-8")))
    assert {name for name in ALERTS if (QUERIES / "alerts" / f"{name}.kql").read_text("utf-8") in deployed} == set(
        ALERTS
    )
    assert {name for name in CHARTS if (QUERIES / "workbook" / f"{name}.kql").read_text("utf-8") in texts} == set(
        CHARTS
    )
    assert sorted(rules()) == ALERTS
    assert sorted(part.query for part in workbook.PARTS) == CHARTS


def texts_of(value: Any) -> set[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        return {value}
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(texts_of, inner))


def test_each_outcome_but_completed_is_named_with_cause_and_advice() -> None:
    rows = [row for row in alert("request-not-completed") if row["datasetId"]]
    assert {(row["datasetId"], row["outcome"], row["cause"]) for row in rows} == {
        (STOCK, "OutcomeUnknown", "HistoryRolledOver"),
        (STOCK, "Failed", "CredentialsRejected"),
    }
    advice = {row["cause"]: row["whatToDo"] for row in rows}
    assert advice["CredentialsRejected"].startswith("Enter the data source credentials")
    assert advice["HistoryRolledOver"].startswith("Check whether the model has the new data")
    assert all(row["model"].startswith("Model ") for row in rows), "each row has the name of its model"


def test_a_batch_without_requests_is_named_by_its_workspace() -> None:
    """The requests of other batches have rows of their own."""
    (row,) = [row for row in alert("request-not-completed") if not row["datasetId"]]
    assert (row["outcome"], row["cause"]) == ("Failed", "NoRefreshableModels")
    assert row["requestId"].startswith("batch-")
    assert row["model"] == f"all models of workspace {row['workspaceId']}"
    assert row["whatToDo"].startswith('Check "workspaceId"')


@pytest.mark.parametrize(("skipped", "rows"), [(3, 1), (2, 0)])
def test_a_batch_that_started_no_request_has_a_row(skipped: int, rows: int) -> None:
    """All of its models were skipped. If one was started, its request has a row of its own."""
    log = Timeline()
    counts = {'"models": 0': '"models": 3', '"skipped": 0': f'"skipped": {skipped}'}
    log.place("batch_without_models", {"batch.ended": 7}, only=["batch.ended"], instead=counts)
    assert len(alert("request-not-completed", log.rows)) == rows


def test_timers_are_silent_only_without_a_line_of_the_clean_up() -> None:
    assert alert("timers-silent") == []
    old = [(minutes, text) for minutes, text in recorded() if "queues_tidied" not in text]
    old.append((200, '{"event": "housekeeping.queues_tidied", "queues": 1, "swept": 0}'))
    assert len(alert("timers-silent", old)) == 1
    assert len(alert("timers-silent", [])) == 1, "an empty log is silence, too"


def test_an_event_that_needs_an_action_has_advice() -> None:
    rows = {row["cause"]: row for row in alert("needs-a-person")}
    assert set(rows) == {"callback.abandoned", "activity.failed read_refresh"}
    assert rows["activity.failed read_refresh"]["datasetId"] == SALES
    assert rows["callback.abandoned"]["requestId"].startswith(STOCK.replace("-", ""))
    assert "hooks.example.com" in rows["callback.abandoned"]["whatToDo"]
    assert "KeyError: 'status'" in rows["activity.failed read_refresh"]["error"]


def test_a_request_that_could_not_be_stored_is_urgent() -> None:
    (row,) = alert("engine-unavailable")
    assert (row["cause"], row["datasetId"]) == ("request.not_started", PRICES)
    assert "/api/health" in row["whatToDo"]


def test_a_transient_failure_counts_only_if_it_is_repeated() -> None:
    """A restart of the app causes one or two such failures. More of them are caused by a dead engine, or by old
    code."""
    log = Timeline()
    for minutes in (9, 8):
        log.place("engine_unavailable", {"engine.unavailable": minutes})
        log.place("input_not_understood", {"input.not_understood": minutes})
    assert alert("engine-unavailable", log.rows) == []
    assert alert("needs-a-person", log.rows) == []
    log.place("engine_unavailable", {"engine.unavailable": 1})
    log.place("queue_not_understood", {"queue.not_understood": 1}, model=STOCK)
    assert {row["cause"] for row in alert("engine-unavailable", log.rows)} == {"engine.unavailable"}
    rows = {row["cause"]: row["whatToDo"] for row in alert("needs-a-person", log.rows)}
    assert set(rows) == {"input.not_understood", "queue.not_understood"}
    assert "deploy" in rows["queue.not_understood"]


def test_a_failed_step_names_its_model() -> None:
    log = Timeline()
    log.place("step_failed", {"run.step_failed": 1}, model=STOCK)
    assert [(row["datasetId"], row["cause"]) for row in alert("needs-a-person", log.rows)] == [
        (STOCK, "run.step_failed")
    ]


def test_a_model_stays_busy_until_its_refresh_starts() -> None:
    """PRICES has waited for 100 minutes, and was refused after an hour. The refresh of ORDERS has started; its next run
    has waited for only 40 minutes."""
    rows = alert("model-stays-busy")
    (external,) = {
        json.loads(line["message"])["waitsFor"]["refreshId"]
        for line in story("waited")
        if "waitsFor" in line["message"]
    }
    assert [(row["datasetId"], row["runId"], row["cause"]) for row in rows] == [
        (PRICES, runs_of(PRICES)[0], f"external refresh {external} (Scheduled)")
    ]


def test_throttles_count_together_and_are_shown_by_model() -> None:
    rows = {row["datasetId"]: row["answers"] for row in alert("power-bi-throttles")}
    assert rows == {STOCK: 11, SALES: 1}
    few = [(minutes, text) for minutes, text in recorded() if not ("429" in text and minutes < 8)]
    assert alert("power-bi-throttles", few) == []


def test_a_burst_of_refusals_names_the_principal() -> None:
    assert {row["principal"]: row["refusals"] for row in alert("callers-refused")} == {REFUSED: 12}


def test_an_overdue_model_has_its_last_success_and_where_to_look() -> None:
    """The row has the facts that the index logged. If there was no success or no failure, the cause or the advice is
    different."""
    (row,) = alert("model-overdue")
    assert row["datasetId"] == STOCK
    assert row["model"].startswith("Model ")
    assert re.fullmatch(r"expected every 0\.0001 h, last success \S+Z", row["cause"])
    assert row["whatToDo"] == "Its refreshes fail: GET /api/models/ with this id says why."
    line = {"event": "model.overdue", "datasetId": NEVER, "expectedEveryHours": 24.0, "overdueSince": "2026-03-31"}
    (never,) = alert("model-overdue", [(5, json.dumps(line))])
    assert (never["model"], never["cause"]) == (NEVER, "expected every 24.0 h, no success yet")
    assert "its pipeline ran" in never["whatToDo"]


def test_a_refresh_is_slow_against_the_median_of_its_model() -> None:
    """A run of SALES has taken 30 minutes, three times the median, so it is slow. STOCK has too few runs for a
    comparison."""
    rows = alert("slower-than-usual")
    assert [(row["datasetId"], row["cause"], row["median"]) for row in rows] == [(SALES, "still running", 10.0)]
    assert rows[0]["minutes"] == pytest.approx(30, abs=0.2)


def test_a_late_end_is_slow_too() -> None:
    log = Timeline()
    for started in (1900, 1400, 900):
        refresh(log, "completed", SALES, started, started - 10)
    refresh(log, "failed", SALES, 30, 1)
    rows = alert("slower-than-usual", log.rows)
    assert [(row["cause"], round(row["minutes"]), row["model"][:6]) for row in rows] == [("ended late", 29, "Model ")]


def test_the_cap_of_the_log_is_noticed() -> None:
    assert [row["cause"] for row in alert("log-capped")] == ["daily cap reached"]


def test_a_model_is_stale_without_a_completed_refresh() -> None:
    """Of the two expected models, SALES has a completed refresh, and NEVER is not in the log."""
    assert [row["datasetId"] for row in alert("model-stale")] == [NEVER]
    assert {row["datasetId"] for row in alert("model-stale", [])} == {SALES, NEVER}


def test_models_are_listed_stalest_first() -> None:
    rows = chart("models-by-freshness")
    assert [(row["datasetId"], row["lastOutcome"], row["runs"], row["notCompleted"]) for row in rows] == [
        (STOCK, "OutcomeUnknown", 3, 2),
        (SALES, "Completed", 4, 0),
    ]
    assert rows[0]["hoursAgo"] == pytest.approx(1495 / 60, abs=0.1)


def test_failures_are_counted_by_cause() -> None:
    rows = chart("failures-by-cause")
    assert [(row["outcome"], row["cause"], row["requests"], row["models"]) for row in rows] == [
        ("Failed", "CredentialsRejected", 1, 1),
        ("OutcomeUnknown", "HistoryRolledOver", 1, 1),
    ]


def test_waits_are_from_acceptance_to_outcome() -> None:
    rows = {row["datasetId"]: row for row in chart("waits")}
    assert (rows[SALES]["requests"], rows[SALES]["medianMinutes"]) == (4, 12.0)
    assert (rows[STOCK]["requests"], rows[STOCK]["longestMinutes"]) == (3, 7.0)


def test_external_refreshes_are_counted_by_kind() -> None:
    rows = [(row["datasetId"], row["refreshType"], row["waits"]) for row in chart("external-refreshes")]
    assert sorted(rows) == [(PRICES, "Scheduled", 1), (ORDERS, "OnDemand", 1), (ORDERS, "Scheduled", 1)]


def test_durations_are_one_row_for_each_run() -> None:
    rows = chart("durations")
    assert [(row["datasetId"], row["status"], row["minutes"]) for row in rows] == [
        (SALES, "Completed", 10.0),
        (STOCK, "Completed", 5.0),
        (SALES, "Completed", 10.0),
        (SALES, "Completed", 10.0),
        (SALES, "Completed", 10.0),
        (STOCK, "Failed", 5.0),
        (STOCK, "OutcomeUnknown", 5.0),
    ]


def test_the_duration_of_an_adopted_refresh_counts_from_its_adoption() -> None:
    log = Timeline()
    log.place("adopted", {"request.accepted": 22, "refresh.adopted": 20, "run.ended": 13}, model=STOCK)
    assert [row["minutes"] for row in run(query_text("workbook", "durations"), log.rows)] == [7.0]


def test_throttles_are_counted_by_quarter_of_an_hour() -> None:
    rows = chart("throttles")
    assert sum(row["answers"] for row in rows) == 13
    assert rows[0]["answers"] == 1, "the throttle of ten hours ago"
    assert all(row["timestamp"].minute % 15 == 0 for row in rows)


def test_callbacks_are_counted_by_receiver() -> None:
    assert [tuple(row.values()) for row in chart("callbacks")] == [
        (HOOKS, 0, 2, 1),
        (LOGIC_APP, 1, 0, 0),
    ]


def test_every_query_has_a_test() -> None:
    source = Path(__file__).read_text("utf-8")
    assert [name for name in ALERTS if f'alert("{name}"' not in source] == []
    assert [name for name in CHARTS if f'chart("{name}"' not in source] == []


def test_queries_name_only_documented_events() -> None:
    """The queries name only events of the table in docs/operations.md. So an event that is renamed there must be
    renamed in the queries."""
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    known = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", operations.split("| event |", 1)[1].split("\n\n", 1)[0]))
    assert len(known) > 20
    named = {
        event
        for path in QUERIES.rglob("*.kql")
        for event in re.findall(r'"([a-z_]+\.[a-z_]+)"', path.read_text("utf-8"))
    }
    assert named
    assert named - known == set()


def documented() -> dict[str, set[str]]:
    """The levels of each event in docs/operations.md, which another test compares with the code."""
    table = (ROOT / "docs" / "operations.md").read_text("utf-8").split("| event |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    return {name.strip("` "): set(level.split(", ")) for names, level, *_ in rows for name in names.split(",")}


def test_the_recorded_lines_are_as_documented() -> None:
    """Events and levels are those of the documentation. A failure is a warning, a success is not.

    To record the lines again: `python -m tests.log.record`.
    """
    lines = [(name, line["level"], json.loads(line["message"])) for name in stories() for line in story(name)]
    assert len(lines) > 50
    for name, level, facts in lines:
        assert level in documented()[facts["event"]], (name, facts)
    ends = {(facts["status"], level) for _, level, facts in lines if facts["event"] in ("run.ended", "request.ended")}
    assert ends == {("Completed", "INFO"), ("Failed", "WARNING"), ("OutcomeUnknown", "WARNING")}


def test_exactly_the_errors_need_an_action() -> None:
    """Two alerts name exactly the events of the level ERROR, each event in one of them."""
    urgent, others = (
        set(re.findall(r'"([a-z_]+\.[a-z_]+)"', query_text("alerts", name)))
        for name in ("engine-unavailable", "needs-a-person")
    )
    assert urgent & others == set()
    assert urgent | others == {name for name, levels in documented().items() if "ERROR" in levels}


@pytest.mark.parametrize("path", sorted(QUERIES.rglob("*.kql")), ids=lambda path: path.stem)
def test_a_query_reads_existing_events_and_keys(path: Path) -> None:
    """Every event in a query is recorded, and every key that it reads is in one of those lines."""
    text = path.read_text("utf-8")
    named = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', text)) | set(re.findall(r'message has "([a-z_.]+)"', text))
    lines = [json.loads(line["message"]) for name in stories() for line in story(name)]
    found = {facts["event"] for facts in lines}
    assert named - found <= NOT_RECORDED
    keys = {key for facts in lines if facts["event"] in named for key in facts}
    assert set(re.findall(r"\bline\.(\w+)", text)) <= keys


@pytest.fixture(scope="module")
def checked() -> dict[str, Row]:
    """The result of Microsoft's language service for each query."""
    node = shutil.which("node")
    folder = tools.KUSTO.installed()
    if node is None or folder is None:
        pytest.skip("the language service of KQL is not installed: python3 infra/tools.py (needs npm)")
    texts = {f"alerts/{name}": query_text("alerts", name) for name in ALERTS}
    texts |= {f"workbook/{name}": query_text("workbook", name) for name in CHARTS}
    texts["wrong"] = "traces | where messag has 'x' | project z = toint(message) + 'a'"
    script = ROOT / "tests" / "kql" / "check.js"
    done = subprocess.run(
        [node, str(script), str(folder)], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: dict[str, Row] = json.loads(done.stdout)
    return answers


def test_microsofts_parser_accepts_the_queries(checked: dict[str, Row]) -> None:
    assert len(checked["wrong"]["diagnostics"]) == 2, "the check can fail"
    faults = {name: found["diagnostics"] for name, found in checked.items() if name != "wrong" and found["diagnostics"]}
    assert faults == {}


def test_each_alert_has_the_columns_of_its_mail(checked: dict[str, Row]) -> None:
    """A query has a column with the time. The dimensions of its alert are texts, at most six, among them the cause and
    the advice."""
    for name, rule in rules().items():
        columns = checked[f"alerts/{name}"]["columns"]
        assert columns["timestamp"] == "datetime"
        assert {columns.get(dimension) for dimension in rule["dimensions"]} == {"string"}, name
        assert {"cause", "whatToDo"} <= set(rule["dimensions"]), name
        assert len(rule["dimensions"]) <= 6


@pytest.mark.parametrize(("name", "place"), [BROKEN_ACTIVITY[:2], BROKEN_STEP[:2]])
def test_the_recording_can_break_the_app(name: str, place: str) -> None:
    """The recording inserts bugs before certain texts. Each of these texts is in its module exactly once."""
    assert (ROOT / name).read_text("utf-8").count(place) == 1
