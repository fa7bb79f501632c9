"""Whom the seat API asks: three collaborators, each behind a Protocol, and ones that have nothing to offer.

The API has proved who asks before it calls anybody: ``receiver_id`` is that of an admitted receiver's certificate. What
it hands on is within the bounds of its message and nothing more. Whatever a collaborator raises of ``protocol.errors``
becomes one line for the receiver: MessageError and ConfigError 400, RefusedError 409, LibraryError 507; None is 404.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from protocol.capture import CaptureFailure, CaptureProgress, CaptureState, CaptureWish
from protocol.seat_api import CaptureOrder, RestoreAnswer, RestoreOffer, RestoreWish


class Captures(Protocol):
    """The captures of a host. A capture of another receiver does not exist for the one that asks."""

    def order(self, receiver_id: str) -> CaptureOrder | None:
        """What this receiver is to capture now."""

    async def wish(self, receiver_id: str, wish: CaptureWish) -> CaptureState:
        """Somebody at the machine wants its disk in the library."""

    def state(self, receiver_id: str, capture_id: str) -> CaptureState | None:
        """How far a capture is."""

    async def lacking(self, receiver_id: str, capture_id: str, digests: Sequence[bytes]) -> list[bool] | None:
        """Which of these chunks must be sent, by raw digest."""

    async def chunks(self, receiver_id: str, capture_id: str, body: bytes) -> CaptureState | None:
        """Take in framed chunks."""

    async def disk(self, receiver_id: str, capture_id: str, body: AsyncIterator[bytes]) -> CaptureState | None:
        """End the capture by what ``protocol.capture.encode_disk`` made; it comes in parts, at most MAX_DISK_BODY."""

    async def progress(self, receiver_id: str, capture_id: str, progress: CaptureProgress) -> CaptureState | None:
        """How far the machine is."""

    async def failure(self, receiver_id: str, capture_id: str, failure: CaptureFailure) -> CaptureState | None:
        """The machine gives up."""


class Restores(Protocol):
    """Self-service at a seat, and what is known of the place where a receiver stands."""

    def offer(self, receiver_id: str) -> RestoreOffer | None:
        """What whoever sits there may choose; None where that is not allowed."""

    async def wish(self, receiver_id: str, wish: RestoreWish) -> RestoreAnswer:
        """Somebody has chosen, and confirmed."""

    def place_of(self, receiver_id: str) -> tuple[str, str]:
        """(seat, room), each empty while it is not known."""

    def notice(self, receiver_id: str) -> str:
        """One sentence for the seat's screen, or empty."""


class Configurations(Protocol):
    """What is done to a disk after it was written, and what became of it."""

    async def configuration(self, tsi: str, receiver_id: str) -> bytes | None:
        """JSON of ``protocol.configuration.SeatConfiguration``; None where this receiver has none in this session."""

    async def file(self, tsi: str, receiver_id: str, digest: bytes) -> Path | None:
        """A file that this receiver's configuration names, by the BLAKE3 of its contents."""

    async def step(self, tsi: str, receiver_id: str, body: bytes) -> None:
        """Take a report on a step, as it came."""


class NoRestores:
    """Nothing is offered, and no place is known."""

    def offer(self, receiver_id: str) -> RestoreOffer | None:
        """Nothing."""
        return None

    async def wish(self, receiver_id: str, wish: RestoreWish) -> RestoreAnswer:
        """Refused."""
        return RestoreAnswer(tsi="", refusal="restoring is not offered here: ask the operator")

    def place_of(self, receiver_id: str) -> tuple[str, str]:
        """Unknown."""
        return "", ""

    def notice(self, receiver_id: str) -> str:
        """Nothing to say."""
        return ""


class NoConfigurations:
    """No disk is configured."""

    async def configuration(self, tsi: str, receiver_id: str) -> bytes | None:
        """None."""
        return None

    async def file(self, tsi: str, receiver_id: str, digest: bytes) -> Path | None:
        """None."""
        return None

    async def step(self, tsi: str, receiver_id: str, body: bytes) -> None:
        """Not asked for, so not kept."""
