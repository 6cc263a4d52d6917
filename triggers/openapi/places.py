"""The answers about capacity groups, as JSON Schema."""

from refresh.queue.answers import PRIORITIES
from triggers.openapi.schema import Json, count, maybe, record, text, time


def waits_for_place() -> Json:
    """The reason why a run waits for a place."""
    return record(
        {
            "group": text("The name of the capacity group."),
            "since": time("When the run began to wait for a place."),
            "position": count("Number of waiting runs of the group that go before this one."),
            "behind": {
                "type": "array",
                "description": "Some of the runs in front of this one: those that have a place, then those that wait.",
                "items": record(
                    {
                        "runId": text("The id of the run."),
                        "datasetId": text("The id of the semantic model.", format="uuid"),
                        "modelName": maybe(text("The name of the model, if it is known.")),
                        "since": time("When the run got its place, or began to wait."),
                        "holdsPlace": {
                            "type": "boolean",
                            "description": "True if the run has a place, false if it waits.",
                        },
                    },
                    "A run that goes before this one.",
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
        {"groups": {"type": "array", "items": _group(), "description": "The groups of CAPACITY_LIMITS."}},
        "Which runs hold the places of each capacity group, and which wait.",
    )


def _group() -> Json:
    model = {
        "datasetId": text("The id of the semantic model.", format="uuid"),
        "modelName": maybe(text("The name of the model, if it is known.")),
    }
    run = {
        "runId": text("The id of the run."),
        "incarnation": {"type": "integer", "minimum": 1, "description": "How many times the run was started."},
        "workspaceId": text("The id of the workspace.", format="uuid"),
        **model,
    }
    external = {**model, "until": time("The time until which the refresh counts, unless a run sees it again.")}
    waiting = {
        "position": count("Number of waiting runs of the group that go before this one."),
        **run,
        "since": time("When the run began to wait."),
        "priority": text("The highest priority of its requests.", enum=list(PRIORITIES)),
    }
    return record(
        {
            "name": text("The name of the group."),
            "refreshes": {"type": "integer", "minimum": 1, "description": "How many places the group has."},
            "workspaces": maybe(
                {
                    "type": "array",
                    "items": text("The id of a workspace.", format="uuid"),
                    "description": "The workspaces of the group; null means all workspaces that no other group names.",
                }
            ),
            "closedUntil": maybe(
                time("No refresh of the group starts before this time, because the capacity has reached its limits.")
            ),
            "holders": {
                "type": "array",
                "items": record({**run, "since": time("When the run got the place.")}, "A run that has a place."),
                "description": "The runs that have places.",
            },
            "external": {
                "type": "array",
                "items": record(external, "An external refresh."),
                "description": "External refreshes that the app has seen and that occupy a place.",
            },
            "waiting": {
                "type": "array",
                "items": record(waiting, "A run that waits."),
                "description": "The runs that wait, in the order in which they get places. A run that did not ask "
                "again in time is behind all others until it asks.",
            },
            "moreWaiting": count("Number of further waiting runs that are not listed."),
        },
        "A capacity group.",
    )
