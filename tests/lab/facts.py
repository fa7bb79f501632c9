"""What a machine that has started from its disk says about itself; ``tests/lab/reference`` has its unit."""

from typing import Final

import msgspec

FACTS: Final = r"slatecast-facts (\{[^{}\n]*\})"
"""Finds the line on a serial console; the group is the JSON."""


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One start of one machine."""

    hostname: str
    machine_id: str
    host_keys: list[str]
    """fingerprints of its SSH host keys"""
    files_sha256: str
    """over every file in /usr/bin, /usr/sbin and /srv with its path: the same on machines of one image"""
    root_file_system_bytes: int
    root_partition_bytes: int
    disk_bytes: int
    disk_identity: str
    """GUID of the partition table"""
    swap_bytes: int
    """swap in use by the system; 0 if a swap file was lost"""
    firmware: str
    """bios or uefi, as the kernel found it"""
    secure_boot: bool
    """whether the firmware checked signatures"""
    addresses: str
    kernel: str
    failed_units: str
    """what systemd could not start; empty when all went well"""


def read_facts(line: str) -> Facts:
    """The facts of one line's JSON; raises msgspec's errors for any other text."""
    return msgspec.json.decode(line, type=Facts)
