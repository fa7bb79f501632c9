"""A signed report of four seats: two proved, one that failed, one that never came."""

import msgspec

from broadcaster.certificates import Certificates
from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.report import SessionReport, build_report, seal_report
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.messages import ReceiverReport, ReceiverState
from tests.certified import signed_certificate, signer
from tests.sample_messages import DIRECTOR, announcement, report

AUDIT_HEAD = "ab" * 32


def heard(number: int, state: ReceiverState) -> ReceiverReport:
    return report(number, sequence=2, receiver_id=signer(number).receiver_id, state=state)


def ended_session() -> SenderSession:
    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda sbn: 1),
        disk_object=TransferObject(1, lambda sbn: 1),
        policy=StartPolicy(3, 1000.0),
        rate=RateControl(900_000_000, 0.0),
        now=0.0,
    )
    for number in (1, 2, 3):
        session.receive_message(report(number, receiver_id=signer(number).receiver_id), 10.0)
    for number, state in ((1, ReceiverState.VERIFIED), (2, ReceiverState.VERIFIED), (3, ReceiverState.FAILED)):
        session.receive_message(heard(number, state), 12.0)
    return session


def unsigned_report(*certified: int) -> SessionReport:
    """With the certificates of these receivers."""
    admitted = {signer(number).receiver_id: signer(number).keys for number in (1, 2, 3)}
    collected = Certificates(announcement(), admitted.get)
    for number in certified:
        collected.receive(signed_certificate(number))
    return build_report(
        ended_session(),
        bytes_on_wire=12_345,
        catch_up_bytes=678,
        earlier_seconds=0.0,
        expected_seats=4,
        now=99.0,
        certificates=collected,
        director=DIRECTOR,
    )


def proved_report(**changes: object) -> SessionReport:
    """As the director signs it, with these changes made before."""
    return seal_report(msgspec.structs.replace(unsigned_report(1, 2), **changes), DIRECTOR, AUDIT_HEAD)
