"""A receiver of a simulated room: session, links and worker as the real service drives them. It may be killed or lose
power at any moment, and starts again with what its disk kept.
"""

import random
from collections.abc import Callable
from math import inf

import msgspec

from protocol.errors import MessageError
from protocol.fields import decode_tsi
from protocol.messages import (
    Announcement,
    Presence,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    SessionStatus,
    SignedTicket,
    decode_message,
)
from protocol.seal import Seal
from protocol.symbol_digests import false_symbols
from protocol.ticket import Ticket
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_MANIFEST
from receiver.arming import Arming
from receiver.events import BlockDecodable, Event, ObjectCompleted, PreviewPossible, Want
from receiver.service import PRESENCE_INTERVAL, TICKET_INTERVAL
from receiver.session import ReceiverSession
from tests.simulator.broker import BROKER_PATIENCE, Party
from tests.simulator.disk import SimulatedDisk
from tests.simulator.image import ENCODING_SYMBOL_LENGTH
from tests.simulator.network import LinkFaults
from tests.simulator.order import session_secret
from tests.simulator.parts import RoomParts
from tests.simulator.worker import DiskWorker, Habits

DATAGRAM_LENGTH = HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH

FETCHES = 2
"""[blocks] that the catch-up loop has under way."""

IDLE_POLL = 0.2
"""[s] How soon the catch-up loop notices something new."""

FAREWELL_LIMIT = 15.0
"""[s] How long a final report is repeated."""

LONG_SESSION = 10_000
"""[messages] said before: a number that no room reaches, so that one that starts over is noticed."""

LEAST_BETWEEN_REQUESTS = 0.15
LEAST_IN_FIRST_PASS = 0.35
"""[s] No block is asked for twice within this time, while the first pass lasts and after it."""


class _Boot:
    """One start of the program: its session, and what it keeps in memory."""

    def __init__(self, receiver_id: str) -> None:
        self.receiver_id = receiver_id
        self.session: ReceiverSession | None = None
        self.announcement: Announcement | None = None
        self.has_left = False
        self.is_acknowledged = False
        self.final_since: float | None = None
        self.worker: DiskWorker | None = None
        self.may_write_at = inf
        """s, when its countdown is over"""
        self.is_stopped = False
        """somebody stopped it at the seat, and was told that this was in time"""
        self.is_fetching = False
        self.is_connected = False
        self.waiting: Announcement | None = None
        """announced, and no ticket has come"""
        self.is_dismissed = False
        """it has heard that the operator stops it, in time"""
        self.may_write = False
        """a ticket has come that allows it"""


