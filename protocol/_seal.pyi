"""The libcrypto kernel of ``protocol.seal``: same names, arguments and bytes as the pure one."""

from collections.abc import Callable
from typing import Final

from protocol.digests import Buffer
from protocol.pure_seal import Counts, FindBlock, WritableBuffer

LIBCRYPTO: Final[str | None]
"""Version text of the libcrypto that was found at run time; None when there is none."""

def seal_symbols(
    key: bytes,
    header: bytes,
    out: WritableBuffer,
    symbols: Buffer,
    esis: bytes,
    encoding_symbol_length: int,
    last_symbol_length: int,
    /,
) -> int: ...
def open_batch(
    segment_key: Callable[[int, int], bytes],
    session_header: bytes,
    batch: Buffer,
    datagram_length: int,
    encoding_symbol_length: int,
    find_block: FindBlock,
    /,
) -> Counts: ...
