"""Somebody on the network who sends to the group without being the broadcaster: from a host of a lab, frame by frame.

    python -m tests.network_faults.injector forge   GROUP PORT SOURCE SECONDS RATE BROADCASTER [KIND ...]
    python -m tests.network_faults.injector insider GROUP PORT SOURCE SECONDS RATIO < what the ticket tells, as JSON
    python -m tests.network_faults.injector record  GROUP PORT SOURCE SILENCE FILE
    python -m tests.network_faults.injector replay  GROUP PORT SOURCE SECONDS RATE FILE [TSI]

``forge`` knows no key. It hears the group, copies headers from what it hears and sends RATE bits a second of forgeries
of each KIND in turn. ``insider`` knows the session secret: it puts false symbols with good tags into RATIO of the
blocks that it hears, and says "lying" when it begins. ``record`` keeps all that the group says until it was silent for
so many seconds; ``replay`` says it again and again, in the name of another session if it is told one. All take SOURCE
for the address that their datagrams seem to come from, and say "hearing" when they are ready. At the end they print
what they did, as JSON.
"""

import json
import random
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from protocol.errors import WireError
from protocol.link import linux_udp
from protocol.link.interfaces import resolve_interface
from protocol.seal import Seal
from protocol.wire import HEADER_LENGTH, MAX_REPAIR_SYMBOLS, TAG_LENGTH, decode_header
from tests.forgeries import KINDS, forge
from tests.lab import INTERFACE

_TSI: Final = slice(4, 12)
"""Where a datagram's header tells the session."""

SOURCE_PORT: Final = 40_000

LIES_PER_BLOCK: Final = 2
"""[datagrams] of false symbols, at most, for each block that is lied about."""

POOL: Final = 256
"""[frames] of forgeries that are sent again and again, so that forging costs the machine little beside the cast."""

RENEWED: Final = 16
"""One frame of the pool is made anew for so many that are sent."""


class SpoofedSender:
    """Sends UDP payloads to a group in frames of our own making, so that they seem to come from another address."""

    def __init__(self, link: socket.socket, group: str, port: int, source: str) -> None:
        text = Path(f"/sys/class/net/{INTERFACE}/address").read_text(encoding="ascii")
        self._mac = bytes.fromhex(text.replace(":", ""))
        self._to, self._by = ip_address(group), ip_address(source)
        self._port = port
        self.send_frame = link.send

    def frame(self, payload: bytes) -> bytes:
        """The whole frame."""
        return _frame(self._mac, self._by, self._to, SOURCE_PORT, self._port, payload)

    def send(self, payload: bytes) -> None:
        """Frame and send it."""
        self.send_frame(self.frame(payload))


