import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.audit import AuditEvent
from broadcaster.captures import intake as module
from broadcaster.captures.capture_folder import FULL, CaptureFolder
from broadcaster.captures.open_capture import OpenCapture
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.library.verifying import verify_image
from protocol.capture import CaptureFailure, CaptureProgress, CaptureStep, CaptureWish
from protocol.errors import LibraryError, MessageError, RefusedError
from tests.broadcaster.captures.played import OTHER_PC, PC, PlayedDisk, Present, Taken, parts, send_all

pytestmark = pytest.mark.asyncio

DISK = PlayedDisk()
WISH = CaptureWish(image="windows", machine="pc", target="disk", disk_size=1 << 20)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.open_or_create(tmp_path / "library")


@pytest.fixture
def taken(library: Library, tmp_path: Path) -> Taken:
    return Taken(library, KeyStore.open_or_create(tmp_path / "keys"))


def captures_left(library: Library) -> set[str]:
    """What lies of captures, without records."""
    paths = (library.root / "captures").rglob("*")
    return {path.name for path in paths if path.is_file() and "state.json" not in path.name}


async def test_from_an_order_to_an_image(taken: Taken) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        order = intake.order(PC)
        assert order is not None
        assert order.capture_id == capture_id
        assert intake.state(OTHER_PC, capture_id) is None
        assert await send_all(intake, capture_id, DISK) == 6
        assert await send_all(intake, capture_id, DISK) == 0
        await intake.progress(PC, capture_id, CaptureProgress(done=0.5, read_bytes=2, sent_bytes=1))
        assert [(each.step, each.done) for each in intake.desk.news()] == [(CaptureStep.RUNNING, 0.5)]
        for _ in range(2):  # whoever did not hear the answer asks again
            state = await intake.disk(PC, capture_id, parts(DISK.described()))
            assert state is not None
            assert (state.step, state.version, state.is_unchanged) == (CaptureStep.DONE, 1, False)
        assert intake.desk.step_of(capture_id) == (CaptureStep.DONE, 1.0, "")
        assert intake.order(PC) is None
    assert verify_image(taken.library, taken.library.load("windows")) == []
    assert captures_left(taken.library) == set()
    assert taken.images == 1
    assert [event for event, _ in taken.audit] == [AuditEvent.CAPTURE_ORDERED, AuditEvent.IMAGE_ADDED]
    assert taken.audit[1][1] == {
        "operator": "anna",
        "machine": "pc",
        "image": "windows",
        "capture": capture_id,
        "version": 1,
    }


async def test_operators_are_told_which_disk_an_ordered_capture_reads(taken: Taken) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        told = CaptureProgress(done=0.0, read_bytes=0, sent_bytes=0, target="/dev/sda: SAMSUNG", disk_size=256 << 30)
        await intake.progress(PC, capture_id, told)
        (news,) = intake.desk.news()
        assert (news.target, news.disk_size) == ("/dev/sda: SAMSUNG", 256 << 30)


async def test_a_wish_takes_no_chunks_before_it_is_allowed(taken: Taken) -> None:
    async with taken.intake as intake:
        capture_id = (await intake.wish(PC, WISH)).capture_id
        assert (await intake.wish(PC, WISH)).capture_id == capture_id
        with pytest.raises(RefusedError, match="is asked"):
            await intake.lacking(PC, capture_id, DISK.digests)
        state = await intake.chunks(PC, capture_id, DISK.framed(DISK.digests[:1])[0])
        assert state is not None
        assert state.step is CaptureStep.ASKED
        assert captures_left(taken.library) == set()
        intake.desk.decide(capture_id, "anna", ("dirty",), is_allowed=True)
        assert await send_all(intake, capture_id, DISK) == 6


async def test_a_broadcaster_that_was_killed_goes_on(taken: Taken, library: Library) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        for body in DISK.framed(DISK.digests[:4]):
            await intake.chunks(PC, capture_id, body)
    later = Taken(library)
    async with later.intake as intake:
        state = intake.state(PC, capture_id)
        assert state is not None
        assert state.step is CaptureStep.RUNNING
        assert await send_all(intake, capture_id, DISK) == 2
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert state.version == 1
    assert verify_image(library, library.load("windows")) == []


async def test_a_disk_whose_chunks_are_missing_is_asked_for_again(taken: Taken) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await intake.chunks(PC, capture_id, DISK.framed(DISK.digests[:1])[0])
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert (state.step, state.reason[:8]) == (CaptureStep.RUNNING, "5 chunks")
        await send_all(intake, capture_id, DISK)
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert (state.step, state.reason) == (CaptureStep.DONE, "")


