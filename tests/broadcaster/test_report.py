import msgspec

from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.report import (
    NO_CERTIFICATE,
    SeatReport,
    SessionReport,
    build_report,
    report_bytes,
    seal_report,
)
from broadcaster.roster import LEASE, STALL
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.admission import check_admission
from protocol.messages import ReceiverState
from protocol.signing import Purpose, verify
from tests.broadcaster.proved_report import AUDIT_HEAD, unsigned_report
from tests.certified import signed_certificate, signer
from tests.sample_messages import DIRECTOR, MANIFEST_DIGEST, TSI, announcement, receiver_id, report


def session_with(*seats: int, start: float = 10.0) -> SenderSession:
    """A session that begins at ``start`` with these seats."""
    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda sbn: 1),
        disk_object=TransferObject(1, lambda sbn: 1),
        policy=StartPolicy(len(seats), 1000.0),
        rate=RateControl(900_000_000, 0.0),
        now=0.0,
    )
    for number in seats:
        session.receive_message(report(number), start)
    return session


def report_of(session: SenderSession, *, now: float, expected: int = 1, earlier_seconds: float = 0.0) -> SessionReport:
    return build_report(
        session,
        bytes_on_wire=12_345,
        catch_up_bytes=678,
        earlier_seconds=earlier_seconds,
        expected_seats=expected,
        now=now,
    )


def seat_of(session: SenderSession, *, now: float) -> SeatReport:
    (seat,) = report_of(session, now=now).seats
    return seat


def test_it_says_what_was_cast_and_how_long_it_took() -> None:
    session = session_with(1, start=10.0)
    session.datagrams_sent, session.repair_datagrams = 300, 20
    session.receive_message(report(1, sequence=2, state=ReceiverState.VERIFIED), 13.5)
    made = report_of(session, now=99.0)
    assert (made.session, made.image, made.version, made.stored_bytes) == (TSI, "classroom", 3, 5_000_000)
    assert (made.seconds, made.end_reason) == (3.5, "every seat is settled, lost or stalled")
    assert (made.bytes_on_wire, made.datagrams_sent, made.repair_datagrams) == (12_345, 300, 20)
    assert made.catch_up_bytes == 678
    assert made.rate_bits_per_second == 900_000_000


def test_a_verified_seat() -> None:
    session = session_with(1, start=10.0)
    final = report(
        1,
        sequence=2,
        state=ReceiverState.VERIFIED,
        bytes_received=777,
        catch_up_bytes=88,
        symbols_expected=300,
        symbols_lost=7,
        blocks_repaired=5,
    )
    session.receive_message(final, 13.0)
    assert seat_of(session, now=50.0) == SeatReport(
        seat="seat-1",
        receiver=receiver_id(1),
        outcome="verified",
        reason="",
        seconds=3.0,
        bytes_received=777,
        catch_up_bytes=88,
        loss_ratio=0.023333,
        repaired=5,
        verified=True,
    )


def test_a_seat_that_was_done_before_the_others_took_its_own_time() -> None:
    session = session_with(1, 2, start=10.0)
    session.receive_message(report(2, sequence=2, state=ReceiverState.VERIFIED), 12.0)
    session.receive_message(report(1, sequence=2, state=ReceiverState.FAILED), 15.0)
    made = report_of(session, now=99.0)
    assert (made.seconds, [seat.seconds for seat in made.seats]) == (5.0, [5.0, 2.0])


def test_only_verified_counts_as_verified() -> None:
    for state in (ReceiverState.REFUSED, ReceiverState.FAILED, ReceiverState.DAMAGED):
        session = session_with(1)
        session.receive_message(report(1, sequence=2, state=state, reason="sda: says why"), 11.0)
        seat = seat_of(session, now=12.0)
        assert (seat.outcome, seat.reason, seat.verified) == (state.value, "sda: says why", False)


def test_a_silent_seat_is_lost_with_a_reason() -> None:
    session = session_with(1)
    session.next_transmission(11.0 + LEASE)
    seat = seat_of(session, now=500.0)
    assert (seat.outcome, seat.verified) == ("lost", False)
    assert seat.reason.startswith("fell silent")


def test_a_seat_that_gets_nowhere_is_stalled_with_a_reason() -> None:
    session, now = session_with(1), 10.0
    while session.ended_at is None:
        now += 0.5
        assert now < 10.0 + 2 * STALL
        session.receive_message(report(1, sequence=int(now * 2)), now)
        while (transmission := session.next_transmission(now)) is not None:
            session.transmitted(transmission, now)
    session.receive_message(report(1, sequence=int(now * 2) + 1), now + 0.5)  # it speaks on, which changes nothing
    seat = seat_of(session, now=now + 1.0)
    assert (seat.outcome, seat.reason) == ("stalled", "reports, but gets nowhere")


def test_an_unfinished_seat_of_an_ended_session_is_aborted() -> None:
    session = session_with(1)
    session.abort("the operator said so", 12.0)
    seat = seat_of(session, now=500.0)
    assert (seat.outcome, seat.reason) == ("aborted", "the session was ended before it was done")
    assert seat.seconds == 2.0


def test_a_seat_that_lacks_a_damaged_block_is_incomplete_with_the_reason() -> None:
    session = session_with(1)
    (seat,) = session.roster.seats()
    seat.incomplete_because = "1 block is damaged in the library, first 7: chunk 7 is damaged"
    session.next_transmission(12.0)
    made = seat_of(session, now=12.0)
    assert (made.outcome, made.reason, made.verified) == ("incomplete", seat.incomplete_because, False)


