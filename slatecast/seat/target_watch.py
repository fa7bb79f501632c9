"""Which disk of this PC the rule means, looked at again and again: somebody may plug one in, or pull it out."""

import asyncio
from collections.abc import Callable
from typing import Final

from protocol.errors import TargetError
from receiver.target_rule import resolve_target

LOOK_SECONDS: Final = 4.0
"""[s] How late a disk that was plugged in may be seen; each look starts two small programs."""


async def watch_target(rule: str, tell: Callable[[str, str, str], object], is_busy: Callable[[], bool]) -> None:
    """Tell of each change until cancelled: path, what people know the disk by, and why there is none.

    Not looked at while ``is_busy``: a disk that is written has other things to do.
    """
    before: tuple[str, str, str] | None = None
    while True:
        if not is_busy():
            seen = await asyncio.to_thread(look_for_target, rule)
            # A session that began meanwhile holds the disk, which then looks like one in use by somebody else.
            if not is_busy() and seen != before:
                before = seen
                tell(*seen)
        await asyncio.sleep(LOOK_SECONDS)


def look_for_target(rule: str) -> tuple[str, str, str]:
    """Path, description and fault of what ``rule`` means now; the fault is empty where it means one disk."""
    try:
        target = resolve_target(rule)
    except TargetError as error:
        return error.target, "", error.reason
    if target.use or target.keep_label or target.read_only:
        why = target.use or target.why_kept or "read-only"
        return target.path, "", f"is {why}: free it, or start this PC with another slatecast.target"
    return target.path, str(target), ""
