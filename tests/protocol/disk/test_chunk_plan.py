from hypothesis import given
from hypothesis import strategies as st

from protocol.disk.chunk_plan import plan_chunks
from protocol.manifest import CHUNK_SIZE
from protocol.ranges import RangeSet

STEP = CHUNK_SIZE // 4
CHUNKS = 6
RANGES = st.lists(st.tuples(st.integers(0, 4 * CHUNKS), st.integers(0, 4 * CHUNKS)).map(sorted).map(tuple), max_size=6)


@given(RANGES, RANGES, st.integers(4 * CHUNKS - 3, 4 * CHUNKS))
def test_agrees_with_asking_every_quarter_of_a_chunk(
    data: list[tuple[int, int]], free: list[tuple[int, int]], quarters: int
) -> None:
    disk_size = quarters * STEP
    is_data = [any(start <= at < stop for start, stop in data) for at in range(quarters)]
    is_free = [any(start <= at < stop for start, stop in free) for at in range(quarters)]
    bounded = [(start * STEP, min(stop, quarters) * STEP) for start, stop in free]
    data_ranges = [(start * STEP, min(stop, quarters) * STEP) for start, stop in data if start < min(stop, quarters)]
    plan = plan_chunks(disk_size, data_ranges, RangeSet(bounded))
    masks = dict(plan.reads())
    assert list(masks) == list(plan.read)
    for chunk_id in range(CHUNKS):
        parts = range(4 * chunk_id, min(4 * chunk_id + 4, quarters))
        in_use = not all(is_free[at] for at in parts)
        holds_data = any(is_data[at] for at in parts)
        assert (chunk_id in plan.read) == (in_use and holds_data)
        assert (chunk_id in plan.zero) == (in_use and not holds_data)
        if chunk_id in plan.read:
            masked = RangeSet(masks[chunk_id])
            assert [(at % 4) * STEP in masked for at in parts] == [is_free[at] for at in parts]


def test_the_short_last_chunk_counts_as_a_whole() -> None:
    size = CHUNK_SIZE + 512
    assert list(plan_chunks(size, [], RangeSet([(CHUNK_SIZE, size)])).zero) == [0]
    assert list(plan_chunks(size, [(CHUNK_SIZE, size)], RangeSet()).read) == [1]