@contextmanager
def spoofed_sender(group: str, port: int, source: str) -> Iterator[SpoofedSender]:
    """Opens the link of the host."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link:
        link.bind((INTERFACE, 0))
        yield SpoofedSender(link, group, port, source)


def _frame(
    mac: bytes, by: IPv4Address | IPv6Address, to: IPv4Address | IPv6Address, by_port: int, to_port: int, payload: bytes
) -> bytes:
    udp = struct.pack(">HHHH", by_port, to_port, 8 + len(payload), 0) + payload
    if isinstance(to, IPv4Address):  # whose checksum of UDP may be absent (RFC 768)
        to_mac = b"\x01\x00\x5e" + bytes([to.packed[1] & 0x7F]) + to.packed[2:]
        header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 1, 17, 0) + by.packed + to.packed
        header = header[:10] + struct.pack(">H", _checksum(header)) + header[12:]
        return to_mac + mac + b"\x08\x00" + header + udp
    pseudo = by.packed + to.packed + struct.pack(">IxxxB", len(udp), 17)
    udp = udp[:6] + struct.pack(">H", _checksum(pseudo + udp) or 0xFFFF) + udp[8:]
    header = struct.pack(">IHBB", 0x6000_0000, len(udp), 17, 1) + by.packed + to.packed
    return b"\x33\x33" + to.packed[12:] + mac + b"\x86\xdd" + header + udp


def _checksum(data: bytes) -> int:
    """Of the Internet (RFC 1071)."""
    words = struct.unpack(f">{-(-len(data) // 2)}H", data + bytes(len(data) % 2))
    total: int = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@contextmanager
def hearing(group: str, port: int, source: str) -> Iterator[Callable[[], list[bytes]]]:
    """Gives what the broadcaster has sent since the last call; others, we among them, are not heard."""
    address = ip_address(group)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as group_socket:
        group_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        linux_udp.set_receive_buffer(group_socket, 8 << 20)
        linux_udp.attach_session_filter(group_socket, None, ip_address(source))
        group_socket.bind((group, port))
        linux_udp.join(group_socket, address, resolve_interface(INTERFACE).index)
        group_socket.setblocking(False)

        def heard() -> list[bytes]:
            datagrams: list[bytes] = []
            try:
                while len(datagrams) < 512:
                    datagrams.append(group_socket.recv(2048))
            except BlockingIOError:
                pass
            return datagrams

        yield heard


def _forge(
    group: str, port: int, source: str, seconds: float, *, rate: float, broadcaster: str, kinds: list[str]
) -> dict[str, float]:
    """Forge at a rate, by what was heard last; until something is heard, by nothing."""
    rng = random.Random(1)
    sent = {"datagrams": 0, "bytes": 0}
    with hearing(group, port, broadcaster) as heard, spoofed_sender(group, port, source) as sender:
        print("hearing", flush=True)
        samples = [rng.randbytes(1450)]
        pool: list[bytes] = []
        now = began = time.monotonic()
        while now < began + seconds:
            samples = heard()[-64:] or samples
            while sent["bytes"] * 8 < (now - began) * rate:
                number = sent["datagrams"]
                if number % RENEWED == 0 or len(pool) < len(kinds):
                    kind = kinds[number // RENEWED % len(kinds)]
                    pool.append(sender.frame(forge(kind, rng.choice(samples), rng)[:1472]))
                    pool = pool[-POOL:]
                frame = pool[number % len(pool)]
                sender.send_frame(frame)
                sent["datagrams"] += 1
                sent["bytes"] += len(frame)
            time.sleep(0.002)
            now = time.monotonic()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {**sent, "seconds": now - began, "cpu": usage.ru_utime + usage.ru_stime}


def _lie(group: str, port: int, source: str, seconds: float, ratio: float) -> dict[str, float]:
    """Put false symbols into some blocks, a few each, as soon as something of the block is heard."""
    told = json.load(sys.stdin)
    rng = random.Random(1)
    length = told["encoding_symbol_length"]
    seal = Seal(bytes.fromhex(told["secret"]), bytes.fromhex(told["manifest_digest"]), int(told["tsi"], 16), length)
    blocks: dict[tuple[int, int], bool] = {}
    sent = 0
    with hearing(group, port, source) as heard, spoofed_sender(group, port, source) as sender:
        print("hearing", flush=True)
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            for datagram in heard():
                try:
                    header = decode_header(datagram)
                except WireError:
                    continue
                sbn, k, _ = header.payload_id
                block = (header.toi, sbn)
                if block in blocks:
                    continue
                blocks[block] = rng.random() < ratio
                for esi in rng.sample(range(k // 2, k + MAX_REPAIR_SYMBOLS), LIES_PER_BLOCK) if blocks[block] else ():
                    lie = bytearray(HEADER_LENGTH + length + TAG_LENGTH)
                    seal.seal_symbols(
                        lie,
                        rng.randbytes(length),
                        toi=header.toi,
                        sbn=sbn,
                        source_block_length=k,
                        esis=[esi],
                        last_symbol_length=length,
                    )
                    sender.send(bytes(lie))
                    if not sent:
                        print("lying", flush=True)
                    sent += 1
            time.sleep(0.0005)
    return {"datagrams": sent, "blocks": len(blocks), "blocks_lied_about": sum(blocks.values())}


def _record(group: str, port: int, source: str, silence: float, file: Path) -> dict[str, float]:
    """Keep what SOURCE sends, from its first datagram to its silence."""
    recorded: list[bytes] = []
    with hearing(group, port, source) as heard:
        print("hearing", flush=True)
        heard_at = time.monotonic()
        while not recorded or time.monotonic() < heard_at + silence:
            if datagrams := heard():
                recorded += datagrams
                heard_at = time.monotonic()
            else:
                time.sleep(0.001)
    file.write_text("\n".join(map(bytes.hex, recorded)))
    return {"datagrams": len(recorded), "bytes": sum(map(len, recorded))}


def _replay(
    group: str, port: int, source: str, seconds: float, *, rate: float, file: Path, tsi: str = ""
) -> dict[str, float]:
    """Say at a rate what was recorded, again and again."""
    recorded = [bytes.fromhex(line) for line in file.read_text().splitlines()]
    if tsi:
        recorded = [datagram[: _TSI.start] + bytes.fromhex(tsi) + datagram[_TSI.stop :] for datagram in recorded]
    sent = {"datagrams": 0, "bytes": 0}
    with spoofed_sender(group, port, source) as sender:
        print("hearing", flush=True)
        now = began = time.monotonic()
        while now < began + seconds:
            while sent["bytes"] * 8 < (now - began) * rate:
                datagram = recorded[sent["datagrams"] % len(recorded)]
                sender.send(datagram)
                sent["datagrams"] += 1
                sent["bytes"] += len(datagram)
            time.sleep(0.002)
            now = time.monotonic()
    return {**sent, "recorded": len(recorded)}


def main() -> None:
    """Do one of these."""
    what, group, port, source, seconds, number, *more = sys.argv[1:]
    if what == "record":
        done = _record(group, int(port), source, float(seconds), Path(number))
    elif what == "replay":
        file, *tsi = more
        done = _replay(group, int(port), source, float(seconds), rate=float(number), file=Path(file), tsi="".join(tsi))
    elif what == "forge":
        broadcaster, *kinds = more
        done = _forge(
            group,
            int(port),
            source,
            float(seconds),
            rate=float(number),
            broadcaster=broadcaster,
            kinds=kinds or list(KINDS),
        )
    else:
        done = _lie(group, int(port), source, float(seconds), float(number))
    print(json.dumps(done), flush=True)


if __name__ == "__main__":
    main()
