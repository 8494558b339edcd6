"""Batches: every example once an epoch, little padding, and a function of the seed alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mamtra_eval.distill.batches import Schedule, plan_epoch

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=200)


@given(LENGTHS, st.integers(50, 2000), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_every_example_once_and_batches_stay_within_their_tokens(
    lengths: list[int], batch_tokens: int, seed: int
) -> None:
    batches = plan_epoch(lengths, batch_tokens, seed, epoch=3)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= batch_tokens or len(batch) == 1
    assert batches == plan_epoch(lengths, batch_tokens, seed, epoch=3)


@given(LENGTHS, st.integers(1, 4), st.integers(0, 30))
@settings(max_examples=40, deadline=None)
def test_a_step_does_not_depend_on_the_steps_asked_for_before(
    lengths: list[int], accumulate: int, number: int
) -> None:
    def schedule() -> Schedule:
        return Schedule(lengths, 600, accumulate, seed=5)

    walked = schedule()
    in_order = [walked.step(index) for index in range(number + 1)]
    assert schedule().step(number) == in_order[-1]
    walked.step(number)
    assert walked.step(0) == in_order[0]


def test_epochs_differ_and_bucketing_saves_most_of_the_padding() -> None:
    lengths = [10 + (37 * index) % 291 for index in range(3000)]
    first, second = (plan_epoch(lengths, 4000, 0, epoch) for epoch in (0, 1))
    assert first != second
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in first)
    assert sum(lengths) / padded > 0.95
