"""The report of a session: what every seat came to, in numbers and words, with the proof of it, as JSON. Pure.

A chain leads from the director key to every verified seat: its admission names the keys of the receiver, and these
signed the certificate. The director signs the whole as well, so that neither a number nor a seat can be changed after
the cast; ``report_check`` follows both.
"""

from typing import Final

import msgspec

from broadcaster.certificates import Certificates
from broadcaster.roster import ABORTED, INCOMPLETE, LOST, STALLED, Seat
from broadcaster.session import SenderSession
from protocol.admission import sign_admission
from protocol.messages import ReceiverState
from protocol.signing import Purpose, SigningKey

NO_CERTIFICATE: Final = "its certificate did not come, so nothing proves that its disk was read back"
"""Reason of a seat that says it is verified and cannot show it."""


class SeatReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of one seat."""

    seat: str
    receiver: str
    outcome: str
    """verified, refused, failed, damaged, lost, stalled, incomplete, aborted, or absent (expected, and never came)"""
    reason: str
    seconds: float
    """from the start of the session to the seat's final report, or to the end"""
    bytes_received: int
    """UDP payload bytes by multicast, duplicates included"""
    catch_up_bytes: int
    """bytes that it fetched from the catch-up lane"""
    loss_ratio: float
    """source symbols of the first pass that did not arrive, 0 to 1"""
    repaired: int
    """blocks"""
    verified: bool
    datagrams_rejected: int = 0
    """without a good tag: damaged on the way, or forged by somebody without the session secret"""
    poisoned_blocks: int = 0
    """times that a block came whole and was not as announced"""
    poisoned_symbols: int = 0
    """with a good tag, found false and dropped"""
    alarm: str = ""
    """in words, when somebody seems to have attacked the seat"""
    certificate: bytes = b""
    """JSON of protocol.certificate.Certificate, of a verified seat; empty when it did not come"""
    certificate_signature: bytes = b""
    """64 bytes by the identity key"""
    identity_key: bytes = b""
    """Ed25519 key of the receiver; this and the next three are empty for a seat that never came"""
    sealing_key: bytes = b""
    """X25519 key of the receiver"""
    boot_nonce: bytes = b""
    admission: bytes = b""
    """64 bytes by the director over both keys and the nonce"""


class SessionReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a session came to."""

    session: str
    image: str
    version: int
    stored_bytes: int
    seconds: float
    """from the start of sending to the end, waiting for seats not included"""
    end_reason: str
    bytes_on_wire: int
    """UDP payload bytes to the group: symbols, headers and tags"""
    catch_up_bytes: int
    """bytes that single seats fetched from the catch-up lane"""
    datagrams_sent: int
    repair_datagrams: int
    rate_bits_per_second: int
    """at the end"""
    seats: list[SeatReport]
    manifest_digest: bytes = b""
    director_key: bytes = b""
    """Ed25519 key that ordered the wipes, and signs this report"""
    audit_head: str = ""
    """SHA-256 of the audit log's entry that ends the cast, in hex digits; empty when it could not be written"""
    signature: bytes = b""
    """64 bytes by the director over the canonical JSON of all this with an empty signature"""


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def build_report(
    session: SenderSession,
    *,
    bytes_on_wire: int,
    catch_up_bytes: int,
    earlier_seconds: float,
    expected_seats: int,
    now: float,
    certificates: Certificates | None = None,
    director: SigningKey | None = None,
) -> SessionReport:
    """The report as it stands, not yet signed; final once the session has ended.

    Args:
        session: what it is of.
        bytes_on_wire: UDP payload bytes to the group, earlier runs included.
        catch_up_bytes: that the catch-up lane served, earlier runs included.
        earlier_seconds: that the session ran before a restart.
        expected_seats: of these, the ones that never came are reported as absent.
        now: monotonic seconds.
        certificates: what the receivers have proved; None leaves the proof out.
        director: who admitted the receivers; None leaves the proof out.
    """
    started_at = session.started_at if session.started_at is not None else now
    end = session.ended_at if session.ended_at is not None else now
    seats = [_seat_report(seat, started_at - earlier_seconds, end) for seat in session.roster.seats()]
    if certificates is not None and director is not None:
        seats = [_proved(seat, certificates, director) for seat in seats]
    seats += [absent_seat(number) for number in range(1, expected_seats - len(seats) + 1)]
    return SessionReport(
        session=session.announcement.tsi,
        image=session.announcement.image.name,
        version=session.announcement.image.version,
        stored_bytes=session.announcement.image.stored_bytes,
        seconds=round(earlier_seconds + end - started_at, 3),
        end_reason=session.end_reason,
        # A broadcaster that was killed had sent more than its last record says.
        bytes_on_wire=max(bytes_on_wire, *(seat.bytes_received for seat in seats), 0),
        catch_up_bytes=catch_up_bytes,
        datagrams_sent=session.datagrams_sent,
        repair_datagrams=session.repair_datagrams,
        rate_bits_per_second=session.rate.rate_bits_per_second,
        seats=sorted(seats, key=lambda seat: seat.seat),
        manifest_digest=session.announcement.manifest_digest,
        director_key=b"" if director is None else director.public,
    )


