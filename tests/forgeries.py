"""Datagrams as somebody forges them who has no key: he hears the group, and copies what he likes of what he hears."""

import random
import struct
from collections.abc import Callable
from typing import Final

from protocol.wire import HEADER_LENGTH, TAG_LENGTH

_SBN: Final = 12
_K: Final = 16
_ESI: Final = 17


def _header_copied(datagram: bytes, rng: random.Random) -> bytes:
    return datagram[:HEADER_LENGTH] + rng.randbytes(len(datagram) - HEADER_LENGTH)


def _symbol_flipped(datagram: bytes, rng: random.Random) -> bytes:
    return _flip(datagram, rng.randrange(HEADER_LENGTH, len(datagram) - TAG_LENGTH), rng)


def _tag_flipped(datagram: bytes, rng: random.Random) -> bytes:
    return _flip(datagram, rng.randrange(len(datagram) - TAG_LENGTH, len(datagram)), rng)


def _header_flipped(datagram: bytes, rng: random.Random) -> bytes:
    return _flip(datagram, rng.randrange(HEADER_LENGTH), rng)


def _moved_to_another_symbol(datagram: bytes, rng: random.Random) -> bytes:
    esi = (datagram[_ESI] + rng.randrange(1, max(2, datagram[_K]))) % max(2, datagram[_K])
    return datagram[:_ESI] + bytes([esi if esi != datagram[_ESI] else esi ^ 1]) + datagram[_ESI + 1 :]


def _moved_to_another_block(datagram: bytes, rng: random.Random) -> bytes:
    (sbn,) = struct.unpack_from(">I", datagram, _SBN)
    other = (sbn + rng.choice([-1, 1, 8])) & 0xFFFF_FFFF
    return datagram[:_SBN] + struct.pack(">I", other) + datagram[_SBN + 4 :]


def _cut_short(datagram: bytes, rng: random.Random) -> bytes:
    return datagram[: rng.randrange(1, len(datagram))]


def _too_long(datagram: bytes, rng: random.Random) -> bytes:
    return datagram + rng.randbytes(rng.randrange(1, 23))


def _halves_swapped(datagram: bytes, rng: random.Random) -> bytes:
    middle = HEADER_LENGTH + (len(datagram) - HEADER_LENGTH) // 2
    return datagram[:HEADER_LENGTH] + datagram[middle:] + datagram[HEADER_LENGTH:middle]


def _of_another_session(datagram: bytes, rng: random.Random) -> bytes:
    return datagram[:4] + rng.randbytes(8) + datagram[12:]


def _garbage(datagram: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, len(datagram) + 1))


KINDS: Final[dict[str, Callable[[bytes, random.Random], bytes]]] = {
    "header copied": _header_copied,
    "symbol flipped": _symbol_flipped,
    "tag flipped": _tag_flipped,
    "header flipped": _header_flipped,
    "moved to another symbol": _moved_to_another_symbol,
    "moved to another block": _moved_to_another_block,
    "cut short": _cut_short,
    "too long": _too_long,
    "halves swapped": _halves_swapped,
    "of another session": _of_another_session,
    "garbage": _garbage,
}
"""Each makes one forgery of a true datagram."""


def forge(kind: str, datagram: bytes, rng: random.Random) -> bytes:
    """A forgery of this kind, never the datagram itself."""
    forged = KINDS[kind](datagram, rng)
    return forged if forged != datagram else datagram[:-1] + bytes([datagram[-1] ^ 1])


def _flip(datagram: bytes, at: int, rng: random.Random) -> bytes:
    return datagram[:at] + bytes([datagram[at] ^ (1 << rng.randrange(8))]) + datagram[at + 1 :]
