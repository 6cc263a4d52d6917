"""The texts of the engine with lists of errors, consequences and names, in every order and form."""

import time
from typing import Any

import pytest

from refresh.failure.service_error import service_error
from tests.unit.refresh.failure.wording import (
    ACTIVITY,
    CANCELLED,
    GENERIC,
    RAISED,
    RETRY_LIMIT,
    SIBLING,
    described,
    failure_of,
)
from tests.unit.speed import SLOWER

Json = dict[str, Any]

DUPLICATE = (
    "Column '<oii>Id</oii>' in Table '<oii>Customer</oii>' contains a duplicate value '7' and this is not allowed for "
    "columns on the one side of a many-to-one relationship. Table: Customer. Partition: Customer-0a1b."
)
IDS = f'{{"RootActivityId":"{ACTIVITY}"}}'
LEDGER = f"{CANCELLED} Table: Ledger. Partition: Ledger-0a1b."

# the same errors in other orders, forms and encodings: each is about the duplicate value
LISTS: dict[str, str] = {
    "consequences first": f"0xC11C0006: {SIBLING}\n0xC112001C: {LEDGER}\n0xC136003E: {DUPLICATE}",
    "consequences last": f"0xC136003E: {DUPLICATE}\n0xC112001C: {LEDGER}\n0xC11C0006: {SIBLING}",
    "in small letters": f"0xc11c0006: {SIBLING}\n0xc112001c: {LEDGER}\n0xc136003e: {DUPLICATE}",
    "in other letters": f"0XC11C0006: {SIBLING}\n0XC112001c: {LEDGER}\n0Xc136003E: {DUPLICATE}",
    "with carriage returns": f"{RETRY_LIMIT}\r\n0xC112001C: {LEDGER}\r\n0xC136003E: {DUPLICATE}\r\n",
    "with ids around": f"{RETRY_LIMIT}\n0x414700EF: {IDS}\n0xC136003E: {DUPLICATE}\n0xC14700F0: {IDS}",
    "with ids first and last": f"0x414700EF: {IDS}\n0xC112001C: {LEDGER}\n0xC136003E: {DUPLICATE}\n0xC14700F0: {IDS}",
    "in one line": f"{RETRY_LIMIT} 0xC11C0006: {SIBLING} 0xC112001C: {LEDGER} 0xC136003E: {DUPLICATE}",
    "encoded twice": f"{RETRY_LIMIT}\\n0xC112001C: {LEDGER}\\n0xC136003E: {DUPLICATE}",
    "without codes": f"{SIBLING}\n{LEDGER}\n{DUPLICATE}",
    "without codes in one line": f"{LEDGER} {DUPLICATE} {SIBLING}",
    "with the sibling at its end": f"0xC136003E: {DUPLICATE} {SIBLING}",
    "cancelled in British": f"0xC112001C: {LEDGER.replace('canceled', 'cancelled')}\n0xC136003E: {DUPLICATE}",
    "a cancelled command": f"The command has been canceled.. {RAISED} Table: Ledger.\n0xC136003E: {DUPLICATE}",
    "blank lines": f"{RETRY_LIMIT}\n\n\n0xC112001C: {LEDGER}\n\n0xC136003E: {DUPLICATE}\n\n",
    "indented": f"{RETRY_LIMIT}\n  0xC112001C: {LEDGER}\n  0xC136003E:  {DUPLICATE}",
    "the whole list in a marked text": f"<ccon>{RETRY_LIMIT}</ccon>\n0xC136003E: {DUPLICATE}",
}


@pytest.mark.parametrize("form", LISTS)
def test_the_cause_is_found_at_any_place(form: str) -> None:
    """Consequences, retry limits and ids are never the cause, and are not shown."""
    error = failure_of(described(LISTS[form]))
    assert (error.code, error.table, error.partition) == ("DefinitionInvalid", "Customer", "Customer-0a1b")
    assert "duplicate value '7'" in error.message
    for noise in ("cancel", "Retry attempts", "RootActivityId", ACTIVITY, "<"):
        assert noise not in error.message


