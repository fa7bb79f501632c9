from hypothesis import given
from hypothesis import strategies as st

from dashboards.fleet.paged import Paged


def paged() -> Paged[str]:
    return Paged(lambda entry: entry[0])


def test_the_newest_of_a_page_stands() -> None:
    pages = paged()
    pages.receive_count(2, 1)
    assert pages.receive(2, 0, ("a2", "b2"))
    assert not pages.receive(1, 0, ("a1",))
    assert not pages.receive(2, 0, ("x2",))
    assert list(pages) == ["a2", "b2"]


def test_is_complete_with_its_last_page() -> None:
    pages = paged()
    assert not pages.is_complete
    pages.receive_count(1, 2)
    pages.receive(1, 0, ("a1",))
    assert not pages.is_complete
    pages.receive(1, 1, ())
    assert pages.is_complete


def test_an_entry_that_moved_is_there_once() -> None:
    pages = paged()
    pages.receive_count(1, 2)
    pages.receive(1, 0, ("a1", "b1"))
    pages.receive(1, 1, ("c1",))
    pages.receive_count(2, 2)
    pages.receive(2, 0, ("b2", "c2"))
    assert list(pages) == ["b2", "c2"]


def test_pages_beyond_the_count_are_gone() -> None:
    pages = paged()
    pages.receive_count(1, 2)
    pages.receive(1, 1, ("c1",))
    pages.receive_count(2, 1)
    assert list(pages) == []
    pages.receive(3, 1, ("d3",))
    assert list(pages) == ["d3"], "a page of a longer list came before its count"


def test_after_a_restart_small_numbers_are_new() -> None:
    pages = paged()
    pages.receive_count(50, 1)
    pages.receive(50, 0, ("a",))
    pages.restarted()
    assert list(pages) == ["a"]
    assert pages.receive(1, 0, ("b",))
    pages.receive_count(1, 1)
    assert list(pages) == ["b"]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=40), st.permutations(range(4)))
def test_whatever_came_before_a_whole_list_stands_in_the_end(early: list[tuple[int, int]], order: list[int]) -> None:
    pages = paged()
    for sequence, page in early:
        pages.receive_count(sequence, sequence)
        pages.receive(sequence, page, (f"{page}old",))
    pages.receive_count(9, 4)
    for page in order:
        pages.receive(9, page, (f"{page}new",))
    assert list(pages) == [f"{page}new" for page in range(4)]
