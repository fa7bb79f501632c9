"""The parsers: what each is fed, and which errors are its documented answer to bad input."""

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from broadcaster.library.image_signature import decode_signature, encode_signature, sign_digest
from broadcaster.seat_api.routes import match_path
from protocol import capture, enrolment, seat_api
from protocol.bitmap import decode_bitmap, encode_bitmap
from protocol.blocks import BlockBuffer
from protocol.catch_up import BlockAddress, LaneAddress
from protocol.certificate import read_certificate
from protocol.commands import COMMANDS_TOPIC, open_answer, open_order
from protocol.configuration import (
    MAX_BEACON_LENGTH,
    MAX_CONFIGURATION_LENGTH,
    decode_beacon,
    decode_configuration,
    decode_step_report,
)
from protocol.disk.used_blocks import parse_domain_map
from protocol.envelope import open_payload, signed_body
from protocol.errors import (
    ConfigError,
    IntegrityError,
    LibraryError,
    ManifestError,
    MessageError,
    SignatureError,
    TicketError,
    WireError,
)
from protocol.fields import MAX_BITMAP_BLOCKS, MAX_MESSAGE_LENGTH, MAX_SIGNED_LENGTH
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.mqtt import BrokerAddress
from protocol.manifest import CHUNK_SIZE, StoredChunk, build_manifest_from_rows, decode_manifest
from protocol.messages import TOPIC_ROOT, decode_message
from protocol.operators import open_news
from protocol.pairing import PAIRING_SEED_LENGTH, ReceiverPairing
from protocol.ranges import RangeSet
from protocol.seal import Seal
from protocol.signing import Purpose, SigningKey
from protocol.trust import MAX_TRUST_LENGTH, decode_trust
from protocol.wire import HEADER_LENGTH, MAX_SOURCE_BLOCK_LENGTH, TAG_LENGTH, decode_header
from receiver.decoder import ChunkUnpacker
from tests.fuzz.crafted_chunks import CHUNK_LENGTH, crafted_chunks
from tests.sample_orders import DIRECTOR, IMAGE_KEY, judge, signed_announcement, ticket_for

DATAGRAM: Final = 65_535
"""[bytes] UDP's longest, and a batch of the kernel's"""

MANIFEST: Final = 64 * 1024
"""[bytes] Longer ones exist, but mutate slowly; time goes with the length."""

VECTORS: Final = Path(__file__).parents[1] / "vectors"


@dataclass(frozen=True)
class Target:
    """One parser. ``run`` takes any bytes; what leaves it must be one of ``errors``."""

    name: str
    longest: int
    """[bytes] that can get there"""
    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]


def _vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


# --- datagrams -------------------------------------------------------------------------------------------------------


def _datagrams() -> list[bytes]:
    return [bytes.fromhex(vector["datagram"].replace(" ", "")) for vector in _vectors("wire")["datagrams"]]


_WIRE: Final = _vectors("wire")
_SYMBOL_LENGTH: Final[int] = _WIRE["encoding_symbol_length"]
_SEAL: Final = Seal(
    bytes.fromhex(_WIRE["session_secret"]), bytes.fromhex(_WIRE["manifest_digest"]), _WIRE["tsi"], _SYMBOL_LENGTH
)
_BLOCK: Final = BlockBuffer(bytearray((MAX_SOURCE_BLOCK_LENGTH + 64) * _SYMBOL_LENGTH))


def _find_block(toi: int, sbn: int, source_block_length: int) -> tuple[bytearray, bytearray]:
    _BLOCK.reset(toi, sbn, source_block_length)
    return _BLOCK.symbols, _BLOCK.ledger


def _open_batch(data: bytes) -> None:
    """The first byte tells how long each datagram is said to be."""
    length = len(_BLOCK.symbols)
    datagram_length = HEADER_LENGTH + _SYMBOL_LENGTH + TAG_LENGTH - (data[0] if data else 0)
    _SEAL.open_batch(memoryview(data)[1:], datagram_length, _find_block)
    assert len(_BLOCK.symbols) == length


def _batches() -> list[bytes]:
    return [b"\0" + b"".join(_datagrams()), *(b"\0" + datagram for datagram in _datagrams())]


# --- messages --------------------------------------------------------------------------------------------------------

_TOPICS: Final = tuple(vector["topic"] for vector in _vectors("messages")["messages"])


def _message(data: bytes) -> None:
    decode_message(_topic(data), data[1:])


def _messages() -> list[bytes]:
    return [
        bytes([place]) + vector["payload"].encode() for place, vector in enumerate(_vectors("messages")["messages"])
    ]


