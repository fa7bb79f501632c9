"""A receiver of a simulated room: session, deployment and disk as the real service drives them. It may be killed or
lose power at any moment, and starts again with what its disk kept.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from protocol.blocks import BlockBuffer
from protocol.errors import DiskError, IntegrityError, ManifestError, MessageError, TargetError
from protocol.messages import (
    Announcement,
    Presence,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    decode_message,
    decode_tsi,
)
from protocol.seal import Seal
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_MANIFEST
from receiver.deployment import Deployment
from receiver.events import BlockDecodable, Event, ObjectCompleted, Want
from receiver.session import ReceiverSession
from tests.receiver.memory_device import PowerCutError
from tests.simulator.broker import BROKER_PATIENCE, Party, SimulatedBroker
from tests.simulator.disk import SimulatedDisk
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, SimulatedImage
from tests.simulator.lane import SimulatedLane
from tests.simulator.network import LinkFaults, SimulatedMulticast
from tests.simulator.schedule import Schedule

DATAGRAM_LENGTH = HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH

FETCHES = 2
"""[blocks] that the catch-up loop has under way."""

IDLE_POLL = 0.2
"""[s] How soon the catch-up loop notices something new."""

FAREWELL_LIMIT = 15.0
"""[s] How long a final report is repeated."""

LEAST_BETWEEN_REQUESTS = 0.15
LEAST_IN_FIRST_PASS = 0.35
"""[s] No block is asked for twice within this time, while the first pass lasts and after it."""


@dataclass(frozen=True, slots=True)
class RoomParts:
    """What all machines of a room share."""

    schedule: Schedule
    network: SimulatedMulticast
    broker: SimulatedBroker
    lane: SimulatedLane
    image: SimulatedImage


@dataclass(slots=True)
class Habits:
    """How one receiver is built and what it is told."""

    is_delta: bool = True
    bad_memory_ratio: float = 0.0
    """chance that a block is damaged in memory behind the seal"""
    buffer_room: int = 10_000_000
    """bytes for blocks, beyond one of full length"""
    scan_stops: list[int] = field(default_factory=list)
    """steps after which the scan pauses, each time"""
    longest_scan_pause: float = 0.1
    """s, between two steps of the scan, and until the session hears of what was found"""
    is_overtaken: bool = False
    """blocks are written while the scan looks at the disk"""
    cut_at_operation: int | None = None
    """the power goes when the disk is used the so many-th time"""
    cut_after_read_back: int | None = None
    """the power goes so many operations of the disk after the read-back began"""


class _Boot:
    """One start of the program: its session, and what it keeps in memory."""

    def __init__(self, receiver_id: str) -> None:
        self.receiver_id = receiver_id
        self.session: ReceiverSession | None = None
        self.announcement: Announcement | None = None
        self.has_left = False
        self.is_acknowledged = False
        self.final_since: float | None = None
        self.is_zeroed = False
        self.is_scanned = False
        self.is_fetching = False


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
        self.has_lost_power = False
        """in the middle of an operation of the disk"""
        self.unreachable: list[tuple[float, float]] = []
        """(from, until) in which nobody could hear it, for the end of the room"""
        self._disk_free_at = 0.0
        self._disk_busy = 0.0
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
    def is_acknowledged(self) -> bool:
        """Whether it left because the broadcaster has its final report."""
        return self.boots[-1].is_acknowledged

    @property
    def is_settled(self) -> bool:
        """Whether it has nothing more to do."""
        return self.session is not None and self.session.state.is_final

    @property
    def has_left(self) -> bool:
        """Whether it is done with the session."""
        return self.boots[-1].has_left

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
        self._disk_free_at = self._disk_busy = 0.0
        self._reported_at, self._busy_at_report = self._schedule.now, 0.0
        self._asked_at: dict[tuple[int, int, int], float] = {}
        self._stores: list[_Store] = []
        if self.unreachable and self.unreachable[-1][1] == inf:
            self.unreachable[-1] = (self.unreachable[-1][0], self._schedule.now)
        hello = self._presence(is_online=True)
        self._parts.broker.connect(
            self.machine,
            Party(
                receive=self._receive,
                on_lost=lambda: None if boot.session is None else boot.session.control_lost(self._schedule.now),
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

    def _die(self, how: str, *, will_after: float) -> None:
        self.is_alive = False
        self.unreachable.append((self._schedule.now, inf))
        self._schedule.note(f"{self.machine} {how}")
        self._parts.network.leave(self.machine)
        self._parts.broker.disconnect(self.machine, will_after=will_after)
        self.device.power_cut_at = None
        self.device.on_read = lambda: None

    # --- control -------------------------------------------------------------------------------------------------

    def _control_restored(self, boot: _Boot, hello: Presence) -> None:
        self._parts.broker.publish(self.machine, hello)
        if boot.session is not None:
            boot.session.control_restored(self._schedule.now)
            self._speak_soon()

    def _receive(self, topic: str, payload: bytes) -> None:
        boot = self.boots[-1]
        try:
            message = decode_message(topic, payload)
        except MessageError:
            return
        if isinstance(message, Announcement):
            lost_sender = boot.session is not None and boot.has_left and boot.session.has_lost_sender
            if boot.session is None or lost_sender:
                self._join(boot, message)
        elif boot.session is not None and not boot.has_left:
            boot.session.receive_message(message, self._schedule.now)
            self._follow(boot, boot.session)
            self._pump()

    def _follow(self, boot: _Boot, session: ReceiverSession) -> None:
        """Be where the status wants this seat: in the group or out of it, on the catch-up lane or not."""
        if session.must_leave_group:
            self._parts.network.leave(self.machine)
        elif not boot.has_left:
            self._parts.network.join(self.machine, self._receive_datagrams, self.faults)
        if session.is_on_catch_up and not boot.is_fetching and session.announcement.catch_up_url:
            boot.is_fetching = True
            for _ in range(FETCHES):
                self._fetch_next()

    def _join(self, boot: _Boot, announcement: Announcement) -> None:
        boot.announcement = announcement
        boot.has_left = boot.is_zeroed = boot.is_scanned = boot.is_fetching = False
        boot.final_since = None
        self._seal = Seal(
            announcement.session_secret,
            announcement.manifest_digest,
            decode_tsi(announcement.tsi),
            announcement.oti.encoding_symbol_length,
        )
        session = boot.session = ReceiverSession(
            announcement,
            receiver_id=boot.receiver_id,
            seat=self.seat,
            target="memory",
            rng=self._rng,
            now=self._schedule.now,
            buffer_limit=self.habits.buffer_room + 191 * ENCODING_SYMBOL_LENGTH,
        )
        self._deployment = Deployment(announcement, self._open_device, is_delta=self.habits.is_delta)
        self._asked_at.clear()
        self._stores.clear()
        self._follow(boot, session)
        self._if_joined(0.0, self._speak)

    def _open_device(self) -> SimulatedDisk:
        if self.habits.cut_at_operation is not None:
            self.device.power_cut_at = self.device.operations + self.habits.cut_at_operation
            self.habits.cut_at_operation = None
        return self.device

    def _speak(self) -> None:
        session, boot, now = self._joined(), self.boots[-1], self._schedule.now
        self._count(session)
        while (message := session.next_message(now)) is not None:
            if isinstance(message, RepairRequest):
                self._check_request(message)
            elif isinstance(message, ReceiverReport):
                self._reported_at, self._busy_at_report = now, self._busy_seconds
            self._parts.broker.publish(self.machine, message)
        self._pump()
        if session.state.is_final:
            boot.final_since = now if boot.final_since is None else boot.final_since
            if now - boot.final_since > FAREWELL_LIMIT:
                self._leave(is_acknowledged=False)
        if not boot.has_left:
            self._if_joined(max(0.02, session.next_timeout() - now), self._speak)

    def _speak_soon(self) -> None:
        if not self.boots[-1].has_left:
            while (message := self._joined().next_message(self._schedule.now)) is not None:
                if isinstance(message, RepairRequest):
                    self._check_request(message)
                self._parts.broker.publish(self.machine, message)

    def _count(self, session: ReceiverSession) -> None:
        counters = session.counters
        counters.bytes_written = self._deployment.bytes_written
        passed = self._schedule.now - self._reported_at
        if passed > 0:
            counters.disk_busy_ratio = min(1.0, max(0.0, (self._busy_seconds - self._busy_at_report) / passed))

    def _check_request(self, request: RepairRequest) -> None:
        now, session = self._schedule.now, self._joined()
        is_in_first_pass = request.toi != TOI_MANIFEST and session.first_pass.gone_by < session.blocks_total
        least = LEAST_IN_FIRST_PASS if is_in_first_pass else LEAST_BETWEEN_REQUESTS
        wanted = [(sbn, deficit) for sbn, deficit in request.deficits]
        wanted += [(sbn, 0) for first, last in request.absent for sbn in range(first, last + 1)]
        for sbn, deficit in wanted:
            block = (request.toi, sbn, deficit)
            before = self._asked_at.get(block, -inf)
            if now - before < least and not self.habits.bad_memory_ratio:
                self.problems.append(f"{self.machine} asks for block {block} again after {now - before:.3f} s")
            self._asked_at[block] = now

    # --- data ----------------------------------------------------------------------------------------------------

    def _receive_datagrams(self, batch: bytes, datagram_length: int) -> None:
        session = self._joined()
        counts = self._seal.open_batch(memoryview(batch), datagram_length, self._find_block)
        session.counters.datagrams_rejected += counts.rejected
        session.batch_opened(len(batch), self._schedule.now)
        self._pump()

    def _find_block(self, toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray] | None:
        found = self._joined().find_block(toi, sbn, source_block_length)
        if found is not None and any(found[0] is store.block.symbols for store in self._stores):
            self.problems.append(f"{self.machine}: the buffer for block {sbn} is still being stored")
        return found

    def _fetch_next(self) -> None:
        session = self._joined()
        want = session.next_want(self._schedule.now)
        if want is None:
            self._if_joined(IDLE_POLL, self._fetch_next)
        else:
            self._fetch(want)

    def _fetch(self, want: Want) -> None:
        boot, session = self.boots[-1], self._joined()

        def answered(datagrams: bytes | None) -> None:
            if not self._is_joined(boot, session):
                return
            if datagrams is None:
                session.want_unavailable(want)
            else:
                self._seal.open_batch(memoryview(datagrams), DATAGRAM_LENGTH, self._find_block)
                session.want_fetched(want, len(datagrams), self._schedule.now)
                self._pump()
            self._fetch_next()

        def failed() -> None:
            if self._is_joined(boot, session):
                self._if_joined(self._rng.uniform(0.0, 1.0), retry)

        def retry() -> None:
            if session.is_wanted(want):
                self._fetch(want)
            else:
                self._fetch_next()

        self._parts.lane.fetch(self.machine, want, answered, failed)

    def _pump(self) -> None:
        session = self._joined()
        while (event := session.next_event()) is not None:
            self._schedule.note(f"{self.machine} {type(event).__name__}")
            self._take_event(event)
        if not self.boots[-1].has_left and session.next_timeout() <= self._schedule.now:
            self._speak_soon()

    def _take_event(self, event: Event) -> None:
        if isinstance(event, BlockDecodable):
            store = _Store(event.block)
            self._stores.append(store)
            self._by_worker(lambda: self._store(store))
        elif isinstance(event, ObjectCompleted):
            self._by_worker(self._load_manifest if event.toi == TOI_MANIFEST else self._finish)
        else:
            self._leave(is_acknowledged=event.is_acknowledged)

    def _leave(self, *, is_acknowledged: bool) -> None:
        boot = self.boots[-1]
        boot.has_left, boot.is_acknowledged = True, is_acknowledged
        self._parts.network.leave(self.machine)
        self.device.power_cut_at = None

    # --- the disk ------------------------------------------------------------------------------------------------

    @property
    def _busy_seconds(self) -> float:
        return self._disk_busy - max(0.0, self._disk_free_at - self._schedule.now)

    def _by_worker(self, step: Callable[[], None]) -> None:
        """Do it when the disk, or a fast disk's worker thread, comes to it."""
        now, disk = self._schedule.now, self.device
        if disk.stall is not None and now >= disk.stall[0]:
            self._occupy_disk(disk.stall[1])
            disk.stall = None
        if disk.seconds_per_job or self._disk_free_at > now:
            self._occupy_disk(disk.seconds_per_job)
            delay = self._disk_free_at - now
        else:
            delay = self._rng.uniform(0.0, 0.02)
        self._if_joined(delay, lambda: self._judged(step))

    def _occupy_disk(self, seconds: float) -> None:
        self._disk_free_at = max(self._schedule.now, self._disk_free_at) + seconds
        self._disk_busy += seconds

    def _judged(self, step: Callable[[], None]) -> None:
        """Run one step; what goes wrong with disk or image is the seat's outcome."""
        session, now = self._joined(), self._schedule.now
        try:
            step()
        except PowerCutError:
            self.cut_power()
            self.has_lost_power = True
            self._schedule.after(self._rng.uniform(0.5, 4.0), self.start)
            return
        except TargetError as error:
            session.refused(str(error), now)
        except (DiskError, ManifestError) as error:
            session.failed(str(error), now)
        except IntegrityError as error:
            session.damaged(str(error), now)
        self._pump()

    def _store(self, store: "_Store") -> None:
        if store.is_done:
            return
        store.is_done = True
        block, session, now = store.block, self._joined(), self._schedule.now
        self._damage_in_memory(block)
        is_stored = self._deployment.store_block(block)
        self._stores.remove(store)
        if is_stored:
            session.block_stored(block, now)
        else:
            if not self.habits.bad_memory_ratio:
                self.problems.append(f"{self.machine}: block {block.sbn} of object {block.toi} came whole, yet wrong")
            session.block_rejected(block)

    def _damage_in_memory(self, block: BlockBuffer) -> None:
        """Bad memory behind the seal: only the digest of the block can find it."""
        if self._rng.random() < self.habits.bad_memory_ratio:
            block.symbols[self._rng.randrange(block.source_block_length * ENCODING_SYMBOL_LENGTH)] ^= 0x04

    def _load_manifest(self) -> None:
        boot, session = self.boots[-1], self._joined()
        session.manifest_loaded(self._deployment.load_manifest(), self._schedule.now)
        self._by_worker(lambda: self._zero(boot))
        self._scan_on(list(self.habits.scan_stops) if self.habits.is_delta else None)

    def _zero(self, boot: _Boot) -> None:
        self._deployment.write_zero_ranges(lambda: False)
        boot.is_zeroed = True

    def _scan_on(self, stops: list[int] | None) -> None:
        pause = self._rng.uniform(0.0, self.habits.longest_scan_pause)
        self._if_joined(pause, lambda: self._judged(lambda: self._scan(stops)))

    def _scan(self, stops: list[int] | None) -> None:
        """Scan until the next stop; the session hears of what was found after a while."""
        session, found = self._joined(), list[int]()
        if stops is not None:
            steps_left = stops.pop(0) if stops else 1 << 30

            def must_stop() -> bool:
                nonlocal steps_left
                steps_left -= 1
                return steps_left < 0 or session.state is ReceiverState.VERIFYING

            def note_progress(done: int, total: int) -> None:
                session.counters.blocks_scanned, session.counters.blocks_to_scan = done, total

            self.device.on_read = self._overtake if self.habits.is_overtaken else lambda: None
            self._deployment.scan(found.extend, note_progress, must_stop)
            self.device.on_read = lambda: None
            if steps_left < 0 and session.state is ReceiverState.RECEIVING:
                self._tell_found(found, lambda: self._scan_on(stops))
                return
        self._tell_found(found, self._scan_ended)

    def _tell_found(self, found: list[int], then: Callable[[], None]) -> None:
        def tell() -> None:
            self._joined().blocks_found(sorted(found), self._schedule.now)
            self._pump()
            then()

        self._if_joined(self._rng.uniform(0.0, self.habits.longest_scan_pause), tell)

    def _scan_ended(self) -> None:
        self.boots[-1].is_scanned = True
        self._joined().scan_ended(self._schedule.now)
        self._pump()

    def _overtake(self) -> None:
        """Now and then a block is written between two steps of the scan."""
        waiting = [store for store in self._stores if store.block.toi != TOI_MANIFEST]
        if waiting and self._rng.random() < 0.3:
            self.device.on_read = lambda: None
            self._store(self._rng.choice(waiting))
            self.device.on_read = self._overtake

    def _finish(self) -> None:
        boot, session = self.boots[-1], self._joined()
        if not (boot.is_zeroed and boot.is_scanned):
            self._if_joined(0.05, lambda: self._judged(self._finish))
            return
        if self.habits.cut_after_read_back is not None:
            self.device.power_cut_at = self.device.operations + self.habits.cut_after_read_back
            self.habits.cut_after_read_back = None

        def note_progress(done: int, total: int) -> None:
            session.counters.bytes_verified, session.counters.bytes_to_verify = done, total

        damaged = self._deployment.read_back(note_progress, lambda: False)
        if damaged:
            session.read_back_failed(damaged, self._schedule.now)
        else:
            self._by_worker(self._commit)

    def _commit(self) -> None:
        session = self._joined()
        self._deployment.commit()
        session.verified(self._schedule.now)
        if session.backlog_bytes:
            self.problems.append(f"{self.machine}: verified, and {session.backlog_bytes} bytes of buffers are not back")

    # --- time ----------------------------------------------------------------------------------------------------

    def _joined(self) -> ReceiverSession:
        session = self.session
        assert session is not None
        return session

    def _is_joined(self, boot: _Boot, session: ReceiverSession) -> bool:
        return self.is_alive and self.boots[-1] is boot and boot.session is session and not boot.has_left

    def _if_joined(self, delay: float, callback: Callable[[], None]) -> None:
        """Call later, unless the program has died or left the session by then."""
        boot, session = self.boots[-1], self._joined()

        def call() -> None:
            if self._is_joined(boot, session):
                callback()

        self._schedule.after(delay, call)

    def _presence(self, *, is_online: bool) -> Presence:
        return Presence(receiver_id=self.receiver_id, seat=self.seat, is_online=is_online)


class _Store:
    """A block on its way to the disk."""

    def __init__(self, block: BlockBuffer) -> None:
        self.block = block
        self.is_done = False
