"""How fast does each kernel encode and decode repair symbols, beside reedsolo and zfec?

    python -m benches.bench_gf256

Question: which kernel should be the default, and is the code ever the bottleneck of a cast (1 Gbit/s = 125 MB/s)?
Metric: MB/s (10^6 bytes) of source data, K * L bytes over the median time of one call on one core. Encoding makes r
repair symbols; decoding rebuilds r lost source symbols from r repair symbols, finding the coefficients included.
Corpus: seeded random bytes; a raw chunk (K=186), a well compressed one (K=64) and half of that; L=1416 as on the wire.

zfec works in GF(2^8) too, with another matrix, and is the usual choice in Python. reedsolo defines our code; it works a
byte column at a time, so a few columns are timed and stand for all.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import reedsolo  # type: ignore[import-untyped]  # has no stubs
import zfec
from rich.console import Console
from rich.table import Table

from protocol import gf256
from protocol.fec import decode_source, encode_repair
from protocol.wire import ENCODING_SYMBOL_LENGTH

SHAPES = ((186, 8), (186, 64), (64, 8), (64, 16), (32, 4))
"""(K source symbols, r repair symbols)"""

SECONDS_PER_FIGURE = 0.25
MIN_CALLS = 5
REEDSOLO_COLUMNS = 4


class Loss(NamedTuple):
    """One source block and the source symbols that a receiver lost of it; r = len(missing) = len(repair_esis)."""

    source_block_length: int
    source: bytes
    missing: list[int]
    repair_esis: list[int]


class Engine(NamedTuple):
    """One implementation: what it is called, and its encoder and decoder for a loss as calls without arguments."""

    name: str
    make_encoder: Callable[[Loss], Callable[[], object]]
    make_decoder: Callable[[Loss], Callable[[], object]]
    share: float = 1.0
    """Part of the block that one call works on."""


def main() -> None:
    """Measure and print."""
    console = Console()
    console.print(
        f"CPU {_cpu_name()}; kernels {', '.join(gf256.kernels())}; default [bold]{gf256.kernel_name()}[/bold]"
    )
    console.print(f"reedsolo {version('reedsolo')}, zfec {version('zfec')}; L={ENCODING_SYMBOL_LENGTH} bytes, one core")
    table = Table("K", "n", "lost", "engine", title="MB/s of source data, medians")
    table.add_column("encode", justify="right")
    table.add_column("decode", justify="right")
    for source_block_length, repair_count in SHAPES:
        loss = _draw_loss(source_block_length, repair_count)
        for engine in _engines():
            table.add_row(
                str(source_block_length),
                str(source_block_length + repair_count),
                str(repair_count),
                engine.name,
                *(
                    f"{len(loss.source) * engine.share / _median_seconds(call) / 1e6:,.2f}"
                    for call in (engine.make_encoder(loss), engine.make_decoder(loss))
                ),
            )
        table.add_section()
    console.print(table)


def _draw_loss(source_block_length: int, repair_count: int) -> Loss:
    rng = random.Random(source_block_length)
    source = rng.randbytes(source_block_length * ENCODING_SYMBOL_LENGTH)
    repair_esis = list(range(source_block_length, source_block_length + repair_count))
    missing = sorted(rng.sample(range(source_block_length), min(repair_count, source_block_length)))
    return Loss(source_block_length, source, missing, repair_esis)


def _engines() -> Iterator[Engine]:
    for name in gf256.kernels():
        gf256.use_kernel(name)
        yield Engine(name, _our_encoder, _our_decoder)
    gf256.use_kernel()
    yield Engine("zfec", _zfec_encoder, _zfec_decoder)
    yield Engine("reedsolo", _reedsolo_encoder, _reedsolo_decoder, REEDSOLO_COLUMNS / ENCODING_SYMBOL_LENGTH)


def _our_encoder(loss: Loss) -> Callable[[], object]:
    return lambda: encode_repair(loss.source, loss.source_block_length, ENCODING_SYMBOL_LENGTH, loss.repair_esis)


def _our_decoder(loss: Loss) -> Callable[[], object]:
    block = bytearray(loss.source) + encode_repair(
        loss.source, loss.source_block_length, ENCODING_SYMBOL_LENGTH, loss.repair_esis
    )
    return lambda: decode_source(
        block, loss.source_block_length, ENCODING_SYMBOL_LENGTH, loss.missing, loss.repair_esis
    )


def _zfec_encoder(loss: Loss) -> Callable[[], object]:
    encoder = zfec.Encoder(loss.source_block_length, loss.source_block_length + len(loss.repair_esis))
    symbols, repair_esis = _symbols(loss), tuple(loss.repair_esis)
    return lambda: encoder.encode(symbols, repair_esis)


def _zfec_decoder(loss: Loss) -> Callable[[], object]:
    n = loss.source_block_length + len(loss.repair_esis)
    symbols = zfec.Encoder(loss.source_block_length, n).encode(_symbols(loss))
    decoder = zfec.Decoder(loss.source_block_length, n)
    esis = tuple(sorted(set(range(n)).difference(loss.missing)))
    received = tuple(symbols[esi] for esi in esis)
    return lambda: decoder.decode(received, esis)


def _symbols(loss: Loss) -> tuple[bytes, ...]:
    starts = range(0, len(loss.source), ENCODING_SYMBOL_LENGTH)
    return tuple(loss.source[start : start + ENCODING_SYMBOL_LENGTH] for start in starts)


def _reedsolo_encoder(loss: Loss) -> Callable[[], object]:
    code, columns = reedsolo.RSCodec(64), _columns(loss)
    return lambda: [code.encode(column) for column in columns]


def _reedsolo_decoder(loss: Loss) -> Callable[[], object]:
    code = reedsolo.RSCodec(64)
    codewords = [code.encode(column) for column in _columns(loss)]
    unsent = range(loss.source_block_length + len(loss.repair_esis), loss.source_block_length + 64)
    erased = [*loss.missing, *unsent]
    for codeword in codewords:
        for position in erased:
            codeword[position] = 0
    return lambda: [code.decode(codeword, erase_pos=erased, only_erasures=True) for codeword in codewords]


def _columns(loss: Loss) -> list[bytes]:
    return [loss.source[at::ENCODING_SYMBOL_LENGTH] for at in range(REEDSOLO_COLUMNS)]


def _median_seconds(call: Callable[[], object]) -> float:
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS_PER_FIGURE
    while len(seconds) < MIN_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
