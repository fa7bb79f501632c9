"""What it costs a host to tell operators of a room, once a second.

    python -m benches.bench_news                     60 and 1,000 seats
    python -m benches.bench_news --seats 3000

Question: how much of a core goes into news, from the roster to the broker's acknowledgement, beside casting itself?
Metric: CPU seconds of the host's process (signing, encoding, MQTT over TLS; the broker has a process of its own) for a
round of all news, which is what a second costs; the median of the rounds. Corpus: a plan whose seats each say something
new before every round.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import click
from msgspec.structs import replace
from rich.console import Console

from benches.machine import describe_machine, print_machine
from broadcaster.control_side import ControlSetting
from broadcaster.host.config import HostConfig
from broadcaster.host.hosting import Hosting
from broadcaster.host.service import SessionHost
from broadcaster.keys import KeyStore
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from protocol.commands import PlannedSeat
from protocol.link.interfaces import resolve_interface
from protocol.messages import ReceiverState
from tests.broadcaster.library.disks import noise
from tests.sample_messages import presence, report

ROUNDS: Final = 15


async def cpu_seconds(folder: Path, seats: int) -> list[float]:
    """Of each round."""
    library, keys = Library.open_or_create(folder / "library"), KeyStore.open_or_create(folder / "keys")
    source = folder / "source.img"
    source.write_bytes(noise(1, 1 << 20))
    add_image(library, source, "lab", signer=keys.image)
    control = ControlSetting(None, port=0, broker_port=0)
    found = []
    async with SessionHost(library, keys, HostConfig(resolve_interface("lo"), control, is_advertised=False)) as host:
        for number in range(seats):
            host._attendance.hear(presence(number), time.monotonic() + 3600)
        planned = tuple(PlannedSeat(machine=f"machine-{number}", seat=f"PC {number}") for number in range(seats))
        tsi = await host.sessions.plan(
            Hosting(
                room="R1",
                image="lab",
                version=0,
                seats=planned,
                rate_bits_per_second=0,
                wait_seconds=300,
                ordered_by="anna",
                opened_at=time.time(),
            )
        )
        broadcast = host.sessions.need(tsi).broadcast
        for sequence in range(1, ROUNDS + 1):
            for number in range(seats):
                said = report(number, sequence, tsi=tsi, state=ReceiverState.PLANNED, bytes_received=sequence << 24)
                broadcast.session.receive_message(replace(said, buffer_fill_ratio=sequence / 100), time.monotonic())
            began = time.process_time()
            host.newsroom.tell()
            await host._link.flush()
            found.append(time.process_time() - began)
    return found


@click.command(help=__doc__)
@click.option("--seats", type=click.IntRange(1, 3072), multiple=True, default=(60, 1000))
def main(seats: tuple[int, ...]) -> None:
    """Print a line for each size of a room."""
    print_machine(Console(), describe_machine())
    for count in seats:
        with tempfile.TemporaryDirectory() as folder:
            rounds = asyncio.run(cpu_seconds(Path(folder), count))
        click.echo(f"{count} seats: {median(rounds) * 1e3:.1f} ms of CPU a second, {median(rounds):.2%} of a core")


if __name__ == "__main__":
    main()
