import random

from broadcaster.freshness import MAX_NUMBERED, Freshness
from tests.sample_messages import OTHER_TSI, missing_blocks, receiver_id, repair_request, report


def test_what_is_newer_is_new_and_what_is_repeated_is_not() -> None:
    freshness = Freshness()
    assert [freshness.is_new(repair_request(1, number)) for number in (0, 1, 5, 5, 1, 4, 6)] == [
        *(True, True, True, False, False, False, True)
    ]


def test_each_kind_receiver_and_session_counts_for_itself() -> None:
    """One that supersedes another in a queue may arrive before an older one of another kind."""
    freshness = Freshness()
    assert freshness.is_new(report(1, sequence=7))
    assert freshness.is_new(repair_request(1, 6))
    assert freshness.is_new(missing_blocks(1, 5, ranges=[], block_count=8))
    assert freshness.is_new(report(2, sequence=1))
    assert freshness.is_new(report(1, sequence=1, tsi=OTHER_TSI))
    assert not freshness.is_new(report(1, sequence=7))


def test_a_recording_that_is_played_in_any_order_says_nothing() -> None:
    rng = random.Random(1)
    freshness = Freshness()
    recording = [repair_request(1 + number % 3, number) for number in range(100)]
    assert all(freshness.is_new(message) for message in recording)
    assert not any(freshness.is_new(rng.choice(recording)) for _ in range(1000))


def test_memory_is_bounded_and_who_speaks_is_remembered() -> None:
    freshness = Freshness()
    for number in range(MAX_NUMBERED + 100):
        assert freshness.is_new(repair_request(1, number + 1))
        assert freshness.is_new(repair_request(sequence=1, receiver_id=receiver_id(number + 2)))
    assert not freshness.is_new(repair_request(1, MAX_NUMBERED))
    assert len(freshness._newest) == MAX_NUMBERED
