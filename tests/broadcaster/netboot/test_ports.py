import shutil
import socket

import pytest

from broadcaster.netboot import ports
from broadcaster.netboot.ports import check_ports
from protocol.errors import RefusedError, TransportError
from protocol.link.interfaces import resolve_interface


def test_without_dnsmasq_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(RefusedError, match="apt install dnsmasq-base"):
        check_ports(resolve_interface("lo"))


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/sbin/dnsmasq")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RefusedError, match="needs root"):
        check_ports(resolve_interface("lo"))


@pytest.mark.system
def test_a_port_that_is_taken_is_named_with_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(shutil, "which", lambda _: "/usr/sbin/dnsmasq")
        monkeypatch.setattr("os.geteuid", lambda: 0)
        monkeypatch.setattr(ports, "_NAMES", {port: "TFTP"})
        monkeypatch.setattr(ports, "TFTP_PORT", port)
        with pytest.raises(TransportError, match=rf"UDP port {port} \(TFTP\) is taken by \S+ \(process \d+\): end it"):
            check_ports(resolve_interface("lo"))
