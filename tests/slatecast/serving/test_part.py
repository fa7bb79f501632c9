"""A part as a process: with a work of the test's own in the place of a real one."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]

_RUN = """
import asyncio, sys, types
from protocol.errors import ConfigError
from slatecast.serving import part
module = types.ModuleType("slatecast.serving.console_part")
sys.modules[module.__name__] = module
async def work(handover, on_ready):
    {work}
module.work = work
sys.argv = ["part", "console"]
part.main()
"""
LIVE = """
    on_ready(handover.decode().strip())
    try:
        await asyncio.Event().wait()
    finally:
        print("in order", file=sys.stderr)
"""


def started(work: str) -> "subprocess.Popen[bytes]":
    code = _RUN.replace("{work}", work.strip())
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe)


def ready(process: "subprocess.Popen[bytes]") -> dict[str, str]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"handed over\n")
    process.stdin.flush()
    said: dict[str, str] = json.loads(process.stdout.readline())
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_it_is_told(number: signal.Signals) -> None:
    with started(LIVE) as process:
        assert ready(process) == {"type": "ready", "where": "handed over"}
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b"in order\n"


def test_it_ends_in_order_when_its_supervisor_is_gone() -> None:
    with started(LIVE) as process:
        ready(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b"in order\n"


def test_an_error_is_said_and_not_printed() -> None:
    with started('raise ConfigError("bad keys")') as process:
        assert ready(process) == {"type": "failed", "kind": "ConfigError", "text": "bad keys"}
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_bug_is_loud() -> None:
    with started("1 / 0") as process:
        out, err = process.communicate(b"x\n", timeout=30)
        assert process.returncode == 1
        assert out == b""
        assert b"ZeroDivisionError" in err


def test_the_program_of_a_part_is_there() -> None:
    """What the supervisor starts; a handover that is none is a bug of ours and loud."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "slatecast.serving.part", "console"],
        input=b"nonsense\n",
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert ran.returncode == 1
    assert b"DecodeError" in ran.stderr