def _topic(data: bytes) -> str:
    number = data[0] if data else 255
    return _TOPICS[number] if number < len(_TOPICS) else f"{TOPIC_ROOT}/{data[:99].decode(errors='replace')}"


_CONTROL_KEY: Final = bytes.fromhex(_vectors("trust")["envelope"]["director_key"])


def _envelope(data: bytes) -> None:
    open_payload(_topic(data), data[1:], lambda _: _CONTROL_KEY)


def _envelopes() -> list[bytes]:
    vector = _vectors("trust")["envelope"]
    return [bytes([_TOPICS.index(vector["topic"])]) + vector["payload"].encode(), *_messages()]


_GOOD: Final = ticket_for()


def _ticket(data: bytes) -> None:
    """Signed by the director, or else nothing of it would be read."""
    signed = msgspec.structs.replace(_GOOD, ticket=data, signature=DIRECTOR.sign(Purpose.TICKET, data))
    judge(signed, signed_announcement())


def _tickets() -> list[bytes]:
    return [_GOOD.ticket, _vectors("trust")["ticket"]["ticket"].encode()]


_OPERATORS: Final = _vectors("operators")
_CONSOLE_KEY: Final = bytes.fromhex(_OPERATORS["console_key"])
_DIRECTOR, _CONSOLE = (SigningKey(bytes([number]) * 32) for number in (1, 5))
_NEWS_TOPICS: Final = tuple(vector["topic"] for vector in _OPERATORS["news"])


def _body(vector: Any) -> bytes:
    payload: str = vector["payload"]
    return payload.rpartition("\n")[0].encode()


def _news(data: bytes) -> None:
    """Signed by the director, and as it came: the signature guards the rest from all but the director."""
    topic = _NEWS_TOPICS[data[0] % len(_NEWS_TOPICS)] if data else "slatecast"
    with contextlib.suppress(MessageError, SignatureError):
        open_news(topic, data[1:], _CONTROL_KEY)
    open_news(topic, signed_body(topic, data[1:], _DIRECTOR), _CONTROL_KEY)


def _order(data: bytes) -> None:
    with contextlib.suppress(MessageError, SignatureError):
        open_order(data, _CONSOLE_KEY)
    open_order(signed_body(COMMANDS_TOPIC, data, _CONSOLE), _CONSOLE_KEY)


_ANSWER_TOPIC: Final[str] = _OPERATORS["answers"][1]["topic"]


def _answer(data: bytes) -> None:
    with contextlib.suppress(MessageError, SignatureError):
        open_answer(_ANSWER_TOPIC, data, _CONTROL_KEY)
    open_answer(_ANSWER_TOPIC, signed_body(_ANSWER_TOPIC, data, _DIRECTOR), _CONTROL_KEY)


# --- enrolment -------------------------------------------------------------------------------------------------------

_ENROLMENT: Final[tuple[Callable[[bytes], object], ...]] = (
    enrolment.decode_hello,
    enrolment.decode_offer,
    enrolment.decode_confirm,
    enrolment.decode_verdict,
)


def _enrolment(data: bytes) -> None:
    _ENROLMENT[data[0] % len(_ENROLMENT) if data else 0](data[1:])


_OFFER_THAT_CLEARS_THE_SCREEN: Final = b'\x01{"type":"offer","\\u001b[2J\\n":1}'


def _enrolments() -> list[bytes]:
    bodies = _vectors("enrolment")["messages"]
    names = ("hello", "offer", "confirm", "verdict")
    return [
        _OFFER_THAT_CLEARS_THE_SCREEN,
        *(bytes([n]) + bodies[name]["body"].encode() for n, name in enumerate(names)),
    ]


def _trusts() -> list[bytes]:
    offer = json.loads(_vectors("enrolment")["messages"]["offer"]["body"])
    return [json.dumps(offer["trust"], separators=(",", ":")).encode()]


def _certificates() -> list[bytes]:
    return [vector["certificate"].encode() for vector in _vectors("certificate")["certificates"]]


def _pairing(data: bytes) -> None:
    ReceiverPairing("a token of the room", bytes(PAIRING_SEED_LENGTH)).key(data)


def _pairings() -> list[bytes]:
    return [ReceiverPairing("another", bytes(PAIRING_SEED_LENGTH)).message, b"S" + bytes(32), b"S" + b"\xff" * 32]


# --- images ----------------------------------------------------------------------------------------------------------


def _manifests() -> list[bytes]:
    return [bytes.fromhex(vector["manifest"].replace(" ", "")) for vector in _vectors("manifest")]


_MANIFEST: Final = decode_manifest(_manifests()[1])


