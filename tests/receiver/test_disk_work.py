import asyncio
import dataclasses
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from broadcaster.announcement import build_announcement
from broadcaster.encoder import BlockEncoder
from broadcaster.transmission import Transmission
from protocol.certificate import check_certificate
from protocol.errors import DiskError, IntegrityError, SessionStateError
from protocol.firmware import Firmware
from protocol.messages import FecOti, ReceiverState
from protocol.seal import Seal
from protocol.ticket import DiskPolicy
from protocol.wire import HEADER_LENGTH, TAG_LENGTH, TOI_DISK, TOI_MANIFEST
from receiver import disk_work
from receiver.arming import Arming
from receiver.blockdevice import DiskDevice
from receiver.deployment import Deployment
from receiver.disk_layout import incomplete_marker
from receiver.disk_work import DiskWork
from receiver.events import BlockDecodable, ObjectCompleted, PreviewPossible
from receiver.session import ReceiverSession
from receiver.target import TargetKind, inspect_target
from tests.sample_messages import status
from tests.sample_orders import inside, ticket_for
from tests.sample_trust import identity
from tests.simulator.image import ENCODING_SYMBOL_LENGTH as L
from tests.simulator.image import draw_image

pytestmark = pytest.mark.asyncio

IMAGE = draw_image(random.Random(1), 40, 0.5)
BLOCKS = range(len(IMAGE.manifest))
TSI = 0x5EA1
DATAGRAM = HEADER_LENGTH + L + TAG_LENGTH
OLD = b"\xa5" * len(IMAGE.disk)
ANY_DISK = DiskPolicy(min_size=0, logical_sector_size=0)


class Seat:
    """A session with its disk, and the network played by hand; its symbols are real."""

    def __init__(
        self,
        target: Path,
        *,
        policy: DiskPolicy = ANY_DISK,
        is_delta: bool = True,
        is_held: bool = False,
        firmware: tuple[Firmware, Firmware] = (Firmware.UNKNOWN, Firmware.BOTH),
        target_fault: str = "",
        take_disk: Callable[[Callable[[], bool]], bool] | None = None,
    ) -> None:
        """``firmware`` is what the image needs, and what this PC has."""
        announcement = build_announcement(
            IMAGE.manifest,
            tsi=TSI,
            image_key=bytes(32),
            image_signature=bytes(64),
            source="192.0.2.1",
            group="239.192.0.1",
            port=7000,
            oti=FecOti(encoding_symbol_length=L),
        )
        self.session = ReceiverSession(
            replace(announcement, image=replace(announcement.image, firmware=firmware[0])),
            receiver_id="0" * 32,
            seat="row-2",
            target=str(target),
            arming=Arming(0.0, 0.0, is_held=is_held),
            rng=random.Random(1),
            now=time.monotonic(),
        )
        self.identity = identity(1)
        self.bugs: list[BaseException] = []
        self._stepped = asyncio.Event()
        self.work = DiskWork(
            self.session,
            policy,
            self.identity,
            is_delta=is_delta,
            firmware=firmware[1],
            target_fault=target_fault,
            take_disk=take_disk,
            on_step=self._step,
            on_bug=self._bug,
        )
        self._seal = Seal(bytes(32), IMAGE.manifest.digest, TSI, L)
        self._encoder = BlockEncoder(IMAGE.manifest, IMAGE.stored.__getitem__, self._seal, L)
        self._objects = (self._encoder.manifest_object(), self._encoder.disk_object())

    def _step(self) -> None:
        while (event := self.session.next_event()) is not None:
            if isinstance(event, BlockDecodable):
                self.work.store([event.block])
            elif isinstance(event, ObjectCompleted):
                self.work.complete(event.toi)
            elif isinstance(event, PreviewPossible):
                self.work.preview()
        self._stepped.set()

    def _bug(self, error: BaseException) -> None:
        self.bugs.append(error)
        self._stepped.set()

    def bring(self, toi: int, sbn: int, *, is_false: bool = False) -> None:
        """A whole block by the group; a false one is what only an insider can send."""
        k = self._objects[toi].source_block_length(sbn)
        sealed = self._encoder.encode(Transmission(toi, sbn, k, range(k), is_first_pass=True))
        datagrams = bytes(sealed.datagrams)
        if is_false:
            lie = bytearray(DATAGRAM)
            self._seal.seal_symbols(
                lie, bytes(L), toi=toi, sbn=sbn, source_block_length=k, esis=[0], last_symbol_length=L
            )
            datagrams = bytes(lie) + datagrams
        self._seal.open_batch(datagrams, DATAGRAM, self.session.find_block)
        self.session.batch_opened(len(datagrams), time.monotonic())
        self._step()

    def bring_manifest(self) -> None:
        for sbn in range(self._objects[TOI_MANIFEST].block_count):
            self.bring(TOI_MANIFEST, sbn)

    async def until(self, state: ReceiverState) -> None:
        await self.until_so(lambda: self.session.state is state or bool(self.bugs))
        assert self.session.state is state, self.session.reason

    async def until_scanned(self) -> None:
        await self.until_so(lambda: self.session.has_scanned)

    async def until_so(self, is_so: Callable[[], bool]) -> None:
        """Looked at after each step."""
        async with asyncio.timeout(10):
            while not is_so():
                self._stepped.clear()
                await self._stepped.wait()


