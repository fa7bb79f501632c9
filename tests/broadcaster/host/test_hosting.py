import pytest

from broadcaster.host.hosting import Hosting, decode_hosting, encode_hosting
from protocol.commands import PlannedSeat

HOSTING = Hosting(
    room="lab",
    image="classroom",
    version=3,
    seats=(PlannedSeat(machine="aa:bb", seat="1"), PlannedSeat(machine="cc:dd", seat="2")),
    rate_bits_per_second=0,
    wait_seconds=300.0,
    ordered_by="anna",
    opened_at=1.5e9,
    comers={"0" * 32: "aa:bb"},
    released=("cc:dd",),
)


def test_what_is_kept_comes_back() -> None:
    assert decode_hosting(encode_hosting(HOSTING)) == HOSTING


@pytest.mark.parametrize("encoded", [b"", b"{}", b"\xff", b"[" * 5000, encode_hosting(HOSTING)[:-1]])
def test_what_is_none_is_none(encoded: bytes) -> None:
    assert decode_hosting(encoded) is None
