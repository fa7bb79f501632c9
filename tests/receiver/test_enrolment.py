import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from broadcaster.front_door import FrontDoor
from broadcaster.keys import KeyStore
from broadcaster.waiting_room import Left, RoomEvent, Settled, Waiting, WrongToken
from protocol.admission import check_admission
from protocol.enrolment import Refusal, VerdictState
from protocol.errors import ConfigError, RefusedError, TransportError
from protocol.link.mqtt import BrokerAddress
from protocol.trust import Trust
from receiver import enrolment
from receiver.enrolment import Enrolment, enrol
from receiver.identity import ReceiverIdentity
from tests.go_between import GoBetween

pytestmark = [pytest.mark.asyncio, pytest.mark.system]

HOST = "127.0.0.1"
TOKEN = "legal-winner-thank-year"
BROKER = BrokerAddress("10.0.0.1", 8883, tls=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrolment, "POLL_PERIOD", 0.01)


class Broadcaster:
    """A front door with an operator who knows what the screens show."""

    def __init__(self, keys: Path) -> None:
        self.key_store = KeyStore.open_or_create(keys)
        self.events: list[RoomEvent] = []
        self.has_new_event = asyncio.Event()

    def told(self, event: RoomEvent) -> None:
        self.events.append(event)
        self.has_new_event.set()

    @asynccontextmanager
    async def open(self, token: str | None = None, port: int = 0) -> AsyncIterator[FrontDoor]:
        async with FrontDoor(
            ip_address(HOST),
            port,
            1,
            key_store=self.key_store,
            broker=BROKER,
            broker_authority=self.key_store.authority.certificate,
            token=token,
            on_event=self.told,
        ) as door:
            self.door = door
            yield door

    async def next_waiting(self) -> Waiting:
        """The next receiver that the operator has to decide on."""
        async with asyncio.timeout(10):
            while not any(isinstance(event, Waiting) for event in self.events):
                await self.has_new_event.wait()
                self.has_new_event.clear()
        return next(event for event in self.events if isinstance(event, Waiting))


class Seat:
    """A receiver, and what its screen shows."""

    def __init__(self) -> None:
        self.identity = ReceiverIdentity.draw()
        self.words: list[str] = []

    async def enrol(
        self,
        port: int,
        *,
        token: str | None = None,
        trust: Trust | None = None,
        confirm: Callable[[str], Awaitable[bool]] | None = None,
        remembered: tuple[Trust, ...] = (),
    ) -> Enrolment:
        async with asyncio.timeout(20):
            return await enrol(
                HOST,
                port,
                self.identity,
                seat="row 3",
                token=token,
                trust=trust,
                on_words=self.words.append,
                confirm=confirm,
                remembered=remembered,
            )


async def say_yes(words: str) -> bool:
    return True


async def say_no(words: str) -> bool:
    return False


@pytest.fixture
def broadcaster(tmp_path: Path) -> Broadcaster:
    return Broadcaster(tmp_path / "keys")


@pytest.fixture
def seat() -> Seat:
    return Seat()


