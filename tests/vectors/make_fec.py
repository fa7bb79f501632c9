"""Write fec.json: repair symbols as reedsolo defines them, for this and any other implementation to reproduce.

    python -m tests.vectors.make_fec

The source block is SHAKE-128 of the seed, K * L bytes; each repair symbol stands as its SHA-256. Only reedsolo computes
here, never slatecast, so the file changes only if the code itself would: that needs a new protocol version.
"""

import hashlib
import json
from pathlib import Path

import reedsolo  # type: ignore[import-untyped]  # has no stubs

PATH = Path(__file__).with_name("fec.json")
BLOCKS = ((1, 5), (2, 41), (12, 64), (64, 128), (186, 16), (190, 1), (191, 33))
"""(source_block_length K in symbols, encoding_symbol_length L in bytes); small, for reedsolo does 1 MB/s."""


def main() -> None:
    """Compute all vectors and replace the file."""
    vectors = [_vector(f"slatecast fec {k} {length}", k, length) for k, length in BLOCKS]
    PATH.write_text(json.dumps(vectors, indent=1) + "\n")


def _vector(seed: str, source_block_length: int, encoding_symbol_length: int) -> dict[str, object]:
    code = reedsolo.RSCodec(64)
    source = hashlib.shake_128(seed.encode()).digest(source_block_length * encoding_symbol_length)
    columns = [bytes(code.encode(source[at::encoding_symbol_length])) for at in range(encoding_symbol_length)]
    return {
        "seed": seed,
        "source_block_length": source_block_length,
        "encoding_symbol_length": encoding_symbol_length,
        "repair_sha256": {
            str(esi): hashlib.sha256(bytes(column[esi] for column in columns)).hexdigest()
            for esi in range(source_block_length, source_block_length + 64)
        },
    }


if __name__ == "__main__":
    main()
