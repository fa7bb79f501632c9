"""A relay in a host's cable: what no kernel here can do to datagrams is done to them in this process.

    switch == outer TAP -- this process -- inner TAP == bridge of its own == port of the host

Towards the host it reorders and corrupts multicast UDP over IPv4, which is the image's datagrams; whatever else passes
only waits for its delay, since TCP that is held back until something follows would wait for ever. It is slow, some
50,000 datagrams a second, so rates in its tests are low. Run as ``python -m tests.relay FD FD ...`` by ``relay`` only.
"""

import argparse
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.lab import Host

_TUNSETIFF: Final = 0x400454CA
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000

_LONGEST: Final = 65_536
"""[bytes] Read at once: one link frame; without offloads the kernel cuts batches apart before they come here."""

_QUIET: Final = 0.05
"""[s] When nothing has followed for so long, what is held back to be reordered leaves: the last of a stream, too."""

_ETHERNET: Final = 14
_UDP_CHECKSUM: Final = 6
"""[bytes] Offset in the UDP header; 0 there means "not computed" (RFC 768), so a corrupted datagram is delivered."""


@contextmanager
def relay(host: Host, *, reorder: int = 0, corrupt_ratio: float = 0.0, delay: float = 0.0) -> Iterator[None]:
    """Put a relay into the cable of ``host``; it is healed at the end.

    Args:
        host: of a lab that is open.
        reorder: datagrams that are held back at a time; which of them leaves next is drawn.
        corrupt_ratio: share of datagrams with one bit turned, 0 to 1.
        delay: [s] for whatever arrives.
    """
    faults = ["--reorder", reorder, "--corrupt-ratio", corrupt_ratio, "--delay", delay]
    argv = ["ip", "netns", "exec", host.switch, sys.executable, "-m", "tests.relay", host.port, *faults]
    process = subprocess.Popen(
        list(map(str, argv)), stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1], process_group=0
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "relaying\n"
        yield
    finally:
        process.kill()
        process.wait()
        # The TAPs are gone with their process; what is left of it goes too.
        lines = f"link set {host.port} master switch\nlink delete b{host.port}\n"
        subprocess.run(["ip", "-n", host.switch, "-batch", "-"], input=lines, text=True, check=True)


class Faults:
    """What becomes of link frames on their way to the host, from a fixed seed."""

    def __init__(self, deliver: Callable[[bytes], None], *, reorder: int, corrupt_ratio: float, delay: float) -> None:
        self._deliver = deliver
        self._reorder = reorder
        self._corrupt_ratio = corrupt_ratio
        self._delay = delay
        self._rng = random.Random(1)
        self._held: list[bytes] = []
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._taken_at = 0.0

    def take(self, frame: bytes, now: float) -> None:
        """One frame has arrived from the switch."""
        self._taken_at = now
        if is_data(frame):
            if self._rng.random() < self._corrupt_ratio:
                frame = corrupted(frame, self._rng)
            self._held.append(frame)
            if len(self._held) <= self._reorder:
                return
            frame = self._held.pop(self._rng.randrange(len(self._held)))
        self._waiting.append((now + self._delay, frame))
        self.advance(now)

    def advance(self, now: float) -> None:
        """Deliver what has waited for its delay; when nothing has followed for a while, nothing is held back."""
        if now - self._taken_at >= _QUIET:
            self._rng.shuffle(self._held)
            self._waiting.extend((now, frame) for frame in self._held)
            self._held.clear()
        while self._waiting and self._waiting[0][0] <= now:
            self._deliver(self._waiting.popleft()[1])

    def seconds_to_next(self, now: float) -> float:
        """How soon ``advance`` has something to do."""
        return max(0.0, min(_QUIET, self._waiting[0][0] - now)) if self._waiting else _QUIET


def is_data(frame: bytes) -> bool:
    """Whether this is UDP over IPv4 to a multicast group of the site (239/8)."""
    return (
        len(frame) > _ETHERNET + 20
        and frame[12:14] == b"\x08\x00"
        and frame[_ETHERNET + 9] == 17
        and frame[_ETHERNET + 16] == 239
    )


def corrupted(frame: bytes, rng: random.Random) -> bytes:
    """The frame with one bit of its UDP payload turned and no UDP checksum, so that only the receiver can notice."""
    udp = _ETHERNET + (frame[_ETHERNET] & 0xF) * 4
    changed = bytearray(frame)
    changed[udp + _UDP_CHECKSUM : udp + _UDP_CHECKSUM + 2] = bytes(2)
    changed[rng.randrange(udp + 8, len(frame))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return descriptor


def _run(port: str, *, reorder: int, corrupt_ratio: float, delay: float) -> None:
    outer, inner = _tap(f"o{port}"), _tap(f"i{port}")
    lines = [
        f"link add b{port} type bridge mcast_snooping 0",
        f"link set i{port} master b{port} up",
        f"link set {port} master b{port}",
        f"link set b{port} up",
        f"link set o{port} master switch up",
    ]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    faults = Faults(lambda frame: _write(inner, frame), reorder=reorder, corrupt_ratio=corrupt_ratio, delay=delay)
    print("relaying", flush=True)
    while True:
        faults.advance(time.monotonic())
        readable, _, _ = select.select([outer, inner], [], [], faults.seconds_to_next(time.monotonic()))
        if inner in readable:
            _write(outer, os.read(inner, _LONGEST))
        if outer in readable:
            faults.take(os.read(outer, _LONGEST), time.monotonic())


def _write(descriptor: int, frame: bytes) -> None:
    os.write(descriptor, frame)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port")
    parser.add_argument("--reorder", type=int)
    parser.add_argument("--corrupt-ratio", type=float)
    parser.add_argument("--delay", type=float)
    _run(**vars(parser.parse_args()))
