"""Write enrolment.json: one whole enrolment with a token, as the exact bodies, the transcript and what is proved of it.

    python -m tests.vectors.make_enrolment

Written out by hand over the standard library's JSON and hashes, and the libraries for signatures and SPAKE2, never by
slatecast, so the file changes only with the protocol, which needs a new version.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mnemonic import Mnemonic
from spake2 import SPAKE2_A, SPAKE2_B

PATH = Path(__file__).with_name("enrolment.json")

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBDzCBt6ADAgECAgEBMAoGCCqGSM49BAMCMBExDzANBgNVBAMMBnZlY3RvcjAg
Fw0wMDAxMDEwMDAwMDBaGA85OTk5MTIzMTAwMDAwMFowETEPMA0GA1UEAwwGdmVj
dG9yMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHxbzTixfmr+0JKbkqjwMV/Om
9UotqP8AqHI5LprXUL6OgeeMCeLZPEVJxMsA7MlvBcgn7j4/20zRG/BYGn9bujAK
BggqhkjOPQQDAgNHADBEAiAnbS0JYSqCtD1zHi7qGsIqZX4w8r436Vhe15wK6qKy
WAIgB9wfEp0deXXs1hztCb0fN7IQKMJhnDwhvkv0U5FTXJI=
-----END CERTIFICATE-----
"""
TOKEN = "legal-winner-thank-year"
NORMALIZED = b"legalwinnerthankyear"
DIRECTOR = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
RECEIVER_RANDOM = bytes(range(64, 96))
LEAF_DIGEST = bytes(range(96, 128))
RECEIVER_SEED = bytes(range(128, 192))
BROADCASTER_SEED = bytes(range(192, 256))


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _body(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def _pairing_signature(key: Ed25519PrivateKey, message: bytes) -> bytes:
    return key.sign(b"slatecast pairing v1\0" + message)


def _words(digest: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in digest)
    words = Mnemonic("english").wordlist
    return " ".join(words[int(bits[start : start + 11], 2)] for start in range(0, 44, 11))


def main() -> None:
    """Replace the file."""
    identities = {"idA": b"slatecast receiver v1", "idB": b"slatecast broadcaster v1"}
    receiver = SPAKE2_A(NORMALIZED, **identities, entropy_f=lambda _length: RECEIVER_SEED)
    broadcaster = SPAKE2_B(NORMALIZED, **identities, entropy_f=lambda _length: BROADCASTER_SEED)
    receiver_message, broadcaster_message = receiver.start(), broadcaster.start()
    key = receiver.finish(broadcaster_message)
    sealing_key, boot_nonce = bytes(range(7, 39)), bytes(range(16))
    hello = {
        "type": "hello",
        "identity_key": _text(_public(IDENTITY)),
        "sealing_key": _text(sealing_key),
        "boot_nonce": _text(boot_nonce),
        "seat": "Übungsraum 3, Platz 7",
        "commitment": _text(hashlib.sha256(b"slatecast commitment v1\0" + RECEIVER_RANDOM).digest()),
        "pairing": _text(receiver_message),
    }
    offer = {
        "type": "offer",
        "trust": {
            "director_key": _text(_public(DIRECTOR)),
            "image_keys": [_text(bytes(range(200, 232)))],
            "authority": _text(CERTIFICATE.encode()),
            "serial": 1,
            "superseded": [],
        },
        "broker": "mqtts://[fd00::1]:8883",
        "broker_authority": CERTIFICATE,
        "seat_api": "https://[fd00::1]:8885",
        "broadcaster_random": _text(bytes(range(128, 160))),
        "pairing": _text(broadcaster_message),
    }
    parts = [b"slatecast enrolment v1", _body(hello).encode(), _body(offer).encode(), LEAF_DIGEST]
    transcript = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    receiver_proof = hmac.digest(key, b"slatecast receiver v1\0" + transcript, "sha256")
    broadcaster_proof = hmac.digest(key, b"slatecast broadcaster v1\0" + transcript, "sha256")
    confirm = {
        "type": "confirm",
        "receiver_random": _text(RECEIVER_RANDOM),
        "token_proof": _text(receiver_proof),
        "signature": _text(_pairing_signature(IDENTITY, b"receiver" + transcript + RECEIVER_RANDOM + receiver_proof)),
    }
    verdict = {
        "type": "verdict",
        "state": "admitted",
        "refusal": "",
        "signature": _text(_pairing_signature(DIRECTOR, b"director" + transcript)),
        "token_proof": _text(broadcaster_proof),
        "admission": _text(DIRECTOR.sign(b"slatecast admission v1\0" + _public(IDENTITY) + sealing_key + boot_nonce)),
        "certificate": CERTIFICATE,
    }
    messages: dict[str, dict[str, Any]] = {"hello": hello, "offer": offer, "confirm": confirm, "verdict": verdict}
    vector = {
        "token": TOKEN,
        "receiver_random": RECEIVER_RANDOM.hex(),
        "leaf_digest": LEAF_DIGEST.hex(),
        "receiver_seed": RECEIVER_SEED.hex(),
        "broadcaster_seed": BROADCASTER_SEED.hex(),
        "messages": {name: {"fields": fields, "body": _body(fields)} for name, fields in messages.items()},
        "transcript": transcript.hex(),
        "words": _words(hashlib.sha256(b"slatecast words v1\0" + transcript + RECEIVER_RANDOM).digest()),
    }
    PATH.write_text(json.dumps(vector, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
