"""What was done to the disks of a session once they were verified, kept beside its report.

Each seat has a seed of its own, drawn when it first asks: its identities and its beacon's token follow from it, so that
it gets the same however often it asks, and whatever restarts meanwhile. What receivers report is bounded by the number
of steps; what is kept goes when the session's report goes.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from broadcaster.configurations.steps import derived
from broadcaster.host.kept_reports import KeptReports
from protocol.configuration import MAX_STEPS, Identity, StepReport, StepState
from protocol.errors import LibraryError, RefusedError
from protocol.fields import MAX_SEATS, LongText, ReceiverId, ShortText

_logger = logging.getLogger(__name__)


class SeatAftercare(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One seat."""

    machine: ShortText
    seat: ShortText
    seed: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """secret"""
    steps: Annotated[dict[int, StepReport], msgspec.Meta(max_length=MAX_STEPS)] = {}
    """the last report of each, by its place"""
    step_count: int = 0
    """that there are; 0 until it has asked for them"""
    error: LongText = ""
    """why nothing could be handed to it, and what to do"""
    booted_at: float | None = None
    """seconds since 1970, when its disk said that it had started"""

    @property
    def token(self) -> Identity:
        """Of its beacon."""
        return derived(self.seed, "beacon")

    @property
    def failure(self) -> str:
        """The first step that failed, with its reason."""
        failed = [each for _, each in sorted(self.steps.items()) if each.state is StepState.FAILED]
        return f"{failed[0].name}: {failed[0].text}" if failed else self.error

    @property
    def is_done(self) -> bool:
        """Whether each of its steps has ended."""
        ended = sum(each.state is not StepState.RUNNING for each in self.steps.values())
        return 0 < self.step_count <= ended


class SessionAftercare(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One session."""

    seats: Annotated[dict[ReceiverId, SeatAftercare], msgspec.Meta(max_length=MAX_SEATS)] = {}


_DECODER: Final = msgspec.json.Decoder(SessionAftercare)


class AftercareRecords:
    """The records of all sessions; those that are in use are in memory, all lie beside the reports."""

    def __init__(self, reports: KeptReports, on_token: Callable[[str, str, str], object] = lambda *_: None) -> None:
        self._reports = reports
        self._sessions: dict[str, SessionAftercare] = {}
        self._on_token = on_token
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Read what is kept; seats that have not started yet may still say so."""
        for tsi, encoded in (await asyncio.to_thread(self._reports.all_aftercare)).items():
            session = _decoded(encoded)
            if session is not None:
                self._sessions[tsi] = session
                for receiver_id, seat in session.seats.items():
                    if seat.booted_at is None:
                        self._on_token(seat.token, tsi, receiver_id)

    async def seat(self, tsi: str, receiver_id: str, machine: str, name: str) -> SeatAftercare:
        """The record of a seat, made when there is none.

        Raises:
            RefusedError: the session has too many.
            LibraryError: it cannot be kept.
        """
        session = self._sessions.setdefault(tsi, SessionAftercare())
        found = session.seats.get(receiver_id)
        if found is None:
            if len(session.seats) >= MAX_SEATS:
                raise RefusedError(f"more than {MAX_SEATS} seats have asked for their configuration")
            found = SeatAftercare(machine=machine, seat=name, seed=secrets.token_bytes(32))
            session.seats[receiver_id] = found
            await self._keep(tsi)
        self._on_token(found.token, tsi, receiver_id)
        return found

    def known(self, tsi: str, receiver_id: str) -> SeatAftercare | None:
        """The record of a seat that has asked for its configuration."""
        session = self._sessions.get(tsi)
        return None if session is None else session.seats.get(receiver_id)

    async def note(self, tsi: str, change: Callable[[], object]) -> None:
        """Change a record, and keep it; that it cannot be kept is logged."""
        change()
        try:
            await self._keep(tsi)
        except LibraryError as error:
            _logger.warning("%s", error)

    def answer(self, tsi: str) -> dict[str, Any]:
        """What ``FetchAftercare`` answers.

        Raises:
            RefusedError: nothing was done to the disks of this session.
        """
        session = self._sessions.get(tsi)
        if session is None:
            raise RefusedError(f"nothing is known of what was done to the disks of session {tsi} after it wrote them")
        return {"seats": [_in_words(seat) for seat in sorted(session.seats.values(), key=lambda each: each.seat)]}

    async def _keep(self, tsi: str) -> None:
        async with self._writing:
            session = self._sessions.get(tsi)
            if session is not None:
                await asyncio.to_thread(self._reports.keep_aftercare, tsi, msgspec.json.encode(session))


def _in_words(seat: SeatAftercare) -> dict[str, Any]:
    return {
        "machine": seat.machine,
        "seat": seat.seat,
        "steps": [
            {"name": each.name, "is_done": each.state in {StepState.DONE, StepState.SKIPPED}, "text": each.text}
            for _, each in sorted(seat.steps.items())
        ],
        "error": seat.failure,
        "booted_at": seat.booted_at,
    }


def _decoded(encoded: bytes) -> SessionAftercare | None:
    try:
        return _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
