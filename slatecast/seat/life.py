"""The life of a seat: network, broadcaster, enrolment, then sessions one after the other, until it is ended.

If the broadcaster goes away while nothing is written, it is looked for anew, and the seat enrols with the same keys:
whom it has trusted once it needs no words for.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from protocol.errors import ConfigError, RefusedError, TransportError
from protocol.link.discovery import find_broadcaster
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import MqttLink
from protocol.messages import ReceiverState
from protocol.trust import Trust
from receiver import known_broadcasters
from receiver.arming import STOPPED
from receiver.config import ReceiverConfig
from receiver.enrolment import Enrolment, enrol
from receiver.identity import ReceiverIdentity
from receiver.machine import machine_name
from receiver.service import Receiver
from receiver.session import ReceiverSession
from slatecast.seat.disk_turn import DiskTurn
from slatecast.seat.errands import Errands
from slatecast.seat.events import (
    BroadcasterSeen,
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
from slatecast.seat.first_ended import until_first_ends
from slatecast.seat.session_view import view_of
from slatecast.seat.settings import SeatSettings

SEARCH_SECONDS: Final = 3.0
"""[s] For one question by multicast DNS; it is asked again for as long as nobody answers."""

AGAIN_SECONDS: Final = 2.0
"""[s] Before a broadcaster is tried again that was not there, or could not be believed."""

REFUSED_SECONDS: Final = 15.0
"""[s] The same after it has refused this seat: a person decided that, and may decide anew."""

AWAY_SECONDS: Final = 20.0
"""[s] How long the broker may be out of reach, while nothing is done for this seat, before it is looked whether the
broadcaster is there all the same, with another broker: longer than either takes to restart."""

BROKER_LOOK_SECONDS: Final = 1.0
"""[s] How late it may be known that the broker is away."""

DOOR_SECONDS: Final = 2.0
"""[s] for a front door on the LAN to be opened"""

PARTING_SECONDS: Final = 1.0
"""[s] for the broker to take our goodbye: without it operators would see us there for 16 s after we have left."""

LOOK_SECONDS: Final = 0.1
"""[s] How stale the picture of a session may be; a countdown is shown to the second."""


class Life:
    """Of one seat, from its start to its end."""

    def __init__(self, settings: SeatSettings, tell: Callable[[Event], object], turn: DiskTurn) -> None:
        """``tell`` takes what happens; ``turn`` is whose turn it is to use the disk."""
        self._settings = settings
        self._tell = tell
        self._turn = turn
        self._identity = ReceiverIdentity.draw()
        self._trusted: tuple[Trust, ...] = ()
        self._has_network = asyncio.Event()
        self._answer: asyncio.Future[bool] | None = None
        self._receiver: Receiver | None = None
        self._ended: ReceiverSession | None = None
        self._target = settings.arguments.target
        self._target_fault = ""
        self.errands: Errands | None = None
        """what is done for this seat beside sessions, while it is joined"""

    # --- from outside ------------------------------------------------------------------------------------------------

    def network_is(self, *, is_there: bool) -> None:
        """Whether it is worth while to look for a broadcaster."""
        if is_there:
            self._has_network.set()
        else:
            self._has_network.clear()

    def words_are(self, *, same: bool) -> None:
        """Somebody at this seat has compared the words."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(same)

    def target_is(self, path: str, fault: str) -> None:
        """Which disk the next session is for, or why there is none: then it is refused with that."""
        self._target, self._target_fault = path, fault
        if self._receiver is not None:
            self._receiver.use_target(path, fault)

    def abort(self) -> None:
        """Stop the session before its first write, if there is time."""
        if self.session is not None:
            self.session.abort(time.monotonic())

    def break_off(self) -> None:
        """Stop a session that writes; its disk stays marked as incomplete, and the broadcaster is told why."""
        session = self.session
        if session is not None and session.state is ReceiverState.RECEIVING:
            session.failed(STOPPED, time.monotonic())

    @property
    def session(self) -> ReceiverSession | None:
        """The session under way, or None."""
        session = None if self._receiver is None else self._receiver.session
        return None if session is self._ended else session

    # --- the life ----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._has_network.wait()
            self._tell(Searching())
            try:
                where = await self._find()
                self._tell(DoorFound(str(where)))
                enrolment = await self._enrol(where)
                self._tell(Enrolled())
                await self._take_part(where, enrolment)
            except RefusedError as error:
                self._tell(Refused(str(error)))
                await asyncio.sleep(REFUSED_SECONDS)
            except (TransportError, ConfigError) as error:
                self._tell(Searching(str(error)))
                await asyncio.sleep(AGAIN_SECONDS)

    async def _find(self) -> FrontDoorAddress:
        given = self._settings.arguments.server
        if given is not None:
            return given
        while True:
            try:
                return FrontDoorAddress(*await find_broadcaster(SEARCH_SECONDS))
            except TransportError as error:
                self._tell(Searching(str(error)))
                await asyncio.sleep(AGAIN_SECONDS)

    async def _enrol(self, where: FrontDoorAddress) -> Enrolment:
        trust, file = self._settings.trust, self._settings.known
        known = () if trust is not None or file is None else known_broadcasters.load(file)
        enrolment = await enrol(
            where.host,
            where.port,
            self._identity,
            seat=self._name(where),
            token=None,
            trust=trust,
            on_words=lambda words: self._tell(WordsShown(tuple(words.split()))),
            confirm=self._ask,
            remembered=(*known, *self._trusted),
        )
        self._trusted = (enrolment.trust,)
        if enrolment.is_confirmed and file is not None:
            with contextlib.suppress(ConfigError):  # what cannot be kept is asked for again at the next start
                known_broadcasters.remember(file, enrolment.trust)
        return enrolment

    async def _ask(self, _words: str) -> bool:
        self._answer = asyncio.get_running_loop().create_future()
        self._tell(WordsAsked())
        return await self._answer

    def _name(self, where: FrontDoorAddress) -> str:
        """What operators read until they have placed this PC."""
        return self._settings.arguments.seat or machine_name(resolve_interface(towards=where.host), "seat")

    async def _take_part(self, where: FrontDoorAddress, enrolment: Enrolment) -> None:
        """Sessions and errands, until the broadcaster is gone for too long. Raises TransportError."""
        interface = resolve_interface(towards=where.host)
        name = self._name(where)
        config = ReceiverConfig(
            name,
            self._target,
            interface,
            countdown_seconds=self._settings.countdown_seconds,
            machine=machine_name(interface, name),
            target_fault=self._target_fault,
            take_disk=self._turn.take_for_session,
        )
        self._receiver = receiver = Receiver(config, self._identity, enrolment)
        try:
            async with (
                receiver.link() as link,
                Errands(enrolment, self._tell, self._turn, machine=config.machine) as errands,
            ):
                self.errands = errands
                self._tell(Joined())
                try:
                    await until_first_ends(
                        self._sessions(receiver, link, errands, where), self._watch(), errands.look_for_work()
                    )
                finally:
                    await _part(receiver, link)
        finally:
            if receiver.session is not None:
                # Who comes back counts its messages from the beginning, which only a new receiver may.
                self._identity = ReceiverIdentity.draw()
            self.errands = self._receiver = self._ended = None
            self._tell(SessionSeen(None))

    async def _sessions(self, receiver: Receiver, link: MqttLink, errands: Errands, where: FrontDoorAddress) -> None:
        """One after the other, until the broadcaster is there but not its broker, and nothing is under way."""
        while True:
            running = asyncio.create_task(receiver.run_session(link))
            try:
                if not await self._stays(running, link, where):
                    return
                outcome = await running
            finally:
                running.cancel()
                await asyncio.wait([running])
                self._turn.give_back_from_session()
            self._ended = session = receiver.session
            assert session is not None
            tsi = session.announcement.tsi
            self._tell(SessionEnded(tsi, outcome.state, outcome.reason))
            if outcome.state is ReceiverState.VERIFIED:
                await self._configure(receiver, errands, tsi, session.target)

    async def _configure(self, receiver: Receiver, errands: Errands, tsi: str, target: str) -> None:
        """Between two sessions, which may take minutes: all that time we are there."""
        present = asyncio.create_task(receiver.stay_present())
        try:
            await errands.configure(tsi, target)
        finally:
            present.cancel()
            await asyncio.wait([present])

    async def _stays(self, running: "asyncio.Task[object]", link: MqttLink, where: FrontDoorAddress) -> bool:
        """Wait for the end of a session; False when there is none, and it is better to enrol anew.

        A broadcaster that is only switched off for a while knows us again by our admission, without an operator.
        """
        heard_at = time.monotonic()
        was_there = True
        while not running.done():
            await asyncio.wait([running], timeout=BROKER_LOOK_SECONDS)
            now = time.monotonic()
            is_there = link.is_connected
            if is_there is not was_there:
                was_there = is_there
                self._tell(BroadcasterSeen(is_there))
            if is_there or self.session is not None:
                heard_at = now
            elif now - heard_at > AWAY_SECONDS and await self._is_back(where) and self.session is None:
                return False
        return True

    async def _is_back(self, where: FrontDoorAddress) -> bool:
        """Whether a front door is open, at the same place or, where we may look, at another one."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(DOOR_SECONDS):
                _, writer = await asyncio.open_connection(where.host, where.port)
                writer.close()
                return True
        if self._settings.arguments.server is None:
            with contextlib.suppress(TransportError, ConfigError):
                await find_broadcaster(SEARCH_SECONDS)
                return True
        return False

    async def _watch(self) -> None:
        """Tell how the session goes; so a capture is stopped as soon as the session may need the disk."""
        while True:
            session = self.session
            if session is not None:
                self._tell(SessionSeen(view_of(session, time.monotonic())))
            await asyncio.sleep(LOOK_SECONDS)


async def _part(receiver: Receiver, link: MqttLink) -> None:
    """Say that we leave, unless nobody hears it."""
    if link.is_connected:
        receiver.say_goodbye()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PARTING_SECONDS):
                await link.flush()
