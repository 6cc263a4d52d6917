"""The measurement of batches: a batch costs little in addition to its requests, and respects its limit."""

from dev.bench.batch import measure


def test_a_batch_costs_a_tenth_of_its_requests_at_most() -> None:
    """A batch of six models of five minutes each, two at a time, takes at least three rounds and less than twice as
    long."""
    alone = measure(6, 300, 2, together=False)
    batch = measure(6, 300, 2, together=True)
    assert alone.refreshing == batch.refreshing
    assert alone.total < batch.total <= 1.1 * alone.total
    assert batch.refreshing / 2 <= batch.seconds < 2 * batch.refreshing / 2
