import asyncio
import contextlib
from pathlib import Path

import pytest

from protocol.errors import ConfigError, SlatecastError
from slatecast.serving.child import ChildPlan
from slatecast.serving.supervisor import Supervisor
from tests.slatecast.serving.parts import AT_ONCE, fake

pytestmark = [pytest.mark.system, pytest.mark.slow]


class Room:
    """What a supervisor tells."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.all_ready = asyncio.Event()

    async def run(self, *plans: ChildPlan) -> None:
        """Until all are ready; then told to end."""
        supervisor = Supervisor(
            plans,
            on_ready=lambda name, where: self.found.append((name, where)),
            on_all_ready=self.all_ready.set,
            say=self.lines.append,
            pauses=AT_ONCE,
        )
        running = asyncio.create_task(supervisor.run())
        ready = asyncio.create_task(self.all_ready.wait())
        async with asyncio.timeout(60):
            await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def test_all_are_told_and_end_in_their_order(tmp_path: Path) -> None:
    log = tmp_path / "log"
    room = Room()
    asyncio.run(
        room.run(
            fake(log, "ready('page'); wait()", name="console"), fake(log, "ready('door'); wait()", name="broadcaster")
        )
    )
    assert sorted(room.found) == [("broadcaster", "door"), ("console", "page")]
    assert log.read_text() == "console ended\nbroadcaster ended\n"
    assert room.lines == []


def test_one_that_cannot_start_ends_the_others(tmp_path: Path) -> None:
    log = tmp_path / "log"
    good = fake(log, "ready(); wait()", name="console")
    bad = fake(log, "say(type='failed', kind='ConfigError', text='bad keys')", name="broadcaster")
    with pytest.raises(ConfigError, match="bad keys"):
        asyncio.run(Room().run(good, bad))


def test_without_parts_it_is_ready_at_once() -> None:
    room = Room()
    asyncio.run(room.run())
    assert room.all_ready.is_set()


def test_kill_ends_all_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def play() -> None:
        ready = asyncio.Event()
        plan = fake(log, "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); wait(); time.sleep(60)")
        supervisor = Supervisor(
            [plan], on_ready=lambda *_: None, on_all_ready=ready.set, say=lambda _: None, pauses=AT_ONCE
        )
        running = asyncio.create_task(supervisor.run())
        async with asyncio.timeout(60):
            await ready.wait()
            running.cancel()
            await asyncio.sleep(0)  # to where it waits for the part's end
            supervisor.kill()
            with contextlib.suppress(asyncio.CancelledError, SlatecastError):
                await running

    asyncio.run(play())