def content(target: Path) -> bytes:
    return target.read_bytes()


def traces(target: Path) -> tuple[int, int]:
    """What any write would change, whatever it wrote."""
    about = target.stat()
    return about.st_mtime_ns, about.st_blocks


def overwrite(target: Path, data: bytes) -> None:
    target.write_bytes(data)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "target.disk"
    path.write_bytes(OLD)
    return path


def release(seat: Seat) -> None:
    """The order to write comes, and the countdown is over."""
    seat.session.released(inside(ticket_for()), time.monotonic())
    seat.session.next_message(time.monotonic())
    seat._step()


async def test_a_planned_seat_looks_at_its_disk_and_leaves_it_as_it_is(target: Path) -> None:
    held = bytearray(OLD)
    some = [IMAGE.manifest[sbn] for sbn in (3, 7, 30)]
    for chunk in some:
        held[chunk.offset : chunk.offset + chunk.raw_length] = IMAGE.disk[
            chunk.offset : chunk.offset + chunk.raw_length
        ]
    overwrite(target, bytes(held))
    before = traces(target)
    seat = Seat(target, is_held=True)
    with seat.work:
        seat.work.refuse_unfit_target()
        seat.bring_manifest()
        await seat.until_so(lambda: seat.session.report().has_scanned)
        assert seat.session.blocks_missing == len(BLOCKS) - len(some)
        for sbn in BLOCKS:
            seat.bring(TOI_DISK, sbn)
        assert seat.session.state is ReceiverState.PLANNED
        with pytest.raises(SessionStateError, match="only planned"):
            seat.work._deployment.load_manifest()
    assert content(target) == held
    assert traces(target) == before
    assert not seat.bugs


