"""Dependencies between the models of a batch. Models are identified by numbers, from 0 in the order of the batch."""

from collections.abc import Sequence

Dependencies = Sequence[Sequence[int]]
"""For each model the models that have to complete before it."""


def cycle_in(dependencies: Dependencies) -> list[int]:
    """The models of a cycle in order, with the first one again at the end; empty if there is no cycle.

    Iterative: a chain of 500 models would be too deep for a recursion in some hosts.
    """
    done: set[int] = set()
    for first in range(len(dependencies)):
        path: list[int] = []
        on_path: set[int] = set()
        agenda = [(first, iter(dependencies[first]))] if first not in done else []
        while agenda:
            model, rest = agenda[-1]
            if model not in on_path:
                path.append(model)
                on_path.add(model)
            for other in rest:
                if other in on_path:
                    return [*path[path.index(other) :], other]
                if other not in done:
                    agenda.append((other, iter(dependencies[other])))
                    break
            else:
                agenda.pop()
                path.pop()
                on_path.discard(model)
                done.add(model)
    return []
