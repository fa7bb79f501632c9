"""The life of a seat with a broker, enrolment and errands that tests play."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from protocol.errors import RefusedError, TransportError
from protocol.link.front_door_address import FrontDoorAddress
from protocol.messages import ReceiverState
from receiver.config import SessionOutcome
from slatecast.seat import life as life_module
from slatecast.seat.boot_arguments import BootArguments
from slatecast.seat.disk_turn import DiskTurn
from slatecast.seat.events import (
    DoorFound,
    Enrolled,
    Event,
    Joined,
    Refused,
    Searching,
    SessionEnded,
    SessionSeen,
    WordsAsked,
    WordsShown,
)
from slatecast.seat.life import Life
from slatecast.seat.settings import SeatSettings
from tests.sample_messages import TSI, announcement
from tests.slatecast.seat.facts import session

pytestmark = pytest.mark.asyncio

DOOR = FrontDoorAddress("192.0.2.1", 8884)


class Room:
    """Everything outside a seat, played."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.enrolments: list[Any] = []
        """what each enrolment comes to: an error, or a function that is given what enrol is"""
        self.outcomes: list[SessionOutcome | Exception] = []
        self.identities: list[str] = []
        self.configured: list[tuple[str, str]] = []
        self.targets: list[tuple[str, str]] = []
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.is_connected = True
        self.is_present = False
        self.present_at: list[bool] = []
        """whether it said that it is there while it configured, and when it left"""
        self.goodbyes = 0
        for name in ("AGAIN_SECONDS", "REFUSED_SECONDS", "LOOK_SECONDS", "AWAY_SECONDS"):
            monkeypatch.setattr(life_module, name, 0.0)
        monkeypatch.setattr(life_module, "BROKER_LOOK_SECONDS", 0.001)
        monkeypatch.setattr(life_module, "resolve_interface", lambda **_: None)
        monkeypatch.setattr(life_module, "machine_name", lambda *_: "aa:bb:cc:dd:ee:0f")
        monkeypatch.setattr(life_module, "enrol", self.enrol)
        monkeypatch.setattr(life_module, "Receiver", lambda *given: PlayedReceiver(self, *given))
        monkeypatch.setattr(life_module, "Errands", self.errands)
        monkeypatch.setattr(life_module, "view_of", lambda _session, _now: session())

    async def enrol(self, host: str, port: int, identity: Any, **given: Any) -> Any:
        assert (host, port) == DOOR
        self.identities.append(identity.receiver_id)
        played = self.enrolments.pop(0) if self.enrolments else None
        if isinstance(played, Exception):
            raise played
        if played is not None:
            await played(given)
        return SimpleNamespace(trust="trust", is_confirmed=False)

    @contextlib.asynccontextmanager
    async def errands(self, *_given: Any, machine: str) -> AsyncIterator[Any]:
        assert machine == "aa:bb:cc:dd:ee:0f"

        async def look() -> None:
            await asyncio.Event().wait()

        async def configure(tsi: str, target: str) -> None:
            await asyncio.sleep(0)
            self.configured.append((tsi, target))
            self.present_at.append(self.is_present)

        yield SimpleNamespace(look_for_work=look, configure=configure)

    async def flush(self) -> None:
        self.goodbyes += 1

    async def until(self, kind: type[Event]) -> Any:
        """The next event of this kind; those before it are dropped."""
        async with asyncio.timeout(10):
            while not isinstance(event := await self.events.get(), kind):
                pass
        return event


class PlayedReceiver:
    """Takes part in one session after the other, as the room says."""

    def __init__(self, room: Room, config: Any, *_given: Any) -> None:
        self._room = room
        self._config = config
        self.session: Any = None

    def use_target(self, target: str, fault: str) -> None:
        self._room.targets.append((target, fault))

    async def stay_present(self) -> None:
        self._room.is_present = True
        try:
            await asyncio.Event().wait()
        finally:
            self._room.is_present = False

    def say_goodbye(self) -> None:
        assert self._room.is_connected

    def link(self) -> contextlib.AbstractAsyncContextManager[Any]:
        return contextlib.nullcontext(self._room)

    async def run_session(self, _link: object) -> SessionOutcome:
        if not self._room.outcomes:
            await asyncio.Event().wait()
        outcome = self._room.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        self.session = SimpleNamespace(announcement=announcement(), target=self._config.target)
        return outcome


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(monkeypatch)


