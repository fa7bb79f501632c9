"""Kernels without UDP_SEGMENT and UDP_GRO: one datagram per system call, and the same bytes on the wire."""

import pytest

from tests.end_to_end.room import Room

pytestmark = [pytest.mark.system, pytest.mark.slow]

PLAIN = """
from protocol.link import linux_udp
linux_udp.can_segment = linux_udp.enable_gro = lambda udp: False
from slatecast.__main__ import main
main()
"""
"""The commands as on a kernel before 4.18 or 5.0."""

BATCHED = "from slatecast.__main__ import main; main()"


@pytest.mark.parametrize("sending", [PLAIN, BATCHED], ids=["plain sender", "batching sender"])
@pytest.mark.parametrize("receiving", [PLAIN, BATCHED], ids=["plain receiver", "batching receiver"])
def test_plain_and_batching_roles_understand_each_other(room: Room, sending: str, receiving: str) -> None:
    source, target = room.source(), room.target("seat")
    cast = room.start_python(
        *("-c", sending, "cast", source, "--library", room.library, "--interface", "lo", "--rate", "200M")
    )
    receiver = room.start_python(
        *("-c", receiving, "receive", "--once", "--target", target, "--interface", "lo", "--server", cast.door())
    )
    assert cast.finish() == 0
    assert receiver.finish() == 0
    assert target.read_bytes() == source.read_bytes()
