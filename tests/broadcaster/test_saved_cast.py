import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.library.removing import remove_image
from broadcaster.library.verifying import verify_image
from broadcaster.saved_cast import CASTS_FOLDER, LONGEST_KEPT, CastStore, OpenCast, SavedCast
from protocol.digests import raw_digest
from protocol.disk.system_tools import find_tool
from tests.broadcaster.library.disks import noise, sparse_file
from tests.sample_messages import OTHER_TSI, TSI, receiver_id, report

DIGEST = bytes(range(32))
INTERFACE = "eth0"
STEPS = ("open", "fsync", "replace", "unlink", "close")

SAVE_NEXT = """
import sys
from pathlib import Path
import msgspec
from broadcaster.saved_cast import CastStore
cast = CastStore(Path(sys.argv[1])).find(bytes(range(32)), "eth0")
cast.save(msgspec.structs.replace(cast.saved, generation=1))
"""


def saved(**changes: object) -> SavedCast:
    plain = SavedCast(
        tsi=TSI,
        session_secret=bytes(32),
        image_name="classroom",
        image_version=3,
        manifest_digest=DIGEST,
        group="239.192.7.9",
        port=27183,
        interface_name=INTERFACE,
        use_ipv6=False,
        expected_seats=2,
    )
    return msgspec.structs.replace(plain, **changes)


def store(folder: Path) -> CastStore:
    return CastStore(folder / CASTS_FOLDER)


def find(folder: Path) -> OpenCast | None:
    return store(folder).find(DIGEST, INTERFACE)


def state_file(folder: Path, tsi: str = TSI) -> Path:
    return folder / CASTS_FOLDER / f"{tsi}.cast"


def leave_behind(folder: Path, state: SavedCast) -> None:
    store(folder).create(state).close()


def killed_before(step: int, work: Callable[[], object]) -> bool:
    """Do ``work`` in another process, killed before this call into the system; False if it needs fewer."""
    child = os.fork()
    if child == 0:
        left = step

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def counting(*arguments: object, **options: object) -> object:
                nonlocal left
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return call(*arguments, **options)

            return counting

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_every_field_comes_back(tmp_path: Path) -> None:
    state = saved(
        broker_host="192.0.2.1",
        broker_port=1883,
        catch_up_port=8080,
        generation=2,
        elapsed_seconds=12.5,
        bytes_on_wire=1 << 40,
        datagrams_sent=7,
        repair_datagrams=6,
        catch_up_bytes=5,
        reports=(report(1), report(2, reason='"\n\0')),
        demotion_reasons={receiver_id(1): "link 100 Mbit/s"},
        is_released=False,
        is_paused=True,
        dismissed=(receiver_id(2),),
        dismissed_machines=("52:54:00:12:34:56",),
        moved=(receiver_id(1),),
        hosting=b"\xff\0whatever",
    )
    cast = store(tmp_path).create(saved())
    assert cast.save(state)
    cast.close()
    (found,) = store(tmp_path).find_hosted()
    assert (found.saved, found.is_kept) == (state, True)


