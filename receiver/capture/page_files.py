"""Where the contents of page and swap files lie: bytes that nobody needs on another machine, and often secrets.

Asked of tools that only read: ntfsinfo for Windows' files, filefrag on a file system mounted read-only for Linux'. An
answer counts only when it accounts for the whole file; in any other case the file is kept, and said to be.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from protocol.disk.partitions import Partition
from protocol.disk.source import Source
from protocol.disk.system_tools import find_tool, run_tool
from protocol.ranges import RangeSet
from receiver.capture.linux_findings import ROOTS
from receiver.capture.tree import Tree, mounted_tree, partition_device

WINDOWS_PAGE_FILES: Final = ("pagefile.sys", "swapfile.sys", "hiberfil.sys")
"""In the root of an NTFS, as Windows spells them; it makes each of them anew when it starts."""

SWAP_HEADER: Final = 64 * 1024
"""[bytes] The largest page that Linux has; the header, one page, is what swapon looks for."""

_MAPPED: Final = frozenset({"ext2", "ext3", "ext4", "xfs"})
"""File systems whose extents are places on the device. Those of btrfs are places in a space of its own."""

_USUAL_FOLDERS: Final = ("", "swap", "var", "var/swap", "@swap", "@rootfs", "@")
_PLAIN_FLAGS: Final = frozenset({"last", "eof", "unwritten", "merged"})
"""What filefrag may say of an extent that belongs to this file alone and lies where it says."""

_EXTENT: Final = re.compile(r"\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.\s*(\d+):\s*(\d+):(?:\s*\d+:)?\s*([a-z_,]*)")
_BLOCK: Final = 512
_CLUSTER_SIZE: Final = re.compile(r"Cluster Size: (\d+)")
_ATTRIBUTE: Final = re.compile(r"^Dumping attribute ", re.MULTILINE)
_RUN: Final = re.compile(r"^\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s*$", re.MULTILINE)
_FIELD: Final = r"^\s+{}:?\s+(\S+)"


@dataclass(frozen=True)
class PageFiles:
    """What was found on one partition."""

    skipped: RangeSet
    """bytes from the start of the disk whose contents nobody needs"""
    kept: tuple[tuple[str, str], ...] = ()
    """(path, why) of those that are kept with all they hold"""


class _Run(NamedTuple):
    """A part of a file, in bytes."""

    begin: int
    start: int
    """from the start of its partition"""
    length: int


def find_page_files(source: Source, partition: Partition) -> PageFiles:
    """Look for them on a partition whose file system was found clean.

    Raises:
        OSError: it cannot be looked into; the text says why.
    """
    if partition.filesystem == "ntfs":
        return _find_on_ntfs(source, partition)
    if partition.filesystem in _MAPPED or partition.filesystem == "btrfs":
        return _find_on_linux(source, partition)
    return PageFiles(RangeSet())


def _find_on_ntfs(source: Source, partition: Partition) -> PageFiles:
    tool = find_tool("ntfsinfo")
    if tool is None:
        return PageFiles(RangeSet(), (("pagefile.sys", "ntfsinfo is not installed: apt install ntfs-3g"),))
    skipped, kept = RangeSet(), []
    with partition_device(source, partition) as device:
        cluster = _CLUSTER_SIZE.search(run_tool(tool, "--mft", str(device)).stdout)
        for name in WINDOWS_PAGE_FILES:
            described = run_tool(tool, "--verbose", "--file", name, str(device))
            if "Dumping Inode" not in described.stdout:
                continue  # there is none; the exit code does not say so
            runs = None if cluster is None else ntfs_runs(described.stdout, int(cluster[1]))
            if runs is None or not _take(skipped, runs, partition, 0):
                kept.append((f"/{name}", "ntfsinfo does not say where all of it lies"))
    return PageFiles(skipped, tuple(kept))


def ntfs_runs(description: str, cluster_size: int) -> list[_Run] | None:
    """Where a file's data lies, by what ``ntfsinfo --verbose`` says; None unless that is all of it, plainly stored."""
    runs: list[_Run] = []
    size = 0
    for attribute in _ATTRIBUTE.split(description)[1:]:
        if not attribute.startswith("$DATA"):
            continue
        if _field("Name length", attribute) != "0":
            continue  # a stream beside the file
        if _field("Resident", attribute) != "No" or _field("Attribute flags", attribute) != "0x0000":
            return None
        size = max(size, int(_field("Allocated size", attribute) or 0))
        runs += [
            _Run(int(vcn, 16) * cluster_size, int(lcn, 16) * cluster_size, int(length, 16) * cluster_size)
            for vcn, lcn, length in _RUN.findall(attribute)
        ]
    return runs if size and _is_whole(runs, size) else None


