"""The seat API: what an admitted receiver asks of its broadcaster by HTTPS, besides taking part in sessions.

    GET  /v1/work                                              -> Work, every WORK_INTERVAL
    POST /v1/restores                         RestoreWish      -> RestoreAnswer
    GET  /v1/sessions/{tsi}/configuration                      -> protocol.configuration.SeatConfiguration
    GET  /v1/sessions/{tsi}/files/{digest}                     -> bytes of a file that the configuration names
    POST /v1/sessions/{tsi}/steps             StepReport       -> nothing
    ...  /v1/captures...                                       see ``protocol.capture``

Both sides show certificates of the broadcaster's own authority, so whoever asks is an admitted receiver, known by its
id, and whoever answers is the broadcaster. Its url comes with the enrolment (``Offer.seat_api``). Bodies are JSON
unless said otherwise. Every decoder takes any bytes and raises nothing but MessageError.
"""

import re
from typing import Annotated, Final, TypeVar

import msgspec

from protocol import PROTOCOL_VERSION
from protocol.errors import MessageError
from protocol.fields import LongText, ShortText, Tsi

API_ROOT: Final = f"/v{PROTOCOL_VERSION}"
WORK_PATH: Final = f"{API_ROOT}/work"
RESTORES_PATH: Final = f"{API_ROOT}/restores"

WORK_INTERVAL: Final = 3.0
"""[s] between two questions for work: what an operator who has just ordered a capture does not mind waiting."""

MAX_API_BODY: Final = 64 * 1024
"""[bytes] of a JSON body, either way, unless its own bound is said; ours have under 4,000."""

CaptureId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]

_SESSION_PATH: Final = re.compile(
    rf"{API_ROOT}/sessions/(?P<tsi>[0-9a-f]{{16}})/(?:(?P<what>configuration|steps)|files/(?P<digest>[0-9a-f]{{64}}))"
)


class CaptureOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read your disk and send what the library lacks of it."""

    capture_id: CaptureId
    image: ShortText
    """name that it gets in the library"""
    is_backup: bool
    """of this seat, before it is overwritten or because somebody asked; else the image of a reference machine"""
    target: ShortText
    """which disk, as ``slatecast receive --target`` takes it; empty for the one that the seat was started with"""
    accepts: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)] = ()
    """codes of findings that do not refuse this capture, because an operator has read them"""


class RestoreOffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What whoever sits at this seat may choose without an operator."""

    image: ShortText
    version: Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]
    created: ShortText
    """ISO 8601, UTC"""


class Work(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What there is to do for the receiver that asks."""

    seat: ShortText = ""
    """what operators call the place where it stands; empty while nobody knows"""
    room: ShortText = ""
    capture: CaptureOrder | None = None
    restore: RestoreOffer | None = None
    """None where self-service is not allowed"""
    notice: LongText = ""
    """for the seat's screen, in one sentence: what somebody has to mend about where it stands"""


class RestoreWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody at the seat has chosen, and confirmed, to put the offered image on its disk."""

    image: ShortText
    version: Annotated[int, msgspec.Meta(ge=1, le=1 << 62)]
    """as offered, so that nobody gets another one than was shown"""


class RestoreAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of the wish."""

    tsi: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{16})?\Z")]
    """the session that will order it, or empty"""
    refusal: LongText = ""
    """why not, and what to do"""


class SessionAddress(msgspec.Struct, frozen=True, kw_only=True):
    """What of a session is asked for."""

    tsi: Tsi
    what: str
    """configuration, steps or files"""
    digest: bytes = b""
    """BLAKE3 of a file"""

    @classmethod
    def parse(cls, path: str) -> "SessionAddress | None":
        """Read a path of any origin; None where there is nothing of this form."""
        match = _SESSION_PATH.fullmatch(path)
        if match is None:
            return None
        digest = match["digest"]
        return cls(tsi=match["tsi"], what=match["what"] or "files", digest=bytes.fromhex(digest) if digest else b"")

    def __str__(self) -> str:
        """The path."""
        tail = f"files/{self.digest.hex()}" if self.digest else self.what
        return f"{API_ROOT}/sessions/{self.tsi}/{tail}"


Decoded = TypeVar("Decoded", bound=msgspec.Struct)


def decode_api(body: bytes, kind: type[Decoded], longest: int = MAX_API_BODY) -> Decoded:
    """Read a JSON body of any origin as ``kind``.

    Raises:
        MessageError: too long, not JSON, or not within the bounds of its struct.
    """
    if len(body) > longest:
        raise MessageError(f"{kind.__name__} of {len(body)} bytes is over {longest}")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{kind.__name__}: {error}") from error
