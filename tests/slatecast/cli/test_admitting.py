"""What an operator types, against a waiting room with real applicants; the terminal is a pty whose other end types."""

import asyncio
import os
import pty
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from rich.console import Console

from broadcaster.waiting_room import PENDING_SILENCE, WaitingRoom, WrongToken
from protocol.enrolment import Refusal, VerdictState
from slatecast.cli.admitting import MAX_LINE, WRONG_TOKEN_INTERVAL, Admitting
from tests.broadcaster.applicants import Candidate


class Operator:
    """An operator of a cast for so many seats, with what was written for him and a room that he answers for."""

    def __init__(self, expected_seats: int = 3) -> None:
        self.lines: list[str] = []
        self.admitting = Admitting(expected_seats, self.lines.append)
        self.room = WaitingRoom(self.admitting.on_event)
        self.admitting._room = self.room

    def comes(self, number: int) -> Candidate:
        """A receiver asks to be let in."""
        candidate = Candidate(number)
        self.room.offered(candidate.exchange)
        applicant = self.room.confirmed(candidate.receiver_id, candidate.confirm, 0.0)
        assert applicant is not None
        self.room.announce(applicant)
        return candidate

    def state(self, candidate: Candidate) -> tuple[VerdictState, Refusal]:
        applicant = self.room.confirmed(candidate.receiver_id, candidate.confirm, 0.0)
        assert applicant is not None
        return applicant.state, applicant.refusal

    def drawn(self) -> str:
        console = Console(width=160, file=StringIO(), record=True)
        console.print(self.admitting)
        return console.export_text()


PENDING = (VerdictState.PENDING, Refusal.NONE)
ADMITTED = (VerdictState.ADMITTED, Refusal.NONE)
REFUSED = (VerdictState.REFUSED, Refusal.OPERATOR)


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_whoever_waits_is_told_of_with_its_words(operator: Operator) -> None:
    candidate = operator.comes(1)
    (line,) = operator.lines
    assert line.startswith("1: seat seat-1 (10.0.0.1) asks to be let in; its screen must show: ")
    assert candidate.words in line
    assert "type 1 to let it in, a for all" in line
    assert candidate.words in operator.drawn()
    assert "seat-1" in operator.drawn()


def test_where_nobody_waits_nothing_is_drawn(operator: Operator) -> None:
    assert operator.drawn().strip() == ""
    operator.comes(1)
    operator.admitting.answer("1")
    assert operator.drawn().strip() == ""


@pytest.mark.parametrize("line", ["2", " 2 ", "2\n", "02"])
def test_a_number_lets_one_in(operator: Operator, line: str) -> None:
    first, second, third = (operator.comes(number) for number in (1, 2, 3))
    operator.admitting.answer(line)
    assert [operator.state(each) for each in (first, second, third)] == [PENDING, ADMITTED, PENDING]


@pytest.mark.parametrize("line", ["r 2", "r2", "r  2\n"])
def test_r_and_a_number_refuses_one(operator: Operator, line: str) -> None:
    first, second, third = (operator.comes(number) for number in (1, 2, 3))
    operator.admitting.answer(line)
    assert [operator.state(each) for each in (first, second, third)] == [PENDING, REFUSED, PENDING]
    assert operator.lines[-1] == "seat seat-2 (10.0.0.2) was refused"


@pytest.mark.parametrize("line", ["a", "accept all", " a\n"])
def test_a_lets_all_in_when_they_are_as_many_as_seats(operator: Operator, line: str) -> None:
    candidates = [operator.comes(number) for number in (1, 2, 3)]
    operator.admitting.answer(line)
    assert [operator.state(each) for each in candidates] == [ADMITTED] * 3


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_lets_nobody_in_when_the_count_is_wrong(operator: Operator, count: int) -> None:
    candidates = [operator.comes(number) for number in range(1, count + 1)]
    operator.lines.clear()
    operator.admitting.answer("a")
    assert [operator.state(each) for each in candidates] == [PENDING] * count
    (line,) = operator.lines
    assert line.startswith(f"{count} receivers wait, not 3")


