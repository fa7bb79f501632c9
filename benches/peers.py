"""The peers that a cast is measured against: udpcast and uftp, each at its best, in our network lab.

    python -m benches.peers             each with the options chosen
    python -m benches.peers --sweep     which options suit each best on this machine

Both come from Debian. Neither encrypts, hashes or reads back with these options; slatecast does all three.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from benches.contest import Command, run
from benches.corpus import workspace, write_incompressible
from benches.machine import describe_machine, print_machine
from tests.lab import Host, Lab, missing_requirement

UDPCAST_SENDING: Final = ("--full-duplex",)
UDPCAST_RECEIVING: Final = ("--rcvbuf", "4m")
"""4 MiB is what the kernel allows by default (rmem_max); the program's own default loses 4 to 10 % at full speed."""
UDPCAST_PORT: Final = 9000

UFTP_SENDING: Final = ("-R", "-1")
"""As fast as the socket takes it: faster here than every fixed rate from 300 to 1,000 Mbit/s and than tfmcc."""
UFTP_TUNING: Final = ("-b", "1430", "-B", "4194304", "-r", "0.1:0.01:1")
"""A block that fills Ethernet; 4 MiB of buffer; a first round-trip time of 0.1 s, which spares 2 s of set-up."""
UFTP_RECEIVING: Final = ("-B", "4194304", "-c", "8388608")
UFTP_PORT: Final = 1044

UDPCAST_SWEEP: Final = (
    ("--full-duplex",),
    ("--half-duplex",),
    ("--full-duplex", "--min-slice-size", "512"),
    ("--full-duplex", "--max-slice-size", "1024"),
    ("--full-duplex", "--broadcast"),
)
UFTP_SWEEP: Final = (("-R", "-1"), *(("-R", f"{rate}000") for rate in (300, 450, 600, 1000)), ("-C", "tfmcc"))


@dataclass(slots=True)
class Udpcast:
    """udp-sender and udp-receiver; all of them exit when the file is through."""

    options: Sequence[str] = UDPCAST_SENDING
    name: str = "udpcast"
    receivers_exit: bool = True

    def prepare(self, target: Path, source: Path) -> None:
        """Nothing: it creates its file."""

    def receiving(self, lab: Lab, host: Host, target: Path) -> Command:
        """One udp-receiver."""
        return ["udp-receiver", "--file", target, *_udpcast_common(host), *UDPCAST_RECEIVING]

    def is_waiting(self, host: Host, log: str) -> bool:
        """It listens on its port."""
        return _has_udp_socket(host, UDPCAST_PORT)

    def sending(self, lab: Lab, source: Path, folder: Path) -> Command:
        """A udp-sender that starts as soon as all receivers have answered."""
        expected = ("--min-receivers", str(len(lab.receivers)))
        return ["udp-sender", "--file", source, *_udpcast_common(lab.broadcaster), *expected, *self.options]

    def report(self, folder: Path) -> dict[str, Any]:
        """Nothing."""
        return {}


@dataclass(slots=True)
class Uftp:
    """uftp and uftpd; uftpd is a daemon, so the end is uftp's exit with the confirmations of all."""

    options: Sequence[str] = UFTP_SENDING
    name: str = "uftp"
    receivers_exit: bool = False

    def prepare(self, target: Path, source: Path) -> None:
        """Nothing: it creates its file."""

    def receiving(self, lab: Lab, host: Host, target: Path) -> Command:
        """One uftpd in the foreground."""
        return ["uftpd", "-d", "-q", "-x", "0", "-I", host.interface, "-D", target.parent, *UFTP_RECEIVING]

    def is_waiting(self, host: Host, log: str) -> bool:
        """It listens on its port."""
        return _has_udp_socket(host, UFTP_PORT)

    def sending(self, lab: Lab, source: Path, folder: Path) -> Command:
        """A uftp for a closed group: it starts when all have registered; an open one waits the announcement out."""
        members = ",".join(host.ipv4 for host in lab.receivers)
        common = ("-x", "0", "-I", lab.broadcaster.interface, "-H", members)
        return ["uftp", *common, *UFTP_TUNING, *self.options, source]

    def report(self, folder: Path) -> dict[str, Any]:
        """Nothing."""
        return {}


def missing_peers() -> str | None:
    """What to install before the peers can run, or None."""
    missing = [tool for tool in ("udp-sender", "udp-receiver", "uftp", "uftpd") if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}: apt-get install udpcast uftp" if missing else None


def _udpcast_common(host: Host) -> Sequence[str]:
    return ("--interface", host.interface, "--nokbd", "--no-progress")


def _has_udp_socket(host: Host, port: int) -> bool:
    return bool(host.run(["ss", "-Huna", f"sport = {port}"]).stdout.strip())


@click.command()
@click.option("--size", default=256, show_default=True, help="MiB of incompressible data.")
@click.option("--receivers", default=4, show_default=True)
@click.option("--sweep", is_flag=True, help="Try all options instead of the chosen ones.")
def main(size: int, receivers: int, sweep: bool) -> None:
    """Measure the peers alone."""
    if missing := missing_requirement() or missing_peers():
        raise click.ClickException(missing)
    console = Console(highlight=False, soft_wrap=True)
    print_machine(console, describe_machine())
    contenders: list[Udpcast | Uftp] = [
        *(Udpcast(options) for options in (UDPCAST_SWEEP if sweep else [UDPCAST_SENDING])),
        *(Uftp(options) for options in (UFTP_SWEEP if sweep else [UFTP_SENDING])),
    ]
    with workspace() as folder:
        source = write_incompressible(folder / "source", size << 20)
        for contender in contenders:
            outcome = run(contender, source, folder, receivers=receivers)
            console.print(
                f"{contender.name} {' '.join(contender.options)}: {outcome.seconds:.2f} s, "
                f"{outcome.goodput / 1e6:.1f} MB/s; CPU per GiB {outcome.sender_cpu_per_gib:.1f} s sender, "
                f"{outcome.receiver_cpu_per_gib:.1f} s receiver; "
                f"{outcome.buffer_errors} lost at buffers; {'verified' if outcome.verified else 'WRONG'}"
            )


if __name__ == "__main__":
    main()