def test_a_seat_that_caught_up_by_itself_says_why() -> None:
    session = session_with(1)
    (seat,) = session.roster.seats()
    seat.was_slow_because = "disk 12 MB/s"
    session.receive_message(report(1, sequence=2, state=ReceiverState.VERIFIED), 12.0)
    made = seat_of(session, now=12.0)
    assert (made.outcome, made.reason) == ("verified", "caught up by itself: disk 12 MB/s")


def test_a_slow_seat_that_did_not_finish_says_both() -> None:
    session = session_with(1)
    (seat,) = session.roster.seats()
    seat.was_slow_because = "link 100 Mb/s"
    session.abort("the bell rang", 12.0)
    assert seat_of(session, now=12.0).reason == (
        "the session was ended before it was done; caught up by itself: link 100 Mb/s"
    )


def test_what_a_seat_says_itself_comes_first() -> None:
    session = session_with(1)
    (seat,) = session.roster.seats()
    seat.was_slow_because = "disk 12 MB/s"
    session.receive_message(report(1, sequence=2, state=ReceiverState.FAILED, reason="sda: write failed"), 12.0)
    assert seat_of(session, now=12.0).reason == "sda: write failed"


def test_a_resumed_session_counts_the_time_before_its_restart() -> None:
    session = session_with(1, start=10.0)
    session.receive_message(report(1, sequence=2, state=ReceiverState.VERIFIED), 13.0)
    made = report_of(session, now=99.0, earlier_seconds=40.0)
    assert (made.seconds, made.seats[0].seconds) == (43.0, 43.0)


def test_no_seat_received_more_than_was_sent() -> None:
    """A broadcaster that was killed had sent more than its last record says."""
    session = session_with(1)
    session.receive_message(report(1, sequence=2, state=ReceiverState.VERIFIED, bytes_received=50_000), 11.0)
    assert report_of(session, now=12.0).bytes_on_wire == 50_000


def test_seats_that_never_came_are_named_absent() -> None:
    seats = report_of(session_with(1), now=11.0, expected=3).seats
    assert [seat.seat for seat in seats] == ["absent 1", "absent 2", "seat-1"]
    assert {seat.outcome for seat in seats[:2]} == {"absent"}
    assert len(report_of(session_with(1, 2), now=11.0, expected=1).seats) == 2


def test_a_session_that_never_began_took_no_time() -> None:
    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda sbn: 1),
        disk_object=TransferObject(1, lambda sbn: 1),
        policy=StartPolicy(2, 5.0),
        rate=RateControl(900_000_000, 0.0),
        now=0.0,
    )
    assert report_of(session, now=3.0).seconds == 0.0
    session.next_transmission(5.0)
    made = report_of(session, now=9.0, expected=2)
    assert (made.seconds, made.end_reason) == (0.0, "no receiver is ready")
    assert [seat.outcome for seat in made.seats] == ["absent", "absent"]


def test_as_json_it_has_the_documented_fields() -> None:
    fields = msgspec.json.decode(msgspec.json.encode(report_of(session_with(1), now=11.0)))
    documented = {"session", "image", "seconds", "bytes_on_wire", "datagrams_sent", "repair_datagrams", "seats"}
    assert documented | {"catch_up_bytes"} <= set(fields)
    assert set(fields["seats"][0]) == {
        "seat",
        "receiver",
        "outcome",
        "reason",
        "seconds",
        "bytes_received",
        "catch_up_bytes",
        "loss_ratio",
        "repaired",
        "verified",
        "datagrams_rejected",
        "poisoned_blocks",
        "poisoned_symbols",
        "alarm",
        "certificate",
        "certificate_signature",
        "identity_key",
        "sealing_key",
        "boot_nonce",
        "admission",
    }
    assert {"director_key", "manifest_digest", "audit_head", "signature"} <= set(fields)


def test_a_verified_seat_carries_its_proof() -> None:
    proved, bare, failed = unsigned_report(1).seats[1:]
    assert (proved.seat, bare.seat, failed.seat) == ("seat-1", "seat-2", "seat-3")
    signed = signed_certificate(1)
    assert (proved.certificate, proved.certificate_signature) == (signed.certificate, signed.signature)
    assert (proved.verified, proved.reason) == (True, "")
    for number, seat in enumerate((proved, bare, failed), start=1):
        keys = signer(number).keys
        assert (seat.identity_key, seat.sealing_key, seat.boot_nonce) == (
            keys.identity_key,
            keys.sealing_key,
            keys.boot_nonce,
        )
        check_admission(keys, seat.admission, DIRECTOR.public)


def test_a_verified_seat_without_a_certificate_says_so() -> None:
    bare = unsigned_report(1).seats[2]
    assert (bare.verified, bare.outcome, bare.certificate, bare.reason) == (True, "verified", b"", NO_CERTIFICATE)


def test_the_certificate_of_a_seat_that_failed_afterwards_is_left_out() -> None:
    failed = unsigned_report(1, 3).seats[3]
    assert (failed.outcome, failed.certificate, failed.certificate_signature) == ("failed", b"", b"")


def test_an_absent_seat_has_no_keys() -> None:
    absent = unsigned_report().seats[0]
    assert {absent.identity_key, absent.sealing_key, absent.boot_nonce, absent.admission} == {b""}


def test_the_director_signs_the_whole() -> None:
    report = unsigned_report(1, 2)
    assert (report.director_key, report.manifest_digest) == (DIRECTOR.public, MANIFEST_DIGEST)
    sealed = seal_report(report, DIRECTOR, AUDIT_HEAD)
    assert sealed.audit_head == AUDIT_HEAD
    verify(DIRECTOR.public, Purpose.REPORT, report_bytes(sealed), sealed.signature)
    read = msgspec.json.decode(msgspec.json.format(msgspec.json.encode(sealed)), type=SessionReport)
    assert report_bytes(read) == report_bytes(sealed)
