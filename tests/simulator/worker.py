"""The worker of a simulated receiver: stores, scans, zeroes, reads back and commits, on a disk that takes its time.

It runs the real deployment; each step happens at one virtual moment, and what it found is told later, as threads do.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from protocol.blocks import BlockBuffer
from protocol.errors import DiskError, IntegrityError, ManifestError, RefusedError
from protocol.messages import Announcement, ReceiverState
from protocol.wire import TOI_MANIFEST
from receiver.deployment import Deployment
from receiver.preview import preview
from receiver.session import ReceiverSession
from tests.receiver.memory_device import PowerCutError
from tests.simulator.disk import SimulatedDisk
from tests.simulator.image import ENCODING_SYMBOL_LENGTH
from tests.simulator.schedule import Schedule


@dataclass(slots=True)
class Habits:
    """How one receiver is built and what it is told."""

    countdown: float = 0.0
    """s, before the disk may be written"""
    abort_after: float | None = None
    """s after it joined for the first time somebody stops it at the seat, in time or not"""
    is_delta: bool = True
    bad_memory_ratio: float = 0.0
    """chance that a block is damaged in memory behind the seal"""
    is_lied_to: bool = False
    """somebody who knows the session secret sends false symbols"""
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


class Machine(Protocol):
    """What the worker needs of the receiver that it belongs to."""

    machine: str
    problems: list[str]

    def pump(self) -> None:
        """The session may have something to do."""

    def if_joined(self, delay: float, callback: Callable[[], None]) -> None:
        """Call later, if the session is still under way."""

    def note_use_of_disk(self) -> None:
        """The disk is opened for writing, or written to."""

    def lose_power(self) -> None:
        """The power went in the middle of an operation of the disk."""


class _Store:
    """A block on its way to the disk."""

    def __init__(self, block: BlockBuffer) -> None:
        self.block = block
        self.is_done = False


class DiskWorker:
    """The worker of one session."""

    def __init__(
        self,
        machine: Machine,
        schedule: Schedule,
        rng: random.Random,
        announcement: Announcement,
        session: ReceiverSession,
        device: SimulatedDisk,
        habits: Habits,
    ) -> None:
        self._machine = machine
        self._schedule = schedule
        self._rng = rng
        self._session = session
        self._device = device
        self._habits = habits
        self._deployment = Deployment(
            announcement, self._open_device, begin_writing=self._begin_writing, is_delta=habits.is_delta
        )
        self._stores: list[_Store] = []
        self._disk_free_at = 0.0
        self._disk_busy = 0.0
        self._is_zeroed = False
        self.is_scanned = False
        """the session knows what the disk holds"""

    def store(self, block: BlockBuffer) -> None:
        """A block can be decoded."""
        store = _Store(block)
        self._stores.append(store)
        self._by_worker(lambda: self._store(store))

    def is_storing(self, symbols: bytearray) -> bool:
        """Whether this buffer is on its way to the disk."""
        return any(symbols is store.block.symbols for store in self._stores)

    def object_completed(self, toi: int) -> None:
        """Load the manifest, or read back and commit."""
        self._by_worker(self._load_manifest if toi == TOI_MANIFEST else self._finish)

    def preview(self) -> None:
        """Look at the disk, which may not be written."""
        self._by_worker(self._preview)

    def _preview(self) -> None:
        manifest = self._deployment.read_manifest()
        self._session.manifest_seen(manifest)
        found = list[int]()
        if self._habits.is_delta:
            preview(self._device, manifest, found.extend, lambda done, total: None, lambda: False)

        def tell() -> None:
            self._session.blocks_foreseen(found)
            self._session.preview_ended(self._schedule.now)
            self._machine.pump()

        self._machine.if_joined(self._rng.uniform(0.0, self._habits.longest_scan_pause), tell)

    @property
    def bytes_written(self) -> int:
        """Raw bytes that the disk has taken."""
        return self._deployment.bytes_written

    @property
    def busy_seconds(self) -> float:
        """Virtual seconds in which the disk was at work."""
        return self._disk_busy - max(0.0, self._disk_free_at - self._schedule.now)

    def _begin_writing(self, proved_blocks: int) -> None:
        self._session.arming.begin_writing(self._schedule.now, proved_blocks=proved_blocks)

    def _open_device(self) -> SimulatedDisk:
        self._machine.note_use_of_disk()
        if self._habits.cut_at_operation is not None:
            self._device.power_cut_at = self._device.operations + self._habits.cut_at_operation
            self._habits.cut_at_operation = None
        return self._device

    def _by_worker(self, step: Callable[[], None]) -> None:
        """Do it when the disk, or a fast disk's worker thread, comes to it."""
        now, disk = self._schedule.now, self._device
        if disk.stall is not None and now >= disk.stall[0]:
            self._occupy_disk(disk.stall[1])
            disk.stall = None
        if disk.seconds_per_job or self._disk_free_at > now:
            self._occupy_disk(disk.seconds_per_job)
            delay = self._disk_free_at - now
        else:
            delay = self._rng.uniform(0.0, 0.02)
        self._machine.if_joined(delay, lambda: self._judged(step))

    def _occupy_disk(self, seconds: float) -> None:
        self._disk_free_at = max(self._schedule.now, self._disk_free_at) + seconds
        self._disk_busy += seconds

    def _judged(self, step: Callable[[], None]) -> None:
        """Run one step; what goes wrong with disk or image is the seat's outcome."""
        session, now = self._session, self._schedule.now
        try:
            step()
        except PowerCutError:
            self._machine.lose_power()
            return
        except RefusedError as error:
            session.refused(str(error), now)
        except (DiskError, ManifestError) as error:
            session.failed(str(error), now)
        except IntegrityError as error:
            session.damaged(str(error), now)
        self._machine.pump()

    def _store(self, store: _Store) -> None:
        if store.is_done:
            return
        store.is_done = True
        if self._session.state.is_final:
            self._stores.remove(store)
            return
        block, session, now = store.block, self._session, self._schedule.now
        self._damage_in_memory(block)
        is_stored = self._deployment.store_block(block)
        self._stores.remove(store)
        if is_stored:
            session.block_stored(block, now)
        else:
            if not self._habits.bad_memory_ratio and not self._habits.is_lied_to:
                self._machine.problems.append(
                    f"{self._machine.machine}: block {block.sbn} of object {block.toi} came whole, yet wrong"
                )
            session.block_rejected(block, now)

    def _found(self, problem: str) -> None:
        self._machine.problems.append(f"{self._machine.machine}: {problem}")

    def _damage_in_memory(self, block: BlockBuffer) -> None:
        """Bad memory behind the seal: only the digest of the block can find it."""
        if self._rng.random() < self._habits.bad_memory_ratio:
            block.symbols[self._rng.randrange(block.source_block_length * ENCODING_SYMBOL_LENGTH)] ^= 0x04

    def _load_manifest(self) -> None:
        self._session.manifest_loaded(self._deployment.load_manifest(), self._schedule.now)
        self._by_worker(self._zero)
        self._scan_on(list(self._habits.scan_stops) if self._habits.is_delta else None)

    def _zero(self) -> None:
        self._deployment.write_zero_ranges(lambda: self._session.state.is_final)
        self._is_zeroed = True

    def _scan_on(self, stops: list[int] | None) -> None:
        pause = self._rng.uniform(0.0, self._habits.longest_scan_pause)
        self._machine.if_joined(pause, lambda: self._judged(lambda: self._scan(stops)))

    def _scan(self, stops: list[int] | None) -> None:
        """Scan until the next stop; the session hears of what was found after a while."""
        session, found = self._session, list[int]()
        if stops is not None:
            steps_left = stops.pop(0) if stops else 1 << 30

            def must_stop() -> bool:
                nonlocal steps_left
                steps_left -= 1
                return steps_left < 0 or session.state.is_final or session.state is ReceiverState.VERIFYING

            def note_progress(done: int, total: int) -> None:
                session.counters.blocks_scanned, session.counters.blocks_to_scan = done, total

            self._device.on_read = self._overtake if self._habits.is_overtaken else lambda: None
            self._deployment.scan(found.extend, note_progress, must_stop)
            self._device.on_read = lambda: None
            if steps_left < 0 and session.state is ReceiverState.RECEIVING:
                self._tell_found(found, lambda: self._scan_on(stops))
                return
        self._tell_found(found, self._scan_ended)

    def _tell_found(self, found: list[int], then: Callable[[], None]) -> None:
        def tell() -> None:
            self._session.blocks_found(sorted(found), self._schedule.now)
            self._machine.pump()
            then()

        self._machine.if_joined(self._rng.uniform(0.0, self._habits.longest_scan_pause), tell)

    def _scan_ended(self) -> None:
        self.is_scanned = True
        self._session.scan_ended(self._schedule.now)
        self._machine.pump()

    def _overtake(self) -> None:
        """Now and then a block is written between two steps of the scan."""
        waiting = [store for store in self._stores if store.block.toi != TOI_MANIFEST]
        if waiting and self._rng.random() < 0.3:
            self._device.on_read = lambda: None
            self._store(self._rng.choice(waiting))
            self._device.on_read = self._overtake

    def _finish(self) -> None:
        session = self._session
        if not (self._is_zeroed and self.is_scanned):
            self._machine.if_joined(0.05, lambda: self._judged(self._finish))
            return
        if self._habits.cut_after_read_back is not None:
            self._device.power_cut_at = self._device.operations + self._habits.cut_after_read_back
            self._habits.cut_after_read_back = None

        def note_progress(done: int, total: int) -> None:
            session.counters.bytes_verified, session.counters.bytes_to_verify = done, total

        damaged = self._deployment.read_back(note_progress, lambda: session.state.is_final)
        if session.state.is_final:
            return
        if damaged:
            session.read_back_failed(damaged, self._schedule.now)
        elif session.may_commit():
            self._by_worker(self._commit)

    def _commit(self) -> None:
        session = self._session
        self._deployment.commit()
        session.verified(self._schedule.now)
        if session.backlog_bytes:
            self._machine.problems.append(
                f"{self._machine.machine}: verified, and {session.backlog_bytes} bytes of buffers are not back"
            )
