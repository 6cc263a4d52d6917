"""The answers about capacity groups, as JSON Schema."""

from refresh.queue.answers import PRIORITIES
from triggers.openapi.schema import Json, count, maybe, record, text, time


def waits_for_place() -> Json:
    """The reason why a run waits for a place."""
    return record(
        {
            "group": text("The capacity group."),
            "since": time("When the run began to wait for a place."),
            "position": count("Number of waiting runs of the group that go first."),
            "behind": {
                "type": "array",
                "description": "Some of the runs in front: those that have a place, then those that wait.",
                "items": record(
                    {
                        "runId": text("The run."),
                        "datasetId": text("The semantic model.", format="uuid"),
                        "modelName": maybe(text("The name of its model, if it is known.")),
                        "since": time("When it got its place, or began to wait."),
                        "holdsPlace": {"type": "boolean", "description": "Whether it has a place; if not, it waits."},
                    },
                    "A run in front.",
                    optional=("modelName", "since", "holdsPlace"),
                ),
            },
            "closedUntil": maybe(
                time(
                    "No refresh of the group starts before this time, because Power BI reported that the capacity has "
                    "reached its limits."
                )
            ),
        },
        "Why the run does not start yet although its model is idle: the limit of its capacity group is reached.",
        optional=("behind", "closedUntil"),
    )


def capacity() -> Json:
    """All groups."""
    return record(
        {"groups": {"type": "array", "items": _group(), "description": "As in CAPACITY_LIMITS."}},
        "Which runs hold the places of each capacity group, and which wait.",
    )


def _group() -> Json:
    model = {
        "datasetId": text("The semantic model.", format="uuid"),
        "modelName": maybe(text("Its name, if it is known.")),
    }
    run = {
        "runId": text("The run."),
        "incarnation": {"type": "integer", "minimum": 1, "description": "How many times it was started."},
        "workspaceId": text("The workspace.", format="uuid"),
        **model,
    }
    external = {**model, "until": time("The time until which it counts, unless a run sees it again.")}
    waiting = {
        "position": count("Number of waiting runs that go first."),
        **run,
        "since": time("When it began to wait."),
        "priority": text("The highest priority among its requests.", enum=list(PRIORITIES)),
    }
    return record(
        {
            "name": text("The group."),
            "refreshes": {"type": "integer", "minimum": 1, "description": "How many places it has."},
            "workspaces": maybe(
                {
                    "type": "array",
                    "items": text("A workspace.", format="uuid"),
                    "description": "Its workspaces; null: all that no other group names.",
                }
            ),
            "closedUntil": maybe(
                time("No refresh of the group starts before this time, because the capacity has reached its limits.")
            ),
            "holders": {
                "type": "array",
                "items": record({**run, "since": time("When it got the place.")}, "A run that has a place."),
                "description": "The runs that have places.",
            },
            "external": {
                "type": "array",
                "items": record(external, "An external refresh."),
                "description": "External refreshes that were seen and take a place.",
            },
            "waiting": {
                "type": "array",
                "items": record(waiting, "A run that waits."),
                "description": "The runs that wait, in their order.",
            },
            "moreWaiting": count("Number of further waiting runs, not listed."),
        },
        "A capacity group.",
    )
