"""What operators order of captures, and are told of them: the register's verbs, kept and written down. Never blocks."""

import time
from collections.abc import Callable, Sequence

from broadcaster.captures.capture import Capture
from broadcaster.captures.register import CaptureRegister, Moment
from broadcaster.captures.upkeep import Upkeep
from protocol.capture import CaptureStep, Finding
from protocol.errors import RefusedError
from protocol.operators import CaptureNews


class CaptureDesk:
    """The operators' side of the captures of one host.

    Args:
        register: of the captures.
        upkeep: keeps their records.
        on_change: told when operators should be told.
        on_end: told of a capture that an operator has ended, and who.
    """

    def __init__(
        self,
        register: CaptureRegister,
        upkeep: Upkeep,
        *,
        on_change: Callable[[], object],
        on_end: Callable[[Capture, str], object],
    ) -> None:
        self._register = register
        self._upkeep = upkeep
        self._on_change = on_change
        self._on_end = on_end

    def capture(self, machine: str, image: str, operator: str, accepts: tuple[str, ...] = ()) -> str:
        """Order a machine's disk as the next version of ``image``; its capture_id.

        Raises:
            ConfigError: no image can be called so.
            RefusedError: the machine is not there, or is captured already.
        """
        return self._ordered(self._register.order(machine, image, operator, now(), accepts=accepts), operator)

    def back_up(self, machine: str, operator: str) -> str:
        """Order the backup of a machine that is there; its capture_id, that of one that is on its way if there is one.

        Raises:
            RefusedError: it cannot be captured now.
        """
        _there, earlier = self._register.check_back_up(machine)
        if earlier is not None:
            return earlier.record.capture_id
        return self._ordered(self._register.back_up(machine, operator, now()), operator)

    def check_back_up(self, machines: Sequence[str]) -> None:
        """Make sure that the backups of all these machines can be ordered.

        Raises:
            RefusedError: that of one cannot.
        """
        for machine in machines:
            self._register.check_back_up(machine)

    def decide(self, capture_id: str, operator: str, accepts: tuple[str, ...], *, is_allowed: bool) -> None:
        """Allow or refuse what somebody asked for at a machine.

        Raises:
            RefusedError: there is nothing to decide any more.
        """
        capture = self._register.need(capture_id)
        capture.decide(operator, accepts, time.monotonic(), is_allowed=is_allowed)
        if is_allowed:
            self._ordered(capture, operator)
        else:
            self._on_end(capture, operator)

    def stop(self, capture_id: str, operator: str) -> None:
        """End a capture; what has arrived of it is forgotten.

        Raises:
            RefusedError: there is none, or it has ended.
        """
        capture = self._register.need(capture_id)
        if not capture.fail(f"{operator} has stopped it", time.monotonic()):
            raise RefusedError(f"that capture has ended already: it is {capture.record.step}")
        self._on_end(capture, operator)

    def findings(self, capture_id: str) -> tuple[Finding, ...]:
        """What was found on the disk.

        Raises:
            RefusedError: there is no such capture.
        """
        return self._register.need(capture_id).record.findings

    def step_of(self, capture_id: str) -> tuple[CaptureStep, float, str]:
        """How far a capture is, the share that is done, and why it failed; FAILED for one that nobody knows."""
        try:
            record = self._register.need(capture_id).record
        except RefusedError as error:
            return CaptureStep.FAILED, 0.0, str(error)
        return record.step, record.done, record.reason

    def news(self) -> list[CaptureNews]:
        """What operators are told."""
        return self._register.news(time.monotonic())

    def _ordered(self, capture: Capture, operator: str) -> str:
        self._upkeep.keep(capture)
        self._upkeep.ordered(capture.record, operator)
        self._on_change()
        return capture.record.capture_id


def now() -> Moment:
    """The time of captures, and that of news."""
    return Moment(time.monotonic(), time.time())
