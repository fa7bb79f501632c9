"""One capture as a state machine, without time, disk or network of its own: ``now`` is an argument, changes are told.

    ASKED --decide--> ORDERED --hear--> RUNNING --publish--> DONE
      |                  |                 |
      '------------------'-----------------'--> REFUSED (an operator, or what was found), FAILED (stopped, silence, ...)

DONE, REFUSED and FAILED are ends: nothing that comes later changes them, so whatever is repeated or comes late does no
harm. Nothing but ``publish`` leads to DONE, and whoever calls it has proved that the image is whole.
"""

from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from protocol.capture import CaptureFailure, CaptureProgress, CaptureState, CaptureStep, Finding
from protocol.errors import RefusedError, SessionStateError
from protocol.fields import MAX_LONG_TEXT, Count, LongText, Ratio, ReceiverId, ShortText, printable
from protocol.operators import CaptureNews, UnixTime
from protocol.seat_api import CaptureId, CaptureOrder

LONGEST_SILENCE: Final = 24 * 3600.0
"""[s] after which an open capture is given up: a machine that was switched off in the evening goes on next morning."""

TAKEOVER_SILENCE: Final = 8.0
"""[s] A machine that was started anew, with another receiver id, takes its capture over from itself after this; the
receiver that runs one is heard once a second."""

ENDED: Final = frozenset({CaptureStep.DONE, CaptureStep.REFUSED, CaptureStep.FAILED})

Accepts = Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)]
Findings = Annotated[tuple[Finding, ...], msgspec.Meta(max_length=64)]


class CaptureRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is kept of a capture but its chunks."""

    capture_id: CaptureId
    receiver_id: ReceiverId
    """the machine's receiver that spoke last; drawn anew when the machine is started anew"""
    machine: ShortText
    seat: ShortText
    image: ShortText
    is_backup: bool
    kept: Count = 0
    """versions of a backup that stay, the newest; 0 keeps all"""
    step: CaptureStep
    target: ShortText = ""
    """disk, in words, once it is known"""
    disk_size: Count = 0
    """bytes; 0 before it is known"""
    accepts: Accepts = ()
    ordered_by: ShortText = ""
    """operator; empty when somebody asked for it at the machine"""
    began_at: UnixTime
    done: Ratio = 0.0
    read_bytes: Count = 0
    sent_bytes: Count = 0
    version: Count = 0
    is_unchanged: bool = False
    findings: Findings = ()
    reason: LongText = ""


