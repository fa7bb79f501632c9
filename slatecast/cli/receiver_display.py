"""The live picture of one receiver on its own screen: one bar; nothing where there is no terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleRenderable
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from protocol.messages import ReceiverState
from receiver.service import Receiver
from slatecast.cli.words import bytes_in_words

REFRESH_PER_SECOND = 4


@contextmanager
def receiver_display(receiver: Receiver, console: Console) -> Iterator[None]:
    """Show the receiver while the context is open; on a terminal only."""
    if not console.is_terminal:
        yield
        return
    with Live(_Picture(receiver), console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True):
        yield


class _Picture:
    """Drawn anew at each refresh from the session as it then is."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def __rich__(self) -> ConsoleRenderable:
        session = self._receiver.session
        if session is None:
            return Text("waiting for a session")
        done, total = session.blocks_total - session.blocks_missing, session.blocks_total
        words, counters = session.state.value, session.counters
        if session.state is ReceiverState.RECEIVING and counters.blocks_scanned < counters.blocks_to_scan:
            words, done, total = "scanning", counters.blocks_scanned, counters.blocks_to_scan
        elif session.state is ReceiverState.VERIFYING:
            done, total = counters.bytes_verified, counters.bytes_to_verify
        received = bytes_in_words(counters.bytes_received + counters.catch_up_bytes)
        row = Table.grid(padding=(0, 1))
        row.add_row(
            Text(session.announcement.image.name),
            Text(words, style="cyan"),
            ProgressBar(total=max(1, total), completed=done, width=40),
            f"{session.blocks_missing} blocks missing, {received} received",
        )
        return row