def test_a_counts_the_seats_that_are_missing(operator: Operator) -> None:
    first = operator.comes(1)
    operator.admitting.answer("1")
    others = [operator.comes(2), operator.comes(3)]
    operator.admitting.answer("a")
    assert [operator.state(each) for each in (first, *others)] == [ADMITTED] * 3


def test_a_still_lets_in_one_more_when_the_room_is_full(operator: Operator) -> None:
    """A seat that was restarted asks again while its earlier self counts as admitted."""
    for number in (1, 2, 3):
        operator.comes(number)
    operator.admitting.answer("a")
    again = operator.comes(4)
    operator.admitting.answer("a")
    assert operator.state(again) == ADMITTED


@pytest.mark.parametrize("line", ["4", "0", "r 9", "9999"])
def test_a_number_that_does_not_wait(operator: Operator, line: str) -> None:
    candidate = operator.comes(1)
    operator.admitting.answer(line)
    assert operator.lines[-1] == f"number {int(line.strip('r '))} does not wait"
    assert operator.state(candidate) == PENDING


def test_a_number_that_was_answered_does_not_wait_any_more(operator: Operator) -> None:
    candidate = operator.comes(1)
    operator.admitting.answer("1")
    operator.admitting.answer("r 1")
    assert operator.lines[-1] == "number 1 does not wait"
    assert operator.state(candidate) == ADMITTED


@pytest.mark.parametrize(
    "line", ["yes", "all", "aa", "a 1", "1 2", "-1", "1.0", "r", "r a", "R 1", "12345", "1;r", "\x1b[31m1", "ja\0"]
)
def test_what_is_no_answer_changes_nothing(operator: Operator, line: str) -> None:
    candidate = operator.comes(1)
    operator.lines.clear()
    operator.admitting.answer(line)
    assert operator.state(candidate) == PENDING
    (said,) = operator.lines
    assert "type a to let in all that wait, 3 for number 3, r 3 to refuse it" in said
    assert said.isprintable()


@pytest.mark.parametrize("line", ["", " ", "\n", "\t"])
def test_an_empty_line_is_nothing(operator: Operator, line: str) -> None:
    candidate = operator.comes(1)
    operator.lines.clear()
    operator.admitting.answer(line)
    assert (operator.state(candidate), operator.lines) == (PENDING, [])


def test_before_there_is_a_room_answers_go_nowhere() -> None:
    lines: list[str] = []
    admitting = Admitting(1, lines.append)
    for line in ("a", "1", "nonsense"):
        admitting.answer(line)
    assert (lines, admitting.pending) == ([], [])


def test_a_number_stays_with_its_receiver(operator: Operator) -> None:
    second = [operator.comes(number) for number in (1, 2)][1]
    operator.admitting.answer("r 1")
    assert [number for number, _ in operator.admitting.pending] == [2]
    third = operator.comes(3)
    operator.admitting.answer("2")
    assert (operator.state(second), operator.state(third)) == (ADMITTED, PENDING)


def test_whoever_asks_no_more_is_told_of(operator: Operator) -> None:
    operator.comes(1)
    operator.room.expire(PENDING_SILENCE)
    assert operator.lines[-1] == "seat seat-1 (10.0.0.1) no longer asks to be let in"


