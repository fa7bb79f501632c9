"""The program around a life that tests play: keys, pictures, lines, and how it ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from protocol.messages import ReceiverState
from slatecast.seat import life as life_module
from slatecast.seat import program as program_module
from slatecast.seat import target_watch as target_module
from slatecast.seat.boot_arguments import BootArguments
from slatecast.seat.events import (
    Afterwards,
    ConfigurationEnded,
    Event,
    Joined,
    SessionEnded,
    SessionSeen,
    WordsAsked,
    WordsShown,
)
from slatecast.seat.program import SeatPlace, SeatProgram
from slatecast.seat.screen_model import ScreenModel
from slatecast.seat.settings import SeatSettings
from tests.slatecast.seat.facts import NETWORK, OFFER, ORDER, TSI, session, work

pytestmark = pytest.mark.asyncio


class Played:
    """Life, errands, screen, keyboard and log of one program."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, countdown: float) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.lines: list[str] = []
        self.models: list[ScreenModel] = []
        self.left: list[Afterwards] = []
        self.fault: Exception | None = None
        self.has_begun = asyncio.Event()
        self._is_shown = asyncio.Event()
        self.errands = self
        self.press: Callable[[str], object]
        self.tell: Callable[[Event], object]
        monkeypatch.setattr(program_module, "PICTURE_SECONDS", 0.0)
        monkeypatch.setattr(program_module, "keyboard", self.keyboard)
        monkeypatch.setattr(program_module, "watch_network", self.watch_network)
        monkeypatch.setattr(life_module, "Life", self.life)
        monkeypatch.setattr(target_module, "watch_target", self.watch_target)
        monkeypatch.setattr("slatecast.seat.seat_state.RESTART_COUNTDOWN", countdown)

    def life(self, _settings: object, tell: Callable[[Event], object], _turn: object) -> "Played":
        self.tell = tell
        return self

    async def run(self) -> None:
        self.tell(Joined())
        self.has_begun.set()
        if self.fault is not None:
            raise self.fault
        await asyncio.Event().wait()

    async def watch_network(self, tell: Callable[[Event], object], _boot_address: str) -> None:
        tell(NETWORK)
        await asyncio.Event().wait()

    async def watch_target(self, _rule: str, tell: Callable[[str, str, str], object], _is_busy: object) -> None:
        tell("/dev/sda", "a disk", "")
        await asyncio.Event().wait()

    @contextlib.contextmanager
    def keyboard(self, on_key: Callable[[str], object], descriptor: int | None) -> Any:
        assert descriptor == 7
        self.press = on_key
        yield True

    def show(self, model: ScreenModel, _now: float) -> None:
        self.models.append(model)
        self._is_shown.set()

    async def shown(self) -> None:
        """Until there is a picture of what is now."""
        self._is_shown.clear()
        await self._is_shown.wait()

    def say(self, line: str) -> None:
        self.lines.append(line)

    def __getattr__(self, name: str) -> Any:
        """Whatever else life and errands are told is noted."""
        return lambda *given, **more: self.done.append((name, *given, *more.values()))


@contextlib.asynccontextmanager
async def running(
    monkeypatch: pytest.MonkeyPatch, *, complaints: tuple[str, ...] = (), countdown: float = 100.0
) -> AsyncIterator[tuple[Played, "asyncio.Task[None]"]]:
    played = Played(monkeypatch, countdown=countdown)
    place = SeatPlace(cast(Any, played), 7, cast(Any, played), played.left.append)
    program = SeatProgram(SeatSettings(BootArguments(complaints=complaints)), place)
    task = asyncio.create_task(program.run())
    await played.has_begun.wait()
    try:
        yield played, task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_happens_is_said_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, complaints=("slatecast.mode=x is not receive",)) as (played, _):
        played.tell(work())
        await played.shown()
        assert played.models[-1].seat == "pc-14"
        assert played.models[-1].headline == "ready"
        assert played.lines[:2] == ["started", "error: slatecast.mode=x is not receive"]
        assert {"joined", "network eth0 192.0.2.7 1000 Mbit/s", "target a disk", "seat pc-14"} <= set(played.lines)
        assert ("network_is", True) in played.done
        assert ("target_is", "/dev/sda", "") in played.done


async def test_each_key_does_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (played, _):
        await played.shown()
        await played.shown()
        played.done.clear()
        played.tell(SessionSeen(session(ReceiverState.ARMING)))
        played.press("a")
        played.tell(SessionSeen(session(ReceiverState.RECEIVING)))
        played.press("a")
        played.press("y")
        played.tell(SessionEnded(TSI, ReceiverState.FAILED, "stopped at the seat"))
        played.tell(work(restore=OFFER))
        played.press("r")
        played.press("y")
        played.tell(work(capture=ORDER))
        played.press("a")
        played.press("y")
        played.tell(WordsShown(("a", "b", "c", "d")))
        played.tell(WordsAsked())
        played.press("n")
        assert played.done == [
            ("abort",),
            ("break_off",),
            ("ask_restore", OFFER),
            ("start_capture", ORDER, "/dev/sda"),
            ("stop_capture", "stopped at the seat"),
            ("words_are", False),
        ]


@pytest.mark.parametrize(("keys", "how"), [("by", Afterwards.RESTART), ("qy", Afterwards.POWER_OFF)])
async def test_two_keys_leave_the_pc(monkeypatch: pytest.MonkeyPatch, keys: str, how: Afterwards) -> None:
    async with running(monkeypatch) as (played, task):
        for key in keys:
            played.press(key)
        await task
        assert played.left == [how]


async def test_a_complete_disk_is_restarted_from(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch, countdown=0.0) as (played, task):
        played.tell(SessionEnded(TSI, ReceiverState.VERIFIED, ""))
        played.tell(ConfigurationEnded(Afterwards.RESTART))
        await task
        assert played.left == [Afterwards.RESTART]
        assert played.lines[-3:] == ["verified", "configured", "restarting"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_ends_it_and_leaves_the_pc_on(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    async with running(monkeypatch) as (played, task):
        os.kill(os.getpid(), number)
        await task
        assert played.left == []


async def test_a_fault_of_ours_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(monkeypatch) as (played, task):
        del task
        played.fault = KeyError("x")
        place = SeatPlace(None, 7, cast(Any, played), played.left.append)
        with pytest.raises(KeyError, match="x"):
            await SeatProgram(SeatSettings(BootArguments()), place).run()
        assert played.left == []
