"""Answers of `GET /api/batches/{id}/status` about invented batches: in every state, with hostile names, and large."""

from __future__ import annotations

from collections.abc import Iterable

from tests.browser.recorded import CREDENTIALS, HOSTILE, HOUR, MINUTE, WORKSPACES, Json, ago, durable, model_id

FINANCE = WORKSPACES["Finance"]
CALLER = {"pipeline": "Load everything", "factory": "adf-finance-prod"}
LONG_MESSAGE = "The column 'Discount' of the table 'Prices' does not exist. " * 8
ENDS = ("Completed", "Failed", "Cancelled", "TimedOut", "OutcomeUnknown", "Terminated")


def member(name: str, status: str = "Waiting", *depends_on: str, **more: Json | str | bool) -> Json:
    """A model of a batch. Started models have a request; ended models also have times."""
    found: Json = {
        "name": name,
        "status": status,
        "workspaceId": FINANCE,
        "datasetId": model_id(name),
    }
    if depends_on:
        found["dependsOn"] = list(depends_on)
    if status not in ("Waiting", "Skipped"):
        found |= {"requestId": f"request-of-{model_id(name)[:8]}", "startedAt": ago(20 * MINUTE)}
    if status in ENDS:
        found |= {"endedAt": ago(20 * MINUTE - 30 - 41 * (len(name) % 11))}
    if status == "Failed":
        found["error"] = {"code": CREDENTIALS["code"], "message": CREDENTIALS["message"], "retryable": False}
    return found | more


def skipped(name: str, *depends_on: str, after: str, word: str = "ended as Failed") -> Json:
    """A model that was skipped because of a model that it depends on."""
    return member(name, "Skipped", *depends_on, reason=f"{after}, which it depends on, {word}")


def batch(batch_id: str, status: str, models: Iterable[Json], **more: object) -> Json:
    """The status of a batch with these models."""
    rows = list(models)
    states = [row["status"] for row in rows]
    found = {word: states.count(word) for word in ("Waiting", "Started", "Completed", "Skipped")}
    ended = status in ENDS
    return {
        "id": batch_id,
        "status": status,
        "caller": CALLER,
        "requestedAt": ago(25 * MINUTE),
        "deadline": ago(-10 * HOUR),
        "counts": {
            "models": len(rows),
            **{word.lower(): number for word, number in found.items()},
            "failed": len(rows) - sum(found.values()),
        },
        "models": rows,
        **({"endedAt": ago(2 * MINUTE)} if ended else {}),
        **durable(batch_id, "Failed" if ended and status != "Completed" else "Completed" if ended else "Running"),
        **more,
    }


def evening() -> Json:
    """A batch in progress, with a model in each state. The picture in the documentation shows it."""
    source = ("Calendar", "Currencies", "Customers", "Products")
    return batch(
        "batch-evening",
        "Running",
        [
            *(member(name, "Completed") for name in source),
            member("Suppliers", "Failed"),
            member("Exchange rates", "Completed", "Calendar", "Currencies"),
            member("Sales", "Started", "Calendar", "Customers", "Products"),
            member("Returns", "Completed", "Customers", "Products"),
            skipped("Stock and deliveries", "Products", "Suppliers", after="Suppliers"),
            member("Price lists", "Started", "Products", "Exchange rates"),
            member("Margin by customer", "Waiting", "Sales", "Returns", "Price lists"),
            skipped("Supply risk", "Stock and deliveries", after="Stock and deliveries", word="was skipped"),
            member("Board report", "Waiting", "Margin by customer", "Calendar"),
            member("Headcount", "Completed"),
            member("Applicants", "Started"),
            member("Carbon report", "Waiting"),
        ],
    )


def diamond() -> Json:
    """A batch that has ended: one model failed, one was skipped."""
    message = (
        "2 of 4 models were refreshed. Sales ended as Failed (CredentialsInvalid); Margin was skipped. "
        f"First failure: {CREDENTIALS['message']}"
    )
    error = {
        "code": "ModelsNotRefreshed",
        "message": message,
        "retryable": False,
        "action": 'Correct the causes, then send the batch again with "retryOf".',
    }
    models = [
        member("Customers", "Completed", earlier=True),
        member("Sales", "Failed", "Customers"),
        member("Returns", "Completed", "Customers"),
        skipped("Margin", "Sales", "Returns", "Customers", after="Sales"),
    ]
    return batch("batch-diamond", "Failed", models, error=error, retryOf="batch-evening")


def hostile() -> Json:
    """A batch with hostile names, and with models in all other states."""
    states = ("OutcomeUnknown", "TimedOut", "Terminated", "Cancelled")
    error = {"code": "NotFound", "message": HOSTILE[0] + LONG_MESSAGE, "retryable": True}
    models = [
        *(member(name, state, error=error) for name, state in zip(HOSTILE, states, strict=True)),
        member("__proto__", "Completed", *HOSTILE),
        *(member(f"{number} {name}"[:200], "Completed") for number, name in enumerate(HOSTILE)),
    ]
    return batch("batch-hostile", "Running", models, caller={"pipeline": HOSTILE[0], HOSTILE[1]: HOSTILE[2]})


def listing() -> Json:
    """A batch of all models of a workspace, which cannot be read at the moment."""
    return batch(
        "batch-listing",
        "Listing",
        [],
        workspaceId=FINANCE,
        lastReadError="HTTP 503 <b>from</b> Power BI",
        exceptNotFound=["Archive", HOSTILE[0]],
    )


def large(number: int, alone: int, *, layers: int = 5) -> list[Json]:
    """A batch of this many models. The first `alone` of them have no dependencies, the others are in layers."""
    states = ("Completed", "Completed", "Completed", "Started", "Waiting", "Failed")
    rows = [member(f"Single model {at:03}", states[at % 6]) for at in range(alone)]
    size = (number - alone) // layers
    for at in range(number - alone):
        layer, place = divmod(at, size)
        before = [f"Linked model {(layer - 1) * size + (place * 7 + step) % size:03}" for step in range(3)]
        rows.append(member(f"Linked model {at:03}", states[at % 6], *(before if layer else [])))
    return rows


def batches() -> dict[str, Json]:
    """Batches by id."""
    every = (
        evening(),
        diamond(),
        hostile(),
        listing(),
        batch("batch-large", "Running", large(500, 300), requestedAt=ago(HOUR)),
        batch("batch-unnamed", "Completed", [member("Sales", "Completed")], caller=None),
    )
    return {one["id"]: {key: value for key, value in one.items() if key != "caller" or value} for one in every}
