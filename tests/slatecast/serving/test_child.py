import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from protocol.errors import ConfigError, SlatecastError, TransportError
from slatecast.serving.child import MOST_FIRST_STARTS, Child, ChildPlan, Pauses
from tests.end_to_end.room import wait_until
from tests.slatecast.serving.parts import AT_ONCE, fake

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Watched:
    """A child, what it said, and where it was found."""

    def __init__(self, plan: ChildPlan, pauses: Pauses = AT_ONCE, *, lines: list[str] | None = None) -> None:
        self.lines = [] if lines is None else lines
        self.found: list[str] = []
        self.is_ready = asyncio.Event()
        self.child = Child(plan, on_ready=self._ready, say=self.lines.append, pauses=pauses)

    def _ready(self, where: str) -> None:
        self.found.append(where)
        self.is_ready.set()


def run(watched: Callable[[], Watched], play: Callable[[Watched], Awaitable[None]]) -> Watched:
    """Keep a child while ``play`` plays; its failure is the failure of this."""

    async def whole() -> Watched:
        room = watched()
        keeper = asyncio.create_task(room.child.keep())
        player = asyncio.ensure_future(play(room))
        try:
            async with asyncio.timeout(60):
                done, _ = await asyncio.wait({keeper, player}, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    await each
        finally:
            for each in (keeper, player):
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError, SlatecastError):
                    await each
            await room.child.stop()
        assert room.child.pid is None
        return room

    return asyncio.run(whole())


async def until_ready(room: Watched) -> None:
    await room.is_ready.wait()


async def for_ever(_room: Watched) -> None:
    await asyncio.Event().wait()


def test_it_is_handed_what_it_needs_and_says_where_it_is(tmp_path: Path) -> None:
    plan = fake(tmp_path / "log", "ready(handed); wait()", handover=b"secret")
    room = run(lambda: Watched(plan), until_ready)
    assert room.found == ["secret"]
    assert room.lines == []
    assert (tmp_path / "log").read_text() == "part ended\n"
    assert "secret" not in repr(plan)
    assert "secret" not in " ".join(plan.argv)


LAST = "say(type='failed', kind='ConfigError', text='last')"
"""ends a test by itself: nobody is told of a second readiness"""


def test_a_dead_one_is_started_again_and_told_in_one_line(tmp_path: Path) -> None:
    lines: list[str] = []
    plan = fake(tmp_path / "log", f"if starts() < 3: ready(); os.kill(os.getpid(), 9)\nelse: {LAST}")
    with pytest.raises(ConfigError, match="last"):
        run(lambda: Watched(plan, lines=lines), for_ever)
    assert lines == ["the part died (signal 9); starting it again in 0.0 s"] * 2


def test_one_that_had_settled_is_started_again_at_once(tmp_path: Path) -> None:
    lines: list[str] = []
    plan = fake(tmp_path / "log", f"ready()\nif starts() == 1: sys.exit(7)\nelse: {LAST}")
    with pytest.raises(ConfigError, match="last"):
        run(lambda: Watched(plan, Pauses(first=60.0, longest=60.0, settled=0.0), lines=lines), for_ever)
    assert lines == ["the part died (status 7); starting it again"]


@pytest.mark.parametrize(("kind", "error"), [("ConfigError", ConfigError), ("TransportError", TransportError)])
def test_a_reason_that_does_not_mend_itself_ends_it(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    code = f"say(type='failed', kind={kind!r}, text='port 8443 is taken'); sys.exit(1)"
    with pytest.raises(error, match="port 8443 is taken"):
        run(lambda: Watched(fake(tmp_path / "log", code)), for_ever)


def test_what_has_run_once_tries_again(tmp_path: Path) -> None:
    code = """
ready()
if starts() == 1:
    say(type='failed', kind='TransportError', text='the port is taken')
    sys.exit(1)
say(type='failed', kind='ConfigError', text='the keys are damaged')
"""
    lines: list[str] = []
    with pytest.raises(ConfigError, match="the keys are damaged"):
        run(lambda: Watched(fake(tmp_path / "log", code), lines=lines), for_ever)
    assert lines == ["the part cannot go on: the port is taken; starting it again in 0.0 s"]


def test_one_that_never_starts_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(SlatecastError, match=rf"the part died \(status 3\) at each of {MOST_FIRST_STARTS} starts"):
        run(lambda: Watched(fake(tmp_path / "log", "starts(); sys.exit(3)")), for_ever)
    assert (tmp_path / "log").read_text().count("start") == MOST_FIRST_STARTS


def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); wait(); time.sleep(60)"
    room = run(lambda: Watched(fake(tmp_path / "log", code, stop_timeout=0.05)), until_ready)
    assert room.lines == ["the part did not end within 0 s and was killed"]


@pytest.mark.parametrize("end", ["wait()", f"if starts() == 1: os.kill(os.getpid(), 9)\n{LAST}"], ids=["told", "dead"])
def test_what_it_had_started_ends_with_it(tmp_path: Path, end: str) -> None:
    log = tmp_path / "log"
    code = f"""
import subprocess
sleeper = [sys.executable, '-c', 'import time; time.sleep(60)']
note(str(subprocess.Popen(sleeper, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).pid))
ready()
{end}
"""
    with contextlib.suppress(ConfigError):
        run(lambda: Watched(fake(log, code)), until_ready if end == "wait()" else for_ever)
    started = [int(line) for line in log.read_text().splitlines() if line.isdigit()]
    assert started
    wait_until(lambda: not [pid for pid in started if is_alive(pid)], "the end of what it had started")


def is_alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_noise_on_its_output_is_no_status(tmp_path: Path) -> None:
    code = "print('hello'); print('{}'); print('[' * 1000); ready('here'); wait()"
    assert run(lambda: Watched(fake(tmp_path / "log", code)), until_ready).found == ["here"]


def test_it_is_not_in_the_terminals_group(tmp_path: Path) -> None:
    code = "ready(str(os.getpgrp())); wait()"
    room = run(lambda: Watched(fake(tmp_path / "log", code)), until_ready)
    assert int(room.found[0]) != os.getpgrp()
