"""Write operators.json: what a broadcaster tells operators, and an order and an answer for each kind of command.

    python -m tests.vectors.make_operators

Written out by hand over the standard library and ``cryptography``, never by slatecast, so that the file changes only
with the layout, which needs a new protocol version. All keys are for tests alone.
"""

import base64
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PATH = Path(__file__).with_name("operators.json")

DIRECTOR, CONSOLE = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 5))
ROOT = "slatecast/v1/operators"
TSI = "0123456789abcdef"
GENERATION = "0f" * 16
RECEIVERS = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100")
MACHINES = ("52:54:00:12:34:56", "seat 7 <b>")
PLANNED = [
    {"machine": MACHINES[0], "seat": "1", "hostname": "raum3-01"},
    {"machine": MACHINES[1], "seat": "2", "hostname": ""},
]
LARGEST = 1 << 62

NEWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "host",
        "HostNews",
        {
            "type": "host",
            "generation": GENERATION,
            "sequence": LARGEST,
            "version": "1.4.0",
            "at": 1793000000.25,
            "started_at": 1792999000.5,
            "interface": "eth0",
            "address": "fd00::1",
            "front_door": "[fd00::1]:8884",
            "broker": "mqtts://[fd00::1]:8883",
            "link_bits_per_second": 1000000000,
            "is_link_up": True,
            "library_path": "/var/lib/slatecast",
            "library_bytes_free": 123456789012,
            "library_bytes_total": 999999999999,
            "sessions": [TSI, "fedcba9876543210"],
            "receiver_count": 29,
            "applicants": [
                {
                    "receiver_id": RECEIVERS[1],
                    "seat": "Übungsraum 3, Platz 7",
                    "address": "192.0.2.7",
                    "words": "apple river stone cloud",
                    "waiting_seconds": 12.5,
                }
            ],
            "configurations": ["raum-3", "standard"],
            "can_boot": True,
            "warnings": ["the library has room for no other image of this size"],
        },
    ),
    (
        "receivers/30",
        "ReceiversNews",
        {
            "type": "receivers",
            "generation": GENERATION,
            "sequence": 9,
            "page": 30,
            "pages": 31,
            "receivers": [
                [RECEIVERS[0], MACHINES[0], 'row 3 "window" \\ left', TSI, "192.0.2.7:9151"],
                [RECEIVERS[1], MACHINES[1], "", "", ""],
            ],
        },
    ),
    (
        "images/0",
        "ImagesNews",
        {
            "type": "images",
            "generation": GENERATION,
            "sequence": 10,
            "page": 0,
            "pages": 1,
            "images": [
                {
                    "name": "classroom-2026",
                    "version": 12,
                    "created": "2026-11-21T08:00:00Z",
                    "disk_size": 256060514304,
                    "stored_bytes": 9123456789,
                    "is_signed": True,
                    "sessions": [TSI],
                    "firmware": "uefi",
                    "least_size": 12884901888,
                }
            ],
        },
    ),
    (
        "captures/0",
        "CapturesNews",
        {
            "type": "captures",
            "generation": GENERATION,
            "sequence": 10,
            "page": 0,
            "pages": 1,
            "captures": [
                {
                    "capture_id": "00112233aabbccdd",
                    "receiver_id": RECEIVERS[0],
                    "machine": MACHINES[0],
                    "seat": "Übungsraum 3, Platz 7",
                    "image": "backup-pc-7",
                    "is_backup": True,
                    "step": "running",
                    "target": "Samsung SSD 870, 500 GB",
                    "disk_size": 500107862016,
                    "ordered_by": "ada",
                    "began_at": 1793000000.25,
                    "done": 0.5,
                    "read_bytes": 34359738368,
                    "sent_bytes": LARGEST,
                    "version": 0,
                    "findings": 64,
                    "reason": "the library is full",
                }
            ],
        },
    ),
    (
        f"sessions/{TSI}",
        "SessionNews",
        {
            "type": "session",
            "generation": GENERATION,
            "tsi": TSI,
            "sequence": 11,
            "room": "Raum 3",
            "image": "classroom-2026",
            "version": 12,
            "disk_size": 256060514304,
            "stored_bytes": 9123456789,
            "block_count": 976773,
            "ordered_by": "ada",
            "opened_at": 1792999500.0,
            "step": "paused",
            "phase": "disk",
            "position": 4294967295,
            "elapsed_seconds": 61.25,
            "rate_bits_per_second": 900000000,
            "cap_bits_per_second": 950000000,
            "rate_reason": "at the set rate",
            "bytes_on_wire": 9000000001,
            "catch_up_bytes": 12000000,
            "datagrams_sent": 6000000,
            "repair_datagrams": 1700,
            "expected_seats": 30,
            "pages": 1,
            "end_reason": "",
            "happenings": [
                {"at": 1792999501.5, "severity": "error", "text": "seat 7 failed", "receiver_id": RECEIVERS[0]},
                {"at": 1792999502.5, "severity": "info", "text": "paused by ada", "receiver_id": None},
            ],
            "backs_up": True,
        },
    ),
    (
        f"sessions/{TSI}/0",
        "SeatsNews",
        {
            "type": "seats",
            "generation": GENERATION,
            "tsi": TSI,
            "sequence": 12,
            "page": 0,
            "seats": [
                [
                    RECEIVERS[0],
                    MACHINES[0],
                    "seat 7",
                    "receiving",
                    "disk 12 MB/s",
                    True,
                    "/dev/sda",
                    0.5,
                    -1.0,
                    True,
                    976773,
                    3,
                    976773,
                    976000,
                    9000000001,
                    12000000,
                    181679778,
                    1816,
                    1700,
                    44,
                    0.25,
                    250000000000,
                    0.75,
                    1000000000,
                    256060514304,
                    262144,
                    1234,
                    5,
                    "",
                ]
            ],
        },
    ),
)

COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "PlanSession",
        {
            "command": "plan",
            "room": "Raum 3",
            "image": "classroom-2026",
            "version": 12,
            "seats": PLANNED,
            "rate_bits_per_second": 500000000,
            "wait_seconds": 60.0,
            "configuration": "standard",
            "backs_up": True,
        },
    ),
    ("StartSession", {"command": "start", "tsi": TSI, "expected_seats": 2}),
    ("StopSession", {"command": "stop", "tsi": TSI}),
    ("PauseSession", {"command": "pause", "tsi": TSI}),
    ("ContinueSession", {"command": "continue", "tsi": TSI}),
    ("MoveToCatchUp", {"command": "move-to-catch-up", "tsi": TSI, "receiver_id": RECEIVERS[0]}),
    ("DismissSeat", {"command": "dismiss", "tsi": TSI, "receiver_id": RECEIVERS[0]}),
    ("RetrySeats", {"command": "retry", "tsi": TSI, "machines": list(MACHINES)}),
    ("AdmitReceivers", {"command": "admit", "receiver_ids": list(RECEIVERS)}),
    ("RefuseReceivers", {"command": "refuse", "receiver_ids": [RECEIVERS[1]]}),
    ("ImportImage", {"command": "import", "path": "/srv/images/lab 3.qcow2", "name": "lab"}),
    ("VerifyImage", {"command": "verify", "name": "lab", "version": 3}),
    ("RemoveImage", {"command": "remove", "name": "lab", "version": 3}),
    ("ShrinkImage", {"command": "shrink", "name": "lab", "version": 3, "disk_size": 120034123776}),
    ("CompareVersions", {"command": "compare", "name": "lab", "old_version": 2, "new_version": 3}),
    ("FetchReport", {"command": "report", "tsi": TSI}),
    ("FetchAudit", {"command": "audit", "count": 5000}),
    ("WakeMachines", {"command": "wake", "addresses": [MACHINES[0]]}),
    (
        "CaptureMachine",
        {"command": "capture", "machine": MACHINES[0], "image": "windows", "accepts": ["bitlocker", "dirty"]},
    ),
    ("BackUpMachines", {"command": "back-up", "machines": list(MACHINES)}),
    (
        "DecideCapture",
        {"command": "decide-capture", "capture_id": "00112233aabbccdd", "is_allowed": True, "accepts": []},
    ),
    ("StopCapture", {"command": "stop-capture", "capture_id": "00112233aabbccdd"}),
    ("FetchFindings", {"command": "findings", "capture_id": "00112233aabbccdd"}),
    (
        "BootMachines",
        {"command": "boot", "seats": [{"address": MACHINES[0], "seat": "1"}], "seconds": 604800, "mode": "capture"},
    ),
    (
        "SetRoomPolicy",
        {
            "command": "policy",
            "room": "Raum 3",
            "image": "classroom-2026",
            "version": 12,
            "configuration": "standard",
            "allows_restore": True,
            "backs_up": True,
            "backups_kept": 3,
            "seats": PLANNED,
        },
    ),
    ("FetchAftercare", {"command": "aftercare", "tsi": TSI}),
)

ANSWERS: tuple[dict[str, Any], ...] = (
    {
        "command_id": "a0" * 16,
        "is_done": False,
        "progress": 0.25,
        "progress_text": "12 of 48 GB",
        "error": "",
        "part": 0,
        "parts": 1,
        "body": "",
    },
    {
        "command_id": "b1" * 16,
        "is_done": True,
        "progress": 1.0,
        "progress_text": "",
        "error": "",
        "part": 255,
        "parts": 256,
        "body": base64.b64encode(b'"}').decode(),
    },
)


def _signed(topic: str, fields: dict[str, Any], key: Ed25519PrivateKey) -> str:
    body = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    signature = key.sign(b"slatecast control v1\0" + topic.encode() + b"\0" + body)
    return (body + b"\n" + base64.b64encode(signature)).decode()


def _vector(leaf: str, name: str, fields: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    topic = f"{ROOT}/{leaf}"
    return {"topic": topic, "type": name, "fields": fields, "payload": _signed(topic, fields, key)}


def _order(number: int, command: dict[str, Any]) -> dict[str, Any]:
    return {"command_id": f"{number:032x}", "generation": GENERATION, "operator": "ada", "command": command}


def main() -> None:
    """Replace the file."""
    vectors = {
        "director_key": DIRECTOR.public_key().public_bytes_raw().hex(),
        "console_key": CONSOLE.public_key().public_bytes_raw().hex(),
        "news": [_vector(leaf, name, fields, DIRECTOR) for leaf, name, fields in NEWS],
        "orders": [
            _vector("commands", name, _order(number, command), CONSOLE)
            for number, (name, command) in enumerate(COMMANDS)
        ],
        "answers": [_vector(f"answers/{answer['command_id']}", "Answer", answer, DIRECTOR) for answer in ANSWERS],
    }
    PATH.write_text(json.dumps(vectors, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