def test_no_folder_is_no_cast_and_is_not_made(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_may_read_the_secret(tmp_path: Path) -> None:
    leave_behind(tmp_path, saved())
    assert state_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert state_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_finished_cast_leaves_nothing(tmp_path: Path) -> None:
    cast = store(tmp_path).create(saved())
    cast.finish()
    cast.finish()
    assert list((tmp_path / CASTS_FOLDER).iterdir()) == []
    assert not cast.save(saved())


@pytest.mark.parametrize(("digest", "interface"), [(bytes(32), INTERFACE), (DIGEST, "eth1")])
def test_cast_of_another_image_or_interface_is_not_taken_up(tmp_path: Path, digest: bytes, interface: str) -> None:
    leave_behind(tmp_path, saved())
    assert store(tmp_path).find(digest, interface) is None
    assert find(tmp_path) is not None


def test_running_cast_is_never_taken_over(tmp_path: Path) -> None:
    running = store(tmp_path).create(saved())
    assert find(tmp_path) is None
    second = store(tmp_path).create(saved(tsi=OTHER_TSI))
    assert second.is_kept
    assert find(tmp_path) is None
    second.close()
    found = find(tmp_path)
    assert found is not None
    assert found.saved.tsi == OTHER_TSI
    running.close()


def test_cast_taken_up_is_not_taken_up_twice(tmp_path: Path) -> None:
    leave_behind(tmp_path, saved())
    first = find(tmp_path)
    assert first is not None
    assert find(tmp_path) is None
    first.close()


def test_killed_process_leaves_its_cast_to_the_next(tmp_path: Path) -> None:
    def cast_and_die() -> None:
        cast = store(tmp_path).create(saved())
        os.kill(os.getpid(), signal.SIGKILL)
        cast.close()

    assert killed_before(1000, cast_and_die)
    found = find(tmp_path)
    assert found is not None
    assert found.saved == saved()


def test_newest_of_several_is_taken_up_first(tmp_path: Path) -> None:
    for tsi, age in ((OTHER_TSI, 5), (TSI, 9)):
        leave_behind(tmp_path, saved(tsi=tsi))
        os.utime(state_file(tmp_path, tsi), times=(time.time() - age,) * 2)
    casts = [find(tmp_path), find(tmp_path), find(tmp_path)]
    assert [cast and cast.saved.tsi for cast in casts] == [OTHER_TSI, TSI, None]


def test_killed_between_any_two_steps_of_saving_leaves_old_or_new(tmp_path: Path) -> None:
    old, new = saved(), saved(generation=1, reports=tuple(report(number) for number in range(100)))
    leave_behind(tmp_path, old)
    outcomes = []
    step = 0
    while True:
        cast = find(tmp_path)
        assert cast is not None
        is_killed = killed_before(step, lambda cast=cast: cast.save(new))  # type: ignore[misc] # bound at once
        cast.close()
        found = find(tmp_path)
        assert found is not None
        assert found.saved in (old, new)
        outcomes.append(found.saved == new)
        assert found.save(old)
        found.close()
        if not is_killed:
            break
        step += 1
    assert step >= 5
    assert outcomes == sorted(outcomes)
    assert (outcomes[0], outcomes[-1]) == (False, True)


def test_killed_between_any_two_steps_of_creating_leaves_all_or_nothing(tmp_path: Path) -> None:
    step = 0
    is_killed = True
    while is_killed:
        folder = tmp_path / str(step)
        folder.mkdir()
        is_killed = killed_before(step, lambda folder=folder: store(folder).create(saved()))  # type: ignore[misc] # bound at once
        found = find(folder)
        assert found is None or found.saved == saved()
        step += 1
    assert found is not None
    assert step >= 6


def test_killed_between_any_two_steps_of_finishing_leaves_all_or_nothing(tmp_path: Path) -> None:
    step = 0
    while True:
        leave_behind(tmp_path, saved())
        cast = find(tmp_path)
        assert cast is not None
        is_killed = killed_before(step, cast.finish)
        cast.close()
        found = find(tmp_path)
        assert found is None or found.saved == saved()
        if found is not None:
            found.finish()
        if not is_killed:
            break
        step += 1
    assert step >= 3


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "when", "generation"), [("write", 1, 0), ("fsync", 1, 0), ("/rename", 1, 0), ("fsync", 2, 1)]
)
def test_killed_in_the_kernel_leaves_old_or_new(tmp_path: Path, call: str, when: int, generation: int) -> None:
    strace = find_tool("strace")
    if strace is None:
        pytest.skip("needs strace: apt-get install strace")
    leave_behind(tmp_path, saved())
    trace = tmp_path / "trace"
    command = [strace, "-o", str(trace), "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}"]
    child = subprocess.run([*command, sys.executable, "-B", "-c", SAVE_NEXT, tmp_path / CASTS_FOLDER], check=False)
    assert child.returncode == -signal.SIGKILL, trace.read_text()
    found = find(tmp_path)
    assert found is not None
    assert found.saved == saved(generation=generation)


