"""What is done to a seat's disk after it was written and verified: steps with everything filled in, over the seat API.

    GET  /v1/sessions/{tsi}/configuration     -> SeatConfiguration
    GET  /v1/sessions/{tsi}/files/{digest}    -> bytes of one of its files
    POST /v1/sessions/{tsi}/steps             StepReport, at every change
    UDP  beacon.port                          beacon_datagram, when the disk's own system has started

The broadcaster has rendered it for one seat; the seat runs the steps in their order. Each may be run again: what is
done already is left as it is. Decoders take any bytes and raise nothing but MessageError, and a SeatConfiguration that
was decoded names every file within a disk's root: no path climbs out of it by its own words.
"""

import re
from enum import StrEnum
from typing import Annotated, Final, TypeVar

import msgspec

from protocol.errors import MessageError
from protocol.fields import Count, LongText, ShortText, Tsi, printable

MAX_CONFIGURATION_LENGTH: Final = 4 << 20
"""[bytes] of a SeatConfiguration: 10,000 files of drivers with paths of 200 characters."""

MAX_STEPS: Final = 64
MAX_STEP_FILES: Final = 16_384
"""[files] of one step: a driver pack of all models of a site has 5,000."""

MAX_DRIVER_SETS: Final = 256
MAX_TARGET_PATH: Final = 1024
"""[characters] of a path inside a target; Windows allows 260, Linux 4,096."""

MAX_ARGUMENTS: Final = 64
MAX_SCRIPT_SECONDS: Final = 3600
"""[s] that a script may be allowed at most: nobody waits longer for a room."""

BEACON_PORT: Final = 8886
"""UDP: where the broadcaster hears that a written disk has started; beside the ports of enrolment and broker."""

MAX_BEACON_LENGTH: Final = 64
"""[bytes] of a beacon's datagram; a longer one is nothing of ours."""

_BEACON: Final = re.compile(rb"slatecast booted ([0-9a-f]{32})\s?")

_WITHIN: Final = r"^(?!/)(?!(.*/)?\.{0,2}(/|\Z))[^\x00-\x1f\x7f\\]+\Z"
"""A path without a root, an empty part, ``.`` or ``..``."""

TargetPath = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TARGET_PATH, pattern=_WITHIN)]
"""Relative to the root of the system on the disk, with slashes."""
FileDigest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Identity = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
IdentityOrNone = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?\Z")]
Hostname = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?\Z")]
ComputerName = Annotated[str, msgspec.Meta(pattern=r"^(?![0-9]+\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,13}[A-Za-z0-9])?\Z")]
PartitionNumber = Annotated[int, msgspec.Meta(ge=0, le=256)]
OwnerId = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFE)]


class OnError(StrEnum):
    """What happens to the steps behind one that fails."""

    STOP = "stop"
    """they are not run, and the machine stays as it is, for somebody to look"""
    CONTINUE = "continue"


class System(StrEnum):
    """Whose files a step writes."""

    LINUX = "linux"
    WINDOWS = "windows"


class FirstBoot(StrEnum):
    """What a machine's firmware tries first from now on."""

    KEEP = "keep"
    """as it is"""
    NETWORK = "network"
    DISK = "disk"


class Restart(StrEnum):
    """What the machine does once all steps are done."""

    REBOOT = "reboot"
    POWEROFF = "poweroff"
    STAY = "stay"


class StepState(StrEnum):
    """How far a step is."""

    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    """there was nothing to do, or nothing that it applies to; the text says which"""
    FAILED = "failed"


class ConfiguredFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that a step needs or writes."""

    path: TargetPath
    """on the disk; of a script, its name for people"""
    digest: FileDigest
    """BLAKE3 of its bytes, by which it is fetched"""
    length: Count
    """bytes"""
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o7777)] = 0o644
    owner: OwnerId = 0
    group: OwnerId = 0


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="step"):
    """Base of all steps."""

    on_error: OnError = OnError.STOP


class GrowStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grow"):
    """Let a partition and its file system fill the disk; the backup GPT goes to the disk's end."""

    partition: PartitionNumber = 0
    """0 for the last one that can grow"""


class IdentitiesStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="identities"):
    """New identities for the disk and its partitions, so that two disks of a room can be told apart."""

    seed: Identity
    """from which they follow, so that doing it twice changes nothing"""


class HostnameStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hostname"):
    """The name of a Linux system."""

    name: Hostname


class MachineIdStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="machine-id"):
    """The machine-id of a Linux system."""

    machine_id: IdentityOrNone = ""
    """empty lets the system make one when it starts"""


class SshHostKeysStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ssh-host-keys"):
    """New SSH host keys for a Linux system that serves SSH."""

    label: ShortText
    """in their comments; keys that have it already are left"""


class WindowsStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="windows"):
    """The answers that Windows reads when it sets itself up, its name among them."""

    computer_name: ComputerName
    unattend: ConfiguredFile


class FilesStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="files"):
    """Files of a system."""

    system: System
    files: Annotated[tuple[ConfiguredFile, ...], msgspec.Meta(max_length=MAX_STEP_FILES)]


class DriverSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Drivers for the machines that match, by what their firmware says of itself."""

    vendor: ShortText
    """pattern of sys_vendor, with * and ?, whatever the case of letters"""
    product: ShortText
    """pattern of product_name"""
    files: Annotated[tuple[ConfiguredFile, ...], msgspec.Meta(max_length=MAX_STEP_FILES)]


class DriversStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="drivers"):
    """The drivers of the sets that match the machine, in a folder of a system."""

    system: System
    folder: TargetPath
    """is made anew: what was in it goes"""
    sets: Annotated[tuple[DriverSet, ...], msgspec.Meta(max_length=MAX_DRIVER_SETS)]


class ScriptStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="script"):
    """A program that is run inside a Linux system, as root."""

    file: ConfiguredFile
    arguments: Annotated[tuple[LongText, ...], msgspec.Meta(max_length=MAX_ARGUMENTS)] = ()
    limit_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_SCRIPT_SECONDS)] = 120
    """after which it is killed, with everything that it has started"""
    has_network: bool = False
    has_disks: bool = False
    """whether it sees the machine's devices, as a boot loader's installer has to"""


class BootStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="boot"):
    """The firmware's boot entries, and the loader that it finds without one."""

    label: ShortText
    """of the entry for the disk"""
    first: FirstBoot = FirstBoot.KEEP
    fallback: bool = True
    """whether EFI/BOOT gets a loader where it has none"""
    next_disk: bool = True
    """whether the next start is from the disk, whatever comes first later"""


class BeaconStep(Step, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="beacon"):
    """Let the system on the disk say once that it has started."""

    system: System


AnyStep = (
    GrowStep
    | IdentitiesStep
    | HostnameStep
    | MachineIdStep
    | SshHostKeysStep
    | WindowsStep
    | FilesStep
    | DriversStep
    | ScriptStep
    | BootStep
    | BeaconStep
)


class Beacon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a disk that has started says so."""

    host: ShortText
    """IPv4 or IPv6 address of the broadcaster"""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    token: Identity
    """secret: of this seat in this session alone"""


class SeatConfiguration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one seat does to its disk."""

    tsi: Tsi
    seat: ShortText
    steps: Annotated[tuple[AnyStep, ...], msgspec.Meta(max_length=MAX_STEPS)] = ()
    beacon: Beacon | None = None
    """there where a step needs it"""
    restart: Restart = Restart.REBOOT


class StepReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far one step is."""

    name: ShortText
    index: Annotated[int, msgspec.Meta(ge=0, lt=MAX_STEPS)]
    """in SeatConfiguration.steps"""
    state: StepState
    text: LongText = ""
    """what was done, or why it failed and what to do"""


Decoded = TypeVar("Decoded", SeatConfiguration, StepReport)


def name_of(step: AnyStep) -> str:
    """What a step is called, for people and reports: its tag, and which one it is where there may be several."""
    tag = str(step.__struct_config__.tag)
    return f"{tag} {step.file.path}"[:64] if isinstance(step, ScriptStep) else tag


def files_of(step: AnyStep) -> tuple[ConfiguredFile, ...]:
    """Every file that a step names, those of all sets of drivers among them."""
    match step:
        case WindowsStep(unattend=file) | ScriptStep(file=file):
            return (file,)
        case FilesStep(files=files):
            return files
        case DriversStep(sets=sets):
            return tuple(file for each in sets for file in each.files)
        case _:
            return ()


def decode_configuration(body: bytes) -> SeatConfiguration:
    """A SeatConfiguration of any origin.

    Raises:
        MessageError: too long, no JSON, or out of bounds.
    """
    return _decoded(body, SeatConfiguration, MAX_CONFIGURATION_LENGTH)


def decode_step_report(body: bytes) -> StepReport:
    """A StepReport of any origin; what its texts hold that is no letter is replaced.

    Raises:
        MessageError: too long, no JSON, or out of bounds.
    """
    report = _decoded(body, StepReport, 8 * 1024)
    return msgspec.structs.replace(report, name=printable(report.name), text=printable(report.text))


def beacon_datagram(token: str) -> bytes:
    """What a disk says that has started."""
    return b"slatecast booted " + token.encode("ascii")


def decode_beacon(datagram: bytes) -> bytes:
    """The token in a datagram of any origin, 16 bytes.

    Raises:
        MessageError: it is no beacon.
    """
    match = _BEACON.fullmatch(datagram) if len(datagram) <= MAX_BEACON_LENGTH else None
    if match is None:
        raise MessageError("no beacon")
    return bytes.fromhex(match[1].decode("ascii"))


def _decoded(body: bytes, kind: type[Decoded], longest: int) -> Decoded:
    if len(body) > longest:
        raise MessageError(f"{kind.__name__} of {len(body)} bytes is over {longest}")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{kind.__name__}: {error}") from error
