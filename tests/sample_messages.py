"""Messages with every field filled in sensibly, for tests that change only what they are about."""

from typing import Any

import msgspec

from protocol import PROTOCOL_VERSION
from protocol.bitmap import encode_bitmap
from protocol.messages import (
    Announcement,
    FecOti,
    ImageSummary,
    MissingBlocks,
    Presence,
    ReceiverReport,
    ReceiverState,
    RepairRequest,
    SessionPhase,
    SessionStatus,
    SignedCertificate,
    SignedTicket,
)
from protocol.ranges import RangeSet
from protocol.signing import Purpose, SigningKey

TSI = "0123456789abcdef"
OTHER_TSI = "fedcba9876543210"
MANIFEST_DIGEST = bytes(range(32, 64))
IMAGE_KEY = SigningKey(b"i" * 32)
DIRECTOR = SigningKey(b"d" * 32)


def receiver_id(number: int) -> str:
    return f"{number:032x}"


def announcement(**changes: Any) -> Announcement:
    """Of an image whose manifest is one block."""
    plain = Announcement(
        protocol_version=PROTOCOL_VERSION,
        tsi=TSI,
        image=ImageSummary(
            name="classroom", version=3, disk_size=8 << 20, logical_sector_size=512, stored_bytes=5_000_000
        ),
        group="239.192.7.9",
        port=7070,
        oti=FecOti(),
        source="192.0.2.1",
        manifest_digest=MANIFEST_DIGEST,
        image_key=IMAGE_KEY.public,
        image_signature=IMAGE_KEY.sign(Purpose.IMAGE, MANIFEST_DIGEST),
        manifest_length=2000,
        manifest_block_digests=(bytes(range(64, 96)),),
        catch_up_url="",
    )
    return msgspec.structs.replace(plain, **changes)


def status(sequence: int = 1, **changes: Any) -> SessionStatus:
    """The first pass of the disk has begun."""
    plain = SessionStatus(
        tsi=TSI,
        sequence=sequence,
        phase=SessionPhase.DISK,
        position=0,
        rate_bits_per_second=900_000_000,
        rate_reason="at the set rate",
        datagrams_sent=0,
        repair_datagrams=0,
        settled=(),
        catch_up=(),
        must_leave_group=(),
        is_paused=False,
        dismissed=(),
    )
    return msgspec.structs.replace(plain, **changes)


def presence(number: int = 1, **changes: Any) -> Presence:
    plain = Presence(
        receiver_id=receiver_id(number),
        machine=f"machine-{number}",
        seat=f"seat-{number}",
        is_online=True,
        identity_key=bytes([number % 256]) * 32,
        sealing_key=bytes(32),
        boot_nonce=bytes(16),
        admission=bytes(64),
        metrics="",
    )
    return msgspec.structs.replace(plain, **changes)


def certificate(number: int = 1, **changes: Any) -> SignedCertificate:
    plain = SignedCertificate(tsi=TSI, receiver_id=receiver_id(number), certificate=b"{}", signature=bytes(64))
    return msgspec.structs.replace(plain, **changes)


def ticket(number: int = 1, **changes: Any) -> SignedTicket:
    plain = SignedTicket(tsi=TSI, receiver_id=receiver_id(number), ticket=b"{}", signature=bytes(64))
    return msgspec.structs.replace(plain, **changes)


def report(number: int = 1, sequence: int = 1, **changes: Any) -> ReceiverReport:
    """A seat that waits for the session to begin."""
    plain = ReceiverReport(
        tsi=TSI,
        receiver_id=receiver_id(number),
        seat=f"seat-{number}",
        sequence=sequence,
        state=ReceiverState.READY,
        reason="",
        target="/dev/sda",
        has_manifest=False,
        blocks_total=0,
        blocks_missing=0,
        blocks_to_scan=0,
        blocks_scanned=0,
        has_scanned=False,
        bytes_received=0,
        catch_up_bytes=0,
        symbols_expected=0,
        symbols_lost=0,
        blocks_repaired=0,
        buffer_drops=0,
        blocks_without_room=0,
        buffer_fill_ratio=0.0,
        partial_fill_ratio=0.0,
        backlog_bytes=0,
        bytes_written=0,
        disk_busy_ratio=0.0,
        link_bits_per_second=0,
        bytes_to_verify=0,
        bytes_verified=0,
        datagrams_rejected=0,
        poisoned_blocks=0,
        poisoned_symbols=0,
        alarm="",
    )
    return msgspec.structs.replace(plain, **changes)


def repair_request(number: int = 1, sequence: int = 1, **changes: Any) -> RepairRequest:
    """Asks for nothing yet."""
    plain = RepairRequest(
        tsi=TSI,
        receiver_id=receiver_id(number),
        sequence=sequence,
        toi=1,
        deficits=(),
        absent=(),
        missing_symbols=(),
    )
    return msgspec.structs.replace(plain, **changes)


def missing_blocks(
    number: int = 1, sequence: int = 1, *, ranges: list[tuple[int, int]], block_count: int, **changes: Any
) -> MissingBlocks:
    """The (start, stop) ranges of a disk of ``block_count`` blocks."""
    plain = MissingBlocks(
        tsi=TSI,
        receiver_id=receiver_id(number),
        sequence=sequence,
        first_sbn=0,
        block_count=block_count,
        bitmap=encode_bitmap(RangeSet(ranges), 0, block_count),
    )
    return msgspec.structs.replace(plain, **changes)
