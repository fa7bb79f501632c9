import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from protocol.disk.mounts import mounted
from protocol.disk.private_mounts import Check, bound_to_us, in_private_mounts
from protocol.disk.system_tools import loop_device
from protocol.errors import ConfigError, RefusedError
from tests.broadcaster.library.disks import MIB, needs_root, run, sparse_file


def mounts() -> str:
    return Path("/proc/thread-self/mounts").read_text(encoding="utf-8")


@needs_root
def test_nobody_else_sees_what_is_mounted(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    before = mounts()

    def work(_check: Check) -> tuple[list[str], str, str]:
        with loop_device(disk, 0, 8 * MIB) as device, mounted(device, "ext4") as folder:
            (line,) = [line for line in mounts().splitlines() if str(folder) in line]
            return (
                [path.name for path in folder.iterdir()],
                line.split()[3],
                Path("/proc/self/mounts").read_text(encoding="utf-8"),
            )

    names, options, seen_by_others = in_private_mounts(work)
    assert names == ["lost+found"]
    assert {"ro", "nodev", "nosuid", "noexec", "norecovery"} <= set(options.split(","))
    assert str(tmp_path) not in seen_by_others
    assert seen_by_others == before == mounts()


@needs_root
def test_what_ends_the_work_ends_its_mounts(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk", 8 * MIB)
    run("mkfs.ext4", "-q", "-F", str(disk))
    folders: list[Path] = []

    def work(_check: Check) -> None:
        with loop_device(disk, 0, 8 * MIB) as device, mounted(device, "ext4") as folder:
            folders.append(folder)
            raise RefusedError("enough")

    with pytest.raises(RefusedError, match="enough"):
        in_private_mounts(work)
    assert not folders[0].exists()
    assert str(disk) not in run("losetup", "--list")


@needs_root
def test_ctrl_c_is_told_to_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, noticed = threading.Event(), threading.Event()

    def work(check: Check) -> None:
        at_work.set()
        try:
            while True:
                check()
        except RefusedError:
            noticed.set()
            raise

    def interrupted(_future: object) -> None:
        assert at_work.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr("concurrent.futures.Future.result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        in_private_mounts(work)
    assert noticed.wait(5)


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="run this as root"):
        in_private_mounts(lambda _check: None)


def test_work_that_needs_no_mounts_is_done_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert in_private_mounts(lambda _check: 7, is_needed=False) == 7


def test_and_without_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.disk.private_mounts._leave_namespace", lambda: "Operation not permitted")
    assert in_private_mounts(lambda _check: 7, is_needed=False) == 7


@needs_root
def test_or_it_is_refused_where_it_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.disk.private_mounts._leave_namespace", lambda: "Operation not permitted")
    with pytest.raises(RefusedError, match="no mount namespace of its own can be had: Operation not permitted"):
        in_private_mounts(lambda _check: None)


def test_a_child_that_is_bound_ends_with_the_thread_that_started_it() -> None:
    def start() -> "subprocess.Popen[bytes]":
        child = subprocess.Popen(bound_to_us("sh", "-c", "echo; exec sleep 600"), stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        return child

    with ThreadPoolExecutor(1) as thread:
        child = thread.submit(start).result()
    with child:
        assert child.wait(10) == -signal.SIGKILL
