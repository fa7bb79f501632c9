"""Keys of a real terminal: a pty whose other end types."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from slatecast.cli.keyboard import ESCAPE, keyboard, keys_in

ENDED = b"ended\r\n"


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The end that types, and the terminal."""
    hands, screen = pty.openpty()
    yield hands, screen
    for descriptor in (hands, screen):
        os.close(descriptor)


def local_modes(screen: int) -> int:
    modes = termios.tcgetattr(screen)[3]
    assert isinstance(modes, int)
    return modes


def is_plain(screen: int) -> bool:
    """Whether it echoes and waits for Enter."""
    return bool(local_modes(screen) & termios.ECHO and local_modes(screen) & termios.ICANON)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("\x1b", [ESCAPE]),
        ("\x1b\x1b", [ESCAPE, ESCAPE]),
        ("\x1bq", [ESCAPE, "q"]),
        ("y\n", ["y", "\n"]),
        ("\x1b[A", []),  # arrow up
        ("\x1b[3~", []),  # delete
        ("\x1b[1;5Cx", ["x"]),  # control and arrow
        ("\x1bOP", []),  # F1
        ("\x1b[A\x1b", [ESCAPE]),
        ("\x1b[", []),
        ("", []),
    ],
)
def test_arrows_and_function_keys_are_not_esc(typed: str, keys: list[str]) -> None:
    assert list(keys_in(typed)) == keys


@pytest.mark.asyncio
async def test_keys_come_one_by_one_and_are_not_echoed(terminal: tuple[int, int]) -> None:
    hands, screen = terminal
    keys: asyncio.Queue[str] = asyncio.Queue()
    assert is_plain(screen)
    with keyboard(keys.put_nowait, screen) as is_there:
        assert is_there
        assert not is_plain(screen)
        assert local_modes(screen) & termios.ISIG  # Ctrl-C stays what it is
        os.write(hands, b"y")
        assert await asyncio.wait_for(keys.get(), 5) == "y"
        os.write(hands, b"\x1b")
        assert await asyncio.wait_for(keys.get(), 5) == ESCAPE
    assert is_plain(screen)
    os.set_blocking(hands, False)
    with pytest.raises(BlockingIOError):
        os.read(hands, 1)


@pytest.mark.asyncio
async def test_what_was_typed_before_is_no_answer(terminal: tuple[int, int]) -> None:
    hands, screen = terminal
    keys: asyncio.Queue[str] = asyncio.Queue()
    os.write(hands, b"\x1b\n")
    with keyboard(keys.put_nowait, screen):
        os.write(hands, b"x")
        assert await asyncio.wait_for(keys.get(), 5) == "x"


@pytest.mark.asyncio
async def test_the_terminal_is_given_back_after_an_error(terminal: tuple[int, int]) -> None:
    _, screen = terminal
    with pytest.raises(ZeroDivisionError), keyboard(print, screen):
        raise ZeroDivisionError
    assert is_plain(screen)


@pytest.mark.asyncio
async def test_a_terminal_that_is_hung_up_is_no_trouble() -> None:
    hands, screen = pty.openpty()
    with keyboard(print, screen) as is_there:
        assert is_there
        os.close(hands)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    os.close(screen)


@pytest.mark.asyncio
async def test_where_there_is_no_terminal_nothing_is_done() -> None:
    read, write = os.pipe()
    with keyboard(print, read) as is_there:
        assert not is_there
    with keyboard(print) as is_there:  # pytest takes standard input away
        assert not is_there
    os.close(read)
    os.close(write)


LISTENER = """
import asyncio, os
os.open(os.ttyname(0), os.O_RDWR)  # the first terminal that a new session opens controls it
from slatecast.cli.keyboard import keyboard

async def main():
    keys = asyncio.Queue()
    with keyboard(keys.put_nowait) as is_there:
        print("there" if is_there else "nowhere", flush=True)
        while (key := await keys.get()) != "q":
            print(f"<{key}>", flush=True)
    print("ended", flush=True)

asyncio.run(main())
"""


class Listener:
    """A program that listens, in a session of its own whose terminal is a pty."""

    def __init__(self, hands: int, screen: int) -> None:
        self.hands = hands
        self.said = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", LISTENER],
            stdin=screen,
            stdout=screen,
            stderr=screen,
            start_new_session=True,
        )

    def until(self, text: bytes) -> None:
        while text not in self.said:
            read = os.read(self.hands, 4096)
            assert read
            self.said += read

    def changed(self) -> int:
        """How its state changed next."""
        return os.waitpid(self.process.pid, os.WUNTRACED | os.WCONTINUED)[1]


@pytest.mark.system
@pytest.mark.slow
def test_a_program_on_a_terminal_gives_it_back_while_it_is_suspended(terminal: tuple[int, int]) -> None:
    hands, screen = terminal
    listener = Listener(hands, screen)
    try:
        listener.until(b"there\r\n")
        os.write(hands, b"\x1a")  # Ctrl-Z
        assert os.WIFSTOPPED(listener.changed())
        assert is_plain(screen)
        listener.process.send_signal(signal.SIGCONT)
        while is_plain(screen):
            assert listener.process.poll() is None
        os.write(hands, b"x")
        listener.until(b"<x>")
        os.write(hands, b"q")
        listener.until(ENDED)
        assert listener.process.wait(10) == 0
        assert is_plain(screen)
    finally:
        listener.process.kill()
        listener.process.wait()


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_that_is_ended_gives_the_terminal_back(terminal: tuple[int, int], number: signal.Signals) -> None:
    hands, screen = terminal
    listener = Listener(hands, screen)
    try:
        listener.until(b"there\r\n")
        assert not is_plain(screen)
        listener.process.send_signal(number)
        assert listener.process.wait(10) != 0
        assert is_plain(screen)
    finally:
        listener.process.kill()
        listener.process.wait()
