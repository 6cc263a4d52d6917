"""JSON inside texts, details and parameters: the wrappers of Power BI's errors are removed at any place."""

import json
from typing import Any

import pytest

from tests.unit.refresh.failure.wording import (
    ACTIVITY,
    CANCELLED,
    GENERIC,
    RETRY_LIMIT,
    described,
    failure_of,
    nested,
    power_bi_error,
    underlying,
)

Json = dict[str, Any]

SOURCE = "DM_GWPipeline_Gateway_MashupDataAccessError"
REJECTED = "The credentials provided for the Sql source are invalid."
INNER = json.dumps(
    power_bi_error(SOURCE, underlying(REJECTED), ("DM_ErrorDetailNameCode_UnderlyingHResult", "-2147467259"))
)

PLACES: dict[str, Json] = {
    "as it is": {"serviceExceptionJson": INNER},
    "an object": {"serviceExceptionJson": json.loads(INNER)},
    "encoded twice": {"serviceExceptionJson": json.dumps(INNER)},
    "a list": {"serviceExceptionJson": f"[{INNER}]"},
    "all of the text": described(INNER),
    "all of a text that is encoded twice": described(json.dumps(INNER)),
    "behind a preface": described(f"Data source error: {INNER}"),
    "behind a preface, in quotes": described(f"Data source error: {json.dumps(INNER)}"),
    "behind a preface, escaped": described(f"Data source error: {json.dumps(INNER)[1:-1]}"),
    "before the table": described(f"{INNER} Table: Rates."),
    "before table and partition": described(f"Data source error: {INNER}. Table: Rates. Partition: r."),
    "of a message": {"messages": [{"code": "0xC1000001", "message": f"{INNER} Table: Rates.", "type": "Error"}]},
    "of a message that is nothing else": {"messages": [{"message": INNER, "type": "Error"}]},
    "in a list of errors": described(
        f"{RETRY_LIMIT}\n0xC112001C: {CANCELLED} Table: A.\n0xC112001A: {INNER} Table: Rates."
    ),
    "several in a row": described(json.dumps(power_bi_error("DM_GWPipeline_Gateway_CanceledError")) + INNER),
    "several with blanks": described(f"{json.dumps({'code': 'X', 'message': 'Odd.'})} ; {INNER} Table: Rates."),
    "in a field of an error": {"serviceExceptionJson": json.dumps({"error": {"code": "Wrapped", "message": INNER}})},
    "in a field of a field": described(json.dumps({"error": {"code": "A", "message": json.dumps({"message": INNER})}})),
    "in a text that is not JSON": {"serviceExceptionJson": f"Failed to refresh: {INNER}"},
    "in a detail": nested("DM_GWPipeline_UnknownError", underlying(INNER)),
    "of the last attempt": {"refreshAttempts": [{"attemptId": 1, "serviceExceptionJson": INNER}]},
    "with keys in other letters": {
        "serviceExceptionJson": json.dumps({"Error": {"Code": SOURCE, "Message": REJECTED, "Details": []}})
    },
    "as an inner error": {
        "serviceExceptionJson": json.dumps({"code": GENERIC, "innererror": {"code": SOURCE, "message": REJECTED}})
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_json_is_opened_at_any_place(place: str) -> None:
    """The message has the text from inside the JSON, without the wrapper."""
    error = failure_of(PLACES[place])
    assert error.code == "CredentialsRejected"
    assert error.service_code == SOURCE
    assert REJECTED.rstrip(".") in error.message
    assert error.table == ("Rates" if "Rates" in json.dumps(PLACES[place]) else None)
    for wrapping in ("{", "}", "\\", "pbi.error", "-2147467259", "exceptionCulprit"):
        assert wrapping not in error.message


@pytest.mark.parametrize(
    "text",
    [
        '{"errorCode": "Gateway',
        "{",
        '{"a"',
        "[" * 100_000,
        '{"a":' * 5_000,
        '{"RootActivityId":',
        "null",
        '""',
        "5",
        "[]",
    ],
)
def test_broken_json_is_a_text(text: str) -> None:
    """Text that is not JSON gives few details and causes no exception."""
    for row in ({"serviceExceptionJson": text}, described(text), {"messages": [{"message": text}]}):
        error = failure_of(row)
        assert error.code in ("RefreshFailed", "GatewayFailed")
        assert len(error.message) <= 500


def test_json_of_the_data_stays() -> None:
    """A JSON value that Power Query quotes stays in the message, because it is not an error of Power BI."""
    error = failure_of(described('We cannot convert the value {"colour": "red"} to type Text. Table: Colours.'))
    assert (error.code, error.table) == ("DefinitionInvalid", "Colours")
    assert '{"colour": "red"}' in error.message


def test_details_are_labelled_or_left_out() -> None:
    """The name of a server, for example, gets a label. Ids, numbers and times are left out, because users do
    not need them."""
    error = failure_of(
        nested(
            "DMTS_DatasourceHasNoCredentialError",
            ("Server", "sql.example.com"),
            ("Database", "sales"),
            ("ConnectionType", "Sql"),
            ("Microsoft.Data.Mashup.ValueError.DataSourceKind", "SQL"),
            ("DM_ErrorDetailNameCode_DataSourcePath", "sql.example.com;sales"),
            ("ClusterUriText", "WABI-WEST-EUROPE-redirect.analysis.windows.net"),
            ("ActivityIdText", ACTIVITY),
            ("RequestIdText", ACTIVITY),
            ("TimeText", "2026-04-16 21:17:33Z"),
            ("DM_ErrorDetailNameCode_UnderlyingErrorCode", "-2147467259"),
            ("DM_ErrorDetailNameCode_UnderlyingNativeErrorCode", "18456"),
            ("Microsoft.Data.Mashup.ValueError.Class", "14"),
            ("SomeGuid", ACTIVITY),
        )
    )
    for part in ("Server: sql.example.com", "Database: sales", "Connection type: Sql", "Data source kind: SQL"):
        assert part in error.message
    for part in ("WABI", ACTIVITY, "2026-04-16", "2147467259", "18456", "Class", "guid"):
        assert part not in error.message


def test_labels_follow_the_sentence() -> None:
    """Details with labels come after the cause."""
    message = failure_of(
        nested(SOURCE, underlying("Login failed."), ("DM_ErrorDetailNameCode_DataSourceName", "sql01"))
    ).message
    assert "Login failed. Data source name: sql01" in message


@pytest.mark.parametrize(
    "parameters",
    [
        [{"Key": "TableName", "Value": "Program Summary"}, {"Key": "PartitionName", "Value": "p.1"}],
        [{"key": "table", "value": "Program Summary"}, {"key": "partition", "value": "p.1"}],
        [{"name": "tableName", "value": "Program Summary"}, {"name": "partitionName", "value": "p.1"}],
        {"TableName": "Program Summary", "PartitionName": "p.1"},
    ],
)
@pytest.mark.parametrize(
    "text", ["All is broken here.", "All is broken here. Table: Wrong.", "All is 'x' in table 'Wrong'."]
)
def test_parameters_name_the_table(parameters: object, text: str) -> None:
    """Parameters that name a table have priority over the closing of the text."""
    error = failure_of(nested("DM_GWPipeline_UnknownError", underlying(text), parameters=parameters))
    assert (error.table, error.partition) == ("Program Summary", "p.1")
    assert "All is" in error.message


def test_details_may_name_the_table() -> None:
    """Details can name a table in the same way as parameters."""
    assert failure_of(nested("X", ("TableName", "Sales"), underlying("It is all broken."))).table == "Sales"


def test_odata_details_are_read() -> None:
    """The entries of `error.details[]` have codes and messages of their own. A message may have a language."""
    value = {
        "error": {
            "code": "BadRequest",
            "message": {"lang": "en-US", "value": "The refresh failed."},
            "details": [{"code": "X", "message": "The password has expired.", "target": "source"}],
        }
    }
    error = failure_of({"serviceExceptionJson": json.dumps(value)})
    assert error.code == "CredentialsRejected"
    assert "The password has expired." in error.message