def test_every_line_is_read_before_the_text_is_cut() -> None:
    """The cause may come after thousands of cancelled partitions. All of them are read quickly."""
    lines = [f"0xC112001C: {CANCELLED} Table: T{number}. Partition: T{number}-0a1b." for number in range(4000)]
    began = time.process_time()
    error = failure_of(described("\n".join([*lines, f"0xC136003E: {DUPLICATE}"])))
    assert (error.code, error.table) == ("DefinitionInvalid", "Customer")
    assert time.process_time() - began < SLOWER * 0.1


def test_the_same_messages_one_by_one() -> None:
    """An enhanced refresh has the errors in `messages[]`, with a warning, decimal codes, and a message without a
    code."""
    messages = [
        {"message": RETRY_LIMIT, "type": "Warning"},
        {"code": "0xC11C0006", "message": SIBLING, "type": "Error"},
        {"code": str(0xC112001C - 2**32), "message": "Cancelled with the others. Table: Ledger.", "type": "Error"},
        {"code": 0xC112001C, "message": LEDGER, "type": "error"},
        {"message": DUPLICATE},
    ]
    for order in (messages, messages[::-1]):
        error = failure_of({"messages": order, **described("", GENERIC)})
        assert (error.code, error.table, error.service_code) == ("DefinitionInvalid", "Customer", GENERIC)


def test_a_cancellation_with_its_own_reason_is_a_cause() -> None:
    """A cancellation because of missing memory or by a user is a cause, unlike one because of another operation."""
    memory = "Resource Governing: This operation was canceled because there wasn't enough memory to finish running it."
    assert failure_of(described(f"{SIBLING}\n{memory}")).code == "OutOfMemory"
    by_user = "The operation was cancelled by the user."
    assert by_user in failure_of(described(f"0xC112001C: {LEDGER}\n0xC1000007: {by_user}")).message


def test_a_cause_may_have_the_code_of_cancelled_operations() -> None:
    """The engine gives the code 0xC112001C to every exception of its IDbCommand interface, so the text decides."""
    text = f"0xC112001C: {LEDGER}\n0xC112001C: Login failed for user 'loader'. {RAISED} Table: Rates. Partition: r."
    error = failure_of(described(text))
    assert (error.code, error.table) == ("CredentialsRejected", "Rates")


def test_a_cancellation_is_reported_without_another_cause() -> None:
    """A cancellation is reported if it is the only text of the service."""
    error = failure_of(described(f"0xC112001C: {LEDGER}"))
    assert (error.code, error.table, error.retryable) == ("RefreshFailed", "Ledger", False)
    assert "operation was canceled" in error.message


