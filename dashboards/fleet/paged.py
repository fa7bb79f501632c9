"""A list that comes in pages, each of which may be lost, late, repeated or out of order. Pure.

The newest of each page stands until a newer one comes. An entry that has moved from one page to another while one of
the two was lost is there once, as the newer page has it; what was removed goes with the next page that was heard.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Paged(Generic[Entry]):
    """The list; ``key`` tells which entries are the same."""

    def __init__(self, key: Callable[[Entry], Hashable]) -> None:
        self._key = key
        self._pages: dict[int, tuple[int, tuple[Entry, ...]]] = {}
        self._count_sequence = -1
        self._count = 0

    def receive(self, sequence: int, page: int, entries: tuple[Entry, ...]) -> bool:
        """Take a page; False when it is older than the one that is known."""
        known = self._pages.get(page)
        if known is not None and sequence <= known[0]:
            return False
        self._pages[page] = (sequence, entries)
        return True

    @property
    def is_complete(self) -> bool:
        """Whether every page has come that there is."""
        return self._count_sequence >= 0 and all(page in self._pages for page in range(self._count))

    def receive_count(self, sequence: int, pages: int) -> None:
        """How many pages there are."""
        if sequence > self._count_sequence:
            self._count_sequence, self._count = sequence, pages

    def restarted(self) -> None:
        """What is told from now on counts from the beginning; what is known stands until it is replaced."""
        self._count_sequence = -1
        self._pages = {page: (-1, entries) for page, (_, entries) in self._pages.items()}

    def __iter__(self) -> Iterator[Entry]:
        """Every entry once, page by page."""
        found: dict[Hashable, tuple[int, Entry]] = {}
        for page in sorted(self._pages):
            sequence, entries = self._pages[page]
            if page >= self._count and sequence <= self._count_sequence:
                continue
            for entry in entries:
                key = self._key(entry)
                if key not in found or found[key][0] < sequence:
                    found[key] = (sequence, entry)
        return (entry for _, entry in found.values())
