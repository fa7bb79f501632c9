"""Disks as the steps find them: files with partitions and a small Linux or Windows-like system, made by the real tools.

A Linux here is what the steps look at, and a shell with its libraries for scripts; nothing of it boots.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protocol.configuration import Beacon, ConfiguredFile
from protocol.digests import raw_digest
from receiver.configure.place import Machine, Place
from receiver.configure.running import Stopping
from receiver.configure.target_disk import TargetDisk
from tests.receiver.loop_device import needs_root

MIB = 1 << 20
PROGRAMS = ("/bin/sh", "/bin/sleep", "/bin/cat", "/bin/mkdir", "/bin/ls", "/usr/bin/touch")
RECOVERY = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC"
BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
RESERVED = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"
SEED = "5e" * 16
BEACON = Beacon(host="192.0.2.1", port=8886, token="0f" * 16)
PC = Machine("Dell Inc.", "OptiPlex 7080", has_efi=False)

real_disk = [pytest.mark.system, needs_root]


@dataclass
class WrittenDisk:
    """A disk in a file."""

    path: Path

    def enlarge(self, mib: int) -> None:
        """As if the image had been written to a larger disk."""
        os.truncate(self.path, self.path.stat().st_size + mib * MIB)

    @contextmanager
    def opened(self) -> Iterator[TargetDisk]:
        with TargetDisk.opened(str(self.path), Stopping()) as disk:
            yield disk

    @contextmanager
    def place(self, files: dict[str, Path] | None = None, machine: Machine = PC) -> Iterator[Place]:
        with self.opened() as disk:
            yield Place(disk, "lab-07", machine, BEACON, files or {})

    def table(self) -> dict[str, Any]:
        table: dict[str, Any] = json.loads(run("sfdisk", "--json", str(self.path)))["partitiontable"]
        return table

    @contextmanager
    def mounted(self, number: int = 1) -> Iterator[Path]:
        """A file system of it as the test sees it."""
        with self.opened() as disk:
            (partition,) = (each for each in disk.table().partitions if each.number == number)
            with disk.mounted(partition) as folder:
                yield folder


def run(*command: str, stdin: str = "") -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, input=stdin).stdout


def disk_of(path: Path, mib: int, script: str, filesystems: dict[int, str], source: Path | None = None) -> WrittenDisk:
    """A disk of this size with these file systems, by partition; ``source`` fills those of Linux."""
    with path.open("wb") as file:
        file.truncate(mib * MIB)
    run("sfdisk", "--quiet", str(path), stdin=script)
    disk = WrittenDisk(path)
    with disk.opened() as target:
        for partition in target.table().partitions:
            make_filesystem(filesystems.get(partition.number, ""), partition.node, source)
    if source is not None:
        for number, filesystem in filesystems.items():
            if filesystem in {"xfs", "btrfs"}:
                with disk.mounted(number) as folder:
                    run("cp", "-a", f"{source}/.", str(folder))
    return disk


def make_filesystem(kind: str, node: str, source: Path | None) -> None:
    match kind:
        case "ntfs":
            run("mkntfs", "--quick", "--quiet", node)
        case "vfat":
            run("mkfs.vfat", node)
        case "ext2" | "ext4":
            run(f"mkfs.{kind}", "-q", "-b", "4096", *(("-d", str(source)) if source else ()), node)
        case "xfs" | "btrfs":
            run(f"mkfs.{kind}", "-q", node)


def linux_tree(folder: Path) -> Path:
    """What the root of a Linux system looks like to the steps."""
    for name in ("etc/ssh", "bin", "usr/bin", "usr/lib/systemd", "var/lib/dbus", "var/lib/systemd", "tmp", "proc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    texts = {
        "etc/os-release": "ID=debian\n",
        "etc/hostname": "reference\n",
        "etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\treference.lan reference\n::1\tip6-localhost\n",
        "etc/machine-id": "ab" * 16 + "\n",
        "etc/ssh/sshd_config": "PermitRootLogin no\n",
        "etc/ssh/ssh_host_rsa_key": "old",
        "etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa AAAA root@reference\n",
        "etc/ssh/ssh_host_dsa_key": "older",
        "var/lib/systemd/random-seed": "seed",
        "usr/lib/systemd/systemd": "",
        "usr/bin/bash": "",
    }
    for path, text in texts.items():
        (folder / path).write_text(text)
    for program in PROGRAMS:
        copy_program(program, folder)
    return folder


def copy_program(program: str, folder: Path) -> None:
    """A program with the libraries that it loads."""
    libraries = re.findall(r"(/\S+)", run("ldd", program))
    for path in (program, *libraries):
        there = folder / path.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, there)


def fetched(folder: Path, path: str, content: bytes, **attributes: Any) -> tuple[ConfiguredFile, dict[str, Path]]:
    """A file of a step, as it lies once it was fetched."""
    digest = raw_digest(content).hex()
    copy = folder / digest
    copy.write_bytes(content)
    return ConfiguredFile(path=path, digest=digest, length=len(content), **attributes), {digest: copy}
