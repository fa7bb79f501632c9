import dataclasses
import os
import subprocess
import sys

import pytest
import wakeonlan

from broadcaster.host.waking import wake_machines
from protocol.errors import RefusedError, TransportError
from protocol.link.interfaces import InterfaceInfo
from tests.end_to_end.room import ROOT
from tests.lab import INTERFACE, Lab, missing_requirement

ETH = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, None, False, False)
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")


def test_an_interface_without_ipv4_wakes_nobody() -> None:
    with pytest.raises(RefusedError, match="eth0 has no IPv4 address"):
        wake_machines(dataclasses.replace(ETH, ipv4=None), MACS)


def test_what_the_system_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str, **__: object) -> None:
        raise OSError(99, os.strerror(99))

    monkeypatch.setattr(wakeonlan, "wake", refuse)
    with pytest.raises(TransportError, match="nobody can be woken on eth0: Cannot assign requested address"):
        wake_machines(ETH, MACS)


LISTEN = """
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", 9))
listener.settimeout(20)
print("ready", flush=True)
for _ in range(2):
    print(listener.recv(2000).hex(), flush=True)
"""

WAKE = f"""
from broadcaster.host.waking import wake_machines
from protocol.link.interfaces import resolve_interface
wake_machines(resolve_interface({INTERFACE!r}), {MACS!r})
"""


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.skipif(missing_requirement() is not None, reason=missing_requirement() or "")
def test_every_machine_of_the_network_gets_its_datagram() -> None:
    with Lab(1) as lab:
        listener = lab.receivers[0].popen([sys.executable, "-c", LISTEN], stdout=subprocess.PIPE)
        assert listener.stdout is not None
        assert listener.stdout.readline().strip() == "ready"
        lab.broadcaster.run(["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", WAKE])
        said = [listener.stdout.readline().strip() for _ in MACS]
    assert said == ["ff" * 6 + mac.replace(":", "") * 16 for mac in MACS]
