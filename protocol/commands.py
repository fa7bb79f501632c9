"""What operators order a broadcaster to do, and what it answers.

    slatecast/v1/operators/commands               Order, signed by the console's key
    slatecast/v1/operators/answers/{command_id}   Answer, signed by the director

The console has asked the operator's rights; the broadcaster asks whether the order makes sense, and writes who gave it
into the audit log. An order names the generation of the broadcaster that it is for and is acted on once: repeated or
replayed it gets the same answer again, after a restart none but a refusal. It is repeated until it is answered.
An answer comes in parts when it is long; work that takes time tells its progress until it is done.
"""

import re
from typing import Annotated, Final, TypeVar

import msgspec

from protocol.envelope import open_body, signed_body
from protocol.errors import MessageError
from protocol.fields import (
    MAX_MESSAGE_LENGTH,
    MAX_SEATS,
    Count,
    LongText,
    MacAddress,
    Ratio,
    ReceiverId,
    ShortText,
    Tsi,
)
from protocol.operators import OPERATORS_ROOT, Generation
from protocol.seat_api import CaptureId
from protocol.signing import SigningKey

PART_LENGTH: Final = 128 * 1024
"""[bytes] of an answer in one message: with base64 and signature under MAX_MESSAGE_LENGTH."""

MAX_PARTS: Final = 256
"""[parts] 32 MiB: the report of the largest room is 9 MiB."""

MAX_AUDIT_ENTRIES: Final = 5000
"""[entries] of the audit log at once"""

MAX_PATH: Final = 4096
"""[characters] PATH_MAX of Linux"""

CommandId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
PathText = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PATH)]
Opened = TypeVar("Opened", "Order", "Answer")


class Command(msgspec.Struct, frozen=True, tag_field="command"):
    """Base of all commands; what each answers stands in its docstring, as JSON."""


class PlannedSeat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A seat that a session is for."""

    machine: ShortText
    """of the receiver that stands there, whatever its id is at the time"""
    seat: ShortText
    hostname: ShortText = ""
    """that its configuration may give it"""


class BootedSeat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that is to boot the environment, and how its seat is called."""

    address: MacAddress
    seat: ShortText


