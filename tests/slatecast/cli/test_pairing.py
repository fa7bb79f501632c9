"""Seats that are let in by a real front door; the person who compares words sits at a pty."""

import asyncio
import logging
import os
import pty
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import StringIO
from ipaddress import ip_address
from pathlib import Path

import pytest
import pytest_asyncio
from rich.console import Console

from broadcaster.front_door import FrontDoor
from broadcaster.keys import KeyStore
from broadcaster.waiting_room import RoomEvent, Waiting
from protocol.errors import ConfigError, RefusedError, TransportError
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.mqtt import BrokerAddress
from protocol.trust import Trust
from receiver import enrolment as enrolment_module
from receiver import known_broadcasters
from receiver.enrolment import Enrolment
from receiver.identity import ReceiverIdentity
from slatecast.cli import pairing as pairing_module
from slatecast.cli.pairing import Pairing, patiently

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

HOST = "127.0.0.1"
TOKEN = "legal-winner-thank-year"
BROKER = BrokerAddress("10.0.0.1", 8883, tls=True)


class Broadcaster:
    """A front door, and what its operator was told."""

    def __init__(self, keys: Path) -> None:
        self.key_store = KeyStore.open_or_create(keys)
        self.has_news = asyncio.Event()
        self._waiting: list[Waiting] = []

    def told(self, event: RoomEvent) -> None:
        if isinstance(event, Waiting):
            self._waiting.append(event)
            self.has_news.set()

    def door(self, port: int = 0) -> FrontDoor:
        return FrontDoor(
            ip_address(HOST),
            port,
            1,
            key_store=self.key_store,
            broker=BROKER,
            broker_authority=self.key_store.authority.certificate,
            token=TOKEN,
            on_event=self.told,
        )

    async def next_waiting(self) -> Waiting:
        await self.has_news.wait()
        return self._waiting[-1]


