"""All captures of a host: who ordered which, of which machine, and how each stands. No I/O; ``now`` is an argument.

A machine has one open capture at a time. A capture belongs to the receiver that runs it; when its machine is started
anew, the machine's next receiver takes it over (``Capture.is_of``). For any other receiver it does not exist.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from broadcaster.captures.capture import Capture, CaptureRecord
from broadcaster.captures.naming import checked_name
from protocol.backup_names import backup_name
from protocol.capture import CaptureStep, CaptureWish, Finding
from protocol.errors import RefusedError
from protocol.fields import MAX_SEATS, printable
from protocol.operators import CaptureNews
from protocol.seat_api import CaptureOrder

AT_ONCE: Final = 8
"""[captures] that are begun by themselves while others run: more would only share the library's disk and link."""

QUIET: Final = 60.0
"""[s] A running capture of which nothing was heard for this long keeps no other one waiting."""

MAX_ASKED: Final = 64
"""[captures] that wait for an operator; stops machines from filling his page."""

MAX_OPEN: Final = MAX_SEATS
"""[captures] a backup of every seat that a session can have"""

ENDED_KEPT: Final = 24 * 3600.0
"""[s] for which a machine, and a plan that waits for backups, is told how a capture has ended."""

ENDED_TOLD: Final = 600.0
"""[s] for which operators see it."""

MAX_ENDED_TOLD: Final = 100
"""[captures] that have ended and are told, the newest: one page."""


class Moment(NamedTuple):
    """When something is ordered."""

    now: float
    """s, as elsewhere here"""
    at: float
    """seconds since 1970, for operators"""


class Standing(Protocol):
    """A receiver that is there."""

    @property
    def receiver_id(self) -> str:
        """Drawn anew at each start."""

    @property
    def machine(self) -> str:
        """The PC, as it claims."""

    @property
    def seat(self) -> str:
        """As it calls itself."""


class Attending(Protocol):
    """Who is there."""

    def get(self, receiver_id: str) -> Standing | None:
        """This receiver."""

    def at(self, machine: str) -> Standing | None:
        """The receiver of a machine."""


