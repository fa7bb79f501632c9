import asyncio
from pathlib import Path

import pytest

from protocol.errors import TargetError
from receiver.target import TargetInfo, TargetKind
from slatecast.seat import target_watch
from slatecast.seat.target_watch import look_for_target, watch_target

DISK = TargetInfo("/dev/sda", TargetKind.DISK, 10**9, model="Samsung 980", bus="nvme")


def test_a_file_is_a_disk_for_tests(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1_000_000))
    path = str(tmp_path / "disk")
    assert look_for_target(path) == (path, f"{path} (1.0 MB)", "")
    assert look_for_target(f"{path}2") == (f"{path}2", "", "does not exist")


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (DISK, ("/dev/sda", "/dev/sda (Samsung 980, nvme, 1.0 GB)", "")),
        (
            TargetInfo("/dev/sda", TargetKind.DISK, 1, use="mounted at /"),
            ("/dev/sda", "", "is mounted at /: free it, or start this PC with another slatecast.target"),
        ),
        (
            TargetInfo("/dev/sda", TargetKind.DISK, 1, keep_label="keep"),
            ("/dev/sda", "", "is labelled 'keep': free it, or start this PC with another slatecast.target"),
        ),
        (
            TargetInfo("/dev/sda", TargetKind.DISK, 1, read_only=True),
            ("/dev/sda", "", "is read-only: free it, or start this PC with another slatecast.target"),
        ),
    ],
)
def test_what_a_disk_is(found: TargetInfo, seen: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_watch, "resolve_target", lambda _rule: found)
    assert look_for_target("auto") == seen


@pytest.mark.asyncio
async def test_it_looks_again_unless_the_disk_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_watch, "LOOK_SECONDS", 0.0)
    looks: list[TargetInfo | TargetError] = [TargetError("auto", "fits 2 disks"), DISK, DISK]
    busy = iter([False, False, True, True, False, False, False, False])
    told: list[tuple[str, str, str]] = []
    is_over = asyncio.Event()

    def resolve(_rule: str) -> TargetInfo:
        found = looks.pop(0)
        if isinstance(found, TargetError):
            raise found
        return found

    def is_busy() -> bool:
        answer = next(busy, True)
        if not looks:
            is_over.set()
        return answer

    monkeypatch.setattr(target_watch, "resolve_target", resolve)
    watching = asyncio.create_task(watch_target("auto", lambda *seen: told.append(seen), is_busy))
    await is_over.wait()
    watching.cancel()
    assert told == [("auto", "", "fits 2 disks"), ("/dev/sda", str(DISK), "")]


@pytest.mark.asyncio
async def test_a_disk_that_a_session_took_meanwhile_is_not_one_in_use_by_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target_watch, "LOOK_SECONDS", 0.0)
    looks = [DISK, TargetInfo("/dev/sda", TargetKind.DISK, 10**9, use="in use by another program")]
    told: list[tuple[str, str, str]] = []
    is_over = asyncio.Event()

    def is_busy() -> bool:
        if not looks:
            is_over.set()
        return not looks

    monkeypatch.setattr(target_watch, "resolve_target", lambda _rule: looks.pop(0))
    watching = asyncio.create_task(watch_target("auto", lambda *seen: told.append(seen), is_busy))
    await is_over.wait()
    watching.cancel()
    assert told == [("/dev/sda", str(DISK), "")]
