"""Mounts that nobody else sees or has to clean up: they live in a mount namespace of one thread, and die with it.

So it is whatever ends the work: an error, Ctrl-C, or SIGKILL. The thread's child processes share the namespace; one
that is to end with the thread even when that is killed is started by ``bound_to_us``.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from protocol.disk.system_tools import need_tool
from protocol.errors import ConfigError, RefusedError

Result = TypeVar("Result")
Check = Callable[[], None]
"""raises RefusedError once the work is to end early"""

_CLONE_NEWNS: Final = 0x00020000
_MS_REC_PRIVATE: Final = 0x4000 | 1 << 18
"""From linux/sched.h and linux/mount.h."""


def in_private_mounts(work: Callable[[Check], Result], *, is_needed: bool = True) -> Result:
    """Run ``work`` in a thread with a mount namespace of its own, which its child processes share.

    Ctrl-C lets it end at its next call of the check that it is given. Work for which the namespace is not needed is
    done without one where there can be none; whatever it would mount fails by itself there.

    Raises:
        ConfigError: not root.
        RefusedError: the kernel allows no mount namespace.
    """
    if is_needed and os.geteuid() != 0:
        raise ConfigError("looking into file systems takes loop devices and mounts: run this as root")
    is_over = threading.Event()

    def check() -> None:
        if is_over.is_set():
            raise RefusedError("interrupted")

    def run() -> Result:
        trouble = _leave_namespace()
        if trouble and is_needed:
            raise RefusedError(f"no mount namespace of its own can be had: {trouble}")
        return work(check)

    with ThreadPoolExecutor(1, thread_name_prefix="mounts") as thread:
        ran = thread.submit(run)
        try:
            return ran.result()
        finally:
            is_over.set()


def bound_to_us(*command: str, ending: signal.Signals = signal.SIGKILL) -> list[str]:
    """The command that starts a program which gets that signal when the thread that starts it ends, however it ends.

    Raises:
        LibraryError: there is no setpriv.
    """
    return [need_tool("setpriv"), "--pdeathsig", ending.name.removeprefix("SIG"), "--", *command]


def _leave_namespace() -> str:
    """Why that cannot be; empty where it is done."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) == 0 and libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC_PRIVATE), None) == 0:
        return ""
    return os.strerror(ctypes.get_errno())
