"""Write configuration.json: what a seat is told to do to its disk, what it reports, and how a disk says it has started.

    python -m tests.vectors.make_configuration

Written out by hand over the standard library, never by slatecast, so that the file changes only with the layout, which
needs a new protocol version.
"""

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("configuration.json")
TOKEN = "00112233445566778899aabbccddeeff"


def _file(path: str, **fields: Any) -> dict[str, Any]:
    return {"path": path, "digest": "ab" * 32, "length": 1 << 62, **fields}


STEPS: list[dict[str, Any]] = [
    {"step": "grow", "partition": 2},
    {"step": "identities", "seed": "5e" * 16, "on_error": "continue"},
    {"step": "hostname", "name": "lab-07.example"},
    {"step": "machine-id", "machine_id": "9f" * 16},
    {"step": "ssh-host-keys", "label": "slatecast 0123"},
    {"step": "windows", "computer_name": "LAB-07", "unattend": _file("Windows/Panther/unattend.xml")},
    {
        "step": "files",
        "system": "linux",
        "files": [_file("etc/motd", mode=0o600, owner=1000, group=0xFFFF_FFFE), _file("etc/ü b.conf")],
    },
    {
        "step": "drivers",
        "system": "windows",
        "folder": "Drivers",
        "sets": [{"vendor": "Dell*", "product": "OptiPlex ?0?0", "files": [_file("net/e1d.inf")]}],
    },
    {
        "step": "script",
        "file": _file("setup.sh", mode=0o755),
        "arguments": ["--seat", "lab 07"],
        "limit_seconds": 3600,
        "has_network": True,
        "has_disks": True,
    },
    {"step": "boot", "label": "Lab", "first": "network", "fallback": True, "next_disk": False},
    {"step": "beacon", "system": "linux"},
]

VECTORS: dict[str, Any] = {
    "configuration": {
        "tsi": "0123456789abcdef",
        "seat": "Übungsraum 3, Platz 7",
        "steps": STEPS,
        "beacon": {"host": "fd00::1", "port": 8886, "token": TOKEN},
        "restart": "poweroff",
    },
    "step_report": {"name": "script setup.sh", "index": 63, "state": "failed", "text": "it ended with code 1: no disk"},
    "beacon": {"token": TOKEN, "datagram": (b"slatecast booted " + TOKEN.encode()).decode()},
}


if __name__ == "__main__":
    PATH.write_text(json.dumps(VECTORS, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
