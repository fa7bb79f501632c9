import contextlib
import sys
import threading
from pathlib import Path

import psutil
import pytest

from protocol.errors import DiskError, RefusedError
from receiver.configure.running import Stopping, find, run, run_well

SH = "/bin/sh"


def test_output_and_exit_code() -> None:
    ran = run(Stopping(), SH, "-c", "echo one; echo two >&2; cat; exit 3", stdin="three\n\n", is_tool=False)
    assert (ran.code, ran.is_late) == (3, False)
    assert ran.last_lines() == "one; two; three"
    assert ran.last_lines(1) == "three"
    tool = run(Stopping(), SH, "-c", "echo one; echo two >&2")
    assert (tool.output, tool.complaints, tool.last_lines()) == ("one\n", "two\n", "two")
    assert run(Stopping(), SH, "-c", ":").last_lines() == "it printed nothing"


def test_its_environment_is_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATECAST_TOKEN", "secret")
    assert "secret" not in run(Stopping(), "/usr/bin/env").output


def test_what_it_prints_does_nothing_to_a_terminal() -> None:
    assert run(Stopping(), SH, "-c", r"printf 'a\033[2Jb\n'").output == "a\N{REPLACEMENT CHARACTER}[2Jb\n"


@pytest.mark.system
def test_at_its_limit_it_is_killed_with_its_children(tmp_path: Path) -> None:
    script = f"(while :; do sleep 0.05; done) & echo $! > {tmp_path / 'pid'}; wait"
    ran = run(Stopping(), SH, "-c", script, limit=0.3)
    assert ran.is_late
    with contextlib.suppress(psutil.NoSuchProcess):  # where there is no init that fetches it, it stays dead
        assert psutil.Process(int((tmp_path / "pid").read_text())).status() == psutil.STATUS_ZOMBIE


@pytest.mark.system
def test_stopping_ends_it() -> None:
    stopping = Stopping()
    timer = threading.Timer(0.05, stopping.stop)
    timer.start()
    with pytest.raises(RefusedError, match="stopped"):
        run(stopping, "/bin/sleep", "60")
    timer.join()
    assert stopping.is_set


@pytest.mark.system
def test_one_that_prints_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.configure.running._MAX_FILE", 1 << 16)
    ran = run(Stopping(), sys.executable, "-c", "while True: print('x' * 1000)", limit=30)
    assert ran.is_late
    assert len(ran.output) <= 1 << 16


def test_a_tool_that_fails_says_why() -> None:
    assert "hello" in run_well(Stopping(), "echo", "hello")
    assert run_well(Stopping(), "false", codes=(1,)) == ""
    with pytest.raises(DiskError, match="cannot access"):
        run_well(Stopping(), "ls", "/no/such/folder")


def test_a_tool_that_is_not_there() -> None:
    with pytest.raises(RefusedError, match="no-such-tool is not in this environment"):
        find("no-such-tool")
    with pytest.raises(DiskError, match="starting failed"):
        run(Stopping(), "/no/such/program")
