import random
import subprocess
import sys

import pytest

from tests.lab import Lab, missing_requirement
from tests.relay import Faults, corrupted, is_data, relay

DATA = bytes.fromhex("01005e0000010200000000010800") + bytes(9) + b"\x11" + bytes(6) + b"\xef\x01\x02\x03"
"""The head of a link frame: multicast, IPv4, UDP, to 239.1.2.3."""

HEAD = DATA[:14] + b"\x45" + DATA[15:]
"""... with 20 bytes of IP header."""


def frames(count: int) -> list[bytes]:
    return [HEAD + bytes(4) + b"\x05\xa0\xbe\xef" + number.to_bytes(4) for number in range(count)]


def relayed(taken: list[bytes], **wanted: float) -> list[bytes]:
    delivered: list[bytes] = []
    faults = Faults(delivered.append, **{"reorder": 0, "corrupt_ratio": 0.0, "delay": 0.0, **wanted})  # type: ignore[arg-type]  # int and float in one dict
    for frame in taken:
        faults.take(frame, 1.0)
    faults.advance(10.0)
    return delivered


def test_without_faults_frames_pass_as_they_are() -> None:
    assert relayed(frames(5)) == frames(5)


def test_what_is_held_back_comes_in_another_order_and_complete() -> None:
    delivered = relayed(frames(1000), reorder=100)
    assert delivered != frames(1000)
    assert sorted(delivered) == frames(1000)


def test_other_traffic_is_not_held_back() -> None:
    other = b"\x02" + bytes(40)
    delivered: list[bytes] = []
    Faults(delivered.append, reorder=10, corrupt_ratio=1.0, delay=0.0).take(other, 1.0)
    assert not is_data(other)
    assert delivered == [other]


def test_delay_keeps_the_order() -> None:
    delivered: list[bytes] = []
    faults = Faults(delivered.append, reorder=0, corrupt_ratio=0.0, delay=0.5)
    for number, frame in enumerate(frames(3)):
        faults.take(frame, float(number))
    assert delivered == frames(2)
    assert faults.seconds_to_next(2.48) == pytest.approx(0.02)
    faults.advance(2.5)
    assert delivered == frames(3)


def test_a_corrupted_datagram_differs_in_one_bit_and_has_no_checksum() -> None:
    frame = frames(1)[0]
    changed = corrupted(frame, random.Random(1))
    assert changed[:40] == frame[:40]
    assert changed[40:42] == b"\x00\x00"
    differing = int.from_bytes(changed[42:]) ^ int.from_bytes(frame[42:])
    assert differing.bit_count() == 1


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")
def test_a_cable_with_a_relay_carries_both_ways_and_is_healed() -> None:
    with Lab(1) as lab:
        host = lab.receivers[0]
        for _ in range(2):
            with relay(host, delay=0.03):
                assert ping(lab) >= 30
            assert ping(lab) < 30


def ping(lab: Lab) -> float:
    """[ms] There and back, by a UDP echo."""
    host = lab.receivers[0]
    echo = host.popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE)
    assert echo.stdout is not None
    assert echo.stdout.readline() == "ready\n"
    return float(lab.broadcaster.run([sys.executable, "-c", CALL, host.ipv4]).stdout)


ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5778))
print("ready", flush=True)
for _ in range(2):
    s.sendto(*s.recvfrom(10))
"""

# The first call pays for the look-up of addresses.
CALL = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
for _ in range(2):
    begun = time.monotonic()
    s.sendto(b"x", (sys.argv[1], 5778))
    s.recv(10)
print((time.monotonic() - begun) * 1000)
"""
