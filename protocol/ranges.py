"""RangeSet: a set of integers kept as sorted, disjoint, non-touching half-open ranges.

The set of blocks that a receiver misses is one of these: a disk of a million blocks that misses a handful costs a
handful of ranges. Single additions and removals cost a binary search; nothing here is proportional to the members.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A mutable set of integers; iterate ``ranges()`` for the ranges, the object itself for the members."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._count = 0
        for start, stop in ranges:
            self.add(start, stop)

    def add(self, start: int, stop: int | None = None) -> None:
        """Add ``start`` alone, or all of ``start`` up to but without ``stop``."""
        stop = start + 1 if stop is None else stop
        if start >= stop:
            return
        first = bisect_left(self._stops, start)
        last = bisect_right(self._starts, stop)
        if first < last:
            self._count -= sum(self._stops[i] - self._starts[i] for i in range(first, last))
            start = min(start, self._starts[first])
            stop = max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]
        self._count += stop - start

    def discard(self, start: int, stop: int | None = None) -> None:
        """Remove ``start`` alone, or all of ``start`` up to but without ``stop``; absent ones are no error."""
        stop = start + 1 if stop is None else stop
        first = bisect_right(self._stops, start)
        last = bisect_left(self._starts, stop)
        if start >= stop or first >= last:
            return
        self._count -= sum(self._stops[i] - self._starts[i] for i in range(first, last))
        left, right = self._starts[first], self._stops[last - 1]
        kept = [(a, b) for a, b in ((left, min(start, right)), (max(stop, left), right)) if a < b]
        self._starts[first:last] = [a for a, _ in kept]
        self._stops[first:last] = [b for _, b in kept]
        self._count += sum(b - a for a, b in kept)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The (start, stop) pairs in ascending order; the set must not change meanwhile."""
        return zip(self._starts, self._stops, strict=True)

    def ranges_within(self, first: int, limit: int) -> Iterator[tuple[int, int]]:
        """The (start, stop) pairs of the members from ``first`` up to but without ``limit``; skips the rest unseen."""
        for index in range(bisect_right(self._stops, first), bisect_left(self._starts, limit)):
            yield max(self._starts[index], first), min(self._stops[index], limit)

    def pop_next(self, first: int) -> int:
        """Remove and return the smallest member from ``first`` on, or else the smallest; KeyError if there is none."""
        if not self._count:
            raise KeyError("the range set is empty")
        index = bisect_right(self._stops, first)
        value = max(self._starts[index], first) if index < len(self._stops) else self._starts[0]
        self.discard(value)
        return value

    def __contains__(self, value: int) -> bool:
        """Whether the integer is a member."""
        index = bisect_right(self._starts, value) - 1
        return index >= 0 and value < self._stops[index]

    def __iter__(self) -> Iterator[int]:
        """The members in ascending order."""
        for start, stop in self.ranges():
            yield from range(start, stop)

    def __len__(self) -> int:
        """Number of members (not of ranges)."""
        return self._count

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same members."""
        if not isinstance(other, RangeSet):
            return NotImplemented
        return self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]  # mutable, as the built-in set

    def __repr__(self) -> str:
        return f"RangeSet({list(self.ranges())})"
