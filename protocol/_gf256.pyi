from collections.abc import Callable

from protocol.digests import Buffer

def built_kernels() -> dict[str, Callable[[Buffer, Buffer, Buffer, bytearray | memoryview, Buffer, int], None] | None]:
    """Every kernel in this build by name; None where this CPU lacks its instructions."""
