"""When multicast reached a host and when it paused: the kernel's own count, looked at every 20 ms, for free."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SAMPLE_SECONDS: Final = 0.02
"""[s] Between two looks: the resolution of a silence."""

MIN_BYTES: Final = 14_500
"""[bytes] Ten datagrams between two looks are a stream; less is discovery, or a repair now and then."""


TAIL_SECONDS: Final = 0.1
"""[s] What the dead left in the network arrives so much later at most; no successor starts as fast."""


class MulticastFlow:
    """Watches the multicast that arrives in the network namespace of a process, inside the ``with`` block."""

    def __init__(self, pid: int) -> None:
        # An open file keeps its namespace, so the process may end.
        self._file = Path(f"/proc/{pid}/net/netstat").open(encoding="ascii")  # noqa: SIM115  # closed by __exit__
        self._flowed_at: list[float] = []
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._has_ended.set()
        self._thread.join()
        self._file.close()

    def pause_after(self, died_at: float) -> float | None:
        """Seconds from the last stream of who died then (monotonic) to the first of its successor; None without one."""
        times = list(self._flowed_at)
        before = max((at for at in times if at <= died_at + TAIL_SECONDS), default=None)
        after = min((at for at in times if at > died_at + TAIL_SECONDS), default=None)
        return None if before is None or after is None else after - before

    def _watch(self) -> None:
        seen = self._octets()
        while not self._has_ended.wait(SAMPLE_SECONDS):
            octets = self._octets()
            if octets - seen >= MIN_BYTES:
                self._flowed_at.append(time.monotonic())
            seen = octets

    def _octets(self) -> int:
        """IPv4 multicast that arrived, in bytes."""
        self._file.seek(0)
        names, values = (line.split() for line in self._file if line.startswith("IpExt:"))
        return int(values[names.index("InMcastOctets")])
