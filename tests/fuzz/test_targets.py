"""Each parser with its seeds, with changes of them, and with inputs that are made to be slow."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.judging import LONGEST, play, seconds_for
from tests.fuzz.targets import TARGETS, Target

pytestmark = pytest.mark.slow

ALL = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)

FILLERS = (b" ", b"[", b'{"a":', b"9", b'"', b"\\u0000", b"\\u001b", b"\x1b", b"0,", b"\xff", b"\0", b"=", b":", b"/")

Edit = tuple[int, int, bytes]
"""place, bytes that go, bytes that come"""

EDITS = st.lists(st.tuples(st.integers(0, 1 << 18), st.integers(0, 40), st.binary(max_size=12)), max_size=6)


@ALL
@given(data=st.data())
def test_fuzz_nothing_leaves_but_documented_errors(target: Target, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(list(target.seeds())) | st.binary(max_size=300))
    play(target, edited(seed, data.draw(EDITS))[: target.longest])


def edited(seed: bytes, edits: list[Edit]) -> bytes:
    for place, length, insertion in edits:
        start = place % (len(seed) + 1)
        seed = seed[:start] + insertion + seed[start + length :]
    return seed


@ALL
def test_no_input_takes_long(target: Target) -> None:
    for data in slow_inputs(target):
        assert seconds_for(target, data) < LONGEST, (target.name, len(data), data[:60])


def slow_inputs(target: Target) -> list[bytes]:
    """The longest that can arrive, of what makes parsers slow."""
    rng = random.Random(48)
    longest = target.longest
    inputs: list[bytes] = []
    for seed in target.seeds():
        head, tail = seed[: len(seed) // 2], seed[len(seed) // 2 :]
        inputs += [seed, head, seed + rng.randbytes(longest - len(seed)), seed * (longest // (len(seed) or 1))]
        for filler in FILLERS:
            inputs.append((seed[:1] + filler * longest)[:longest])
            inputs.append((head + filler * longest)[: longest - len(tail)] + tail)
    return inputs


@ALL
def test_the_seeds_reach_the_parser(target: Target) -> None:
    """At least one is accepted, or judged by more than its first byte."""
    accepted = 0
    for seed in target.seeds():
        assert len(seed) <= target.longest
        try:
            target.run(seed)
        except target.errors:
            continue
        accepted += 1
    assert accepted or target.name == "pairing"