def test_wrong_tokens_fill_no_screen(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for _ in range(100):
        operator.admitting.on_event(WrongToken("10.0.0.9", "seat-9", may_go_on=True))
    assert operator.lines == ["seat seat-9 (10.0.0.9) presented a wrong token"]
    clock[0] += WRONG_TOKEN_INTERVAL
    operator.admitting.on_event(WrongToken("10.0.0.9", "seat-9", may_go_on=False))
    assert operator.lines[1:] == [
        "seat seat-9 (10.0.0.9) presented a wrong token; it has to wait before it may try again"
    ]


# --- where answers come from -----------------------------------------------------------------------------------------


@contextmanager
def standard_input(monkeypatch: pytest.MonkeyPatch, descriptor: int) -> Iterator[None]:
    with os.fdopen(os.dup(descriptor)) as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", stream)
        yield


async def turns_until(is_so: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("never")


@pytest.mark.asyncio
async def test_lines_of_a_script_are_answers(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = operator.comes(1), operator.comes(2)
    reading, writing = os.pipe()
    with standard_input(monkeypatch, reading), operator.admitting.open(operator.room):
        os.write(writing, b"1\nr 2\n")
        await turns_until(lambda: not operator.admitting.pending)
        os.close(writing)
        for _ in range(10):
            await asyncio.sleep(0)  # the end of it is no answer
    os.close(reading)
    assert (operator.state(first), operator.state(second)) == (ADMITTED, REFUSED)


@pytest.mark.asyncio
async def test_half_a_number_is_no_number(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = [operator.comes(number) for number in range(1, 13)]
    reading, writing = os.pipe()
    with standard_input(monkeypatch, reading), operator.admitting.open(operator.room):
        os.write(writing, b"1")
        for _ in range(10):
            await asyncio.sleep(0)
        os.write(writing, b"2\n" + b" " * (MAX_LINE - 3) + b"1")
        for _ in range(10):
            await asyncio.sleep(0)
        os.write(writing, b"1")
        os.close(writing)
        await turns_until(lambda: len(operator.admitting.pending) == 10)
    os.close(reading)
    admitted = [number for number, each in enumerate(candidates, 1) if operator.state(each) == ADMITTED]
    assert admitted == [11, 12]


@pytest.mark.asyncio
async def test_a_line_without_an_end_is_not_kept(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with standard_input(monkeypatch, reading), operator.admitting.open(operator.room):
        os.write(writing, b"x" * 10 * MAX_LINE)
        await turns_until(lambda: len(operator.lines) >= 4)
        assert len(operator.admitting._unfinished) <= MAX_LINE
    os.close(writing)
    os.close(reading)


@pytest.mark.asyncio
async def test_a_person_types_on_a_terminal(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = operator.comes(1)
    hands, screen = pty.openpty()
    monkeypatch.setattr(os, "tcgetpgrp", lambda _: os.getpgrp())
    with standard_input(monkeypatch, screen), operator.admitting.open(operator.room):
        os.write(hands, b"1\n")
        await turns_until(lambda: not operator.admitting.pending)
    os.close(hands)
    os.close(screen)
    assert operator.state(candidate) == ADMITTED


@pytest.mark.asyncio
async def test_in_the_background_the_terminal_is_not_read(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would stop the cast for reading a terminal that another program is in the foreground of."""
    candidate = operator.comes(1)
    hands, screen = pty.openpty()
    asked: list[int] = []
    read: list[int] = []

    def somebody_else(descriptor: int) -> int:
        asked.append(descriptor)
        return os.getpgrp() + 1

    monkeypatch.setattr(os, "tcgetpgrp", somebody_else)
    with standard_input(monkeypatch, screen), operator.admitting.open(operator.room), monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda descriptor, _: read.append(descriptor))
        os.write(hands, b"1\n")
        await turns_until(lambda: len(asked) > 2)
    os.close(hands)
    os.close(screen)
    assert (operator.state(candidate), read) == (PENDING, [])


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/dev/null", __file__])
async def test_where_nobody_can_type_nothing_is_read(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    with standard_input(monkeypatch, descriptor), operator.admitting.open(operator.room):
        await asyncio.sleep(0)
    os.close(descriptor)
    assert operator.lines == []


@pytest.mark.asyncio
async def test_without_standard_input(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with operator.admitting.open(operator.room):
        candidate = operator.comes(1)
    assert operator.state(candidate) == PENDING
