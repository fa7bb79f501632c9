import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner
from rich.console import Console

from protocol.errors import ConfigError, TargetError
from protocol.messages import ReceiverState
from receiver.config import SessionOutcome
from slatecast.cli.receive import EXIT_CODES, _receive, _say, receive


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (SessionOutcome(ReceiverState.VERIFIED, "", True), "is written and verified"),
        (
            SessionOutcome(ReceiverState.VERIFIED, "", False),
            "is written and verified (the broadcaster did not acknowledge it)",
        ),
        (
            SessionOutcome(ReceiverState.REFUSED, "disk: is too small", True),
            "was refused, nothing was written: disk: is too small",
        ),
        (SessionOutcome(ReceiverState.FAILED, "disk: write failed", True), "failed and is marked incomplete: disk: wr"),
        (SessionOutcome(ReceiverState.DAMAGED, "disk: chunk", True), "is damaged and marked incomplete: disk: chunk"),
        (SessionOutcome(ReceiverState.ARMING, "the broadcaster fell silent", True), "was not written: the broadcaster"),
        (SessionOutcome(ReceiverState.READY, "the broadcaster fell silent", False), "was not written: the broadcaster"),
        (
            SessionOutcome(ReceiverState.PLANNED, "the plan was dropped", False),
            "was not written: the plan was dropped\n",
        ),
        (SessionOutcome(ReceiverState.RECEIVING, "the broadcaster ended the session", False), "is incomplete: the br"),
    ],
)
def test_an_outcome_in_words(capsys: pytest.CaptureFixture[str], outcome: SessionOutcome, words: str) -> None:
    _say(Console(stderr=True), "[b]7", "/dev/sda", outcome)
    assert capsys.readouterr().err.startswith(f"seat [b]7: /dev/sda {words}")


class Obeying:
    """A receiver whose sessions end as they are told to."""

    def __init__(self, *states: ReceiverState) -> None:
        self.outcomes = [SessionOutcome(state, "", is_acknowledged=True) for state in states]
        self.has_said_goodbye = False

    def link(self) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    async def run_session(self, _link: object) -> SessionOutcome:
        return self.outcomes.pop(0)

    def say_goodbye(self) -> None:
        self.has_said_goodbye = True


def test_once_means_once_written_not_once_planned() -> None:
    receiver = Obeying(ReceiverState.PLANNED, ReceiverState.PLANNED, ReceiverState.VERIFIED, ReceiverState.FAILED)
    config = SimpleNamespace(seat="7", target="/dev/sda")
    ended = _receive(cast(Any, receiver), cast(Any, config), Console(stderr=True), once=True, wait=1.0)
    assert asyncio.run(ended) == 0
    assert (len(receiver.outcomes), receiver.has_said_goodbye) == (1, True)


def test_every_final_state_has_an_exit_code() -> None:
    assert EXIT_CODES.keys() == {state for state in ReceiverState if state.is_final}
    assert list(EXIT_CODES.values()) == [0, 3, 4, 5]


@pytest.mark.parametrize("seat", ["", "x" * 65, "two\nlines", "\x1b[31m"])
def test_a_seat_has_a_name_that_fits_a_screen(seat: str) -> None:
    result = CliRunner().invoke(receive, ["--target", "disk", "--seat", seat])
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize("machine", ["", "x" * 65, "two\nlines", "\x1b[31m"])
def test_so_has_a_machine(machine: str) -> None:
    result = CliRunner().invoke(receive, ["--target", "disk", "--machine", machine])
    assert isinstance(result.exception, ConfigError)


@pytest.mark.parametrize("target", ["missing", "serial=no-such-disk", "/"])
def test_the_target_is_looked_at_before_anything_else(target: str) -> None:
    result = CliRunner().invoke(receive, ["--target", target, "--server", "not an address"])
    assert isinstance(result.exception, TargetError)
