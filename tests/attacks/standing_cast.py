"""A real cast that waits, with one seat that was let in; and everything about it that an attack could change."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from broadcaster.authority import Authority
from broadcaster.keys import KeyStore
from broadcaster.saved_cast import SavedCast
from protocol.link.tls import TlsIdentity, pinned_context, unproved_context
from protocol.messages import Announcement, Presence, ReceiverReport, ReceiverState
from receiver.identity import ReceiverIdentity
from tests.attacks.asking import ask
from tests.broadcaster.library.disks import tree
from tests.brokers import receiver_tls_identity
from tests.end_to_end.room import KEYS, Room, Running, free_port, wait_until

VARYING = ("catch_up_bytes", "_created")
"""In names of metrics that asking may change: what the lane has sent is counted."""


@dataclass(frozen=True)
class StandingCast:
    room: Room
    process: Running
    seat: Running
    target: Path
    ports: dict[str, int]
    """of door, lane, metrics and broker"""
    tsi: str
    receiver_id: str
    contexts: dict[tuple[str, str], ssl.SSLContext | None]
    """how to connect to a listener with a credential"""

    def state(self) -> dict[str, object]:
        """Everything that nobody from outside may change."""
        files = tree(self.room.folder)
        casts = [content for name, content in files.items() if name.endswith(".cast")]
        saved = [msgspec.json.decode(content.partition(b"\n")[2], type=SavedCast) for content in casts]
        return {
            "files": {name: content for name, content in files.items() if "/casts/" not in name},
            "casts": [msgspec.structs.replace(one, elapsed_seconds=0, catch_up_bytes=0, reports=()) for one in saved],
            "reports": {(report.receiver_id, report.state) for one in saved for report in one.reports},
            "metrics": self._metrics(),
            "said": (self.process.errors.text, self.process.output.text, self.seat.errors.text),
        }

    def listening_ports(self) -> set[int]:
        """Every TCP port that the cast and its children listen on."""
        process = psutil.Process(self.process.pid)
        return {
            connection.laddr.port
            for one in (process, *process.children(recursive=True))
            for connection in one.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }

    def _metrics(self) -> list[str]:
        answer = ask(self.ports["metrics"], "GET", "/metrics")
        assert answer is not None
        lines = answer.body.decode().splitlines()
        return [line for line in lines if not any(word in line for word in VARYING)]


@contextmanager
def standing_cast(folder: Path) -> Iterator[StandingCast]:
    with Room(folder) as room:
        image, metrics = room.add(room.source()), free_port()
        process = room.cast(image, "--expect", 2, "--wait", 600, "--metrics-port", metrics)
        door = process.door()
        watch = room.watch(process.broker())
        target = room.target("seat")
        seat = room.receive(target, door, seat="seat")
        lane = watch.until(Announcement).catch_up_url
        presence = watch.until(Presence)
        watch.until(ReceiverReport, lambda report: report.state is ReceiverState.READY)
        ports = {"door": _port(door), "lane": _port(lane), "metrics": metrics, "broker": _port(process.broker())}
        cast = StandingCast(
            room, process, seat, target, ports, watch.until(Announcement).tsi, presence.receiver_id, _contexts(folder)
        )
        wait_until(lambda: bool(cast.state()["reports"]), "the seat in the record of the cast")
        yield cast


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


def _contexts(folder: Path) -> dict[tuple[str, str], ssl.SSLContext | None]:
    authority = KeyStore.open(folder / KEYS).authority
    identities: dict[str, TlsIdentity | None] = {
        "no certificate": None,
        "of a foreign authority": receiver_tls_identity(ReceiverIdentity.draw(), Authority.create()),
        "of another receiver": receiver_tls_identity(ReceiverIdentity.draw(), authority),
    }
    contexts: dict[tuple[str, str], ssl.SSLContext | None] = {}
    for credential, identity in identities.items():
        contexts["lane", credential] = pinned_context(authority.certificate, identity)
        contexts["door", credential] = unproved_context() if identity is None else contexts["lane", credential]
        contexts["metrics", credential] = None
    return contexts
