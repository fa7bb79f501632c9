from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcaster.report import SessionReport, seal_report
from broadcaster.report_check import SeatVerdict, check_seats, check_whole, decode_report
from protocol.admission import sign_admission
from protocol.errors import MessageError
from protocol.signing import SigningKey
from tests.broadcaster.proved_report import AUDIT_HEAD, proved_report, unsigned_report
from tests.certified import signed_certificate, signer
from tests.sample_messages import DIRECTOR, OTHER_TSI

STRANGER = SigningKey(b"x" * 32)
PROVED = proved_report()
ENCODED = msgspec.json.encode(PROVED)


def is_director(key: bytes) -> bool:
    return key == DIRECTOR.public


def is_good(report: SessionReport) -> bool:
    return not check_whole(report, is_director) and all(seat.is_good for seat in check_seats(report, is_director))


def seats_of(report: SessionReport) -> dict[str, SeatVerdict]:
    return {verdict.seat: verdict for verdict in check_seats(report, is_director)}


def with_seat(name: str, **changes: object) -> SessionReport:
    """Signed by the director as it is, so that the seat itself is what is judged."""
    seats = [msgspec.structs.replace(seat, **changes) if seat.seat == name else seat for seat in PROVED.seats]
    return proved_report(seats=seats)


def test_a_report_as_it_was_signed_is_good() -> None:
    assert is_good(PROVED)
    assert is_good(decode_report(ENCODED))
    assert is_good(decode_report(msgspec.json.format(ENCODED, indent=2)))
    assert [(each.seat, each.text) for each in check_seats(PROVED, is_director)] == [
        ("absent 1", "not verified: absent"),
        ("seat-1", "verified: 8388608 bytes of /dev/sda, serial S3Z8NB0K read back"),
        ("seat-2", "verified: 8388608 bytes of /dev/sda, serial S3Z8NB0K read back"),
        ("seat-3", "not verified: failed"),
    ]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in decoded JSON that is no list or object."""
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in leaves(each, (*path, name))]
    if isinstance(value, list):
        return [leaf for index, each in enumerate(value) for leaf in leaves(each, (*path, index))]
    return [path]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_every_altered_value_is_found(data: st.DataObject) -> None:
    tree = msgspec.json.decode(ENCODED)
    *path, last = data.draw(st.sampled_from(leaves(tree)))
    holder = tree
    for step in path:
        holder = holder[step]
    before = holder[last]
    match before:
        case bool():
            holder[last] = not before
        case int() | float():
            holder[last] = data.draw(st.integers(0, 1 << 62) | st.floats(allow_nan=False, allow_infinity=False))
        case _:
            holder[last] = data.draw(
                st.text(max_size=8) | st.just(before[1:]) | st.just(before + "A") | st.just(before.swapcase())
            )
    try:
        altered = decode_report(msgspec.json.encode(tree))
    except MessageError:
        return
    assert altered == PROVED or check_whole(altered, is_director)


@pytest.mark.parametrize("name", ["seat-1", "seat-3", "absent 1"])
def test_a_seat_that_is_left_out_is_found(name: str) -> None:
    seats = [seat for seat in PROVED.seats if seat.seat != name]
    assert "altered" in check_whole(msgspec.structs.replace(PROVED, seats=seats), is_director)


def test_a_report_of_another_director_proves_nothing() -> None:
    forged = seal_report(PROVED, STRANGER, AUDIT_HEAD)
    assert "is not the one of this trust" in check_whole(forged, is_director)
    assert not any(verdict.is_good for verdict in check_seats(forged, is_director))


def test_an_unsigned_report_is_not_good() -> None:
    assert "altered" in check_whole(unsigned_report(1, 2), is_director)
    assert "names no director key" in check_whole(msgspec.structs.replace(PROVED, director_key=b""), is_director)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"certificate": b""}, "is called verified, but has no certificate"),
        ({"certificate_signature": bytes(64)}, "does not match"),
        ({"certificate_signature": b""}, "does not match"),
        ({"admission": bytes(64)}, "admission signature does not match"),
        ({"admission": sign_admission(signer(1).keys, STRANGER)}, "admission signature does not match"),
        ({"identity_key": signer(2).key.public}, "is not the receiver whose keys are given"),
        ({"identity_key": b"short"}, "keys that are no keys"),
        ({"sealing_key": bytes(32)}, "admission signature does not match"),
        ({"boot_nonce": b"x" * 16}, "admission signature does not match"),
        ({"receiver": signer(3).receiver_id}, "is not the only seat of its receiver"),
        ({"receiver": signer(9).receiver_id}, "is not the receiver whose keys are given"),
        ({"verified": False}, "is called verified, and verified or not against that"),
        ({"outcome": "failed"}, "is called failed, and verified or not against that"),
        ({"verified": False, "outcome": "failed"}, "is called failed, but has a certificate"),
        ({"seat": "seat-7"}, "has a certificate for seat seat-1, the report says seat-7"),
        (
            {
                "certificate": signed_certificate(2).certificate,
                "certificate_signature": signed_certificate(2).signature,
            },
            "does not match",
        ),
    ],
)
def test_a_seat_that_the_director_signed_wrongly_is_found(changes: dict[str, object], text: str) -> None:
    report = with_seat("seat-1", **changes)
    assert not check_whole(report, is_director)
    bad = [verdict for verdict in check_seats(report, is_director) if not verdict.is_good]
    assert text in bad[0].text
    assert len(bad) == (2 if "only" in text else 1)


@pytest.mark.parametrize(
    "changes", [{"image": "library"}, {"version": 4}, {"manifest_digest": bytes(32)}, {"session": OTHER_TSI}]
)
def test_certificates_of_another_session_or_image_are_found(changes: dict[str, object]) -> None:
    verdicts = seats_of(proved_report(**changes))
    assert not verdicts["seat-1"].is_good
    assert verdicts["seat-3"].is_good


def test_a_failed_seat_that_is_called_verified_is_found() -> None:
    assert not seats_of(with_seat("seat-3", outcome="verified", verified=True))["seat-3"].is_good


def test_a_verified_seat_without_a_certificate_is_found() -> None:
    verdicts = seats_of(seal_report(unsigned_report(2), DIRECTOR))
    assert [name for name, verdict in verdicts.items() if not verdict.is_good] == ["seat-1"]


@pytest.mark.parametrize("junk", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"seats": []}'])
def test_what_is_no_report_is_refused(junk: bytes) -> None:
    with pytest.raises(MessageError):
        decode_report(junk)


def test_what_a_report_does_not_have_is_refused() -> None:
    with pytest.raises(MessageError):
        decode_report(ENCODED[:-1] + b',"more":1}')


def test_what_is_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.report_check.MAX_REPORT_LENGTH", len(ENCODED) - 1)
    with pytest.raises(MessageError, match="bytes are over"):
        decode_report(ENCODED)


@settings(max_examples=100)
@given(junk=st.binary(max_size=200))
def test_any_bytes_are_refused(junk: bytes) -> None:
    with pytest.raises(MessageError):
        decode_report(junk)
