import signal
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.disk.system_tools import find_tool, last_line, loop_device, need_tool, run_tool
from protocol.errors import LibraryError
from tests.broadcaster.library.disks import MIB, needs_root, noise, sparse_file


def test_finds_tools_that_debian_hides_from_ordinary_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_tool("losetup") is not None


def test_a_missing_tool_comes_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("protocol.disk.system_tools._ADMIN_FOLDERS", "")
    assert find_tool("sfdisk") is None
    with pytest.raises(LibraryError, match="sfdisk is not installed: apt install fdisk"):
        need_tool("sfdisk")


def test_tools_speak_english_and_never_wait_for_input() -> None:
    ran = run_tool(need_tool("sh"), "-c", "echo $LC_ALL; cat; echo oops >&2; exit 3")
    assert (ran.stdout, ran.stderr, ran.returncode) == ("C\n", "oops\n", 3)


@pytest.mark.parametrize(("output", "reason"), [("a\nb\n \n", "b"), ("", "no reason given"), ("\n", "no reason given")])
def test_the_last_line_is_the_reason(output: str, reason: str) -> None:
    assert last_line(output) == reason


@pytest.mark.system
@needs_root
def test_a_loop_device_shows_a_window_and_goes_away(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", 4 * MIB, {MIB: noise(1, MIB)})
    with loop_device(disk, MIB, MIB) as device:
        assert device.read_bytes() == noise(1, MIB)
        assert run_tool(need_tool("blockdev"), "--getro", str(device)).stdout.strip() == "1"
    assert str(disk) not in run_tool(need_tool("losetup"), "--list").stdout


HOLD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from protocol.disk.system_tools import loop_device
with loop_device(Path(sys.argv[1]), 0, 1048576):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.system
@needs_root
def test_a_killed_process_leaves_no_loop_device(tmp_path: Path) -> None:
    disk = sparse_file(tmp_path / "disk.img", MIB)
    ran = subprocess.run([sys.executable, "-c", HOLD_AND_DIE, str(disk)], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert str(disk) not in run_tool(need_tool("losetup"), "--list").stdout


@pytest.mark.system
@needs_root
def test_no_loop_device_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"), loop_device(tmp_path / "missing", 0, MIB):
        pass
