"""What is wrong with a disk as a disk: encrypted, hibernated, dirty, failing; seen without looking at its files.

Each is said with what to do about it. Only what cannot make an image that somebody wants is a refusal, and an operator
who has read it may accept it by its code.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from protocol.capture import Finding, FindingKind
from protocol.disk.partitions import Partition
from protocol.disk.source import Source
from protocol.disk.system_tools import find_tool, last_line, run_tool
from protocol.disk.used_blocks import UsedBlocks
from receiver.capture.reading import Survey
from receiver.capture.tree import partition_device

SMART_PATIENCE: Final = 30
"""[s] A dying disk may take this long to say how it is, or never answer."""

_HIBERNATED_EXIT: Final = 14
"""Of ntfs-3g.probe, by its manual page: the volume is hibernated."""

_NOT_CLEAN: Final = "was not cleanly unmounted"
"""How ``why_not_clean`` says it."""

_PENDING_SECTORS: Final = 197
"""The SMART attribute that counts sectors waiting to be remapped: those cannot be read now."""

_TIMED_OUT: Final = 124


def disk_findings(survey: Survey) -> Iterator[Finding]:
    """Everything that is said of the disk before its files are looked at."""
    if survey.source.path.is_block_device():
        yield from _health(str(survey.source.path))
    if survey.table.overlapping:
        yield _warning(
            "overlapping", "partition table", "partitions overlap, so the whole disk is read and nothing is left out"
        )
    for partition, used, pages in zip(survey.table.partitions, survey.found, survey.page_files, strict=True):
        where = place(partition)
        yield from _partition(survey.source, partition, used, where)
        for path, why in pages.kept:
            yield _warning("page-file-kept", where, f"{path} is captured with what it holds: {why}"[:400])


def place(partition: Partition) -> str:
    """A partition, for people."""
    if not partition.number:
        return "the disk"
    label = f" ({partition.label})" if partition.label else ""
    return f"partition {partition.number}{label}"[:64]


def _partition(source: Source, partition: Partition, used: UsedBlocks, where: str) -> Iterator[Finding]:
    if partition.filesystem == "BitLocker":
        yield _refusal(
            "bitlocker",
            where,
            "BitLocker encrypts it: in Windows run 'manage-bde -off C:', wait until 'manage-bde -status' says fully "
            "decrypted, shut down, and capture again",
        )
    elif partition.filesystem == "crypto_LUKS":
        yield _warning(
            "luks",
            where,
            "LUKS encrypts it: all of it is captured, used or not, and every machine gets the same key and passphrase",
        )
    elif partition.filesystem == "swsuspend":
        yield _refusal(
            "hibernated", where, "holds a hibernated Linux: start it, shut it down with 'poweroff', and capture again"
        )
    elif _NOT_CLEAN in used.method:
        yield (
            _hibernated(where)
            if _is_hibernated(source, partition)
            else _refusal(
                "dirty",
                where,
                f"its {partition.filesystem} was not cleanly unmounted: start its system, shut it down in full, "
                "and capture again; if accepted, all of it is read, used or not",
            )
        )
    elif used.method.startswith("all non-zero") and partition.filesystem:
        yield _warning("kept-whole", where, f"all of it is read, used or not: {used.method}"[:400])


def _hibernated(where: str) -> Finding:
    return _refusal(
        "hibernated",
        where,
        "Windows is hibernated, maybe by its fast startup: in Windows run 'powercfg /h off', then 'shutdown /s /t 0', "
        "and capture again",
    )


def _is_hibernated(source: Source, partition: Partition) -> bool:
    probe = find_tool("ntfs-3g.probe")
    if partition.filesystem != "ntfs" or probe is None:
        return False
    try:
        with partition_device(source, partition) as device:
            return run_tool(probe, "--readwrite", str(device)).returncode == _HIBERNATED_EXIT
    except OSError:
        return False


def _health(disk: str) -> Iterator[Finding]:
    smartctl = find_tool("smartctl")
    if smartctl is None:
        yield _warning("health-unknown", disk, "nobody can say whether the disk is failing: apt install smartmontools")
        return
    timeout = find_tool("timeout")
    guard = [] if timeout is None else [timeout, str(SMART_PATIENCE)]
    ran = run_tool(*guard, smartctl, "--json", "--health", "--attributes", disk)
    if ran.returncode == _TIMED_OUT and guard:
        yield _refusal("failing-disk", disk, f"does not say how it is within {SMART_PATIENCE} s: replace it")
        return
    try:
        answer = msgspec.json.decode(ran.stdout)
    except msgspec.DecodeError:
        yield _warning("health-unknown", disk, f"smartctl cannot be asked: {last_line(ran.stderr)}"[:400])
        return
    if (trouble := smart_trouble(answer)) is not None:
        yield _refusal(
            "failing-disk",
            disk,
            f"{trouble}: save what is on it and replace it; if accepted, the capture ends at the first sector that "
            "cannot be read",
        )


def smart_trouble(answer: Any) -> str | None:
    """Why a disk must be thought to fail, by the JSON of smartctl; None where nothing speaks for it.

    A virtual disk answers nothing of the kind, and that is no trouble.
    """
    if _at(answer, "smart_status", "passed") is False:
        return "the disk itself says that it is failing (SMART)"
    if _at(answer, "nvme_smart_health_information_log", "critical_warning"):
        return "the disk itself says that it is failing (NVMe critical warning)"
    table = _at(answer, "ata_smart_attributes", "table")
    for attribute in table if isinstance(table, list) else ():
        pending = _at(attribute, "raw", "value")
        if _at(attribute, "id") == _PENDING_SECTORS and isinstance(pending, int) and pending > 0:
            return f"the disk has {pending} sectors that it cannot read (SMART)"
    return None


def _at(answer: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(answer, dict):
            return None
        answer = answer.get(key)
    return answer


def _warning(code: str, where: str, text: str) -> Finding:
    return Finding(kind=FindingKind.WARNING, code=code, where=where[:64], text=text)


def _refusal(code: str, where: str, text: str) -> Finding:
    return Finding(kind=FindingKind.REFUSAL, code=code, where=where[:64], text=text)
