import subprocess
import sys

import pytest

from protocol.errors import ConfigError, DiskError, LibraryError, RefusedError, SlatecastError, TransportError
from slatecast.serving.status import Failed, Ready, decode_status, encode_status


@pytest.mark.parametrize("status", [Ready(), Ready("https://10.0.4.2:8443/"), Failed("ConfigError", "two\nlines")])
def test_what_is_said_is_understood(status: Ready | Failed) -> None:
    line = encode_status(status)
    assert line.count(b"\n") == 1
    assert decode_status(line) == status


@pytest.mark.parametrize("line", [b"", b"hello\n", b"{}", b'{"type":"other"}', b"\xff", b"[" * 100_000])
def test_anything_else_is_nothing(line: bytes) -> None:
    assert decode_status(line) is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConfigError("text"), ConfigError),
        (LibraryError("text"), RefusedError),
        (TransportError("text"), TransportError),
        (DiskError("/dev/sda", "write", "text", 512), SlatecastError),
    ],
)
def test_an_error_keeps_its_exit_code(error: SlatecastError, kind: type[SlatecastError]) -> None:
    again = Failed.of(error).error()
    assert type(again) is kind
    assert str(again) == str(error)


def test_of_an_unknown_kind() -> None:
    assert type(Failed("SystemExit", "text").error()) is SlatecastError


def test_what_libraries_print_goes_elsewhere() -> None:
    code = (
        "from slatecast.serving.status import *\nstatus = StatusLine()\nprint('noise', flush=True)\nstatus.say(Ready())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ran.stdout == b'{"type":"ready","where":""}\n'
    assert ran.stderr == b"noise\n"