def _find_on_linux(source: Source, partition: Partition) -> PageFiles:
    skipped, kept = RangeSet(), []
    with mounted_tree(source, partition) as tree:
        for path in _swap_files(tree):
            if partition.filesystem == "btrfs":
                kept.append((path, "btrfs does not tell where on the disk a file lies"))
                continue
            descriptor = tree.open(path)
            try:
                size = os.fstat(descriptor).st_size
                runs = _linux_runs(descriptor, size)
            finally:
                os.close(descriptor)
            if runs is None or not _take(skipped, runs, partition, SWAP_HEADER):
                kept.append((path, "filefrag does not say where all of it lies"))
    return PageFiles(skipped, tuple(kept))


def _swap_files(tree: Tree) -> Iterator[str]:
    """Files that fstab or their place makes likely, and that are nothing but swap space."""
    likely = dict.fromkeys(_named_in_fstab(tree))
    for folder in _USUAL_FOLDERS:
        likely.update(dict.fromkeys(f"{folder}/{name}".lstrip("/") for name in tree.names(folder)))
    for path in likely:
        try:
            descriptor = tree.open(path)
        except OSError:
            continue
        try:
            if _is_swap(descriptor):
                yield path
        finally:
            os.close(descriptor)


def _named_in_fstab(tree: Tree) -> Iterator[str]:
    for root in ROOTS:
        for line in (tree.read(f"{root}etc/fstab") or b"").decode(errors="replace").splitlines():
            name, *rest = line.split() or [""]
            if rest[1:2] == ["swap"] and name.startswith("/") and not name.startswith("/dev/"):
                yield root + name.lstrip("/")


def _is_swap(descriptor: int) -> bool:
    """Whether blkid finds swap space and nothing else; one look at the signature saves asking it for most files."""
    beginning = os.pread(descriptor, SWAP_HEADER, 0)
    if not any(beginning[page - 10 : page] == b"SWAPSPACE2" for page in (4096, 8192, 16384, 32768, 65536)):
        return False
    blkid = find_tool("blkid")
    if blkid is None:
        return False
    answer = run_tool(
        blkid, "--probe", "--match-tag", "TYPE", "--output", "value", f"/proc/{os.getpid()}/fd/{descriptor}"
    )
    return answer.stdout.strip() == "swap"


def _linux_runs(descriptor: int, size: int) -> list[_Run] | None:
    tool = find_tool("filefrag")
    if tool is None:
        return None
    answer = run_tool(tool, "-v", f"-b{_BLOCK}", f"/proc/{os.getpid()}/fd/{descriptor}")
    return filefrag_runs(answer.stdout, size) if answer.returncode == 0 else None


def filefrag_runs(listing: str, size: int) -> list[_Run] | None:
    """Where a file's data lies, by ``filefrag -v -b512``; None unless that is all of it, and nobody else's."""
    runs = []
    for line in listing.splitlines():
        match = _EXTENT.fullmatch(line.rstrip())
        if match is None:
            continue
        first, _, start, _, length, flags = match.groups()
        if not set(filter(None, flags.split(","))) <= _PLAIN_FLAGS:
            return None
        runs.append(_Run(int(first) * _BLOCK, int(start) * _BLOCK, int(length) * _BLOCK))
    return runs if _is_whole(runs, size) else None


def _is_whole(runs: list[_Run], size: int) -> bool:
    """Whether the runs are all of a file of this many bytes, each part once."""
    reached = 0
    for run in sorted(runs):
        if run.begin != reached:
            return False
        reached += run.length
    return size > 0 and reached >= size


def _take(skipped: RangeSet, runs: list[_Run], partition: Partition, header: int) -> bool:
    """Add the runs without the file's first ``header`` bytes; False, and nothing, where one leaves the partition."""
    if any(run.start + run.length > partition.length for run in runs):
        return False
    for run in runs:
        cut = min(max(header - run.begin, 0), run.length)
        skipped.add(partition.offset + run.start + cut, partition.offset + run.start + run.length)
    return True


def _field(name: str, attribute: str) -> str | None:
    match = re.search(_FIELD.format(re.escape(name)), attribute, re.MULTILINE)
    return None if match is None else match[1]