def test_data_is_on_the_medium_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = store(tmp_path).create(saved())
    calls: list[str] = []

    def record(name: str) -> None:
        as_it_is = getattr(os, name)

        def recording(*arguments: object, **options: object) -> object:
            calls.append(name)
            return as_it_is(*arguments, **options)

        monkeypatch.setattr(os, name, recording)

    record("fsync")
    record("replace")
    assert cast.save(saved(generation=1))
    assert calls == ["fsync", "replace", "fsync"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
def test_any_bytes_are_put_aside(tmp_path: Path, content: bytes) -> None:
    assert_put_aside(tmp_path, content)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_true_state_that_was_cut_or_changed_is_put_aside(tmp_path: Path, data: st.DataObject) -> None:
    leave_behind(tmp_path, saved())
    whole = state_file(tmp_path).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :] if data.draw(st.booleans()) else b""
    assert_put_aside(tmp_path, whole[:at] + changed)


@pytest.mark.parametrize(
    "content",
    [
        msgspec.json.encode(msgspec.structs.replace(saved(), format=0)),
        b"{}",
        b"[" * 100_000,
        b'{"format":1,"tsi":"\xff"}',
        msgspec.json.encode(saved()).replace(b'"group"', b'"other"'),
        msgspec.json.encode(saved(tsi=OTHER_TSI)),
        msgspec.json.encode(saved(port=0)),
    ],
)
def test_state_of_another_version_is_put_aside_though_its_digest_is_right(tmp_path: Path, content: bytes) -> None:
    assert_put_aside(tmp_path, raw_digest(content).hex().encode() + b"\n" + content)


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["folder", "pipe", "link"]
)
def test_what_is_no_file_is_put_aside(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / CASTS_FOLDER).mkdir()
    make(state_file(tmp_path))
    assert find(tmp_path) is None
    assert not os.path.lexists(state_file(tmp_path))


def test_putting_aside_is_said_in_one_line_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    leave_behind(tmp_path, saved())
    state_file(tmp_path).write_bytes(b"half a st")
    assert find(tmp_path) is None
    assert find(tmp_path) is None
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert str(state_file(tmp_path)) in line
    assert "\n" not in line


def assert_put_aside(folder: Path, content: bytes) -> None:
    (folder / CASTS_FOLDER).mkdir(exist_ok=True)
    state_file(folder).write_bytes(content)
    assert find(folder) is None
    assert not state_file(folder).exists()
    assert state_file(folder).with_suffix(".cast.unusable").read_bytes() == content


def test_full_disk_while_running_keeps_the_old_state_and_warns_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cast = store(tmp_path).create(saved())
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        assert [cast.save(saved(generation=1)) for _ in range(3)] == [False] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the cast goes on, but a restart resumes from an older state: "
        f"{tmp_path / CASTS_FOLDER}: No space left on device"
    ]
    assert sorted(path.name for path in (tmp_path / CASTS_FOLDER).iterdir()) == [f"{TSI}.cast", f"{TSI}.lock"]
    assert cast.saved == saved()
    assert cast.save(saved(generation=2))
    cast.close()
    found = find(tmp_path)
    assert found is not None
    assert found.saved.generation == 2


def test_full_disk_at_creation_costs_only_the_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        cast = store(tmp_path).create(saved())
    assert not cast.is_kept
    assert [record.getMessage() for record in caplog.records] == [
        f"the cast goes on, but a restart cannot resume it: {tmp_path / CASTS_FOLDER}: No space left on device"
    ]
    assert cast.save(saved())  # somebody made room
    assert cast.is_kept


def test_folder_that_cannot_be_made_costs_only_the_resuming(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / CASTS_FOLDER).write_bytes(b"in the way")
    cast = store(tmp_path).create(saved())
    assert not cast.save(saved())
    cast.finish()
    cast.close()
    assert find(tmp_path) is None
    assert len(caplog.records) == 2