class PlanSession(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="plan"):
    """Open a session and let its seats look at their disks; nothing is written. Answers {"tsi": ...}."""

    room: ShortText
    image: ShortText
    version: Count = 0
    """0 for the newest"""
    seats: Annotated[tuple[PlannedSeat, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]
    rate_bits_per_second: Count = 0
    """0 for the configured one"""
    wait_seconds: Annotated[float, msgspec.Meta(ge=0, le=86400)] = 300.0
    """for seats that are not ready, once it is started"""
    configuration: ShortText = ""
    """name of what is done to each disk once it is verified; empty for nothing"""
    backs_up: bool = False
    """the disk of each seat is captured as its backup first; the session cannot be started before that is done"""


class StartSession(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="start"):
    """Order the planned seats to be overwritten. Answers {}."""

    tsi: Tsi
    expected_seats: Annotated[int, msgspec.Meta(ge=1, le=MAX_SEATS)]
    """as the operator typed it: must be the number of planned seats that are there and not refused"""


class StopSession(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stop"):
    """End a session, or drop a plan. Answers {}."""

    tsi: Tsi


class PauseSession(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pause"):
    """Send nothing until it is continued; no seat is judged meanwhile. Answers {}."""

    tsi: Tsi


class ContinueSession(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="continue"):
    """Go on with a paused session. Answers {}."""

    tsi: Tsi


class MoveToCatchUp(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="move-to-catch-up"):
    """Let one seat fetch what it misses by unicast. Answers {}."""

    tsi: Tsi
    receiver_id: ReceiverId


class DismissSeat(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="dismiss"):
    """Stop one seat; its disk, if writing has begun, stays marked as incomplete. Answers {}."""

    tsi: Tsi
    receiver_id: ReceiverId


class RetrySeats(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="retry"):
    """Open a new plan of the same image for seats of a session that did not finish. Answers {"tsi": ...}."""

    tsi: Tsi
    machines: Annotated[tuple[ShortText, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class AdmitReceivers(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="admit"):
    """Let these applicants in; all are there, or none is let in. Answers {}."""

    receiver_ids: Annotated[tuple[ReceiverId, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class RefuseReceivers(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="refuse"):
    """Send these applicants away. Answers {}."""

    receiver_ids: Annotated[tuple[ReceiverId, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class ImportImage(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="import"):
    """Add a file or block device of the broadcaster's machine to the library. Answers {"name": ..., "version": ...}."""

    path: PathText
    name: ShortText


class VerifyImage(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="verify"):
    """Read and check every chunk of an image. Answers {"damaged": number of chunks, "details": [text, ...]}."""

    name: ShortText
    version: Count


class RemoveImage(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="remove"):
    """Remove one version; refused while a session uses it. Answers {"freed_bytes": ...}."""

    name: ShortText
    version: Count


class ShrinkImage(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="shrink"):
    """Add a version of an image that fits on a smaller disk; the one that it is made from stays. Answers {"name": ...,
    "version": ..., "disk_size": bytes}.
    """

    name: ShortText
    version: Count
    disk_size: Count
    """bytes of the smallest disk that it must fit on; 0 for as small as it gets"""


class CompareVersions(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="compare"):
    """What changed between two versions. Answers {"changed_bytes", "stored_bytes", "ranges": [[offset, length], ...]}
    in bytes of the disk, ranges joined where they touch, the first 1,000.
    """

    name: ShortText
    old_version: Count
    new_version: Count


class FetchReport(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="report"):
    """The signed report of a session that has ended. Answers the JSON of broadcaster.report.SessionReport."""

    tsi: Tsi


class FetchAudit(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="audit"):
    """The newest entries of the audit log. Answers {"entries": [...], "is_intact": bool, "verdict": text}."""

    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_AUDIT_ENTRIES)] = 500


class WakeMachines(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="wake"):
    """Send a wake-on-LAN datagram to each. Answers {}."""

    addresses: Annotated[tuple[MacAddress, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class CaptureMachine(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="capture"):
    """Let an admitted machine send its disk into the library. Answers {"capture_id": ...}; news tell the rest."""

    machine: ShortText
    image: ShortText
    accepts: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)] = ()
    """codes of findings that do not refuse it"""


class BackUpMachines(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="back-up"):
    """Capture the disks of these machines as their backups. Answers {"capture_ids": [...]}, in their order."""

    machines: Annotated[tuple[ShortText, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]


class DecideCapture(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="decide-capture"):
    """Allow or refuse a capture that somebody asked for at the machine. Answers {}."""

    capture_id: CaptureId
    is_allowed: bool
    accepts: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=32)] = ()


class StopCapture(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stop-capture"):
    """End a capture; what has arrived of it is forgotten. Answers {}."""

    capture_id: CaptureId


class FetchFindings(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="findings"):
    """What was found on the disk of a capture. Answers {"findings": [{"kind", "code", "where", "text"}, ...]}."""

    capture_id: CaptureId


class BootMachines(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="boot"):
    """Let these machines boot the environment from the network when they start next. Answers {}."""

    seats: Annotated[tuple[BootedSeat, ...], msgspec.Meta(min_length=1, max_length=MAX_SEATS)]
    seconds: Annotated[int, msgspec.Meta(ge=0, le=7 * 86400)]
    """for which the order holds; 0 takes it back"""
    mode: Annotated[str, msgspec.Meta(pattern=r"^(receive|menu|capture)\Z")] = "receive"


class SetRoomPolicy(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="policy"):
    """What holds in a room when no operator is there; replaces what held. Answers {}."""

    room: ShortText
    image: ShortText = ""
    """assigned to its seats; empty for none"""
    version: Count = 0
    """0 for the newest"""
    configuration: ShortText = ""
    allows_restore: bool = False
    """whoever sits at a seat may put the assigned image on its disk"""
    backs_up: bool = False
    """before every wipe"""
    backups_kept: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    """of each seat, the newest"""
    seats: Annotated[tuple[PlannedSeat, ...], msgspec.Meta(max_length=MAX_SEATS)] = ()


class FetchAftercare(Command, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="aftercare"):
    """What was done to the disks of a session once they were verified. Answers {"seats": [{"machine", "seat",
    "steps": [{"name", "is_done", "text"}, ...], "error", "booted_at"}, ...]}.
    """

    tsi: Tsi


AnyCommand = (
    PlanSession
    | StartSession
    | StopSession
    | PauseSession
    | ContinueSession
    | MoveToCatchUp
    | DismissSeat
    | RetrySeats
    | AdmitReceivers
    | RefuseReceivers
    | ImportImage
    | VerifyImage
    | RemoveImage
    | ShrinkImage
    | CompareVersions
    | FetchReport
    | FetchAudit
    | WakeMachines
    | CaptureMachine
    | BackUpMachines
    | DecideCapture
    | StopCapture
    | FetchFindings
    | BootMachines
    | SetRoomPolicy
    | FetchAftercare
)


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A command, who gave it, and to which broadcaster."""

    command_id: CommandId
    generation: Generation
    """of the broadcaster that it is for"""
    operator: ShortText
    """user name"""
    command: AnyCommand


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a command is; the last one of a command has ``is_done``."""

    command_id: CommandId
    is_done: bool
    progress: Ratio
    """of work that takes time"""
    progress_text: ShortText = ""
    error: LongText = ""
    """why it was refused or failed, and what to do; empty when it went well"""
    part: Annotated[int, msgspec.Meta(ge=0, lt=MAX_PARTS)] = 0
    parts: Annotated[int, msgspec.Meta(ge=1, le=MAX_PARTS)] = 1
    body: Annotated[bytes, msgspec.Meta(max_length=PART_LENGTH)] = b""
    """of this part; all parts together are the JSON that the command answers"""


COMMANDS_TOPIC: Final = f"{OPERATORS_ROOT}/commands"
ALL_ANSWERS: Final = f"{OPERATORS_ROOT}/answers/+"
_ANSWER_TOPIC: Final = re.compile(rf"{OPERATORS_ROOT}/answers/([0-9a-f]{{32}})")
_ORDERS: Final[msgspec.json.Decoder[Order]] = msgspec.json.Decoder(Order)
_ANSWERS: Final[msgspec.json.Decoder[Answer]] = msgspec.json.Decoder(Answer)


def answer_topic(command_id: str) -> str:
    """Where a command is answered."""
    return f"{OPERATORS_ROOT}/answers/{command_id}"


def signed_order(order: Order, console: SigningKey) -> bytes:
    """The payload to publish on COMMANDS_TOPIC."""
    return signed_body(COMMANDS_TOPIC, msgspec.json.encode(order), console)


def signed_answer(answer: Answer, director: SigningKey) -> bytes:
    """The payload to publish on the answer's topic."""
    return signed_body(answer_topic(answer.command_id), msgspec.json.encode(answer), director)


def open_order(payload: bytes, console_key: bytes) -> Order:
    """The order in a payload of any origin, once it is proved that the console gave it.

    Raises:
        SignatureError: the console did not give it.
        MessageError: no order, or out of bounds.
    """
    return _opened(_ORDERS, COMMANDS_TOPIC, payload, console_key)


def open_answer(topic: str, payload: bytes, director_key: bytes) -> Answer:
    """The answer in a payload of any origin, once it is proved that the director gave it.

    Raises:
        SignatureError: the director did not give it.
        MessageError: no answer, out of bounds, or of another command than its topic.
    """
    answer = _opened(_ANSWERS, topic, payload, director_key)
    match = _ANSWER_TOPIC.fullmatch(topic)
    if match is None or match[1] != answer.command_id:
        raise MessageError("an answer on a topic that is not its own")
    return answer


def _opened(decoder: msgspec.json.Decoder[Opened], topic: str, payload: bytes, key: bytes) -> Opened:
    if len(payload) > MAX_MESSAGE_LENGTH:
        raise MessageError(f"payload of {len(payload)} bytes is over {MAX_MESSAGE_LENGTH}")
    body = open_body(topic, payload, key)
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{topic.rpartition('/')[2]}: {error}") from error
