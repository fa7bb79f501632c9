"""The broadcaster's end of bench_capture, in a process of its own: library, captures and the seat API by TLS.

    python -m benches.capture_host FOLDER IDENTITY_KEY RECEIVER_ID

Prints its url when it listens, then takes orders, one a line: ``capture NAME`` or ``backup``; answers each with the id.
"""

import asyncio
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from broadcaster.captures.intake import CaptureIntake
from broadcaster.keys import KeyStore
from broadcaster.library.library import Library
from broadcaster.seat_api.api import SeatApi
from protocol.link.tls import server_context

MACHINE = "bench"


@dataclass
class Only:
    """The one receiver that is there."""

    receiver_id: str
    machine: str = MACHINE
    seat: str = MACHINE

    def get(self, receiver_id: str) -> "Only | None":
        """This receiver."""
        return self if receiver_id == self.receiver_id else None

    def at(self, machine: str) -> "Only | None":
        """The receiver of a machine."""
        return self if machine == self.machine else None


async def serve(folder: Path, identity_key: bytes, receiver_id: str) -> None:
    """Until standard input ends."""
    keys = KeyStore.open_or_create(folder / "keys")
    (folder / "receiver.pem").write_bytes(keys.authority.receiver_certificate(identity_key))
    (folder / "authority.pem").write_bytes(keys.authority.certificate)
    tls = server_context(keys.authority.server_identity(), client_authority=keys.authority.certificate)
    intake = CaptureIntake(
        Library.open_or_create(folder / "library"),
        keys.image,
        Only(receiver_id),
        kept_for=lambda _machine: 3,
        on_change=lambda: None,
        on_image=lambda: None,
        write_down=lambda _event, _fields: None,
        utc_now=lambda: "2026-11-21T20:00:00Z",
    )
    async with intake, SeatApi(ip_address("127.0.0.1"), 0, 0, tls=tls, captures=intake) as api:
        print(api.url, flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            verb, _, name = line.strip().partition(" ")
            order = intake.desk.back_up(MACHINE, "op") if verb == "backup" else intake.desk.capture(MACHINE, name, "op")
            print(order, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3]))