class CaptureRegister:
    """The captures of one host.

    Args:
        attending: who is there.
        draw_id: a capture_id that never was before.
        kept_for: how many backups of a machine stay.
    """

    def __init__(
        self, attending: Attending, draw_id: Callable[[], str], kept_for: Callable[[str], int] = lambda _machine: 3
    ) -> None:
        self._attending = attending
        self._draw_id = draw_id
        self._kept_for = kept_for
        self._captures: dict[str, Capture] = {}

    def take_up(self, record: CaptureRecord, now: float) -> Capture:
        """Go on with a capture of an earlier run."""
        capture = self._captures[record.capture_id] = Capture(record, now)
        return capture

    # --- operators --------------------------------------------------------------------------------------------------

    def order(self, machine: str, image: str, operator: str, when: Moment, *, accepts: tuple[str, ...] = ()) -> Capture:
        """Let a machine that is there send its disk as the next version of ``image``.

        Raises:
            ConfigError: no image can be called so.
            RefusedError: it is not there, or is captured already.
        """
        checked_name(image)
        there = self._there(machine)
        self._refuse_second(self._open_of(machine))
        return self._begin(there, image, operator, when, accepts=accepts)

    def back_up(self, machine: str, operator: str, when: Moment) -> Capture:
        """Let a machine that is there send its disk as its backup; one that is on its way already is that one.

        Raises:
            RefusedError: it is not there, or is captured otherwise.
        """
        there, earlier = self.check_back_up(machine)
        if earlier is not None:
            return earlier
        return self._begin(there, backup_name(machine), operator, when, kept=self._kept_for(machine))

    def check_back_up(self, machine: str) -> tuple[Standing, Capture | None]:
        """Make sure that ``back_up`` can be ordered: who is there, and the backup that is on its way; raises the same.

        Raises:
            RefusedError: it is not there, or is captured otherwise.
        """
        there = self._there(machine)
        earlier = self._open_of(machine)
        if earlier is not None and not earlier.record.is_backup:
            self._refuse_second(earlier)
        return there, earlier

    def need(self, capture_id: str) -> Capture:
        """The capture of this id.

        Raises:
            RefusedError: there is none.
        """
        capture = self._captures.get(capture_id)
        if capture is None:
            raise RefusedError(f"there is no capture {capture_id}: it ended a while ago; look again")
        return capture

    def findings(self, capture_id: str) -> tuple[Finding, ...]:
        """What was found on the disk; raises as ``need``."""
        return self.need(capture_id).record.findings

    def news(self, now: float) -> list[CaptureNews]:
        """What operators are told, in the order in which they were asked for."""
        ended = [each for each in self if not each.is_open and now - each.ended_at < ENDED_TOLD]
        told = set(map(id, sorted(ended, key=lambda each: each.ended_at)[-MAX_ENDED_TOLD:]))
        return [each.news for each in self if each.is_open or id(each) in told]

    # --- machines ---------------------------------------------------------------------------------------------------

    def find(self, receiver_id: str, capture_id: str, now: float) -> Capture | None:
        """A capture of this receiver."""
        capture = self._captures.get(capture_id)
        return capture if capture is not None and capture.is_of(receiver_id, self._machine(receiver_id), now) else None

    def order_for(self, receiver_id: str, now: float) -> CaptureOrder | None:
        """What a receiver is to capture now; it is told again until that has ended."""
        machine = self._machine(receiver_id)
        mine = (each for each in self if each.is_taking and each.is_of(receiver_id, machine, now))
        capture = next(mine, None)
        if capture is None:
            return None
        if capture.record.step is CaptureStep.ORDERED and self._running(now) >= AT_ONCE:
            capture.hear(receiver_id, now)
            return None
        return capture.order

    def wish(self, receiver_id: str, wish: CaptureWish, when: Moment) -> tuple[Capture, bool]:
        """What somebody at a machine asks for, and whether that is new; asked again, it is the same.

        Raises:
            ConfigError: no image can be called so.
            RefusedError: another capture of this machine is open, or too many wait.
        """
        checked_name(wish.image)
        there = self._attending.get(receiver_id)
        machine = printable(wish.machine) if there is None else there.machine
        earlier = self._open_by(receiver_id) or self._open_of(machine)
        if earlier is not None:
            may_have_it = earlier.is_of(receiver_id, machine, when.now) or earlier.record.step is CaptureStep.ORDERED
            if earlier.record.image == wish.image and may_have_it:
                return earlier, False
            if earlier.record.step is not CaptureStep.ASKED or earlier.record.receiver_id != receiver_id:
                self._refuse_second(earlier)
            earlier.fail("asked for anew", when.now)
        if sum(each.record.step is CaptureStep.ASKED for each in self) >= MAX_ASKED:
            raise RefusedError(f"{MAX_ASKED} captures wait for an operator already: ask him to decide")
        record = CaptureRecord(
            capture_id=self._draw_id(),
            receiver_id=receiver_id,
            machine=machine,
            seat=printable("" if there is None else there.seat),
            image=wish.image,
            is_backup=False,
            step=CaptureStep.ASKED,
            target=printable(wish.target),
            disk_size=wish.disk_size,
            began_at=when.at,
        )
        return self.take_up(record, when.now), True

    # --- time -------------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> tuple[list[Capture], list[str]]:
        """Those that were given up for their silence, and ids of those that are forgotten."""
        given_up = [each for each in self if each.expire(now)]
        old = [each.record.capture_id for each in self if not each.is_open and now - each.ended_at > ENDED_KEPT]
        for capture_id in old:
            del self._captures[capture_id]
        return given_up, old

    def __iter__(self) -> Iterator[Capture]:
        """All, in the order in which they were asked for."""
        return iter(list(self._captures.values()))

    def _begin(
        self,
        there: Standing,
        image: str,
        operator: str,
        when: Moment,
        *,
        accepts: tuple[str, ...] = (),
        kept: int = 0,
    ) -> Capture:
        if sum(each.is_open for each in self) >= MAX_OPEN:
            raise RefusedError(f"{MAX_OPEN} captures are open already: wait until some have ended")
        record = CaptureRecord(
            capture_id=self._draw_id(),
            receiver_id=there.receiver_id,
            machine=there.machine,
            seat=printable(there.seat),
            image=image,
            is_backup=bool(kept),
            kept=kept,
            step=CaptureStep.ORDERED,
            accepts=accepts,
            ordered_by=operator,
            began_at=when.at,
        )
        return self.take_up(record, when.now)

    def _there(self, machine: str) -> Standing:
        there = self._attending.at(machine)
        if there is None:
            raise RefusedError(f"machine {machine} is not there: let it boot the environment first")
        return there

    def _refuse_second(self, earlier: Capture | None) -> None:
        if earlier is not None:
            record = earlier.record
            raise RefusedError(
                f"a capture of machine {record.machine} into {record.image} is {record.step} already: "
                "wait for its end, or stop it"
            )

    def _open_of(self, machine: str) -> Capture | None:
        return next((each for each in self if each.is_open and machine and each.record.machine == machine), None)

    def _open_by(self, receiver_id: str) -> Capture | None:
        return next((each for each in self if each.is_open and each.record.receiver_id == receiver_id), None)

    def _running(self, now: float) -> int:
        return sum(each.record.step is CaptureStep.RUNNING and now - each.heard_at < QUIET for each in self)

    def _machine(self, receiver_id: str) -> str:
        there = self._attending.get(receiver_id)
        return "" if there is None else there.machine