@pytest.mark.parametrize(("age", "is_found"), [(LONGEST_KEPT - 60, True), (LONGEST_KEPT + 60, False), (-1e9, True)])
def test_old_state_is_removed_but_one_from_the_future_is_not(tmp_path: Path, age: float, is_found: bool) -> None:
    leave_behind(tmp_path, saved())
    os.utime(state_file(tmp_path), times=(time.time() - age,) * 2)
    assert (find(tmp_path) is not None) is is_found
    assert state_file(tmp_path).exists() is is_found


def test_old_state_of_a_running_cast_stays(tmp_path: Path) -> None:
    cast = store(tmp_path).create(saved())
    os.utime(state_file(tmp_path), times=(0, 0))
    assert find(tmp_path) is None
    assert state_file(tmp_path).exists()
    cast.close()


def test_old_litter_is_removed_and_fresh_litter_is_not(tmp_path: Path) -> None:
    folder = tmp_path / CASTS_FOLDER
    leave_behind(tmp_path, saved())
    for name in ("a.cast.part", "b.lock", "c.cast.unusable", "notes.txt"):
        (folder / name).touch()
        (folder / f"old-{name}").touch()
        os.utime(folder / f"old-{name}", times=(0, 0))
    os.utime(folder / f"{TSI}.lock", times=(0, 0))
    store(tmp_path).find(bytes(32), INTERFACE)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [f"{TSI}.cast", f"{TSI}.lock", "a.cast.part", "b.lock", "c.cast.unusable", "notes.txt", "old-notes.txt"]
    )


def test_cast_finished_while_it_is_looked_for_is_no_cast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cast = store(tmp_path).create(saved())
    as_it_is = fcntl.flock

    def finish_first(descriptor: int, operation: int) -> None:
        cast.finish()
        as_it_is(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", finish_first)
    assert find(tmp_path) is None
    assert caplog.records == []


def test_library_ignores_the_folder(tmp_path: Path) -> None:
    library = Library.open_or_create(tmp_path / "library")
    manifest = add_image(library, sparse_file(tmp_path / "disk", 1 << 20, {0: noise(1, 1 << 20)}), "lab").manifest
    leave_behind(library.root, saved())
    assert verify_image(library, manifest) == []
    remove_image(library, "lab")
    assert Library.open(library.root).images() == []
    assert find(library.root) is not None


def no_space(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_sessions_of_a_host_are_taken_up_by_a_host_alone(tmp_path: Path) -> None:
    leave_behind(tmp_path, saved(hosting=b"room 3"))
    leave_behind(tmp_path, saved(tsi=OTHER_TSI, hosting=b"room 4", manifest_digest=bytes(32)))
    assert find(tmp_path) is None
    hosted = store(tmp_path).find_hosted()
    assert {(cast.saved.tsi, cast.saved.hosting) for cast in hosted} == {(TSI, b"room 3"), (OTHER_TSI, b"room 4")}
    assert store(tmp_path).find_hosted() == []  # they are ours
    for cast in hosted:
        cast.close()
    assert len(store(tmp_path).find_hosted()) == 2


def test_a_host_leaves_single_casts_alone(tmp_path: Path) -> None:
    leave_behind(tmp_path, saved())
    assert store(tmp_path).find_hosted() == []
    assert find(tmp_path) is not None
    assert store(tmp_path / "nowhere").find_hosted() == []


def test_a_state_from_before_there_were_plans_is_one_that_may_be_written(tmp_path: Path) -> None:
    leave_behind(tmp_path, saved())
    fields = msgspec.json.decode(state_file(tmp_path).read_bytes().partition(b"\n")[2])
    for name in ("is_released", "is_paused", "dismissed", "dismissed_machines", "moved", "hosting"):
        del fields[name]
    encoded = msgspec.json.encode(fields)
    state_file(tmp_path).write_bytes(raw_digest(encoded).hex().encode() + b"\n" + encoded)
    cast = find(tmp_path)
    assert cast is not None
    assert cast.saved == saved()
    assert cast.saved.is_released