async def test_a_full_library_is_told_and_nothing_is_lost(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await intake.chunks(PC, capture_id, DISK.framed(DISK.digests[:1])[0])

        def full(*_: object) -> None:
            raise LibraryError(FULL)

        with monkeypatch.context() as patch:
            patch.setattr(CaptureFolder, "prepare", full)
            with pytest.raises(LibraryError, match="the library is full"):
                await intake.chunks(PC, capture_id, DISK.framed(DISK.digests[1:2])[0])
            with pytest.raises(LibraryError, match="the library is full"):
                await intake.disk(PC, capture_id, parts(DISK.described()))
            assert [each.reason for each in intake.desk.news()] == [FULL]
        assert await send_all(intake, capture_id, DISK) == 5
        assert [each.reason for each in intake.desk.news()] == [""]


@pytest.mark.parametrize("place", [(CaptureFolder, "description"), (OpenCapture, "publish")])
async def test_a_library_that_is_full_at_the_very_end_is_told_too(
    taken: Taken, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise LibraryError(FULL)

    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await send_all(intake, capture_id, DISK)
        with monkeypatch.context() as patch:
            patch.setattr(*place, full)
            with pytest.raises(LibraryError, match="the library is full"):
                await intake.disk(PC, capture_id, parts(DISK.described()))
            assert [each.reason for each in intake.desk.news()] == [FULL]
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert (state.step, state.reason) == (CaptureStep.DONE, "")


async def test_a_stopped_capture_leaves_nothing(taken: Taken) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await send_all(intake, capture_id, DISK)
        intake.desk.stop(capture_id, "ben")
        with pytest.raises(RefusedError, match="ended already"):
            intake.desk.stop(capture_id, "ben")
        for state in (
            intake.state(PC, capture_id),
            await intake.chunks(PC, capture_id, b""),
            await intake.disk(PC, capture_id, parts(DISK.described())),
            await intake.progress(PC, capture_id, CaptureProgress(done=1.0, read_bytes=0, sent_bytes=0)),
        ):
            assert state is not None
            assert (state.step, state.reason) == (CaptureStep.FAILED, "ben has stopped it")
    assert captures_left(taken.library) == set()
    assert taken.library.names() == []
    assert [(event, fields["operator"]) for event, fields in taken.audit] == [
        (AuditEvent.CAPTURE_ORDERED, "anna"),
        (AuditEvent.CAPTURE_ENDED, "ben"),
    ]


async def test_the_machine_gives_up(taken: Taken) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        failure = CaptureFailure(is_refused=True, reason="BitLocker is on")
        assert await intake.failure(OTHER_PC, capture_id, failure) is None
        state = await intake.failure(PC, capture_id, failure)
        assert state is not None
        assert (state.step, state.reason) == (CaptureStep.REFUSED, "BitLocker is on")
        assert intake.desk.findings(capture_id) == ()


async def test_a_disk_that_cannot_be_ends_the_capture(taken: Taken) -> None:
    async with taken.intake as intake:
        for body in (b"", b"\0" * 50, DISK.described(logical_sector_size=7)):
            capture_id = intake.desk.capture("pc", "windows", "anna")
            await send_all(intake, capture_id, DISK)
            state = await intake.disk(PC, capture_id, parts(body))
            assert state is not None
            assert state.step is CaptureStep.FAILED
            assert state.reason.startswith("what the machine says of its disk cannot be")
    assert taken.library.names() == []


async def test_half_a_description_changes_nothing(taken: Taken) -> None:
    async def half() -> Any:
        yield DISK.described()[:20]
        raise MessageError("a body that does not come")

    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await send_all(intake, capture_id, DISK)
        with pytest.raises(MessageError):
            await intake.disk(PC, capture_id, half())
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert state.version == 1


async def test_whoever_hangs_up_while_it_is_proved_finds_it_done(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = threading.Event()
    publish = OpenCapture.publish

    def slowly(*args: Any, **named: Any) -> Any:
        goes_on.wait(10)
        return publish(*args, **named)

    monkeypatch.setattr(OpenCapture, "publish", slowly)
    monkeypatch.setattr(module, "FINISH_PATIENCE", 0.01)
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await send_all(intake, capture_id, DISK)
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert (state.step, state.is_finishing) == (CaptureStep.RUNNING, True)
        monkeypatch.setattr(module, "FINISH_PATIENCE", 60.0)
        first = asyncio.create_task(intake.disk(PC, capture_id, parts(DISK.described())))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.create_task(intake.disk(PC, capture_id, parts(DISK.described())))
        await asyncio.sleep(0)
        goes_on.set()
        state = await second
        assert state is not None
        assert (state.step, state.version) == (CaptureStep.DONE, 1)
    assert taken.library.versions("windows") == [1]


async def test_one_that_is_stopped_while_it_is_proved_becomes_no_image(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = OpenCapture.publish
    loop = asyncio.get_running_loop()

    def stopped(*args: Any, **named: Any) -> Any:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        return publish(*args, **named)

    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await send_all(intake, capture_id, DISK)

        async def stop() -> None:
            intake.desk.stop(capture_id, "ben")

        monkeypatch.setattr(OpenCapture, "publish", stopped)
        state = await intake.disk(PC, capture_id, parts(DISK.described()))
        assert state is not None
        assert state.step is CaptureStep.FAILED
    assert taken.library.names() == []
    assert captures_left(taken.library) == set()


async def test_backups_beyond_those_that_stay_are_removed(taken: Taken) -> None:
    async with taken.intake as intake:
        for seed in (1, 2, 3):
            disk = PlayedDisk(seed=seed)
            capture_id = intake.desk.back_up("pc", "anna")
            assert intake.desk.back_up("pc", "anna") == capture_id
            await send_all(intake, capture_id, disk)
            state = await intake.disk(PC, capture_id, parts(disk.described()))
            assert state is not None
            assert state.version == seed
    assert taken.library.versions("backup-pc") == [2, 3]


async def test_a_machine_that_was_started_anew_goes_on(taken: Taken, monkeypatch: pytest.MonkeyPatch) -> None:
    async with taken.intake as intake:
        capture_id = intake.desk.capture("pc", "windows", "anna")
        await intake.chunks(PC, capture_id, DISK.framed(DISK.digests[:1])[0])
        taken.room.present = [Present(OTHER_PC, "pc")]
        assert intake.order(OTHER_PC) is None
        monkeypatch.setattr("broadcaster.captures.capture.TAKEOVER_SILENCE", -1.0)
        order = intake.order(OTHER_PC)
        assert order is not None
        monkeypatch.undo()
        assert intake.state(PC, capture_id) is None
        assert await send_all(intake, capture_id, DISK, OTHER_PC) == 5


@pytest.mark.parametrize("seed", range(12))
async def test_only_whole_images_come_of_interrupts_repeats_and_disorder(library: Library, seed: int) -> None:
    """Restarts, chunks twice and in any order, wrong bytes, descriptions too early: in the end the disk, or nothing."""
    print(f"seed {seed}")
    drawn = random.Random(seed)
    disk = PlayedDisk(count=drawn.randint(2, 9), seed=seed)
    capture_id = ""
    for _ in range(40):
        taken = Taken(library)
        async with taken.intake as intake:
            capture_id = capture_id or intake.desk.capture("pc", "windows", "anna")
            for _ in range(drawn.randint(1, 4)):
                state = await _something(intake, capture_id, disk, drawn)
                assert (state.step is CaptureStep.DONE) is (library.versions("windows") == [1])
                if state.step is CaptureStep.DONE:
                    assert verify_image(library, library.load("windows")) == []
                    assert {chunk.chunk_id: chunk.raw_digest for chunk in library.load("windows")} == dict(
                        zip(disk.raw, disk.digests, strict=True)
                    )
                    return
    raise AssertionError("it never came to its end")


async def _something(intake: module.CaptureIntake, capture_id: str, disk: PlayedDisk, drawn: random.Random) -> Any:
    deed = drawn.randrange(5)
    if deed == 0:
        return await intake.disk(PC, capture_id, parts(disk.described()))
    if deed == 1:
        wrong = bytearray(disk.framed([drawn.choice(disk.digests)])[0])
        wrong[drawn.randrange(len(wrong))] ^= 1
        with contextlib.suppress(MessageError):
            await intake.chunks(PC, capture_id, bytes(wrong))
    elif deed == 2:
        bodies = disk.framed(drawn.choices(disk.digests, k=3))
        await asyncio.gather(*(intake.chunks(PC, capture_id, body) for body in bodies))
    else:
        lacking = await intake.lacking(PC, capture_id, disk.digests)
        assert lacking is not None
        wanted = [digest for digest, is_lacking in zip(disk.digests, lacking, strict=True) if is_lacking]
        for body in disk.framed(wanted[: drawn.randint(1, 3)]):
            await intake.chunks(PC, capture_id, body)
    return intake.state(PC, capture_id)


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """All work is done when an intake is left."""
    yield
    assert not [each.name for each in threading.enumerate() if each.name.startswith("capture")]