class SimulatedReceiver:
    """One machine."""

    def __init__(
        self,
        parts: RoomParts,
        rng: random.Random,
        machine: str,
        seat: str,
        device: SimulatedDisk,
        faults: LinkFaults,
        habits: Habits,
    ) -> None:
        self._parts = parts
        self._schedule = parts.schedule
        self._rng = rng
        self.machine = machine
        self.seat = seat
        self.device = device
        self.faults = faults
        self.habits = habits
        self.is_alive = False
        self.is_gone_for_good = False
        self.boots: list[_Boot] = []
        self.problems: list[str] = []
        self.was_back_soon = False
        """it was started anew before anybody could know that it was gone"""
        self._will_speaks_at = 0.0
        self.unreachable: list[tuple[float, float]] = []
        """(from, until) in which nobody could hear it, for the end of the room"""
        self.start()

    @property
    def session(self) -> ReceiverSession | None:
        """The session that it is or was in since its last start."""
        return self.boots[-1].session

    @property
    def receiver_id(self) -> str:
        """Its identity since its last start."""
        return self.boots[-1].receiver_id

    @property
    def state(self) -> ReceiverState | None:
        """What it says that it does."""
        return None if self.session is None else self.session.state

    @property
    def is_scanned(self) -> bool:
        """Whether its session knows what the disk holds."""
        worker = self.boots[-1].worker
        return worker is not None and worker.is_scanned

    @property
    def is_acknowledged(self) -> bool:
        """Whether it left because the broadcaster has its final report."""
        return self.boots[-1].is_acknowledged

    @property
    def final_since(self) -> float | None:
        """s, when it first had its final report to say, or None"""
        return self.boots[-1].final_since

    @property
    def is_settled(self) -> bool:
        """Whether it has nothing more to do."""
        return self.session is not None and self.session.state.is_final

    @property
    def has_left(self) -> bool:
        """Whether it is done with the session."""
        return self.boots[-1].has_left

    @property
    def is_stopped(self) -> bool:
        """Whether somebody stopped it since its last start, before the first write."""
        return self.boots[-1].is_stopped

    def may_lack(self, sbn: int) -> bool:
        """Whether it has not stored this block, as far as its session knows."""
        session = self.session
        if not self.is_alive or session is None or session.state.is_final or self.has_left:
            return False
        return not session.blocks_total or sbn in session._disk_object.missing

    # --- life and death ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Boot: a new identity, nothing known but what the broker says and the disk holds."""
        self.is_alive = True
        boot = _Boot(f"{self._rng.getrandbits(128):032x}")
        self.boots.append(boot)
        self._reported_at, self._busy_at_report = self._schedule.now, 0.0
        self._asked_at: dict[tuple[int, int, int], float] = {}
        if self.unreachable and self.unreachable[-1][1] == inf:
            self.unreachable[-1] = (self.unreachable[-1][0], self._schedule.now)
            self.was_back_soon |= self._schedule.now < self._will_speaks_at + 1.0
        hello = self._presence(is_online=True)
        self._parts.broker.connect(
            self.machine,
            Party(
                receive=self._receive,
                on_lost=lambda: self._control_lost(boot),
                on_restored=lambda: self._control_restored(boot, hello),
                will=self._presence(is_online=False),
            ),
        )

    def kill(self) -> None:
        """The program dies; the machine and what waits to be written to the disk live on."""
        self._die("killed", will_after=0.0)

    def cut_power(self) -> None:
        """What was not synced is lost in part, and nobody says goodbye."""
        self._die("power cut", will_after=BROKER_PATIENCE)
        self.device.crash(self._rng)
        if self.device.boots_half(self._parts.image):
            self.problems.append(f"{self.machine}: after a power cut a disk boots that is not complete")

    def lose_power(self) -> None:
        """The power went in the middle of an operation of the disk; it comes back soon."""
        self.cut_power()
        self._schedule.after(self._rng.uniform(0.5, 4.0), self.start)

    def _die(self, how: str, *, will_after: float) -> None:
        self.is_alive = False
        self.unreachable.append((self._schedule.now, inf))
        self._will_speaks_at = self._schedule.now + will_after
        self._schedule.note(f"{self.machine} {how}")
        self._parts.network.leave(self.machine)
        self._parts.broker.disconnect(self.machine, will_after=will_after)
        self.device.power_cut_at = None
        self.device.on_read = lambda: None

    def press_abort(self) -> None:
        """Somebody at the seat wants it to stop."""
        boot, session = self.boots[-1], self.session
        if session is not None and self._is_joined(boot, session):
            boot.is_stopped |= session.abort(self._schedule.now)
            self._schedule.note(f"{self.machine} abort {boot.is_stopped}")

    def note_use_of_disk(self) -> None:
        """Nothing touches the disk before a ticket allows it and the countdown is over, and nothing after an abort."""
        boot, now = self.boots[-1], self._schedule.now
        if not boot.may_write or not self._parts.may_write():
            self.problems.append(f"{self.machine}: the disk is written, and no ticket allows it")
        elif boot.is_dismissed:
            self.problems.append(f"{self.machine}: stopped by the operator, and the disk is written")
        elif boot.session is not None and boot.session.state.is_final:
            self.problems.append(f"{self.machine}: the disk is written after the end: {boot.session.reason}")
        elif boot.is_stopped:
            self.problems.append(f"{self.machine}: stopped at the seat, and the disk is written")
        elif now < boot.may_write_at:
            self.problems.append(f"{self.machine}: the disk is written {boot.may_write_at - now:.3f} s too soon")

    # --- control -------------------------------------------------------------------------------------------------

    def _control_lost(self, boot: _Boot) -> None:
        boot.is_connected = False
        if boot.session is not None:
            boot.session.control_lost(self._schedule.now)

    def _control_restored(self, boot: _Boot, hello: Presence) -> None:
        boot.is_connected = True
        self._parts.broker.publish(self.machine, hello)
        if boot.session is not None:
            boot.session.control_restored(self._schedule.now)
            if not boot.has_left:
                self._say_what_is_due()

    def _receive(self, topic: str, payload: bytes) -> None:
        boot = self.boots[-1]
        try:
            message = decode_message(topic, payload)
        except MessageError:
            return
        if isinstance(message, Announcement):
            self._announced(boot, message)
        elif isinstance(message, SignedTicket):
            if message.receiver_id == boot.receiver_id:
                self._ordered(boot, msgspec.json.decode(message.ticket, type=Ticket))
        elif boot.session is not None and not boot.has_left:
            boot.session.receive_message(message, self._schedule.now)
            if isinstance(message, SessionStatus) and boot.receiver_id in message.dismissed:
                boot.is_dismissed |= not boot.session._standing.is_committing
            self._follow(boot, boot.session)
            self.pump()

    def _announced(self, boot: _Boot, announcement: Announcement) -> None:
        session = boot.session
        may_join_again = session is not None and boot.has_left and session.has_lost_sender and not session.is_stopped
        if session is not None and not may_join_again:
            return
        if not self._parts.has_tickets:
            self._join(boot, announcement, may_write=True)
        elif boot.waiting is None:
            boot.waiting = announcement
            self._ask_for_ticket(boot)

    def _ask_for_ticket(self, boot: _Boot) -> None:
        """Until it is there."""
        if self.is_alive and self.boots[-1] is boot and boot.waiting is not None:
            self._parts.broker.publish(self.machine, self._presence(is_online=True))
            self._schedule.after(TICKET_INTERVAL, lambda: self._ask_for_ticket(boot))

    def _ask_again(self, boot: _Boot, session: ReceiverSession) -> None:
        """While it is only planned: the ticket that allows to write may have been lost."""
        if self._is_joined(boot, session) and not boot.may_write:
            self._parts.broker.publish(self.machine, self._presence(is_online=True))
            self._schedule.after(PRESENCE_INTERVAL, lambda: self._ask_again(boot, session))

    def _ordered(self, boot: _Boot, ticket: Ticket) -> None:
        """As ``receiver.orders``: of a plan only what may be written is news, and of that nothing."""
        if boot.waiting is not None and (ticket.may_write or not boot.may_write):
            announcement, boot.waiting = boot.waiting, None
            self._join(boot, announcement, may_write=ticket.may_write)
        elif ticket.may_write and boot.session is not None and not boot.has_left and not boot.may_write:
            boot.may_write = True
            boot.may_write_at = self._schedule.now + self.habits.countdown
            boot.session.released(ticket, self._schedule.now)
            self.pump()

    def _follow(self, boot: _Boot, session: ReceiverSession) -> None:
        """Be where the status wants this seat: in the group or out of it, on the catch-up lane or not."""
        if session.last_status.must_leave_group:
            self._parts.network.leave(self.machine)
        elif not boot.has_left:
            self._parts.network.join(self.machine, self._receive_datagrams, self.faults)
        self._fetch_if_needed(boot, session)

    def _fetch_if_needed(self, boot: _Boot, session: ReceiverSession) -> None:
        is_needed = session.last_status.is_on_catch_up or session.poison.mismatched_blocks
        if is_needed and not boot.is_fetching and session.announcement.catch_up_url:
            boot.is_fetching = True
            for _ in range(FETCHES):
                self._fetch_next()

    def _join(self, boot: _Boot, announcement: Announcement, *, may_write: bool) -> None:
        boot.announcement = announcement
        boot.may_write |= may_write
        boot.has_left = boot.is_fetching = False
        boot.final_since = None
        self._seal = Seal(
            session_secret(announcement.tsi),
            announcement.manifest_digest,
            decode_tsi(announcement.tsi),
            announcement.oti.encoding_symbol_length,
        )
        # What has begun in this session cannot be stopped any more, so that nobody has to be warned again.
        has_begun = boot.session is not None and boot.session.arming.has_begun
        countdown = 0.0 if has_begun else self.habits.countdown
        boot.may_write_at = self._schedule.now + countdown if may_write else inf
        self.device.on_write = self.note_use_of_disk
        session = boot.session = ReceiverSession(
            announcement,
            receiver_id=boot.receiver_id,
            seat=self.seat,
            target="memory",
            arming=Arming(countdown, self._schedule.now, is_held=not may_write),
            rng=self._rng,
            now=self._schedule.now,
            buffer_limit=self.habits.buffer_room + 191 * ENCODING_SYMBOL_LENGTH,
            last_sequence=LONG_SESSION if boot.session is None else boot.session.last_sequence,
        )
        boot.worker = DiskWorker(self, self._schedule, self._rng, announcement, session, self.device, self.habits)
        self._reported_at, self._busy_at_report = self._schedule.now, 0.0
        self._asked_at.clear()
        if self.habits.abort_after is not None:
            self._schedule.after(self.habits.abort_after, self.press_abort)
            self.habits.abort_after = None
        self._follow(boot, session)
        self.if_joined(0.0, self._speak)
        if not may_write:
            self._schedule.after(PRESENCE_INTERVAL, lambda: self._ask_again(boot, session))

    def _speak(self) -> None:
        session, boot, now = self._joined(), self.boots[-1], self._schedule.now
        self._say_what_is_due()
        self.pump()
        if session.state.is_final:
            boot.final_since = boot.final_since if boot.final_since is not None and boot.is_connected else now
            if now - boot.final_since > FAREWELL_LIMIT:
                self._leave(is_acknowledged=False)
        if not boot.has_left:
            self.if_joined(max(0.02, session.next_timeout() - now), self._speak)

    def _say_what_is_due(self) -> None:
        session, now = self._joined(), self._schedule.now
        self._count(session)
        while (message := session.next_message(now)) is not None:
            if isinstance(message, RepairRequest):
                self._check_request(message)
            elif isinstance(message, ReceiverReport):
                self._reported_at, self._busy_at_report = now, self._worker().busy_seconds
            self._parts.broker.publish(self.machine, message)

    def _count(self, session: ReceiverSession) -> None:
        counters = session.counters
        counters.bytes_written = self._worker().bytes_written
        passed = self._schedule.now - self._reported_at
        if passed > 0:
            counters.disk_busy_ratio = min(1.0, max(0.0, (self._worker().busy_seconds - self._busy_at_report) / passed))

    def _check_request(self, request: RepairRequest) -> None:
        now, session = self._schedule.now, self._joined()
        is_in_first_pass = request.toi != TOI_MANIFEST and session.first_pass.gone_by < session.blocks_total
        least = LEAST_IN_FIRST_PASS if is_in_first_pass else LEAST_BETWEEN_REQUESTS
        wanted = [(sbn, deficit) for sbn, deficit in request.deficits]
        wanted += [(sbn, 0) for first, last in request.absent for sbn in range(first, last + 1)]
        for sbn, deficit in wanted:
            block = (request.toi, sbn, deficit)
            before = self._asked_at.get(block, -inf)
            has_false_blocks = self.habits.bad_memory_ratio or self.habits.is_lied_to
            if now - before < least and not has_false_blocks:
                self.problems.append(f"{self.machine} asks for block {block} again after {now - before:.3f} s")
            self._asked_at[block] = now

    # --- data ----------------------------------------------------------------------------------------------------

    def _receive_datagrams(self, batch: bytes, datagram_length: int) -> None:
        session = self._joined()
        counts = self._seal.open_batch(memoryview(batch), datagram_length, self._find_block)
        session.counters.datagrams_rejected += counts.rejected
        session.batch_opened(len(batch), self._schedule.now)
        self.pump()

    def _find_block(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        return self._checked(sbn, self._joined().find_block(toi, sbn, source_block_length))

    def _find_fetched_block(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        return self._checked(sbn, self._joined().find_fetched_block(toi, sbn, source_block_length))

    def _checked(self, sbn: int, found: tuple[bytearray, bytearray] | None) -> tuple[bytearray, bytearray] | None:
        if found is not None and self._worker().is_storing(found[0]):
            self.problems.append(f"{self.machine}: the buffer for block {sbn} is still being stored")
        return found

    def _fetch_next(self) -> None:
        session = self._joined()
        want = session.next_want(self._schedule.now)
        if want is None:
            self.if_joined(IDLE_POLL, self._fetch_next)
        else:
            self._fetch(want)

    def _fetch(self, want: Want) -> None:
        boot, session = self.boots[-1], self._joined()

        def answered(datagrams: bytes | None) -> None:
            if not self._is_joined(boot, session):
                return
            if datagrams is None:
                session.want_unavailable(want)
            elif want.wants_digests:
                block = session.suspect(want)
                if block is not None:
                    false = false_symbols(block, ENCODING_SYMBOL_LENGTH, datagrams)
                    session.suspect_judged(want, false, len(datagrams))
            else:
                self._seal.open_batch(memoryview(datagrams), DATAGRAM_LENGTH, self._find_fetched_block)
                session.want_fetched(want, len(datagrams), self._schedule.now)
                self.pump()
            self._fetch_next()

        def failed() -> None:
            if self._is_joined(boot, session):
                self.if_joined(self._rng.uniform(0.0, 1.0), retry)

        def retry() -> None:
            if session.is_wanted(want):
                self._fetch(want)
            else:
                self._fetch_next()

        self._parts.lane.fetch(self.machine, want, answered, failed)

    def pump(self) -> None:
        """Do what the session asks for."""
        session = self._joined()
        self._fetch_if_needed(self.boots[-1], session)
        while (event := session.next_event()) is not None:
            self._schedule.note(f"{self.machine} {type(event).__name__}")
            self._take_event(event)
        if not self.boots[-1].has_left and session.next_timeout() <= self._schedule.now:
            self._say_what_is_due()

    def _take_event(self, event: Event) -> None:
        if isinstance(event, BlockDecodable):
            self._worker().store(event.block)
        elif isinstance(event, ObjectCompleted):
            self._worker().object_completed(event.toi)
        elif isinstance(event, PreviewPossible):
            self._worker().preview()
        else:
            self._leave(is_acknowledged=event.is_acknowledged)

    def _leave(self, *, is_acknowledged: bool) -> None:
        boot = self.boots[-1]
        boot.has_left, boot.is_acknowledged = True, is_acknowledged
        self._parts.network.leave(self.machine)
        self.device.power_cut_at = None

    # --- time ----------------------------------------------------------------------------------------------------

    def _joined(self) -> ReceiverSession:
        session = self.session
        assert session is not None
        return session

    def _worker(self) -> DiskWorker:
        worker = self.boots[-1].worker
        assert worker is not None
        return worker

    def _is_joined(self, boot: _Boot, session: ReceiverSession) -> bool:
        return self.is_alive and self.boots[-1] is boot and boot.session is session and not boot.has_left

    def if_joined(self, delay: float, callback: Callable[[], None]) -> None:
        """Call later, unless the program has died or left the session by then."""
        boot, session = self.boots[-1], self._joined()

        def call() -> None:
            if self._is_joined(boot, session):
                callback()

        self._schedule.after(delay, call)

    def _presence(self, *, is_online: bool) -> Presence:
        return Presence(
            receiver_id=self.receiver_id,
            machine=self.machine,
            seat=self.seat,
            is_online=is_online,
            identity_key=bytes(32),
            sealing_key=bytes(32),
            boot_nonce=bytes(16),
            admission=bytes(64),
            metrics="",
        )
