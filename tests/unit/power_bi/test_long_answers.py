"""The cost of an answer has a limit, however long it is."""

import json
import tracemalloc

import pytest

from power_bi import answers
from power_bi.answers import MAX_VALUES, json_of, rows_in
from power_bi.client import HISTORY_LIMITS, HISTORY_ROWS

LONG = b'{"@odata.context":"https://x","value":[' + b",".join(b'{"id":%d}' % number for number in range(20_000)) + b"]}"


def test_only_the_requested_rows_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer may be cut, as long as it has the last row that is needed."""
    monkeypatch.setattr(answers, "json_of", None)
    assert rows_in(LONG, 60) == [{"id": number} for number in range(60)]
    assert rows_in(LONG[:1000] + b"\xe2\x80", 60) == [{"id": number} for number in range(60)]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"value":[]}', []),
        (b'{"value":[1]}', [1]),
        (b'{"value":[1,2,3]}', [1, 2]),
        (b' { "value" : [ 1 , 2 , 3 ] } ', [1, 2]),
        (b'{"x":{"value":[7]},"value":[1,2,3]}', [1, 2]),
        (b'{"value":[1,2,3],"value":{}}', [1, 2]),
        (b'\xef\xbb\xbf{"value":[1]}', [1]),
        ('{"value":["ä"]}'.encode("utf-16"), ["ä"]),
        (b'{"value":[1', None),
        (b'{"value":[1}', None),
        (b'{"value":["\xff"]}', None),
        (b'{"value":{"1":2}}', None),
        (b'{"error":{"value":[1]}}', None),
        (b'["value"]', None),
        (b"[" * 100_000, None),
        (b'{"value":[' + b"[" * 100_000, None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_rows_are_read_in_every_form(body: bytes, rows: list[object] | None) -> None:
    """JSON may have any formatting. The result is None if there are no rows."""
    assert rows_in(body, 2) == rows


@pytest.mark.parametrize("body", [b"[" + b"{}," * 5_000_000 + b"{}]", b'{"value":[[' + b"0," * 7_000_000])
def test_many_values_are_not_read(body: bytes) -> None:
    """An answer with very many values is not read: they would take about a hundred times the memory of their text."""
    body = body[: 16 * 1024 * 1024]
    tracemalloc.start()
    found = json_of(body), rows_in(body[: HISTORY_LIMITS.body_bytes], HISTORY_ROWS)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == (None, None)
    assert most < 64 * 1024 * 1024


def test_a_model_with_many_partitions_is_read() -> None:
    """Thousands of partitions are allowed."""
    objects = [{"table": f"Table {number}", "partition": "p", "status": "Completed"} for number in range(20_000)]
    body = json.dumps({"status": "Completed", "objects": objects}).encode()
    assert sum(map(body.count, answers.VALUE_MARKS)) < MAX_VALUES / 5
    assert json_of(body) == {"status": "Completed", "objects": objects}
