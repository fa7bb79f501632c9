import socket
import subprocess
from pathlib import Path

import pytest

from protocol.configuration import Beacon, BeaconStep, StepState, System, decode_beacon
from protocol.errors import RefusedError
from receiver.configure.beacon import (
    LINUX_CONFIG,
    LINUX_SCRIPT,
    LINUX_UNIT,
    WINDOWS_SCRIPT,
    WINDOWS_SETUP,
    place_beacon,
)
from receiver.configure.place import Place
from tests.receiver.configure.written_disk import BEACON, WrittenDisk, real_disk

pytestmark = real_disk


def test_a_linux_says_once_that_it_has_started(linux: WrittenDisk, tmp_path: Path) -> None:
    """The script as it lies on the disk is run here by bash, with the configuration that lies there."""
    with linux.place() as place:
        for _ in range(2):
            assert place_beacon(place, BeaconStep(system=System.LINUX)).state is StepState.DONE
    with linux.mounted() as folder:
        script, config = ((folder / path).read_text() for path in (LINUX_SCRIPT, LINUX_CONFIG))
        assert (folder / LINUX_CONFIG).stat().st_mode & 0o777 == 0o600
        assert f"ExecStart=/bin/bash /{LINUX_SCRIPT}" in (folder / LINUX_UNIT).read_text()
        assert (folder / "etc/systemd/system/multi-user.target.wants/slatecast-beacon.service").is_symlink()
    assert config == f"{BEACON.host}\n{BEACON.port}\n{BEACON.token}\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)
        here = tmp_path / "beacon.conf"
        here.write_text(f"127.0.0.1\n{listener.getsockname()[1]}\n{BEACON.token}\n")
        line = script.replace(f"/{LINUX_CONFIG}", str(here)).replace("sleep 2", ":")
        subprocess.run(["bash", "-c", line], check=True, timeout=20)
        assert decode_beacon(listener.recv(100)).hex() == BEACON.token
    assert not here.exists()


def test_a_windows_calls_it_after_what_setup_does_already(windows: WrittenDisk) -> None:
    with windows.mounted() as folder:
        (folder / "WINDOWS/Setup/Scripts").mkdir(parents=True)
        (folder / "WINDOWS/Setup/Scripts/SetupComplete.cmd").write_bytes(b"call site.cmd\r\n")
    with windows.place() as place:
        for _ in range(2):
            place_beacon(place, BeaconStep(system=System.WINDOWS))
        with place.disk.windows_root() as root:
            setup, script = root.read(WINDOWS_SETUP) or b"", root.read(WINDOWS_SCRIPT) or b""
    assert setup.startswith(b"call site.cmd\r\npowershell.exe ")
    assert setup.count(b"powershell") == 1
    assert BEACON.token.encode() in script
    assert b"UdpClient '192.0.2.1', 8886" in script


def test_a_system_that_cannot_send_is_refused(linux: WrittenDisk) -> None:
    with linux.mounted() as folder:
        (folder / "usr/bin/bash").unlink()
    with linux.place() as place, pytest.raises(RefusedError, match="no bash"):
        place_beacon(place, BeaconStep(system=System.LINUX))


def test_without_a_listener_nothing_is_written(linux: WrittenDisk) -> None:
    with linux.opened() as disk:
        from receiver.configure.place import Machine

        place = Place(disk, "x", Machine(), None, {})
        assert place_beacon(place, BeaconStep(system=System.LINUX)).state is StepState.SKIPPED


def test_the_script_names_the_datagram_as_the_protocol_does() -> None:
    assert Beacon(host="x", port=1, token="0" * 32).token == "0" * 32
