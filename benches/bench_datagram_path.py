"""How much CPU do sealing, sending, receiving and opening take, in batches and datagram by datagram, per seal kernel?

    python -m benches.bench_datagram_path

Question: does the path stay below 0.6 CPU seconds per GiB for sealing and as much for opening, and what do UDP_SEGMENT
and UDP_GRO save?
Metric: CPU seconds (user and system, of this process) per GiB of symbols, the lowest of several passes: the machine is
shared, and what others do can only add.
Corpus: seeded random bytes in raw chunks, K=186 symbols of 1,416 bytes; multicast on the loopback interface.

One thread does the sender's and the receiver's part in turn, a block at a time, so nothing is lost and each step has a
figure of its own. On loopback the kernel delivers to the receiver's socket within ``send``: that part is counted there.
"""

import random
import time
from typing import Final

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benches.machine import describe_machine, print_machine
from protocol import seal
from protocol.blocks import BlockBuffer
from protocol.link.interfaces import resolve_interface
from protocol.link.multicast import DATA_PORT, MulticastReceiver, MulticastSender, group_for
from protocol.pure_seal import OVERHEAD
from protocol.seal import Seal
from protocol.wire import ENCODING_SYMBOL_LENGTH, MAX_REPAIR_SYMBOLS, TOI_DISK

K: Final = 186
BLOCK_BYTES: Final = K * ENCODING_SYMBOL_LENGTH
DATAGRAM_LENGTH: Final = ENCODING_SYMBOL_LENGTH + OVERHEAD
BLOCKS: Final = 64
"""16 MiB per pass: enough for the clock, little enough that the slowest way takes a second."""

PASSES: Final = 7
STEPS: Final = ("seal", "send", "receive", "open")


class Path:
    """One session on loopback with both its ends, and the CPU time that each step took."""

    def __init__(self, *, is_batching: bool) -> None:
        tsi = random.SystemRandom().getrandbits(64)  # not seeded: another bench on this machine must not interfere
        self._seal = Seal(random.Random(1).randbytes(32), bytes(32), tsi, ENCODING_SYMBOL_LENGTH)
        interface, group = resolve_interface("lo"), group_for(tsi, ipv6=False)
        self._receiver = MulticastReceiver(interface, group, DATA_PORT, tsi=tsi, use_gro=is_batching)
        self._sender = MulticastSender(interface, group, DATA_PORT, use_segmentation=is_batching)
        self._source = random.Random(2).randbytes(BLOCK_BYTES)
        self._datagrams = bytearray(K * DATAGRAM_LENGTH)
        self._block = BlockBuffer(bytearray(BLOCK_BYTES + MAX_REPAIR_SYMBOLS * ENCODING_SYMBOL_LENGTH))

    def seconds(self) -> dict[str, float]:
        """CPU seconds of each step for BLOCKS blocks."""
        spent = dict.fromkeys(STEPS, 0.0)
        for sbn in range(BLOCKS):
            for step, took in self._pass_block(sbn).items():
                spent[step] += took
        return spent

    def close(self) -> None:
        """Free the sockets."""
        self._sender.close()
        self._receiver.close()

    def _pass_block(self, sbn: int) -> dict[str, float]:
        self._block.reset(TOI_DISK, sbn, K)
        started = time.process_time()
        self._seal.seal_symbols(
            self._datagrams,
            self._source,
            toi=TOI_DISK,
            sbn=sbn,
            source_block_length=K,
            esis=range(K),
            last_symbol_length=ENCODING_SYMBOL_LENGTH,
        )
        sealed = time.process_time()
        self._sender.send_batch([self._datagrams], DATAGRAM_LENGTH)
        sent = time.process_time()
        opening, received_bytes = 0.0, 0
        while received_bytes < len(self._datagrams):
            received = self._receiver.receive()
            if received is None:
                raise SystemExit("the loopback interface lost a datagram: raise net.core.rmem_max, or run as root")
            received_bytes += len(received[0])
            before = time.process_time()
            self._seal.open_batch(*received, self._find_block)
            opening += time.process_time() - before
        ended = time.process_time()
        if self._block.deficit or self._block.symbols[:BLOCK_BYTES] != self._source:
            raise SystemExit(f"block {sbn} did not come back")
        return {"seal": sealed - started, "send": sent - sealed, "receive": ended - sent - opening, "open": opening}

    def _find_block(self, _toi: int, _sbn: int, _source_block_length: int) -> tuple[bytearray, bytearray]:
        return self._block.symbols, self._block.ledger


def main() -> None:
    """Measure and print."""
    console = Console()
    print_machine(console, describe_machine())
    console.print(f"seal kernels {', '.join(seal.kernels())}; default {seal.kernel_name()}; {seal.libcrypto_version()}")
    table = Table("datagrams", "kernel", title=f"CPU seconds per GiB, K={K}, L={ENCODING_SYMBOL_LENGTH}")
    for column in (*STEPS, "sender", "receiver"):
        table.add_column(column, justify="right")
    ways = [(is_batching, kernel) for is_batching in (True, False) for kernel in seal.kernels()]
    for is_batching, kernel in track(ways, console=console, transient=True):
        seal.use_kernel(kernel)
        path = Path(is_batching=is_batching)
        passes = [path.seconds() for _ in range(PASSES)]
        path.close()
        best = {step: min(spent[step] for spent in passes) / BLOCKS / BLOCK_BYTES * 2**30 for step in STEPS}
        sums = best["seal"] + best["send"], best["receive"] + best["open"]
        way = "batches of 44" if is_batching else "single"
        table.add_row(way, kernel, *(f"{value:.2f}" for value in (*best.values(), *sums)))
    console.print(table)


if __name__ == "__main__":
    main()
