"""Opening what a path means within a folder that somebody else filled: no link and no ``..`` of it leads outside.

openat2(2) with RESOLVE_IN_ROOT resolves as if the folder were the root of everything, in the kernel, so that nothing
can be changed between looking and opening.
"""

import ctypes
import os
from typing import Final

_SYS_OPENAT2: Final = 437
"""Its number on every architecture of Linux."""

_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_IN_ROOT: Final = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: int, path: str, flags: int) -> int:
    """A descriptor of what ``path`` means below the open folder ``root``; a leading slash changes nothing.

    Raises:
        OSError: it is not there, or cannot be opened so.
        ValueError: the path holds a zero byte.
    """
    encoded = os.fsencode(path.lstrip("/") or ".")
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_int(root), ctypes.c_char_p(encoded), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    descriptor = int(libc.syscall(ctypes.c_long(_SYS_OPENAT2), *arguments))
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return descriptor