async def test_a_seat_that_is_released_while_it_looks_writes_all_that_it_lacks(target: Path) -> None:
    overwrite(target, IMAGE.disk[: len(OLD) // 2] + OLD[len(OLD) // 2 :])
    seat = Seat(target, is_held=True)
    with seat.work:
        seat.work.refuse_unfit_target()
        seat.bring_manifest()
        release(seat)
        await seat.until(ReceiverState.RECEIVING)
        await seat.until_scanned()
        for sbn in BLOCKS:
            seat.bring(TOI_DISK, sbn)
        await seat.until(ReceiverState.VERIFIED)
    assert IMAGE.is_on(content(target))
    assert not seat.bugs


async def test_a_target_that_became_unfit_while_it_was_planned_is_refused(target: Path) -> None:
    seat = Seat(target, is_held=True)
    with seat.work, DiskDevice.open(target):
        seat.bring_manifest()
        await seat.until(ReceiverState.REFUSED)
    assert "in use" in seat.session.reason
    assert content(target) == OLD
    assert not seat.bugs


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_seat_that_is_dismissed_writes_nothing_more(target: Path, is_begun: bool) -> None:
    seat = Seat(target)
    with seat.work:
        seat.bring_manifest()
        if is_begun:
            await seat.until(ReceiverState.RECEIVING)
        seat.session.receive_message(status(tsi=f"{TSI:016x}", dismissed=("0" * 32,)), time.monotonic())
        assert seat.session.state.is_final
        seat._step()
        while seat.work._jobs:
            await asyncio.wait(list(seat.work._jobs))
        for sbn in BLOCKS:
            seat.bring(TOI_DISK, sbn)
    assert not seat.bugs
    assert seat.session.state is (ReceiverState.FAILED if is_begun else ReceiverState.REFUSED)
    assert (content(target) == OLD) is not is_begun
    assert not IMAGE.is_on(content(target))


async def test_a_dismissal_at_any_step_leaves_the_disk_old_marked_or_whole(target: Path) -> None:
    rng = random.Random(20261123)
    print("seed 20261123")
    ends = set()
    for _ in range(12):
        overwrite(target, OLD)
        seat = Seat(target)
        with seat.work:
            seat.bring_manifest()
            steps = rng.randrange(2 * len(BLOCKS))
            for number in range(2 * len(BLOCKS)):
                if number == steps:
                    said = status(tsi=f"{TSI:016x}", dismissed=("0" * 32,))
                    seat.session.receive_message(said, time.monotonic())
                if seat.session.state is ReceiverState.RECEIVING:
                    seat.bring(TOI_DISK, BLOCKS[number % len(BLOCKS)])
                await asyncio.sleep(0.001)
            await seat.until_so(lambda seat=seat: seat.session.state.is_final)  # type: ignore[misc]  # mypy cannot type default arguments of a lambda
            while seat.work._jobs:
                await asyncio.wait(list(seat.work._jobs))
        assert not seat.bugs
        state, disk = seat.session.state, content(target)
        ends.add(state)
        if state is ReceiverState.REFUSED:
            assert disk == OLD
        elif state is ReceiverState.FAILED:
            assert disk.startswith(incomplete_marker(IMAGE.manifest))
        else:
            assert state is ReceiverState.VERIFIED
            assert IMAGE.is_on(disk)
    assert ReceiverState.FAILED in ends


async def test_the_disk_becomes_the_image_and_is_certified(target: Path) -> None:
    seat = Seat(target)
    with seat.work:
        seat.work.refuse_unfit_target()
        seat.bring_manifest()
        await seat.until(ReceiverState.RECEIVING)
        assert seat.work.certificate is None
        for sbn in BLOCKS:
            seat.bring(TOI_DISK, sbn)
        await seat.until(ReceiverState.VERIFIED)
        seat.work.count(time.monotonic())
    assert IMAGE.is_on(content(target))
    assert seat.work.certificate is not None
    certificate = check_certificate(seat.work.certificate, keys=seat.identity.keys)
    assert (certificate.seat, certificate.blocks, certificate.disk_size) == ("row-2", len(BLOCKS), len(IMAGE.disk))
    assert certificate.verified_bytes > 0
    counters = seat.session.counters
    assert counters.bytes_written > 0
    assert 0 <= counters.disk_busy_ratio <= 1
    assert counters.bytes_verified == counters.bytes_to_verify > 0
    assert seat.bugs == []


async def test_what_the_disk_holds_is_found(target: Path) -> None:
    overwrite(target, IMAGE.disk)
    seat = Seat(target)
    with seat.work:
        seat.bring_manifest()
        await seat.until(ReceiverState.VERIFIED)
    assert seat.session.counters.blocks_to_scan > 0
    assert IMAGE.is_on(content(target))


async def test_in_full_nothing_is_found(target: Path) -> None:
    overwrite(target, IMAGE.disk)
    seat = Seat(target, is_delta=False)
    with seat.work:
        seat.bring_manifest()
        await seat.until_scanned()
        assert (seat.session.blocks_missing, seat.session.counters.blocks_to_scan) == (len(BLOCKS), 0)


async def test_a_false_block_is_missing_again_and_is_not_on_the_disk(target: Path) -> None:
    seat = Seat(target)
    with seat.work:
        seat.bring_manifest()
        await seat.until_scanned()
        seat.bring(TOI_DISK, 3, is_false=True)
        await seat.until_so(lambda: seat.session.poison.mismatched_blocks > 0)
        assert seat.session.blocks_missing == len(BLOCKS)
        assert seat.session.state is ReceiverState.RECEIVING
    assert 3 in IMAGE.missing_on(content(target))


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (DiskPolicy(min_size=1 << 60, logical_sector_size=0), "the order to write demands"),
        (ANY_DISK, "does not exist"),
    ],
)
async def test_a_target_that_is_not_fit_is_refused(target: Path, policy: DiskPolicy, reason: str) -> None:
    seat = Seat(target if policy is not ANY_DISK else target.parent / "missing", policy=policy)
    with seat.work:
        seat.work.refuse_unfit_target()
    assert seat.session.state is ReceiverState.REFUSED
    assert reason in seat.session.reason
    assert content(target) == OLD