class Seat:
    """A receiver with a screen."""

    def __init__(self, token: str | None = None, trust: Trust | None = None, *, is_terminal: bool = False) -> None:
        self.screen = StringIO()
        console = Console(file=self.screen, force_terminal=is_terminal, width=40, color_system=None)
        self.pairing = Pairing(token, trust, console)
        self.identity = ReceiverIdentity.draw()

    async def shows_something(self) -> None:
        for _ in range(100_000):
            if self.screen.getvalue():
                return
            await asyncio.sleep(0)
        raise AssertionError("an empty screen")

    async def enrol(self, door: FrontDoor, wait: float = 0.0) -> Enrolment:
        async with asyncio.timeout(20):
            return await self.pairing.enrol(self.identity, FrontDoorAddress(HOST, door.port), "row-2", wait)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment_module, "POLL_PERIOD", 0.01)
    monkeypatch.setattr(pairing_module, "RETRY_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, which is empty."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


def has_nothing(state: Path) -> bool:
    return not state.exists()


def put_a_file_there(state: Path) -> None:
    state.write_text("no folder")


@pytest.fixture
def broadcaster(tmp_path: Path) -> Broadcaster:
    return Broadcaster(tmp_path / "keys")


@pytest_asyncio.fixture
async def door(broadcaster: Broadcaster) -> AsyncIterator[FrontDoor]:
    async with broadcaster.door() as door:
        yield door


@contextmanager
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Somebody at a terminal; gives the end that types."""
    hands, screen = pty.openpty()
    with os.fdopen(screen) as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", stream)
        yield hands
    os.close(hands)


async def compare_words(seat: Seat, broadcaster: Broadcaster, door: FrontDoor, hands: int, answer: str) -> Enrolment:
    """The operator lets the seat in, and the person at it answers when it is asked."""
    enrolling = asyncio.create_task(seat.enrol(door))
    try:
        waiting = await broadcaster.next_waiting()
        door.waiting_room.accept(waiting.applicant.receiver_id)
        os.write(hands, f"{answer}\n".encode())
        return await enrolling
    finally:
        enrolling.cancel()
        await asyncio.gather(enrolling, return_exceptions=True)


# --- without a person ------------------------------------------------------------------------------------------------


async def test_a_token_needs_nobody(door: FrontDoor, broadcaster: Broadcaster, state: Path) -> None:
    seat = Seat(TOKEN)
    enrolment = await seat.enrol(door)
    assert enrolment.trust == broadcaster.key_store.trust
    assert enrolment.broker == BROKER
    assert (seat.screen.getvalue(), seat.pairing.words) == ("", "")
    assert has_nothing(state)  # nobody has compared anything


async def test_a_wrong_token_is_refused(door: FrontDoor) -> None:
    with pytest.raises(RefusedError, match="token"):
        await Seat("army-van-defense-carry").enrol(door)


async def test_a_trust_file_obeys_this_broadcaster_only(
    door: FrontDoor, broadcaster: Broadcaster, tmp_path: Path
) -> None:
    other = KeyStore.open_or_create(tmp_path / "other-keys").trust
    with pytest.raises(RefusedError):
        await Seat(trust=other).enrol(door)
    seat = Seat(trust=broadcaster.key_store.trust)
    enrolling = asyncio.create_task(seat.enrol(door))
    waiting = await broadcaster.next_waiting()
    door.waiting_room.accept(waiting.applicant.receiver_id)
    assert (await enrolling).trust == broadcaster.key_store.trust
    assert waiting.applicant.words == seat.pairing.words
    assert seat.screen.getvalue() == (
        f"seat row-2 asks to be let in; the operator's screen must show: {waiting.applicant.words}\n"
    )


async def test_without_anything_nobody_is_believed(door: FrontDoor) -> None:
    with pytest.raises(RefusedError, match="nothing proves which broadcaster this is"):
        await Seat().enrol(door)


async def test_a_broadcaster_that_comes_late_is_waited_for(broadcaster: Broadcaster) -> None:
    async with broadcaster.door() as gone:
        port = gone.port
    seat = Seat(TOKEN)
    enrolling = asyncio.create_task(seat.enrol(gone, wait=15.0))
    await seat.shows_something()
    async with broadcaster.door(port):
        await enrolling
    assert seat.screen.getvalue() == f"waiting for the broadcaster at {HOST}:{port}\n"


async def test_a_broadcaster_that_never_comes_is_an_error(broadcaster: Broadcaster) -> None:
    async with broadcaster.door() as gone:
        pass
    with pytest.raises(TransportError):
        await Seat(TOKEN).enrol(gone)


async def test_patience_ends_with_the_last_error_and_other_errors_end_it_at_once() -> None:
    tried: list[int] = []

    async def fail(wait: float, kind: type[Exception]) -> None:
        async for attempt in patiently(wait):
            with attempt:
                tried.append(len(tried))
                raise kind(f"no {len(tried)}")

    with pytest.raises(TransportError, match="no 1"):
        await fail(0.0, TransportError)
    with pytest.raises(ConfigError, match="no 2"):
        await fail(100.0, ConfigError)


# --- a person at the seat --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["y", "Y", "yes", " YES "])
async def test_a_person_confirms_the_words_and_they_are_remembered(
    door: FrontDoor, broadcaster: Broadcaster, state: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    seat = Seat(is_terminal=True)
    with person(monkeypatch) as hands:
        enrolment = await compare_words(seat, broadcaster, door, hands, answer)
    words = (await broadcaster.next_waiting()).applicant.words
    assert enrolment.is_confirmed
    assert enrolment.trust == broadcaster.key_store.trust
    assert seat.pairing.words == words
    assert all(word in seat.screen.getvalue() for word in words.split())
    assert "Does it show the same four words?" in seat.screen.getvalue()
    assert known_broadcasters.load(state / "slatecast" / "known-broadcasters.json") == (broadcaster.key_store.trust,)


@pytest.mark.parametrize("answer", ["n", "", "no", "yy", "ye", "\x1b[A"])
async def test_anything_else_refuses_and_nothing_is_remembered(
    door: FrontDoor, broadcaster: Broadcaster, state: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    seat = Seat(is_terminal=True)
    with person(monkeypatch) as hands, pytest.raises(RefusedError):
        await compare_words(seat, broadcaster, door, hands, answer)
    assert has_nothing(state)


async def test_a_terminal_that_is_hung_up_refuses(
    door: FrontDoor, broadcaster: Broadcaster, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seat = Seat(is_terminal=True)
    with person(monkeypatch) as hands, pytest.raises(RefusedError):
        await compare_words(seat, broadcaster, door, hands, "\x04")
    assert has_nothing(state)


async def test_a_broadcaster_that_was_confirmed_before_needs_no_words_again(
    door: FrontDoor, broadcaster: Broadcaster, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_broadcasters.remember(known_broadcasters.default_file(), broadcaster.key_store.trust)
    seat = Seat(is_terminal=True)
    with person(monkeypatch):
        enrolling = asyncio.create_task(seat.enrol(door))
        door.waiting_room.accept((await broadcaster.next_waiting()).applicant.receiver_id)
        enrolment = await enrolling
    assert not enrolment.is_confirmed
    assert "Does it show" not in seat.screen.getvalue()


async def test_another_broadcaster_than_the_remembered_one_is_unknown(
    door: FrontDoor, broadcaster: Broadcaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = KeyStore.open_or_create(tmp_path / "other-keys").trust
    known_broadcasters.remember(known_broadcasters.default_file(), other)
    with pytest.raises(RefusedError):
        await Seat().enrol(door)
    seat = Seat(is_terminal=True)
    with person(monkeypatch) as hands:
        assert (await compare_words(seat, broadcaster, door, hands, "y")).is_confirmed
    assert known_broadcasters.load(known_broadcasters.default_file()) == (other, broadcaster.key_store.trust)


async def test_where_nothing_can_be_remembered_the_seat_is_let_in_all_the_same(
    door: FrontDoor,
    broadcaster: Broadcaster,
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The disk of a live system is read-only; here a file stands where the folder should be, which root cannot pass."""
    put_a_file_there(state)
    seat = Seat(is_terminal=True)
    monkeypatch.setattr(known_broadcasters, "load", lambda _: ())
    with person(monkeypatch) as hands, caplog.at_level(logging.WARNING):
        assert (await compare_words(seat, broadcaster, door, hands, "y")).is_confirmed
    assert "cannot be written" in caplog.text


async def test_a_damaged_file_of_known_broadcasters_is_told_before_anything_is_sent(
    door: FrontDoor, broadcaster: Broadcaster
) -> None:
    file = known_broadcasters.default_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(b"{")
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="is damaged: remove it"):
        await Seat().enrol(door)
    assert door.waiting_room.exchange_count == 0
    await Seat(TOKEN).enrol(door)  # a token says whom to believe
