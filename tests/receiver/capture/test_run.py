import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol.capture import CaptureState, CaptureStep, Finding, FindingKind
from protocol.errors import LibraryError, TargetError, TransportError
from protocol.fields import MAX_SHORT_TEXT
from protocol.manifest import CHUNK_SIZE
from receiver.capture import patience, run, sending
from receiver.capture.findings import find_all
from receiver.capture.run import CaptureNews, check_disk, inspect, run_capture
from receiver.target import inspect_target
from tests.receiver.capture.fake_library import CAPTURE_ID, ORDER, FakeLibrary
from tests.receiver.capture.reference_disk import MIB, ext4_file, filled, noise, put
from tests.receiver.loop_device import loop_device, mounted, needs_root
from tests.receiver.loop_device import run as shell

pytestmark = [pytest.mark.system]

CHUNKS = 41
REFUSAL = Finding(kind=FindingKind.REFUSAL, code="dirty", where="the disk", text="x")


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SHORTEST_WAIT", 0.001)
    monkeypatch.setattr(patience, "LONGEST_WAIT", 0.002)
    monkeypatch.setattr(sending, "BATCH_CHUNKS", 4)
    monkeypatch.setattr(run, "PROGRESS_INTERVAL", 0.01)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk without a table: noise, zeros, and one chunk twice."""
    path = tmp_path / "disk.img"
    content = bytearray(noise(CHUNKS * CHUNK_SIZE))
    content[CHUNK_SIZE : 3 * CHUNK_SIZE] = bytes(2 * CHUNK_SIZE)
    content[5 * CHUNK_SIZE : 6 * CHUNK_SIZE] = content[:CHUNK_SIZE]
    path.write_bytes(content)
    return path


def captured(library: FakeLibrary, disk: Path, news: list[CaptureNews] | None = None) -> CaptureState:
    told = [] if news is None else news
    return asyncio.run(run_capture(library, ORDER, disk, told.append, machine="desk"))


def test_a_whole_disk_arrives(disk: Path) -> None:
    library = FakeLibrary()
    news: list[CaptureNews] = []
    assert captured(library, disk, news).step is CaptureStep.DONE
    assert library.disk == disk.read_bytes()
    assert len(library.taken) == len(set(library.taken)) == CHUNKS - 3, "each chunk once, and no zeros"
    assert library.described.zero_ranges == ((1, 2),)
    assert library.described.source == f"desk: {disk}"[:64]
    assert news[-1].read_bytes == news[-1].total_bytes == CHUNKS * CHUNK_SIZE
    assert news[0].doing == "looking"


def test_what_the_library_has_is_not_sent(disk: Path) -> None:
    library = FakeLibrary()
    captured(library, disk)
    changed = bytearray(disk.read_bytes())
    changed[33 * CHUNK_SIZE] ^= 1
    disk.write_bytes(changed)
    again = FakeLibrary(library.chunks)
    assert captured(again, disk).step is CaptureStep.DONE
    assert len(again.taken) == 1
    assert again.disk == changed


def test_a_machine_that_was_switched_off_sends_the_rest(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    monkeypatch.setattr(patience.patiently, "__defaults__", (0.0,))
    library = FakeLibrary()
    library.breaks_after = 2
    with pytest.raises(TransportError):
        captured(library, disk)
    assert library.failure is None, "the capture stays open"
    first = set(library.taken)
    assert 0 < len(first) < CHUNKS - 3
    library.breaks_after = None
    assert captured(library, disk).step is CaptureStep.DONE
    assert len(library.taken) == CHUNKS - 3, "nothing was sent twice"
    assert library.disk == disk.read_bytes()


def test_a_broadcaster_that_is_away_for_a_while_is_waited_for(disk: Path) -> None:
    library = FakeLibrary()
    news: list[CaptureNews] = []
    library.stumbles = 5
    assert captured(library, disk, news).step is CaptureStep.DONE
    assert "does not answer in time" in {each.waits_for[len("the broadcaster ") :] for each in news}
    assert not news[-1].waits_for


def test_a_full_library_is_waited_for_and_leaves_the_capture_open(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.patiently, "__defaults__", (0.05,))
    library = FakeLibrary()
    news: list[CaptureNews] = []
    library.is_full = True
    with pytest.raises(LibraryError, match="full"):
        captured(library, disk, news)
    assert "the library is full" in {each.waits_for for each in news}
    assert library.failure is None
    library.is_full = False
    assert captured(library, disk).step is CaptureStep.DONE


def test_the_broadcaster_is_told_which_disk_it_is(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PROGRESS_INTERVAL", 60.0)  # so that it has ended before
    monkeypatch.setattr(run, "refusals", lambda _findings, _accepts: [REFUSAL])
    library = FakeLibrary()
    assert captured(library, disk).step is CaptureStep.REFUSED
    (told,) = library.progress
    assert (told.target, told.disk_size) == (str(inspect_target(disk))[:MAX_SHORT_TEXT], disk.stat().st_size)
    assert told.target.startswith(str(disk)[:40])


def test_an_operator_who_stops_it(disk: Path) -> None:
    class Stopped(FakeLibrary):
        async def send_chunks(self, capture_id: str, body: bytes) -> CaptureState:
            self.state = CaptureState(capture_id=CAPTURE_ID, step=CaptureStep.FAILED, image="lab", reason="stopped")
            await asyncio.Event().wait()
            raise AssertionError

    library = Stopped()
    state = captured(library, disk)
    assert (state.step, state.reason) == (CaptureStep.FAILED, "stopped")
    assert library.failure is None


@pytest.mark.parametrize("step", [CaptureStep.REFUSED, CaptureStep.FAILED, CaptureStep.DONE])
def test_an_order_that_is_over_reads_nothing(step: CaptureStep, tmp_path: Path) -> None:
    library = FakeLibrary()
    library.state = msgspec.structs.replace(library.state, step=step)
    assert captured(library, tmp_path / "nothing").step is step


def test_chunks_that_the_broadcaster_lost_are_sent_again(disk: Path) -> None:
    class Forgetful(FakeLibrary):
        has_forgotten = False

        async def send_disk(self, capture_id: str, body: bytes) -> CaptureState:
            if not self.has_forgotten:
                self.has_forgotten = True
                self.chunks.pop(self.taken[7])
            return await super().send_disk(capture_id, body)

    library = Forgetful()
    assert captured(library, disk).step is CaptureStep.DONE
    assert library.disk == disk.read_bytes()
    assert len(library.taken) == CHUNKS - 2


def test_a_broadcaster_that_loses_everything_is_given_up(disk: Path) -> None:
    class Sieve(FakeLibrary):
        async def send_disk(self, capture_id: str, body: bytes) -> CaptureState:
            return self.state

    library = Sieve()
    state = captured(library, disk)
    assert state.step is CaptureStep.FAILED
    assert "lacks chunks" in state.reason


def test_a_disk_that_cannot_be_read(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread

    def failing(descriptor: int, length: int, offset: int) -> bytes:
        if offset <= 30 * CHUNK_SIZE + 512 < offset + length:
            raise OSError(5, "Input/output error")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    library = FakeLibrary()
    state = captured(library, disk)
    assert state.step is CaptureStep.FAILED
    assert f"sector {30 * CHUNK_SIZE // 512 + 1}" in state.reason
    assert library.failure is not None
    assert not library.failure.is_refused


def test_nothing_there_and_nothing_in_it(tmp_path: Path) -> None:
    library = FakeLibrary()
    state = captured(library, tmp_path / "nothing")
    assert (state.step, library.failure is not None) == (CaptureStep.REFUSED, True)
    (tmp_path / "zeros").write_bytes(bytes(MIB))
    library = FakeLibrary()
    assert "nothing but zeros" in captured(library, tmp_path / "zeros").reason


@needs_root
def test_a_dirty_file_system_is_refused_unless_it_is_accepted(tmp_path: Path) -> None:
    image = ext4_file(tmp_path / "ext4.img", 16 * MIB)
    with filled(image, tmp_path / "root") as root:
        put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        shell("sync")
        (tmp_path / "copy.img").write_bytes(image.read_bytes())  # as if it had been switched off
    library = FakeLibrary()
    state = captured(library, tmp_path / "copy.img")
    assert state.step is CaptureStep.REFUSED
    assert "[dirty]" in state.reason
    assert not library.taken
    library = FakeLibrary()
    order = msgspec.structs.replace(ORDER, accepts=("dirty",))
    state = asyncio.run(run_capture(library, order, tmp_path / "copy.img", lambda _news: None))
    assert state.step is CaptureStep.DONE
    assert library.disk == (tmp_path / "copy.img").read_bytes(), "all of it is read"
    backup = msgspec.structs.replace(ORDER, is_backup=True)
    library = FakeLibrary()
    assert asyncio.run(run_capture(library, backup, tmp_path / "copy.img", lambda _news: None)).step is CaptureStep.DONE


@needs_root
def test_a_disk_in_use_is_refused(tmp_path: Path) -> None:
    image = ext4_file(tmp_path / "ext4.img", 16 * MIB)
    with loop_device(image) as device, mounted(device, tmp_path / "root", "-o", "ro"):
        with pytest.raises(TargetError, match="mounted at"):
            check_disk(Path(device))
        with pytest.raises(TargetError, match="free it first"):
            inspect(image)
    assert not inspect(image)


@needs_root
def test_a_disk_is_looked_into_where_nobody_else_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_all
    spaces: set[str] = set()

    def looking(*arguments: Any, **named: Any) -> tuple[Finding, ...]:
        spaces.add(str(Path("/proc/thread-self/ns/mnt").readlink()))
        return real(*arguments, **named)

    monkeypatch.setattr(run, "find_all", looking)
    assert not inspect(ext4_file(tmp_path / "ext4.img", 16 * MIB))
    assert spaces.isdisjoint({str(Path("/proc/self/ns/mnt").readlink())})
