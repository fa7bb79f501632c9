import os
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from protocol.disk.parallel import parallel_map


def test_results_keep_the_order_of_the_items() -> None:
    assert list(parallel_map(lambda item: item * item, range(1000))) == [item * item for item in range(1000)]
    assert list(parallel_map(str, [])) == []


def test_items_are_drawn_only_as_far_as_needed() -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for item in range(1000):
            drawn += 1
            yield item

    with closing(parallel_map(str, items())) as results:
        next(results)
        assert drawn <= 4 * (os.cpu_count() or 1)


def test_a_failure_comes_out_and_no_thread_stays() -> None:
    before = threading.active_count()

    def work(item: int) -> int:
        if item == 5:
            raise KeyError(item)
        return item

    with pytest.raises(KeyError), closing(parallel_map(work, range(100))) as results:
        list(results)
    assert threading.active_count() == before


def test_closing_half_way_leaves_no_thread_and_drops_the_rest() -> None:
    before = threading.active_count()
    finished: list[int] = []
    with closing(parallel_map(finished.append, range(1000))) as results:
        next(results)
    assert threading.active_count() == before
    assert len(finished) <= 4 * (os.cpu_count() or 1) + 1