def _rows(data: bytes) -> None:
    """With a header that fits them, since no fuzzer finds their digest."""
    build_manifest_from_rows(_MANIFEST.header, data[: len(data) // 72 * 72])


def _row_seeds() -> list[bytes]:
    encoded = _MANIFEST.encode()
    return [encoded[len(encoded) - 72 * len(_MANIFEST) :]]


def _bitmap(data: bytes) -> None:
    decode_bitmap(data[3:], min(int.from_bytes(data[:3]) + 1, MAX_BITMAP_BLOCKS))


def _bitmaps() -> list[bytes]:
    return [
        (count - 1).to_bytes(3) + encode_bitmap(RangeSet([(2, 5), (7, count // 2)]), 0, count)
        for count in (20, 300, 70_000, MAX_BITMAP_BLOCKS)
    ]


def _unpack(data: bytes) -> None:
    chunk = StoredChunk(0, 0, CHUNK_LENGTH, len(data), bytes(32), bytes(32))
    assert len(ChunkUnpacker().unpack(chunk, memoryview(data))) == CHUNK_LENGTH


def _domain_maps() -> list[bytes]:
    return [b"# partclone\n0x0 ?\n0x0 0x1000 +\n0x1000 0x10 ?\n"]


def _domain_map(data: bytes) -> None:
    list(parse_domain_map(data.decode(errors="replace").splitlines()))


# --- addresses -------------------------------------------------------------------------------------------------------


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode(errors="replace"))


def _lane(text: str) -> None:
    assert LaneAddress.parse(str(LaneAddress.parse(text))) == LaneAddress.parse(text)


def _block_address(text: str) -> None:
    address = BlockAddress.parse(text)
    assert address is None or BlockAddress.parse(str(address)) == address


# --- seat API --------------------------------------------------------------------------------------------------------

_API_STRUCTS: Final = (
    capture.CaptureWish,
    capture.CaptureState,
    capture.CaptureProgress,
    capture.CaptureFailure,
    seat_api.Work,
    seat_api.RestoreWish,
    seat_api.RestoreAnswer,
)


def _captured_disk(data: bytes) -> None:
    disk, rows = capture.decode_disk(data)
    assert capture.encode_disk(disk, rows)[-36 * len(rows) or len(data) :] == data[-36 * len(rows) or len(data) :]


def _captured_disks() -> list[bytes]:
    finding = capture.Finding(kind=capture.FindingKind.WARNING, code="dirty", where="1", text="not unmounted")
    disk = capture.CapturedDisk(
        source="a disk",
        disk_size=1 << 30,
        logical_sector_size=512,
        partition_table="gpt",
        partitions=(),
        zero_ranges=((1, 2), (7, 1)),
        findings=(finding,),
    )
    return [capture.encode_disk(disk, [(0, bytes(32)), (5, b"\1" * 32)]), capture.encode_disk(disk, [])]


def _framed_chunks(data: bytes) -> None:
    assert b"".join(map(capture.encode_chunk, capture.decode_chunks(data))) == data


def _framed() -> list[bytes]:
    chunks = [capture.FramedChunk(bytes(32), 100, bytes(50)), capture.FramedChunk(b"\1" * 32, 9, bytes(9))]
    return [b"".join(map(capture.encode_chunk, chunks))]


def _lacking(data: bytes) -> None:
    """The first byte tells how many digests were asked for."""
    lacking = capture.decode_lacking(data[1:], data[0] if data else 0)
    assert capture.encode_lacking(lacking) == data[1:]


def _seat_api(data: bytes) -> None:
    """The first byte tells what it is read as."""
    seat_api.decode_api(data[1:], _API_STRUCTS[data[0] % len(_API_STRUCTS) if data else 0])


def _seat_api_bodies() -> list[bytes]:
    wish = capture.CaptureWish(image="windows", machine="pc", target="disk", disk_size=1)
    order = seat_api.CaptureOrder(capture_id="0" * 16, image="windows", is_backup=False, target="")
    return [
        b"\0" + msgspec.json.encode(wish),
        b"\4" + msgspec.json.encode(seat_api.Work(capture=order)),
        b"\5" + msgspec.json.encode(seat_api.RestoreWish(image="a", version=1)),
    ]


TARGETS: Final = {
    target.name: target
    for target in (
        Target("datagram header", DATAGRAM, decode_header, (WireError,), _datagrams),
        Target("seal", DATAGRAM, _open_batch, (), _batches),
        Target("message", MAX_MESSAGE_LENGTH, _message, (MessageError,), _messages),
        Target("envelope", MAX_MESSAGE_LENGTH, _envelope, (MessageError, SignatureError), _envelopes),
        Target(
            "news for operators",
            MAX_MESSAGE_LENGTH,
            _news,
            (MessageError, SignatureError),
            lambda: [bytes([place]) + _body(vector) for place, vector in enumerate(_OPERATORS["news"])],
        ),
        Target(
            "operator's order",
            MAX_MESSAGE_LENGTH,
            _order,
            (MessageError, SignatureError),
            lambda: [_body(vector) for vector in _OPERATORS["orders"]],
        ),
        Target(
            "answer to an operator",
            MAX_MESSAGE_LENGTH,
            _answer,
            (MessageError, SignatureError),
            lambda: [_body(vector) for vector in _OPERATORS["answers"]],
        ),
        Target(
            "configuration of a seat",
            MAX_CONFIGURATION_LENGTH,
            decode_configuration,
            (MessageError,),
            lambda: [json.dumps(_vectors("configuration")["configuration"]).encode()],
        ),
        Target(
            "report on a step",
            8 * 1024,
            decode_step_report,
            (MessageError,),
            lambda: [json.dumps(_vectors("configuration")["step_report"]).encode()],
        ),
        Target(
            "beacon",
            MAX_BEACON_LENGTH,
            decode_beacon,
            (MessageError,),
            lambda: [_vectors("configuration")["beacon"]["datagram"].encode()],
        ),
        Target("ticket", MAX_SIGNED_LENGTH, _ticket, (TicketError,), _tickets),
        Target("enrolment", enrolment.MAX_ANSWER_LENGTH, _enrolment, (MessageError,), _enrolments),
        Target("pairing", 64, _pairing, (MessageError,), _pairings),
        Target("trust", MAX_TRUST_LENGTH, decode_trust, (MessageError,), _trusts),
        Target("certificate", MAX_SIGNED_LENGTH, read_certificate, (MessageError,), _certificates),
        Target("manifest", MANIFEST, decode_manifest, (ManifestError,), _manifests),
        Target("manifest rows", MANIFEST, _rows, (ManifestError,), _row_seeds),
        Target("bitmap", MAX_BITMAP_BLOCKS // 8 + 1024, _bitmap, (MessageError,), _bitmaps),
        Target("stored chunk", CHUNK_SIZE, _unpack, (IntegrityError,), lambda: crafted_chunks().values()),
        Target(
            "image signature",
            MAX_SIGNED_LENGTH,
            lambda data: decode_signature(data, bytes(32)),
            (LibraryError,),
            lambda: [encode_signature(sign_digest(bytes(32), IMAGE_KEY))],
        ),
        Target(
            "domain map",
            MANIFEST,
            _domain_map,
            (ValueError,),
            _domain_maps,
        ),
        Target("captured disk", MANIFEST, _captured_disk, (MessageError,), _captured_disks),
        Target("framed chunks", MANIFEST, _framed_chunks, (MessageError,), _framed),
        Target("lacking chunks", 512, _lacking, (MessageError,), lambda: [b"\x08\xa0", b"\x0b\xff\xe0"]),
        Target("seat API", seat_api.MAX_API_BODY, _seat_api, (MessageError,), _seat_api_bodies),
        Target(
            "seat API path",
            8190,
            _text(match_path),
            (),
            lambda: [
                b"/v1/work",
                b"/v1/captures/0123456789abcdef/lacking",
                b"/v1/sessions/0123456789abcdef/files/" + b"0f" * 32,
            ],
        ),
        Target(
            "catch-up url",
            300,
            _text(_lane),
            (MessageError,),
            lambda: [b"http://192.0.2.1:7001", b"https://[fd00::1]:1/", b"https://192.0.2.1:65536"],
        ),
        Target(
            "catch-up address",
            8190,
            _text(_block_address),
            (MessageError,),
            lambda: [
                b"/v1/sessions/0123456789abcdef/objects/1/blocks/77",
                b"/v1/sessions/0123456789abcdef/objects/1/blocks/77?first_esi=191&count=64",
                b"/v1/sessions/0123456789abcdef/objects/0/blocks/4294967295/symbol-digests?first_esi=0&count=1",
            ],
        ),
        Target(
            "broker address",
            300,
            _text(BrokerAddress.parse),
            (ConfigError,),
            lambda: [b"mqtts://user:pass@[fd00::1]:8883", b"mqtt://broker", b"host:1883/x"],
        ),
        Target(
            "front door address",
            300,
            _text(FrontDoorAddress.parse),
            (ConfigError,),
            lambda: [b"broadcaster.local:8884", b"[fd00::1]:8884", b"192.0.2.1"],
        ),
    )
}
"""by name"""
