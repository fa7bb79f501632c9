"""Writes certificate.json: certificates as JSON and bytes, by ``json`` and ``cryptography``, not by what they test.

python -m tests.vectors.make_certificate
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PATH = Path(__file__).with_name("certificate.json")
PURPOSE = b"slatecast certificate v1\0"
SEED = bytes(range(100, 132))


def _bytes(start: int, length: int = 32) -> str:
    return base64.b64encode(bytes(range(start, start + length))).decode()


def main() -> None:
    """Replace the file."""
    key = Ed25519PrivateKey.from_private_bytes(SEED)
    public = key.public_key().public_bytes_raw()
    vectors: list[dict[str, Any]] = []
    for seat, serial in (("seat-1", "S3Z8NB0K"), ("Übungsraum 3, Platz 7", "")):
        # In the order of the struct, without spaces: that is the canonical form.
        fields = {
            "tsi": "0123456789abcdef",
            "identity_key": base64.b64encode(public).decode(),
            "sealing_key": _bytes(0),
            "boot_nonce": _bytes(32, 16),
            "seat": seat,
            "image": "classroom",
            "version": 3,
            "manifest_digest": _bytes(64),
            "disk_size": 256060514304,
            "target": "/dev/disk/by-id/ata-DISK",
            "serial": serial,
            "verified_bytes": 120259084288,
            "blocks": 400000,
        }
        body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
        vectors.append(
            {
                "fields": fields,
                "certificate": body.decode(),
                "receiver_id": hashlib.sha256(b"slatecast key v1\0" + public).hexdigest()[:32],
                "signature": key.sign(PURPOSE + body).hex(),
            }
        )
    content = {"seed": SEED.hex(), "certificates": vectors}
    PATH.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
