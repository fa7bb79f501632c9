import msgspec
import pytest

from protocol.errors import MessageError
from protocol.seat_api import (
    MAX_API_BODY,
    CaptureOrder,
    RestoreAnswer,
    RestoreOffer,
    RestoreWish,
    SessionAddress,
    Work,
    decode_api,
)

WORK = Work(
    seat="seat 7",
    room="Lab",
    capture=CaptureOrder(capture_id="0123456789abcdef", image="windows", is_backup=True, target="", accepts=("dirty",)),
    restore=RestoreOffer(image="windows", version=3, created="2026-11-21T20:00:00Z"),
    notice="come back at ten",
)


@pytest.mark.parametrize(
    "message", [WORK, Work(), RestoreWish(image="a", version=1), RestoreAnswer(tsi="", refusal="no")], ids=repr
)
def test_messages_come_back(message: msgspec.Struct) -> None:
    assert decode_api(msgspec.json.encode(message), type(message)) == message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b"[" * 10_000,
        b'{"more": 1}',
        b'{"seat": 1}',
        b'{"seat": "' + b"a" * 65 + b'"}',
        b'{"capture": {"capture_id": "x", "image": "a", "is_backup": false, "target": ""}}',
        b" " * (MAX_API_BODY + 1),
    ],
)
def test_what_is_no_work(body: bytes) -> None:
    with pytest.raises(MessageError, match="Work"):
        decode_api(body, Work)


def test_a_bound_of_ones_own() -> None:
    assert decode_api(b"{}", Work, 2) == Work()
    with pytest.raises(MessageError, match="over 1"):
        decode_api(b"{}", Work, 1)


@pytest.mark.parametrize(
    "address",
    [
        SessionAddress(tsi="0123456789abcdef", what="configuration"),
        SessionAddress(tsi="0123456789abcdef", what="steps"),
        SessionAddress(tsi="0123456789abcdef", what="files", digest=b"\xab" * 32),
    ],
)
def test_addresses(address: SessionAddress) -> None:
    assert SessionAddress.parse(str(address)) == address
    for stray in (f"{address}/", f"{address}0", str(address).upper(), f"{address}\n", "/v1/sessions", ""):
        assert SessionAddress.parse(stray) is None


def test_a_version_counts_from_one() -> None:
    with pytest.raises(MessageError):
        decode_api(b'{"image": "a", "version": 0}', RestoreWish)
    with pytest.raises(MessageError):
        decode_api(b'{"tsi": "0123"}', RestoreAnswer)
