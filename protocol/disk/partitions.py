"""What lies where on a disk: the partition table by sfdisk, the file systems by blkid.

It refuses a table that points beyond the end of the disk, since that is a disk image that was cut short. A disk without
a table is one partition, number 0, as long as the disk. Extended MBR partitions are left out: they hold no data of
their own, and the table sectors inside them belong to nobody and are therefore kept.
"""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from protocol.disk.source import Source
from protocol.disk.system_tools import last_line, loop_device, need_tool, run_tool
from protocol.errors import SourceError

_EXTENDED_TYPES: Final = ("5", "f", "85")
_PROTECTIVE_TYPE: Final = "ee"
_LINUX_SECTOR: Final = 512


@dataclass(frozen=True)
class Partition:
    """A partition and the file system in it."""

    number: int
    """as the kernel counts; 0 is the whole disk"""
    offset: int
    """bytes"""
    length: int
    """bytes"""
    type: str
    """GPT type GUID or MBR type in hex; empty for the whole disk"""
    filesystem: str
    """blkid's name of the type, empty if unknown"""
    label: str


@dataclass(frozen=True)
class PartitionTable:
    """How a disk is divided."""

    kind: str
    """gpt, dos or none"""
    partitions: tuple[Partition, ...]
    """in disk order"""
    overlapping: bool = False
    """what is free in one may be in use by another: two partitions, or a file system under the table"""


def read_partition_table(source: Source) -> PartitionTable:
    """The partitions of a disk with their file systems.

    Raises:
        SourceError: the table points beyond the end of the disk, is damaged, or cannot be read.
        LibraryError: a tool is missing.
    """
    with _as_disk(source) as path:
        whole = _probe(path, 0, source.size)
        kind = whole.get("PTTYPE", "none").lower()
        if kind == "pmbr":
            raise SourceError(source.origin, "is cut short or damaged: it has the shell of a GPT, but no valid GPT")
        if kind not in {"gpt", "dos"}:
            return PartitionTable("none", (_partition(source, 0, 0, source.size, ""),))
        table = _dump(source, path)
    sector_size = table["sectorsize"]
    if table.get("lastlba", 0) * sector_size >= source.size:
        raise _cut_short(source, (table["lastlba"] + 1) * sector_size)
    partitions = []
    for entry in sorted(table.get("partitions", ()), key=lambda entry: int(entry["start"])):
        offset, length = entry["start"] * sector_size, entry["size"] * sector_size
        if offset + length > source.size:
            raise _cut_short(source, offset + length)
        number = int(entry["node"].removeprefix(table["device"]).lstrip("p"))
        if table["label"] == "dos" and entry["type"] == _PROTECTIVE_TYPE:
            raise SourceError(source.origin, "is cut short or damaged: its MBR guards a GPT that is not valid")
        if table["label"] != "dos" or entry["type"] not in _EXTENDED_TYPES:
            partitions.append(_partition(source, number, offset, length, entry["type"]))
    ends = accumulate((partition.offset + partition.length for partition in partitions), max)
    overlapping = any(end > following.offset for end, following in zip(ends, partitions[1:], strict=False))
    return PartitionTable(table["label"], tuple(partitions), overlapping or "TYPE" in whole)


def _partition(source: Source, number: int, offset: int, length: int, kind: str) -> Partition:
    found = _probe(source.path, offset, length)
    return Partition(number, offset, length, kind, found.get("TYPE", ""), found.get("LABEL", ""))


def _probe(path: Path, offset: int, length: int) -> dict[str, str]:
    """What blkid finds in a part of the disk; empty for nothing, or for more than one thing."""
    window = ("--probe", "--offset", str(offset), "--size", str(length))
    answer = run_tool(need_tool("blkid"), *window, "--output", "export", str(path))
    pairs = (line.partition("=") for line in answer.stdout.splitlines())
    return {key: value for key, _, value in pairs}


def _dump(source: Source, path: Path) -> dict[str, Any]:
    answer = run_tool(need_tool("sfdisk"), "--json", str(path))
    try:
        table: dict[str, Any] = json.loads(answer.stdout)["partitiontable"]
    except (ValueError, KeyError) as error:
        reason = last_line(answer.stderr)
        raise SourceError(source.origin, f"has a partition table that sfdisk cannot read: {reason}") from error
    return table


@contextmanager
def _as_disk(source: Source) -> Iterator[Path]:
    """A path under which the tools see the right sector size: of a file they always believe 512 bytes."""
    if source.logical_sector_size == _LINUX_SECTOR or source.path.is_block_device():
        yield source.path
    elif os.geteuid() == 0:
        with _loop(source) as path:
            yield path
    else:
        raise SourceError(source.origin, "has 4096-byte sectors: to read its partition table, run this as root")


@contextmanager
def _loop(source: Source) -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            device = stack.enter_context(loop_device(source.path, 0, source.size, source.logical_sector_size))
        except OSError as error:
            raise SourceError(source.origin, f"has 4096-byte sectors and no loop device can be had: {error}") from error
        yield device


def _cut_short(source: Source, needed: int) -> SourceError:
    return SourceError(
        source.origin, f"is cut short: its partition table needs {needed} bytes or more, it has {source.size}"
    )
