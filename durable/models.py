"""The receivers of news about models: which entities get an operation, and in which form."""

import azure.durable_functions as df

from durable import names
from refresh.messages import replace
from refresh.models.index import shard_of
from refresh.models.operations import (
    Expect,
    MarkOverdue,
    ModelOperation,
    RequestsEnded,
    RunDropped,
    RunEnded,
    RunRefreshes,
    RunWaits,
)

ModelNews = RunWaits | RunRefreshes | RunDropped | RunEnded | RequestsEnded | Expect | MarkOverdue
"""Operations about one model."""


def addressed(news: ModelNews) -> list[tuple[df.EntityId, ModelOperation]]:
    """The entities that receive this operation, each with the variant of the operation that it stores."""
    record, index = record_of(news.dataset_id), shard(shard_of(news.dataset_id))
    match news:
        case RunEnded():
            return [(index, replace(news, request_ids=())), (record, news)]
        case RequestsEnded():
            return [(record, news)]
        case _:
            return [(index, news)]


def shard(key: str) -> df.EntityId:
    """A shard of the index of models."""
    return df.EntityId(names.MODEL_INDEX, key)


def record_of(dataset_id: str) -> df.EntityId:
    """The record of a model."""
    return df.EntityId(names.MODEL_RECORD, dataset_id)
