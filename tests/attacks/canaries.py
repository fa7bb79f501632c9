"""Secrets that must not turn up anywhere, in every spelling that somebody could have written them in."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

LEAST = 12
"""[bytes] Shorter ones would be found by chance."""


@dataclass(frozen=True)
class Canary:
    name: str
    secret: bytes

    def spellings(self) -> Iterator[bytes]:
        """Raw, hex, base64 wherever in a longer text it begins, the escapes of Python, JSON and URLs, PEM lines."""
        secret = self.secret
        assert len(secret) >= LEAST
        yield secret
        for written in (secret.hex(), secret.hex(":"), secret.hex(" ")):
            yield written.encode()
            yield written.upper().encode()
        for shift in range(3):
            # What stands before shifts the text, and the letters at both ends depend on the neighbours.
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                text = encode(bytes(shift) + secret).rstrip(b"=")
                yield text[2 + shift if shift else 0 : -1]
        yield repr(secret)[2:-1].encode()
        if secret.isascii():
            yield quote(secret).encode()
            yield secret[::-1]


def found_in(canaries: list[Canary], name: str, content: bytes) -> list[str]:
    """Which of them stand in this."""
    unbroken = content.replace(b"\r", b"").replace(b"\n", b"")
    return [
        f"{canary.name} in {name}"
        for canary in canaries
        if any(spelling in content or spelling in unbroken for spelling in canary.spellings())
    ]