class TestToken:
    async def test_lets_both_trust_each_other_at_once(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open(TOKEN) as door:
            result = await seat.enrol(door.port, token=" Legal winner THANK year ")
        assert result.trust == broadcaster.key_store.trust
        assert result.broker == BROKER
        assert isinstance(result.broker_tls, ssl.SSLContext)
        check_admission(seat.identity.keys, result.admission, broadcaster.key_store.trust.director_key)
        assert (seat.words, result.is_confirmed) == ([], False)
        assert [type(event) for event in broadcaster.events] == [Settled]
        assert "PRIVATE" not in repr(result)

    async def test_a_room_at_once(self, broadcaster: Broadcaster) -> None:
        seats = [Seat() for _ in range(12)]
        async with broadcaster.open(TOKEN) as door:
            await asyncio.gather(*(seat.enrol(door.port, token=TOKEN) for seat in seats))
            assert {one.receiver_id for one in door.waiting_room.admitted} == {
                seat.identity.receiver_id for seat in seats
            }

    async def test_a_wrong_one_is_refused_and_the_operator_told(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open(TOKEN) as door:
            with pytest.raises(RefusedError, match="the token is not this broadcaster's: check the word on the oper"):
                await seat.enrol(door.port, token="legal-winner-thank-yellow")
            assert door.waiting_room.admitted == ()
        assert broadcaster.events[0] == WrongToken(HOST, "row 3", True)

    async def test_a_broadcaster_without_one_is_refused(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open() as door:
            with pytest.raises(RefusedError, match="uses no token, and nothing else proves it: start it with --token"):
                await seat.enrol(door.port, token=TOKEN)
            assert door.waiting_room.pending == ()

    async def test_none_that_could_be_one_is_refused_at_once(self, seat: Seat) -> None:
        with pytest.raises(ConfigError, match="a token has 4 to 128 characters"):
            await seat.enrol(1, token="x")

    async def test_it_does_not_make_up_for_other_keys(
        self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path
    ) -> None:
        other = KeyStore.open_or_create(tmp_path / "other").trust
        async with broadcaster.open(TOKEN) as door:
            with pytest.raises(RefusedError, match="other keys than this receiver was told to trust"):
                await seat.enrol(door.port, token=TOKEN, trust=other)


async def test_a_seat_with_a_long_name_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="a seat's name of 65 characters: give one of at most 64"):
        await enrol(
            HOST,
            1,
            ReceiverIdentity.draw(),
            seat="x" * 65,
            token=TOKEN,
            trust=None,
            on_words=print,
            confirm=None,
        )


class TestWords:
    async def test_the_same_stand_on_both_screens(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open() as door:
            enrolling = asyncio.create_task(seat.enrol(door.port, confirm=say_yes))
            waiting = await broadcaster.next_waiting()
            assert seat.identity.receiver_id == waiting.applicant.receiver_id
            await asyncio.sleep(0)
            door.waiting_room.accept(waiting.applicant.receiver_id)
            result = await enrolling
        assert seat.words == [waiting.applicant.words]
        assert result.is_confirmed
        assert result.trust == broadcaster.key_store.trust

    async def test_a_person_who_sees_others_says_no(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open() as door:
            with pytest.raises(RefusedError, match="the words were not confirmed"):
                await seat.enrol(door.port, confirm=say_no)

    async def test_the_operator_may_be_faster_than_the_person(self, broadcaster: Broadcaster, seat: Seat) -> None:
        may_answer = asyncio.Event()

        async def think(words: str) -> bool:
            await may_answer.wait()
            return True

        async with broadcaster.open() as door:
            enrolling = asyncio.create_task(seat.enrol(door.port, confirm=think))
            waiting = await broadcaster.next_waiting()
            door.waiting_room.accept(waiting.applicant.receiver_id)
            await asyncio.sleep(0.1)
            assert not enrolling.done()
            may_answer.set()
            assert (await enrolling).is_confirmed

    async def test_the_operator_may_refuse(self, broadcaster: Broadcaster, seat: Seat) -> None:
        was_cancelled = asyncio.Event()

        async def think(words: str) -> bool:
            try:
                await asyncio.Event().wait()
            finally:
                was_cancelled.set()
            return True

        async with broadcaster.open() as door:
            enrolling = asyncio.create_task(seat.enrol(door.port, confirm=think))
            waiting = await broadcaster.next_waiting()
            await asyncio.sleep(0.05)
            door.waiting_room.refuse(waiting.applicant.receiver_id)
            with pytest.raises(RefusedError, match="the operator has refused this receiver"):
                await enrolling
        await asyncio.wait_for(was_cancelled.wait(), 5)

    async def test_an_unattended_receiver_trusts_no_stranger(self, broadcaster: Broadcaster, seat: Seat) -> None:
        with pytest.raises(RefusedError, match=r"give the token on the operator's screen with --token, or .* --trust"):
            await seat.enrol(1)
        other = (Trust(director_key=bytes(32), image_keys=(bytes(32),), authority=b"x"),)
        async with broadcaster.open() as door:
            with pytest.raises(RefusedError, match="not one that this receiver knows: give the token"):
                await seat.enrol(door.port, remembered=other)
            assert door.waiting_room.pending == ()


class TestTrust:
    async def test_a_known_broadcaster_needs_nobody_at_the_seat(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open() as door:
            enrolling = asyncio.create_task(seat.enrol(door.port, trust=broadcaster.key_store.trust))
            waiting = await broadcaster.next_waiting()
            door.waiting_room.accept_all(1)
            result = await enrolling
        assert seat.words == [waiting.applicant.words]
        assert not result.is_confirmed

    async def test_one_that_was_remembered_needs_no_words(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open() as door:
            enrolling = asyncio.create_task(
                seat.enrol(door.port, remembered=(broadcaster.key_store.trust,), confirm=say_no)
            )
            await broadcaster.next_waiting()
            door.waiting_room.accept_all(1)
            assert not (await enrolling).is_confirmed

    async def test_newer_keys_that_follow_are_taken_over(self, broadcaster: Broadcaster, seat: Seat) -> None:
        older = broadcaster.key_store.trust
        broadcaster.key_store.rotate_director()
        async with broadcaster.open(TOKEN) as door:
            result = await seat.enrol(door.port, trust=older, token=TOKEN)
        assert result.trust == broadcaster.key_store.trust != older

    async def test_older_keys_are_not(self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path) -> None:
        same = KeyStore.open(tmp_path / "keys")
        same.rotate_director()
        async with broadcaster.open(TOKEN) as door:
            with pytest.raises(RefusedError, match="other keys"):
                await seat.enrol(door.port, trust=same.trust, token=TOKEN)


class TestGoBetween:
    """Own TLS certificate, own director key, own identity; it has everything but the token, the keys and the people."""

    async def test_with_a_token_both_sides_refuse(self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path) -> None:
        async with broadcaster.open(TOKEN) as door, between(broadcaster, tmp_path) as there:
            with pytest.raises(RefusedError, match="the token is not this broadcaster's"):
                await seat.enrol(there.port, token=TOKEN)
            assert door.waiting_room.admitted == ()
        assert there.verdict_of_broadcaster is not None
        assert there.verdict_of_broadcaster.refusal is Refusal.TOKEN
        assert isinstance(broadcaster.events[0], WrongToken)

    async def test_the_screens_show_different_words(self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path) -> None:
        asked: list[str] = []

        async def compare(words: str) -> bool:
            asked.append(words)
            return words == door.waiting_room.pending[0].words

        async with broadcaster.open() as door, between(broadcaster, tmp_path) as there:
            with pytest.raises(RefusedError, match="the words were not confirmed"):
                await seat.enrol(there.port, confirm=compare)
            (pending,) = door.waiting_room.pending
        assert pending.words == there.words_at_broadcaster
        assert asked == seat.words != [pending.words]
        assert pending.state is VerdictState.PENDING

    async def test_with_a_trust_file_its_own_keys_are_refused(
        self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path
    ) -> None:
        async with broadcaster.open(), between(broadcaster, tmp_path) as there:
            with pytest.raises(RefusedError, match="other keys than this receiver was told to trust"):
                await seat.enrol(there.port, trust=broadcaster.key_store.trust)

    async def test_with_a_trust_file_the_right_keys_in_its_mouth_are_refused(
        self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path
    ) -> None:
        trust = broadcaster.key_store.trust
        async with broadcaster.open(), between(broadcaster, tmp_path, shown_trust=trust) as there:
            with pytest.raises(RefusedError, match="does not hold the keys that it shows: somebody sits in between"):
                await seat.enrol(there.port, trust=trust)

    @pytest.mark.parametrize("way", ["token", "words", "trust"])
    async def test_one_that_passes_on_every_byte_is_found(
        self, broadcaster: Broadcaster, seat: Seat, tmp_path: Path, way: str
    ) -> None:
        async with broadcaster.open(TOKEN) as door, between(broadcaster, tmp_path, relays=True) as there:
            with pytest.raises(RefusedError, match="saw another exchange than this receiver: somebody sits in betwee"):
                await seat.enrol(
                    there.port,
                    token=TOKEN if way == "token" else None,
                    trust=broadcaster.key_store.trust if way == "trust" else None,
                    confirm=say_yes if way == "words" else None,
                )
            assert (door.waiting_room.pending, door.waiting_room.admitted) == ((), ())


def between(
    broadcaster: Broadcaster, tmp_path: Path, *, shown_trust: Trust | None = None, relays: bool = False
) -> GoBetween:
    own = KeyStore.open_or_create(tmp_path / "go-between")
    return GoBetween(own, broadcaster.door.port, shown_trust=shown_trust, relays=relays)


class TestAway:
    async def test_nobody_there(self, seat: Seat) -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=rf"the broadcaster at {HOST}:{port} cannot be reached"):
            await seat.enrol(port, token=TOKEN)

    async def test_one_that_was_started_anew_is_asked_anew(self, broadcaster: Broadcaster, seat: Seat) -> None:
        async with broadcaster.open() as door:
            port = door.port
            enrolling = asyncio.create_task(seat.enrol(port, trust=broadcaster.key_store.trust))
            await broadcaster.next_waiting()
        async with broadcaster.open(port=port) as door:
            with pytest.raises(TransportError, match="was started anew, or another one answers"):
                await enrolling

    async def test_one_that_goes_away_is_waited_for_and_given_up(
        self, broadcaster: Broadcaster, seat: Seat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(enrolment, "POLL_PATIENCE", 0.1)
        async with broadcaster.open() as door:
            enrolling = asyncio.create_task(seat.enrol(door.port, trust=broadcaster.key_store.trust))
            await broadcaster.next_waiting()
        with pytest.raises(TransportError, match="cannot be reached"):
            await enrolling

    async def test_a_receiver_that_goes_away_leaves_the_list(
        self, broadcaster: Broadcaster, seat: Seat, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("broadcaster.waiting_room.PENDING_SILENCE", 0.2)
        monkeypatch.setattr("broadcaster.front_door.EXPIRY_PERIOD", 0.05)
        async with broadcaster.open():
            enrolling = asyncio.create_task(seat.enrol(broadcaster.door.port, trust=broadcaster.key_store.trust))
            waiting = await broadcaster.next_waiting()
            enrolling.cancel()
            async with asyncio.timeout(10):
                while broadcaster.events[-1] != Left(waiting.applicant):
                    broadcaster.has_new_event.clear()
                    await broadcaster.has_new_event.wait()
