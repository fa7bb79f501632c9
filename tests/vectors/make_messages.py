"""Write messages.json: each MQTT message as topic, fields and the exact JSON that carries them.

    python -m tests.vectors.make_messages

Written out by hand over the standard library's JSON, never by slatecast, so the file changes only with the layout,
which needs a new protocol version.
"""

import base64
import json
import zlib
from pathlib import Path

PATH = Path(__file__).with_name("messages.json")

TSI = "0123456789abcdef"
RECEIVERS = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100")


def _bytes(first: int, length: int = 32) -> str:
    return base64.b64encode(bytes(range(first, first + length))).decode()


def _deflated(bits: bytes) -> str:
    deflate = zlib.compressobj(wbits=-15)
    return base64.b64encode(deflate.compress(bits) + deflate.flush()).decode()


MESSAGES = (
    (
        f"sessions/{TSI}/announcement",
        "Announcement",
        {
            "type": "announcement",
            "protocol_version": 1,
            "tsi": TSI,
            "image": {
                "name": "classroom-2026",
                "version": 12,
                "disk_size": 256060514304,
                "logical_sector_size": 512,
                "stored_bytes": 9123456789,
                "firmware": "uefi",
                "least_size": 12884901888,
            },
            "group": "ff15::8000:1",
            "port": 7070,
            "source": "fd00::1",
            "oti": {"encoding_symbol_length": 1416, "maximum_source_block_length": 191, "max_repair_symbols": 64},
            "manifest_digest": _bytes(32),
            "image_key": _bytes(0),
            "image_signature": _bytes(128, 64),
            "manifest_length": 262145,
            "manifest_block_digests": [_bytes(64), _bytes(96)],
            "catch_up_url": "https://[fd00::1]:27184",
        },
    ),
    (
        f"sessions/{TSI}/status",
        "SessionStatus",
        {
            "type": "status",
            "tsi": TSI,
            "sequence": 12884901929,
            "phase": "disk",
            "position": 4294967295,
            "rate_bits_per_second": 900000000,
            "rate_reason": "lowered: the median seat loses 7.0%",
            "datagrams_sent": 4611686018427387904,
            "repair_datagrams": 17,
            "settled": [],
            "catch_up": list(RECEIVERS),
            "must_leave_group": [RECEIVERS[1]],
            "is_paused": True,
            "dismissed": [RECEIVERS[0]],
        },
    ),
    (
        f"receivers/{RECEIVERS[0]}/presence",
        "Presence",
        {
            "type": "presence",
            "receiver_id": RECEIVERS[0],
            "machine": "52:54:00:12:34:56",
            "seat": "Übungsraum 3, Platz 7",
            "is_online": True,
            "identity_key": _bytes(1),
            "sealing_key": _bytes(2),
            "boot_nonce": _bytes(3, 16),
            "admission": _bytes(4, 64),
            "metrics": "192.0.2.17:9101",
        },
    ),
    (
        f"receivers/{RECEIVERS[0]}/report",
        "ReceiverReport",
        {
            "type": "report",
            "tsi": TSI,
            "receiver_id": RECEIVERS[0],
            "seat": 'row 3 "window" \\ left',
            "sequence": 9,
            "state": "failed",
            "reason": "/dev/sda: writing at byte 1049088 (sector 2049) failed: Input/output error",
            "target": "/dev/sda",
            "has_manifest": True,
            "blocks_total": 976773,
            "blocks_missing": 3,
            "blocks_to_scan": 976773,
            "blocks_scanned": 976000,
            "has_scanned": False,
            "bytes_received": 9000000001,
            "catch_up_bytes": 12000000,
            "symbols_expected": 181679778,
            "symbols_lost": 1816,
            "blocks_repaired": 1700,
            "buffer_drops": 44,
            "blocks_without_room": 12,
            "buffer_fill_ratio": 0.25,
            "partial_fill_ratio": 0.5,
            "backlog_bytes": 8113680,
            "bytes_written": 250000000000,
            "disk_busy_ratio": 0.75,
            "link_bits_per_second": 1000000000,
            "bytes_to_verify": 256060514304,
            "bytes_verified": 262144,
            "datagrams_rejected": 1234,
            "poisoned_blocks": 2,
            "poisoned_symbols": 5,
            "alarm": "poisoned symbols: 2 blocks, source MAC 02:00:00:00:00:07 as 10.0.0.1",
        },
    ),
    (
        f"receivers/{RECEIVERS[1]}/repair",
        "RepairRequest",
        {
            "type": "repair",
            "tsi": TSI,
            "receiver_id": RECEIVERS[1],
            "sequence": 10,
            "toi": 1,
            "deficits": [[0, 1], [7, 191], [4294967295, 64]],
            "absent": [[8, 8], [100, 4294967294]],
            "missing_symbols": [[7, base64.b64encode(b"\x05\x00\x80").decode()]],
        },
    ),
    (
        f"receivers/{RECEIVERS[1]}/missing",
        "MissingBlocks",
        {
            "type": "missing",
            "tsi": TSI,
            "receiver_id": RECEIVERS[1],
            "sequence": 11,
            "first_sbn": 1048576,
            "block_count": 20,
            "bitmap": _deflated(b"\x0f\x00\x08"),
        },
    ),
    (
        f"receivers/{RECEIVERS[1]}/certificate",
        "SignedCertificate",
        {
            "type": "certificate",
            "tsi": TSI,
            "receiver_id": RECEIVERS[1],
            "certificate": _bytes(5),
            "signature": _bytes(6, 64),
        },
    ),
    (
        f"receivers/{RECEIVERS[0]}/ticket",
        "SignedTicket",
        {
            "type": "ticket",
            "tsi": TSI,
            "receiver_id": RECEIVERS[0],
            "ticket": _bytes(7),
            "signature": _bytes(8, 64),
        },
    ),
)


def main() -> None:
    """Replace the file."""
    vectors = [
        {
            "topic": f"slatecast/v1/{topic}",
            "type": name,
            "fields": fields,
            "payload": json.dumps(fields, separators=(",", ":"), ensure_ascii=False),
        }
        for topic, name, fields in MESSAGES
    ]
    PATH.write_text(json.dumps({"messages": vectors}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