def seal_report(report: SessionReport, director: SigningKey, audit_head: str = "") -> SessionReport:
    """The final report, signed; ``audit_head`` names the entry that ends the cast in the audit log."""
    named = msgspec.structs.replace(report, director_key=director.public, audit_head=audit_head)
    signature = director.sign(Purpose.REPORT, report_bytes(named))
    return msgspec.structs.replace(named, signature=signature)


def report_bytes(report: SessionReport) -> bytes:
    """What the director signs of a report."""
    return _ENCODER.encode(msgspec.structs.replace(report, signature=b""))


def _proved(seat: SeatReport, certificates: Certificates, director: SigningKey) -> SeatReport:
    """The seat with its keys and, if verified, its certificate. An admission is the same whenever it is signed."""
    keys = certificates.keys_of(seat.receiver)
    signed = certificates.get(seat.receiver) if seat.verified else None
    if seat.verified and signed is None:
        seat = msgspec.structs.replace(seat, reason=f"{seat.reason}; {NO_CERTIFICATE}".removeprefix("; "))
    if keys is None:
        return seat
    return msgspec.structs.replace(
        seat,
        certificate=b"" if signed is None else signed.certificate,
        certificate_signature=b"" if signed is None else signed.signature,
        identity_key=keys.identity_key,
        sealing_key=keys.sealing_key,
        boot_nonce=keys.boot_nonce,
        admission=sign_admission(keys, director),
    )


def _seat_report(seat: Seat, started_at: float, end: float) -> SeatReport:
    report = seat.report
    outcome = seat.outcome(end)
    if not seat.is_settled and outcome not in (LOST, STALLED, INCOMPLETE):
        outcome = ABORTED
    until = seat.settled_at if seat.settled_at is not None else end
    return SeatReport(
        seat=report.seat,
        receiver=report.receiver_id,
        outcome=outcome,
        reason=report.reason or reason_of(seat, outcome),
        seconds=round(max(0.0, until - started_at), 3),
        bytes_received=report.bytes_received,
        catch_up_bytes=report.catch_up_bytes,
        loss_ratio=round(report.symbols_lost / report.symbols_expected, 6) if report.symbols_expected else 0.0,
        repaired=report.blocks_repaired,
        verified=report.state is ReceiverState.VERIFIED,
        datagrams_rejected=report.datagrams_rejected,
        poisoned_blocks=report.poisoned_blocks,
        poisoned_symbols=report.poisoned_symbols,
        alarm=report.alarm,
    )


def absent_seat(number: int) -> SeatReport:
    """Of an expected seat that never came, of whom no more is known than which one of these it is."""
    return SeatReport(
        seat=f"absent {number}",
        receiver="",
        outcome="absent",
        reason="never came; is it switched on, and on this network?",
        seconds=0.0,
        bytes_received=0,
        catch_up_bytes=0,
        loss_ratio=0.0,
        repaired=0,
        verified=False,
    )


def reason_of(seat: Seat, outcome: str) -> str:
    """Why a seat has such an outcome, in words, where it says nothing itself; empty when all is well."""
    words = {
        LOST: "fell silent; switched off, crashed, or its network is down",
        STALLED: "reports, but gets nowhere",
        INCOMPLETE: seat.incomplete_because,
        ABORTED: "the session was ended before it was done",
    }.get(outcome, "")
    if seat.was_slow_because:
        return f"{words}; caught up by itself: {seat.was_slow_because}".removeprefix("; ")
    return words