NAMES = [
    "Sales",
    "dbo.Fact Orders (v2.1)",
    "Sales (2024) [EU]",
    "O'Brien's Orders",
    "A: B",
    "Acme Inc.",
    "St. Louis Stores",
    "App Credentials",
    "x' y",
    "[x]",
    "日本. 表",
    "Table",
    "Partition",
    "a, b; c",
    "#table({})",
    'The "best" one',
    "1.0",
    "T" * 150,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("marked", [False, True])
def test_the_suffix_names_table_and_partition(name: str, marked: bool) -> None:
    """The closing of a text, which names table and partition, is read from its end and completely: names may contain
    dots, apostrophes and brackets."""
    marked_name = f"<oii>{name}</oii>" if marked else name
    error = failure_of(described(f"Something broke. {RAISED} Table: {marked_name}. Partition: {marked_name}-0.1."))
    assert (error.table, error.partition) == (name, f"{name}-0.1")
    assert failure_of(described(f"Something broke. {RAISED} Table: {marked_name}.")).table == name


@pytest.mark.parametrize(
    "tail",
    [
        "",
        f" {SIBLING}",
        f" {CANCELLED}",
        f" Technical Details: RootActivityId: {ACTIVITY} Date (UTC): 4/1/2026 5:00:01 AM",
        f" Activity ID: {ACTIVITY}",
        " See https://go.microsoft.com/fwlink/?linkid=2159753 to learn more.",
        "\n",
    ],
)
def test_a_text_after_the_suffix_is_not_part_of_a_name(tail: str) -> None:
    """Ids, links and consequences can follow the closing of a text, and are not part of its names."""
    error = failure_of(described(f"Something broke. Table: dbo.Sales. Partition: p.1.{tail}"))
    assert (error.table, error.partition) == ("dbo.Sales", "p.1")
    assert ACTIVITY not in error.message


@pytest.mark.parametrize(
    "text",
    [
        'The key didn\'t match any rows in the table.. Key = [Item = "x"]. Table = #table({"Name"}, {{"a"}}).',
        'Expression.Error: We cannot convert the value "Table: abc" to type Number.. Details = [Table = "abc"].',
        "Expression.Error: The name 'Table: x' wasn't recognized in the query.",
        'Table = #"Table: stores" is not a table',
        "Something about a Table: it was not there when it was read",
    ],
)
def test_an_m_expression_does_not_name_the_table(text: str) -> None:
    """Tables in an M expression are those of the source, or values. Only the engine's own closing counts."""
    assert failure_of(described(text)).table is None
    assert failure_of(described(f"{text} {RAISED} Table: Stores.")).table == "Stores"


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("Column 'Id' in Table 'Customer' contains a duplicate value.", "Customer"),
        ("Column 'Id' in Table '<oii>Bob's Sales</oii>' contains a duplicate value.", "Bob's Sales"),
        ("The column 'Price' of the table 'Sales' wasn't found.", "Sales"),
        ("Timeout expired on table 'Stock'", "Stock"),
        ('The measure of table "Net Sales" is broken.', "Net Sales"),
        ("The 'Sales' table is broken.", "Sales"),
    ],
)
def test_the_table_in_a_sentence_is_the_last_choice(text: str, table: str) -> None:
    """A table in a sentence is used only if neither the structure nor the closing of the text names one."""
    assert failure_of(described(text)).table == table
    assert failure_of(described(f"{text} Table: Other.")).table == "Other"


OBJECTS = [
    {"table": "Date", "partition": "Date", "status": "Completed"},
    {"table": "Budget", "partition": "b", "status": "Cancelled"},
    {"table": "Actuals", "partition": "a", "status": "Failed"},
]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"message": "Odd."}],
        [{"message": "Odd. Table: Other."}],
        [{"message": "Worse. Table: Budget. Partition: b."}, {"message": "Odd. Table: actuals. Partition: a."}],
        [
            {"message": "Worse. Table: Budget."},
            {"message": "Login failed. Table: Other."},
            {"message": "Odd. Table: Actuals."},
        ],
    ],
)
def test_the_objects_outrank_the_texts(messages: list[Json]) -> None:
    """Failed objects have priority over cancelled objects and over the closing of a text."""
    error = failure_of({"messages": messages, "objects": OBJECTS})
    assert (error.table, error.partition) == ("Actuals", "a")
    assert "Worse" not in error.message
    assert "Odd" in error.message or not messages


def test_of_several_failed_partitions_the_one_in_the_text_is_reported() -> None:
    """If the text names one of the failed partitions, this one is reported, otherwise the first."""
    objects = [{"table": "Sales", "partition": part, "status": "Failed"} for part in ("2024", "2025")]
    for named, expected in (("2025", "2025"), ("2023", "2024")):
        error = failure_of({"messages": [{"message": f"Odd. Table: Sales. Partition: {named}."}], "objects": objects})
        assert (error.table, error.partition) == ("Sales", expected)


@pytest.mark.parametrize(
    "part",
    [
        *"'\"{[<.;:0",
        *("0xC11C0006: ", "0xC1: \n", "Table: x. ", "'a' ", "<oii>", '{"a":', '{"message":"', '\\"', "<title>", "(503"),
        *("operation was canceled. Table: ", "gateway ", "owner ", "?sig=", "Please ", "RootActivityId: "),
    ],
)
def test_hostile_texts_cost_no_more_than_their_length(part: str) -> None:
    """The texts have a quarter of a million characters with which patterns begin, as a description and as messages."""
    text = (part * 250_000)[:250_000]
    began = time.process_time()
    service_error(described(text))
    service_error({"messages": [{"message": text[place : place + 2000]} for place in range(0, 100_000, 2000)]})
    assert time.process_time() - began < SLOWER * 0.25
