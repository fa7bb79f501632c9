from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ranges import RangeSet

SMALL = st.integers(min_value=0, max_value=40)
OPERATIONS = st.lists(st.tuples(st.sampled_from(["add", "discard"]), SMALL, SMALL), max_size=30)


@given(OPERATIONS, SMALL, SMALL)
def test_behaves_as_a_set_of_integers(operations: list[tuple[str, int, int]], first: int, limit: int) -> None:
    ranges, model = RangeSet(), set[int]()
    for verb, start, stop in operations:
        getattr(ranges, verb)(start, stop)
        model = model | set(range(start, stop)) if verb == "add" else model - set(range(start, stop))
        assert list(ranges) == sorted(model)
        assert len(ranges) == len(model)
        assert all(((value in ranges) == (value in model)) for value in range(42))
    within = [value for start, stop in ranges.ranges_within(first, limit) for value in range(start, stop)]
    assert within == sorted(value for value in model if first <= value < limit)
    order = sorted(value for value in model if value >= first) + sorted(value for value in model if value < first)
    for value in order:
        assert ranges.pop_next(first) == value
    assert not ranges


@given(OPERATIONS)
def test_ranges_are_sorted_and_apart(operations: list[tuple[str, int, int]]) -> None:
    ranges = RangeSet()
    for verb, start, stop in operations:
        getattr(ranges, verb)(start, stop)
    pairs = list(ranges.ranges())
    assert all(start < stop for start, stop in pairs)
    assert all(left[1] < right[0] for left, right in pairwise(pairs))
    assert RangeSet(reversed(pairs)) == ranges


def test_single_members() -> None:
    ranges = RangeSet([(3, 5)])
    ranges.add(5)
    ranges.discard(4)
    assert list(ranges.ranges()) == [(3, 4), (5, 6)]
    assert ranges.pop_next(4) == 5
    assert ranges.pop_next(4) == 3
    with pytest.raises(KeyError):
        ranges.pop_next(0)


def test_repr_shows_the_ranges_and_other_types_differ() -> None:
    assert repr(RangeSet([(1, 2)])) == "RangeSet([(1, 2)])"
    assert RangeSet() != {1}
