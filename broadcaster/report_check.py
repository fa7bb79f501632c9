"""Follows the proof in a session's report from the director key down to what each receiver signed. Pure.

    director key --signs--> the report as a whole
    director key --signs--> admission --names--> keys of a receiver --sign--> certificate = what the report says

Nothing in the report is believed but what a key of the given trust leads to. It finds what was altered after the cast;
it cannot tell whether a hostile receiver told the truth of its own disk, nor see seats that the broadcaster left out.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from broadcaster.report import SeatReport, SessionReport, report_bytes
from protocol import signing
from protocol.admission import check_admission
from protocol.certificate import Certificate, check_certificate
from protocol.errors import MessageError, SignatureError
from protocol.messages import ReceiverState, SignedCertificate
from protocol.signing import Purpose
from protocol.ticket import ReceiverKeys

MAX_REPORT_LENGTH: Final = 32 << 20
"""[bytes] 3072 seats with certificates are 4 MiB of indented JSON; stops a file of any other origin from filling the
memory."""


class SeatVerdict(NamedTuple):
    """Whether what a report says of one seat is proved."""

    seat: str
    is_good: bool
    text: str
    """what was proved, or what is wrong, in words"""


_DECODER: Final = msgspec.json.Decoder(SessionReport)


def decode_report(encoded: bytes) -> SessionReport:
    """The report in a file of any origin; nothing is proved yet.

    Raises:
        MessageError: no report.
    """
    if len(encoded) > MAX_REPORT_LENGTH:
        raise MessageError(f"{len(encoded)} bytes are over {MAX_REPORT_LENGTH}")
    try:
        return _DECODER.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(str(error)) from None


def check_whole(report: SessionReport, is_director: Callable[[bytes], bool]) -> str:
    """What is wrong with the report as a whole, in words; empty when the director signed it just so.

    Args:
        report: of any origin.
        is_director: whether reports that this Ed25519 key signs count.
    """
    if not report.director_key:
        return "it names no director key, so that nothing in it can be proved"
    if not is_director(report.director_key):
        name = signing.fingerprint(report.director_key).hex()
        return f"its director key {name} is not the one of this trust"
    try:
        signing.verify(report.director_key, Purpose.REPORT, report_bytes(report), report.signature)
    except SignatureError:
        return "it was altered after the cast: the director did not sign it like this"
    return ""


def check_seats(report: SessionReport, is_director: Callable[[bytes], bool]) -> list[SeatVerdict]:
    """What is proved of each seat, in the report's order; arguments as ``check_whole``."""
    if not is_director(report.director_key):
        return [SeatVerdict(seat.seat, False, f"is called {seat.outcome}, nothing proves it") for seat in report.seats]
    count = Counter(seat.receiver for seat in report.seats if seat.receiver)
    verdicts = []
    for seat in report.seats:
        try:
            verdicts.append(SeatVerdict(seat.seat, True, _proof(report, seat, is_alone=count[seat.receiver] <= 1)))
        except (SignatureError, MessageError) as error:
            verdicts.append(SeatVerdict(seat.seat, False, str(error)))
    return verdicts


def _proof(report: SessionReport, seat: SeatReport, *, is_alone: bool) -> str:
    """What is proved of a seat, in words; raises SignatureError or MessageError when something does not match."""
    if not is_alone:
        raise MessageError("is not the only seat of its receiver")
    if seat.verified != (seat.outcome == ReceiverState.VERIFIED.value):
        raise MessageError(f"is called {seat.outcome}, and verified or not against that")
    if not seat.verified:
        if seat.certificate or seat.certificate_signature:
            raise MessageError(f"is called {seat.outcome}, but has a certificate")
        if any((seat.identity_key, seat.sealing_key, seat.boot_nonce, seat.admission)):
            _admitted_keys(report, seat)
        return f"not verified: {seat.outcome}"
    if not seat.certificate:
        raise MessageError("is called verified, but has no certificate")
    signed = _signed(report, seat)
    certificate = check_certificate(signed, keys=_admitted_keys(report, seat))
    _compare(report, seat, certificate)
    disk = f"{certificate.target}, serial {certificate.serial}" if certificate.serial else certificate.target
    return f"verified: {certificate.verified_bytes} bytes of {disk} read back"


def _admitted_keys(report: SessionReport, seat: SeatReport) -> ReceiverKeys:
    named = {name: getattr(seat, name) for name in ReceiverKeys.__struct_fields__}
    try:
        keys = msgspec.convert(named, ReceiverKeys, builtin_types=(bytes,))
    except msgspec.ValidationError:
        raise MessageError("has keys that are no keys") from None
    if keys.receiver_id != seat.receiver:
        raise SignatureError("is not the receiver whose keys are given")
    check_admission(keys, seat.admission, report.director_key)
    return keys


def _signed(report: SessionReport, seat: SeatReport) -> SignedCertificate:
    return SignedCertificate(
        tsi=report.session,
        receiver_id=seat.receiver,
        certificate=seat.certificate,
        signature=seat.certificate_signature,
    )


def _compare(report: SessionReport, seat: SeatReport, certificate: Certificate) -> None:
    """Raises MessageError for the first thing that report and certificate say differently."""
    for what, told, certified in (
        ("seat", seat.seat, certificate.seat),
        ("image", report.image, certificate.image),
        ("version", report.version, certificate.version),
        ("manifest", report.manifest_digest.hex(), certificate.manifest_digest.hex()),
    ):
        if told != certified:
            raise MessageError(f"has a certificate for {what} {certified}, the report says {told}")
