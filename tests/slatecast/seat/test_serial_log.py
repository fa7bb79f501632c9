import os
from pathlib import Path

from slatecast.seat.serial_log import SerialLog


def test_lines_go_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    log = SerialLog(path)
    log.say("joined")
    log.say("verified")
    log.close()
    log.say("too late")
    assert path.read_text() == "before\nslatecast: joined\nslatecast: verified\n"


def test_a_port_that_is_not_there_holds_up_nobody(tmp_path: Path) -> None:
    log = SerialLog(tmp_path / "ttyS0")
    log.say("joined")
    log.close()
    SerialLog(None).say("joined")


def test_neither_does_one_that_is_full(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log = SerialLog(tmp_path / "fifo")
    for _ in range(10_000):
        log.say("x" * 100)
    assert os.read(reader, 10) == b"slatecast:"
    os.close(reader)
    log.say("nobody reads any more")
    log.close()


def test_a_descriptor_stays_the_callers(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    log = SerialLog(None, writer)
    log.say("joined")
    log.close()
    os.write(writer, b"still open")
    assert os.read(reader, 100) == b"slatecast: joined\nstill open"
    os.close(reader)
    os.close(writer)