@contextlib.asynccontextmanager
async def living(room: Room, *, has_network: bool = True) -> AsyncIterator[Life]:
    arguments = BootArguments(server=DOOR, seat="pc-14", target="/dev/sda")
    life = Life(SeatSettings(arguments), room.events.put_nowait, DiskTurn())
    life.network_is(is_there=has_network)
    running = asyncio.create_task(life.run())
    try:
        yield life
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_it_waits_for_the_network_and_then_joins(room: Room) -> None:
    async with living(room, has_network=False) as life:
        for _ in range(5):
            await asyncio.sleep(0)
        assert room.events.empty()
        life.network_is(is_there=True)
        kinds = [type(await room.events.get()) for _ in range(4)]
    assert kinds == [Searching, DoorFound, Enrolled, Joined]


async def test_a_broadcaster_that_is_not_there_yet_is_tried_again_with_the_same_keys(room: Room) -> None:
    room.enrolments = [TransportError("it cannot be reached"), RefusedError("the operator has refused this receiver")]
    async with living(room):
        assert (await room.until(DoorFound)).place == "192.0.2.1:8884"
        assert (await room.until(Searching)).trouble == "it cannot be reached"
        assert (await room.until(Refused)).reason == "the operator has refused this receiver"
        await room.until(Joined)
    assert len(set(room.identities)) == 1
    assert len(room.identities) == 3


@pytest.mark.parametrize("same", [True, False])
async def test_somebody_at_the_seat_compares_the_words(room: Room, same: bool) -> None:
    async def ask(given: dict[str, Any]) -> None:
        given["on_words"]("apple river stone wolf")
        if not await given["confirm"]("apple river stone wolf"):
            raise RefusedError("the words were not confirmed")

    room.enrolments = [ask]
    async with living(room) as life:
        life.words_are(same=True)  # nobody has asked
        assert (await room.until(WordsShown)).words == ("apple", "river", "stone", "wolf")
        await room.until(WordsAsked)
        life.words_are(same=same)
        life.words_are(same=not same)  # only the first answer counts
        await room.until(Enrolled if same else Refused)


async def test_a_verified_disk_is_configured_and_another_session_may_come(room: Room) -> None:
    room.outcomes = [
        SessionOutcome(ReceiverState.PLANNED, "the plan was dropped", is_acknowledged=True),
        SessionOutcome(ReceiverState.VERIFIED, "", is_acknowledged=True),
    ]
    async with living(room) as life:
        assert await room.until(SessionEnded) == SessionEnded(TSI, ReceiverState.PLANNED, "the plan was dropped")
        assert await room.until(SessionEnded) == SessionEnded(TSI, ReceiverState.VERIFIED, "")
        await asyncio.sleep(0)
        assert life.session is None
    assert room.configured == [(TSI, "/dev/sda")]
    assert room.present_at == [True]
    assert not room.is_present


@pytest.mark.parametrize("is_connected", [True, False])
async def test_it_says_goodbye_where_somebody_hears_it(room: Room, is_connected: bool) -> None:
    async with living(room):
        await room.until(Joined)
        await asyncio.sleep(0)
        room.is_connected = is_connected
    assert room.goodbyes == is_connected


async def test_after_a_session_that_broke_it_is_another_receiver(room: Room) -> None:
    room.outcomes = [
        SessionOutcome(ReceiverState.VERIFIED, "", is_acknowledged=True),
        TransportError("the group cannot be joined"),
    ]
    async with living(room):
        while (await room.until(SessionSeen)).session is not None:
            pass
        assert (await room.until(Searching)).trouble == "the group cannot be joined"
        await room.until(Joined)
    first, second = room.identities
    assert first != second


async def test_the_next_session_is_for_the_disk_that_there_is_by_then(room: Room) -> None:
    async with living(room) as life:
        await room.until(Joined)
        life.target_is("auto", "fits 2 disks")
        life.abort()  # there is nothing to stop
        life.break_off()
    assert room.targets == [("auto", "fits 2 disks")]


async def test_a_broker_that_stays_away_is_left_only_when_the_broadcaster_is_there(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = [False, False, True]

    async def is_back(_where: FrontDoorAddress) -> bool:
        return looks.pop(0)

    async with living(room) as life:
        monkeypatch.setattr(life, "_is_back", is_back)
        await room.until(Joined)
        room.is_connected = False
        await room.until(Searching)
        room.is_connected = True
        await room.until(Joined)
    assert looks == []
    assert len(set(room.identities)) == 1
