"""The seat's program: joins what happens, what is decided, what is shown and what is done. The one that has the clock.

    network, target, keys, sessions, errands --events--> SeatState --actions--> life, errands, log, power
                                                             |--ScreenModel--> screen

A fault of ours in one of them ends the program with one line, and whoever started it does so again: a disk that was
being written stays marked as incomplete until a session completes it.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from slatecast.cli.keyboard import keyboard
from slatecast.seat.events import (
    AbortSession,
    Action,
    Afterwards,
    AnswerWords,
    AskRestore,
    BreakOffSession,
    Event,
    KeyPressed,
    NetworkSeen,
    PowerOff,
    RefuseCapture,
    Restart,
    Say,
    StartCapture,
    StopCapture,
    Stumbled,
    TargetSeen,
)
from slatecast.seat.first_ended import until_first_ends
from slatecast.seat.network_watch import watch_network
from slatecast.seat.screen import TerminalScreen
from slatecast.seat.seat_state import SeatState
from slatecast.seat.seat_words import SeatWords
from slatecast.seat.serial_log import SerialLog
from slatecast.seat.settings import SeatSettings

if TYPE_CHECKING:
    from slatecast.seat.life import Life

PICTURE_SECONDS: Final = 0.1
"""[s] How late a key or a change may be on the screen."""

_ENDING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class SeatPlace:
    """Where a seat shows and says what it does, and how it ends."""

    screen: TerminalScreen | None
    """None without one"""
    keys: int | None
    """descriptor of the terminal that is typed on"""
    log: SerialLog
    leave: Callable[[Afterwards], object]
    """restarts this PC, or switches it off"""


class SeatProgram:
    """One seat, from its first picture on."""

    def __init__(self, settings: SeatSettings, place: SeatPlace) -> None:
        """Nothing is started yet."""
        self._settings = settings
        self._place = place
        self._state = SeatState(settings.arguments.mode)
        self._words = SeatWords(settings.arguments.seat or "seat")
        self._life: Life | None = None
        self._left: asyncio.Future[Afterwards | None]

    async def run(self) -> None:
        """Until this PC is left, or a signal ends the program.

        Raises:
            Exception: a fault of ours.
        """
        loop = asyncio.get_running_loop()
        self._left = loop.create_future()
        for number in _ENDING:
            loop.add_signal_handler(number, self._leave, None)
        self._place.log.say("started")
        for complaint in self._settings.arguments.complaints:
            self._tell(Stumbled(complaint))
        with keyboard(lambda key: self._tell(KeyPressed(key)), self._place.keys):
            tasks = [asyncio.create_task(self._show()), asyncio.create_task(self._work())]
            for task in tasks:
                task.add_done_callback(self._task_ended)
            try:
                how = await self._left
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        if how is not None:
            self._place.leave(how)

    async def _show(self) -> None:
        """The picture, and time itself."""
        while True:
            now = time.monotonic()
            self._state.tick(now)
            self._act()
            if self._place.screen is not None:
                self._place.screen.show(self._words.model(self._state, now), now)
            await asyncio.sleep(PICTURE_SECONDS)

    async def _work(self) -> None:
        """Everything that takes long to load comes after the first picture."""
        await asyncio.sleep(0)
        from slatecast.seat.disk_turn import DiskTurn  # noqa: PLC0415  # see above
        from slatecast.seat.life import Life  # noqa: PLC0415  # see above
        from slatecast.seat.target_watch import watch_target  # noqa: PLC0415  # see above

        arguments = self._settings.arguments
        life = self._life = Life(self._settings, self._tell, DiskTurn())
        await until_first_ends(
            life.run(),
            watch_network(self._network, arguments.boot_address),
            watch_target(arguments.target, self._target, lambda: self._state.may_write),
        )

    def _network(self, seen: NetworkSeen) -> None:
        self._tell(seen)
        if self._life is not None:
            self._life.network_is(is_there=seen.has_link and bool(seen.address))

    def _target(self, path: str, description: str, fault: str) -> None:
        self._tell(TargetSeen(path, description, fault))
        if self._life is not None:
            self._life.target_is(path, fault)

    def _tell(self, event: Event) -> None:
        self._state.handle(event, time.monotonic())
        self._act()

    def _act(self) -> None:
        while (action := self._state.next_action()) is not None:
            self._do(action)

    def _do(self, action: Action) -> None:
        life = self._life
        match action:
            case Say(line=line):
                self._place.log.say(line)
            case Restart():
                self._leave(Afterwards.RESTART)
            case PowerOff():
                self._leave(Afterwards.POWER_OFF)
            case AnswerWords(are_same=are_same) if life is not None:
                life.words_are(same=are_same)
            case AbortSession() if life is not None:
                life.abort()
            case BreakOffSession() if life is not None:
                life.break_off()
            case StartCapture() | StopCapture() | RefuseCapture() | AskRestore() if life and life.errands is not None:
                self._run_errand(life, action)
            case _:
                pass

    def _run_errand(self, life: "Life", action: StartCapture | StopCapture | RefuseCapture | AskRestore) -> None:
        assert life.errands is not None
        match action:
            case StartCapture(order=order):
                life.errands.start_capture(order, order.target or self._state.target.path)
            case StopCapture(reason=reason):
                life.errands.stop_capture(reason)
            case RefuseCapture(capture_id=capture_id, reason=reason):
                life.errands.refuse_capture(capture_id, reason)
            case AskRestore(offer=offer):
                life.errands.ask_restore(offer)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A fault of ours must not leave a seat that shows an old picture for ever."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._left.done():
            self._left.set_exception(error)

    def _leave(self, how: Afterwards | None) -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            self._left.set_result(how)
