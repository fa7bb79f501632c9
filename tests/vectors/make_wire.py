"""Write wire.json: sealed datagrams with all that went into them, for this and any other implementation to reproduce.

    python -m tests.vectors.make_wire

Keys come from RFC 5869 written out over the standard library, headers from their layout in hexadecimal digits, AES-GCM
from ``cryptography``; never from slatecast. So the file changes only with the wire, which needs a new protocol version.
"""

import hashlib
import hmac
import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PATH = Path(__file__).with_name("wire.json")

LENGTH = 1416
CASES = (
    # toi, sbn, K, esi, symbol bytes
    (0, 0, 1, 0, 1),
    (0, 21, 190, 189, 77),
    (1, 0, 186, 0, LENGTH),
    (1, 32_767, 186, 185, 1288),
    (1, 32_768, 186, 185, 1288),
    (1, 819_199, 191, 254, LENGTH),
    (1, 0xFFFF_FFFF, 64, 64, LENGTH),
)


def main() -> None:
    """Seal all cases and replace the file."""
    secret = hashlib.sha256(b"slatecast wire secret").digest()
    manifest_digest = hashlib.sha256(b"slatecast wire manifest").digest()
    tsi = 0x0123_4567_89AB_CDEF
    vectors = [_vector(secret, manifest_digest, tsi, *case) for case in CASES]
    common = {
        "session_secret": secret.hex(),
        "manifest_digest": manifest_digest.hex(),
        "tsi": tsi,
        "encoding_symbol_length": LENGTH,
    }
    PATH.write_text(json.dumps({**common, "datagrams": vectors}, indent=1) + "\n")


def _vector(
    secret: bytes, manifest_digest: bytes, tsi: int, toi: int, sbn: int, source_block_length: int, esi: int, length: int
) -> dict[str, object]:
    seed = f"slatecast wire {toi} {sbn} {esi}"
    symbol = hashlib.shake_128(seed.encode()).digest(length)
    header = f"5c57 01 {toi:02x} {tsi:016x} {sbn:08x} {source_block_length:02x} {esi:02x}"
    nonce = f"{toi:02x} 000000 {sbn:08x} 000000 {esi:02x}"
    key = _hkdf(secret, manifest_digest, b"slatecast segment" + bytes.fromhex(f"{toi:02x} {sbn >> 15:08x}"))
    sealed = AESGCM(key).encrypt(bytes.fromhex(nonce), symbol, bytes.fromhex(header))
    return {
        "toi": toi,
        "sbn": sbn,
        "source_block_length": source_block_length,
        "esi": esi,
        "symbol_seed": seed,
        "symbol_length": length,
        "key": key.hex(),
        "nonce": nonce,
        "header": header,
        "datagram": (bytes.fromhex(header) + sealed).hex(),
    }


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, for 32 bytes: one round of expansion."""
    pseudorandom_key = hmac.digest(salt, secret, "sha256")
    return hmac.digest(pseudorandom_key, info + b"\x01", "sha256")


if __name__ == "__main__":
    main()