class Capture:
    """One capture; ``record`` is how it stands, ``heard_at`` and ``ended_at`` are in the caller's seconds."""

    def __init__(self, record: CaptureRecord, now: float) -> None:
        self.record = record
        self.heard_at = now
        self.ended_at = now
        self.is_finishing = False
        """its disk is being proved"""

    @property
    def is_open(self) -> bool:
        """Whether it can still become an image."""
        return self.record.step not in ENDED

    @property
    def is_taking(self) -> bool:
        """Whether chunks are taken."""
        return self.record.step in {CaptureStep.ORDERED, CaptureStep.RUNNING}

    @property
    def order(self) -> CaptureOrder:
        """What the machine is told."""
        record = self.record
        return CaptureOrder(
            capture_id=record.capture_id,
            image=record.image,
            is_backup=record.is_backup,
            target="",
            accepts=record.accepts,
        )

    @property
    def state(self) -> CaptureState:
        """What the machine is answered."""
        record = self.record
        return CaptureState(
            capture_id=record.capture_id,
            step=record.step,
            image=record.image,
            version=record.version,
            accepts=record.accepts,
            reason=record.reason,
            is_finishing=self.is_finishing,
            is_unchanged=record.is_unchanged,
        )

    @property
    def news(self) -> CaptureNews:
        """What operators are told."""
        record = self.record
        first = record.findings[0].text if record.findings else ""
        return CaptureNews(
            capture_id=record.capture_id,
            receiver_id=record.receiver_id,
            machine=record.machine,
            seat=record.seat,
            image=record.image,
            is_backup=record.is_backup,
            step=record.step,
            target=record.target,
            disk_size=record.disk_size,
            ordered_by=record.ordered_by,
            began_at=record.began_at,
            done=record.done,
            read_bytes=record.read_bytes,
            sent_bytes=record.sent_bytes,
            version=record.version,
            findings=len(record.findings),
            reason=record.reason or first,
        )

    def is_of(self, receiver_id: str, machine: str, now: float) -> bool:
        """Whether this receiver may speak for it: its own one, or that of the same machine after a new start."""
        if receiver_id == self.record.receiver_id:
            return True
        return bool(machine) and machine == self.record.machine and now - self.heard_at > TAKEOVER_SILENCE

    def hear(self, receiver_id: str, now: float) -> bool:
        """The machine has spoken; whether that is worth keeping."""
        self.heard_at = now
        if receiver_id == self.record.receiver_id:
            return False
        self.record = replace(self.record, receiver_id=receiver_id)
        return True

    def run(self) -> bool:
        """The machine has begun; whether that is new."""
        if self.record.step is not CaptureStep.ORDERED:
            return False
        self.record = replace(self.record, step=CaptureStep.RUNNING)
        return True

    def decide(self, operator: str, accepts: tuple[str, ...], now: float, *, is_allowed: bool) -> None:
        """An operator allows or refuses what somebody asked for.

        Raises:
            RefusedError: there is nothing to decide any more.
        """
        if self.record.step is not CaptureStep.ASKED:
            raise RefusedError(f"the capture of {self.record.machine} was decided already: it is {self.record.step}")
        if is_allowed:
            self.record = replace(self.record, step=CaptureStep.ORDERED, accepts=accepts)
            self.heard_at = now
        else:
            self._end(CaptureStep.REFUSED, f"{operator} has refused it", now)

    def progressed(self, progress: CaptureProgress) -> bool:
        """How far the machine says that it is; counters never fall. Whether it has told now which disk it is."""
        record = self.record
        if not self.is_taking:
            return False
        self.record = replace(
            record,
            target=record.target or printable(progress.target),
            disk_size=record.disk_size or progress.disk_size,
            done=max(record.done, progress.done),
            read_bytes=max(record.read_bytes, progress.read_bytes),
            sent_bytes=max(record.sent_bytes, progress.sent_bytes),
        )
        return (record.target, record.disk_size) != (self.record.target, self.record.disk_size)

    def trouble(self, reason: str) -> bool:
        """Why it does not go on for the moment, or that it does again (empty); whether that is new."""
        if not self.is_open or self.record.reason == reason[:MAX_LONG_TEXT]:
            return False
        self.record = replace(self.record, reason=reason[:MAX_LONG_TEXT])
        return True

    def give_up(self, failure: CaptureFailure, now: float) -> bool:
        """The machine gives up; whether it had not ended before."""
        if not self.is_taking:
            return False
        self.record = replace(self.record, findings=failure.findings)
        step = CaptureStep.REFUSED if failure.is_refused else CaptureStep.FAILED
        self._end(step, failure.reason or "the machine has given up", now)
        return True

    def fail(self, reason: str, now: float) -> bool:
        """It cannot go on, or shall not; whether it had not ended before."""
        if not self.is_open:
            return False
        self._end(CaptureStep.FAILED, reason, now)
        return True

    def expire(self, now: float) -> bool:
        """Give up what was silent for too long; whether that was so."""
        if not self.is_open or now - self.heard_at <= LONGEST_SILENCE:
            return False
        if self.record.step is CaptureStep.ASKED:
            self._end(CaptureStep.REFUSED, "nobody has decided for a day: ask again", now)
        else:
            self._end(CaptureStep.FAILED, "nothing was heard of the machine for a day: order it again", now)
        return True

    def publish(self, version: int, findings: tuple[Finding, ...], now: float, *, is_unchanged: bool) -> None:
        """Its image is in the library.

        Raises:
            SessionStateError: it was not running.
        """
        if not self.is_taking:
            raise SessionStateError(f"an image of a capture that is {self.record.step}")
        self.record = replace(self.record, version=version, findings=findings, is_unchanged=is_unchanged, done=1.0)
        self._end(CaptureStep.DONE, "", now)

    def _end(self, step: CaptureStep, reason: str, now: float) -> None:
        self.record = replace(self.record, step=step, reason=reason[:MAX_LONG_TEXT])
        self.is_finishing = False
        self.ended_at = now
