"""A multicast sender and receivers that do nothing but batch: what the lab itself carries, and what a shaper admits.

    python -m benches.blaster                       sweep of rates with 4 receivers: the ceiling of this machine

Question: how much passes when nobody seals, hashes, repairs or writes? Datagrams are as long as a cast's, sent 44 at a
time with UDP_SEGMENT and read with UDP_GRO. A rate counts as carried when no receiver loses anything.
"""

import json
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from benches.machine import describe_machine, print_machine
from protocol.wire import ENCODING_SYMBOL_LENGTH, HEADER_LENGTH, TAG_LENGTH
from tests.lab import INTERFACE, Host, Lab

GROUP: Final = "239.77.0.2"
PORT: Final = 5778
DATAGRAM_LENGTH: Final = HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH
BATCH: Final = 44
"""[datagrams] 63,800 bytes: what one UDP_SEGMENT send can hold."""

# linux/udp.h and asm-generic/socket.h; Python 3.11 does not name them.
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
SO_RCVBUFFORCE: Final = 33

QUIET_SECONDS: Final = 2.0
"""[s] Nothing for so long means that the end was lost."""

SWEEP_MEGABITS: Final = (1000, 1600, 2400, 3200, 4000, 6000)


@dataclass(frozen=True, slots=True)
class Blast:
    """What one blast came to; rates in bytes of UDP payload per second."""

    offered_rate: float
    delivered_rates: list[float]
    loss_ratio: float
    """of the receiver that lost most"""
    sender_cpu_per_gib: float
    receiver_cpu_per_gib: float


def blast(lab: Lab, *, seconds: float = 2.0, rate_bits_per_second: int = 0) -> Blast:
    """Send to all receivers of ``lab``; rate 0 sends as fast as the socket takes it."""
    receivers = [_start(host, ["receive"]) for host in lab.receivers]
    for process in receivers:
        assert process.stdout is not None
        process.stdout.readline()
    sent = _result(_start(lab.broadcaster, ["send", str(seconds), str(rate_bits_per_second)]))
    got = [_result(process) for process in receivers]
    return Blast(
        offered_rate=sent["bytes"] / sent["seconds"],
        delivered_rates=[one["bytes"] / one["seconds"] if one["seconds"] else 0.0 for one in got],
        loss_ratio=1 - min(one["bytes"] for one in got) / sent["bytes"],
        sender_cpu_per_gib=sent["cpu"] / (sent["bytes"] / 2**30),
        receiver_cpu_per_gib=max(one["cpu"] / max(one["bytes"] / 2**30, 1e-9) for one in got),
    )


def _start(host: Host, arguments: Sequence[str]) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "benches.blaster", *arguments]
    return host.popen(argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])


def _result(process: subprocess.Popen[str]) -> dict[str, float]:
    output, _ = process.communicate(timeout=60)
    result: dict[str, float] = json.loads(output)
    return result


def _print_result(count: int, seconds: float) -> None:
    account = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"bytes": count, "seconds": seconds, "cpu": account.ru_utime + account.ru_stime}))


def _send(seconds: float, rate: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, DATAGRAM_LENGTH)
        sender.connect((GROUP, PORT))
        batch = bytes(DATAGRAM_LENGTH * BATCH)
        step = len(batch) * 8 / rate if rate else 0.0
        started_at = due = time.monotonic()
        count = 0
        while (now := time.monotonic()) < started_at + seconds:
            if due > now:
                time.sleep(due - now)
            due += step
            count += sender.send(batch)
        elapsed = time.monotonic() - started_at
        for _ in range(5):  # the end; one of them will arrive
            sender.send(b"e")
            time.sleep(0.01)
    _print_result(count, elapsed)


def _receive() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        membership = struct.pack("@4s4si", socket.inet_aton(GROUP), b"", socket.if_nametoindex(INTERFACE))
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        receiver.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        receiver.bind((GROUP, PORT))
        print("listening", flush=True)
        buffer = bytearray(65536)
        count, first, last = 0, 0.0, 0.0
        length = receiver.recv_into(buffer)
        receiver.settimeout(QUIET_SECONDS)
        while length > 1:
            # The first batch starts the clock and is not counted: it left before.
            count += length if first else 0
            last = time.monotonic()
            first = first or last
            try:
                length = receiver.recv_into(buffer)
            except TimeoutError:
                break
    _print_result(count + DATAGRAM_LENGTH * BATCH, last - first)


@click.group(invoke_without_command=True)
@click.option("--receivers", default=4, show_default=True)
@click.pass_context
def main(context: click.Context, receivers: int) -> None:
    """Sweep the rates."""
    if context.invoked_subcommand:
        return
    console = Console(highlight=False)
    print_machine(console, describe_machine())
    table = Table("offered", "delivered\nslowest", "lost\nworst", "CPU/GiB\nsender", "CPU/GiB\nreceiver")
    for megabits in (*SWEEP_MEGABITS, 0):
        with Lab(receivers) as lab:
            result = blast(lab, rate_bits_per_second=megabits * 1_000_000)
        table.add_row(
            f"{result.offered_rate / 1e6:.0f} MB/s{'' if megabits else ' (unpaced)'}",
            f"{min(result.delivered_rates) / 1e6:.0f} MB/s",
            f"{result.loss_ratio:.2%}",
            f"{result.sender_cpu_per_gib:.2f} s",
            f"{result.receiver_cpu_per_gib:.2f} s",
        )
    console.print(table)


@main.command(hidden=True)
@click.argument("seconds", type=float)
@click.argument("rate", type=int)
def send(seconds: float, rate: int) -> None:
    """The sender's process."""
    _send(seconds, rate)


@main.command(hidden=True)
def receive() -> None:
    """A receiver's process."""
    _receive()


if __name__ == "__main__":
    main()