async def test_a_target_that_became_unfit_is_refused_before_the_first_write(target: Path) -> None:
    seat = Seat(target)
    with seat.work:
        seat.work.refuse_unfit_target()
        overwrite(target, OLD[:1000])
        seat.bring_manifest()
        await seat.until(ReceiverState.REFUSED)
    assert content(target) == OLD[:1000]


async def test_a_seat_without_a_disk_refuses_with_the_reason(target: Path) -> None:
    seat = Seat(target, target_fault="fits 2 disks, name one by serial=")
    with seat.work:
        seat.work.refuse_unfit_target()
    assert seat.session.reason == f"{target}: fits 2 disks, name one by serial="
    assert content(target) == OLD


async def test_nothing_is_written_while_somebody_else_uses_the_disk(target: Path) -> None:
    is_free, has_asked = threading.Event(), threading.Event()

    def take_disk(is_over: Callable[[], bool]) -> bool:
        has_asked.set()
        assert not is_over()
        return is_free.wait(10)

    seat = Seat(target, take_disk=take_disk)
    with seat.work:
        seat.bring_manifest()
        await asyncio.to_thread(has_asked.wait, 10)
        assert content(target) == OLD
        assert not seat.session.arming.has_begun
        is_free.set()
        await seat.until(ReceiverState.RECEIVING)
    assert content(target) != OLD


async def test_a_disk_that_does_not_become_free_is_refused(target: Path) -> None:
    seat = Seat(target, take_disk=lambda _is_over: False)
    with seat.work:
        seat.bring_manifest()
        await seat.until(ReceiverState.REFUSED)
    assert content(target) == OLD


async def test_what_was_stopped_at_the_seat_is_not_opened(target: Path) -> None:
    seat = Seat(target)
    assert seat.session.arming.abort()
    with seat.work:
        seat.bring_manifest()
        await seat.until(ReceiverState.REFUSED)
    assert seat.session.reason == "stopped at the seat"
    assert content(target) == OLD


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (DiskError("disk", "write", "Input/output error"), ReceiverState.FAILED),
        (IntegrityError("the disk", bytes(32), b""), ReceiverState.DAMAGED),
    ],
)
async def test_what_the_disk_does_wrong_is_the_seats_outcome(
    target: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, state: ReceiverState
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Deployment, "commit", fail)
    overwrite(target, IMAGE.disk)
    seat = Seat(target)
    with seat.work:
        seat.bring_manifest()
        await seat.until(state)
    assert seat.session.reason == str(error)
    assert seat.work.certificate is None
    assert seat.bugs == []


async def test_anything_else_is_a_bug_and_told(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr(Deployment, "store_blocks", fail)
    seat = Seat(target)
    with seat.work:
        seat.bring(TOI_MANIFEST, 0)
        await seat.until_so(lambda: bool(seat.bugs))
    assert [str(error) for error in seat.bugs] == ["of ours"]
    assert not seat.session.state.is_final


@pytest.mark.parametrize(
    ("machine", "state"), [(Firmware.BIOS, ReceiverState.REFUSED), (Firmware.UEFI, ReceiverState.RECEIVING)]
)
async def test_a_disk_that_would_not_boot_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Firmware, state: ReceiverState
) -> None:
    target = tmp_path / "disk.img"
    target.write_bytes(OLD)
    as_disk = dataclasses.replace(inspect_target(target), kind=TargetKind.DISK)
    monkeypatch.setattr(disk_work, "inspect_target", lambda _path: as_disk)
    before = traces(target)
    seat = Seat(target, firmware=(Firmware.UEFI, machine))
    with seat.work:
        seat.work.refuse_unfit_target()
        if state is ReceiverState.REFUSED:
            assert "boots by UEFI only" in seat.session.reason
            assert traces(target) == before
        else:
            seat.bring_manifest()
        await seat.until(state)
    assert not seat.bugs


async def test_what_nobody_can_tell_of_the_firmware_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "disk.img"
    target.write_bytes(OLD)
    as_disk = dataclasses.replace(inspect_target(target), kind=TargetKind.DISK)
    monkeypatch.setattr(disk_work, "inspect_target", lambda _path: as_disk)
    seat = Seat(target, firmware=(Firmware.UNKNOWN, Firmware.UEFI))
    with seat.work:
        seat.work.refuse_unfit_target()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "may not boot" in caplog.text
    assert not seat.session.state.is_final
