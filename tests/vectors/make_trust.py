"""Write trust.json: a wipe ticket, an admission and a signed payload, with the keys that make and judge them.

    python -m tests.vectors.make_trust

Written out by hand over the standard library and ``cryptography``, never by slatecast, so that the file changes only
with the layout, which needs a new protocol version. Ed25519 is deterministic: signatures come out the same each time.
HPKE is not, since each box holds a key that is drawn for it: the sealed secret, and with it the ticket and its
signature, are others in each file. There the vector proves that what was sealed once still opens. All keys are for
tests alone.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

PATH = Path(__file__).with_name("trust.json")

TSI = "0123456789abcdef"
DIRECTOR_SEED, IMAGE_SEED, IDENTITY_SEED, OPENING_KEY = (bytes([number]) * 32 for number in (1, 2, 3, 4))
BOOT_NONCE = bytes(range(16))
SESSION_SECRET = bytes(range(100, 132))
MANIFEST_DIGEST = bytes(range(32, 64))

DIRECTOR, IMAGE, IDENTITY = map(Ed25519PrivateKey.from_private_bytes, (DIRECTOR_SEED, IMAGE_SEED, IDENTITY_SEED))
OPENING = X25519PrivateKey.from_private_bytes(OPENING_KEY)


def _public(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _json(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _announcement() -> bytes:
    return _json(
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
            "manifest_digest": _base64(MANIFEST_DIGEST),
            "image_key": _base64(_public(IMAGE)),
            "image_signature": _base64(IMAGE.sign(b"slatecast image v1\0" + MANIFEST_DIGEST)),
            "manifest_length": 262145,
            "manifest_block_digests": [_base64(bytes(range(64, 96))), _base64(bytes(range(96, 128)))],
            "catch_up_url": "",
        }
    )


def _ticket() -> dict[str, Any]:
    announcement = _announcement()
    context = b"slatecast session secret v1\0" + TSI.encode() + _public(IDENTITY) + BOOT_NONCE
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    body = _json(
        {
            "tsi": TSI,
            "receiver_key": _base64(_public(IDENTITY)),
            "boot_nonce": _base64(BOOT_NONCE),
            "announcement_digest": _base64(hashlib.sha256(announcement).digest()),
            "manifest_digest": _base64(MANIFEST_DIGEST),
            "disk": {"min_size": 256060514304, "logical_sector_size": 512},
            "may_write": True,
            "sealed_secret": _base64(suite.encrypt(SESSION_SECRET, OPENING.public_key(), context)),
        }
    )
    return {
        "director_key": _public(DIRECTOR).hex(),
        "opening_key": OPENING_KEY.hex(),
        "session_secret": SESSION_SECRET.hex(),
        "announcement_topic": f"slatecast/v1/sessions/{TSI}/announcement",
        "announcement": announcement.decode(),
        "receiver": _receiver(),
        "ticket": body.decode(),
        "signature": DIRECTOR.sign(b"slatecast ticket v1\0" + body).hex(),
    }


def _admission() -> dict[str, Any]:
    admitted = _public(IDENTITY) + _public(OPENING) + BOOT_NONCE
    return {
        "director_key": _public(DIRECTOR).hex(),
        "receiver": _receiver(),
        "receiver_id": hashlib.sha256(b"slatecast key v1\0" + _public(IDENTITY)).digest()[:16].hex(),
        "admission": DIRECTOR.sign(b"slatecast admission v1\0" + admitted).hex(),
    }


def _envelope() -> dict[str, Any]:
    topic = f"slatecast/v1/sessions/{TSI}/status"
    body = _json(
        {
            "type": "status",
            "tsi": TSI,
            "sequence": 12884901929,
            "phase": "disk",
            "position": 4294967295,
            "rate_bits_per_second": 900000000,
            "rate_reason": "lowered: the median seat loses 7.0%",
            "datagrams_sent": 17,
            "repair_datagrams": 3,
            "settled": [],
            "catch_up": [],
            "must_leave_group": [],
            "is_paused": False,
            "dismissed": [],
        }
    )
    signature = DIRECTOR.sign(b"slatecast control v1\0" + topic.encode() + b"\0" + body)
    return {
        "director_key": _public(DIRECTOR).hex(),
        "topic": topic,
        "payload": (body + b"\n" + base64.b64encode(signature)).decode(),
    }


def _receiver() -> dict[str, str]:
    return {
        "identity_key": _public(IDENTITY).hex(),
        "sealing_key": _public(OPENING).hex(),
        "boot_nonce": BOOT_NONCE.hex(),
    }


def main() -> None:
    """Replace the file."""
    vectors = {
        "director_seed": DIRECTOR_SEED.hex(),
        "ticket": _ticket(),
        "admission": _admission(),
        "envelope": _envelope(),
    }
    PATH.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
