import shutil
import subprocess
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from broadcaster.netboot.config import AddressRange, Dhcp
from broadcaster.netboot.dnsmasq_config import DnsmasqConfig


def text(
    folder: Path,
    dhcp: Dhcp,
    *,
    signed: bool = False,
    has_disk_loader: bool = True,
    answers_all: bool = False,
    everyone: bool = False,
) -> str:
    addresses = None if dhcp is Dhcp.PROXY else AddressRange.parse("10.0.4.200-10.0.4.220")
    network = IPv4Interface("10.0.4.2/24")
    return DnsmasqConfig(
        "eth0", network, dhcp, addresses, folder, 8886, signed, has_disk_loader, answers_all, everyone
    ).text()


@pytest.mark.system
@pytest.mark.skipif(shutil.which("dnsmasq") is None, reason="needs dnsmasq: apt install dnsmasq-base")
@pytest.mark.parametrize("dhcp", Dhcp)
@pytest.mark.parametrize("signed", [False, True])
def test_dnsmasq_takes_it(tmp_path: Path, dhcp: Dhcp, signed: bool) -> None:
    file = tmp_path / "dnsmasq.conf"
    file.write_text(
        text(tmp_path, dhcp, signed=signed, has_disk_loader=signed, answers_all=signed, everyone=not signed)
    )
    subprocess.run(["dnsmasq", "--test", f"--conf-file={file}"], check=True, capture_output=True)


@pytest.mark.parametrize("dhcp", Dhcp)
def test_it_is_no_name_server_and_serves_one_interface(tmp_path: Path, dhcp: Dhcp) -> None:
    lines = text(tmp_path, dhcp).splitlines()
    assert {"port=0", "interface=eth0", "bind-interfaces", "user=nobody"} <= set(lines)


def test_beside_the_sites_dhcp_strangers_get_no_answer(tmp_path: Path) -> None:
    for dhcp in (Dhcp.PROXY, Dhcp.RESERVED):
        assert "dhcp-ignore=tag:!answered" in text(tmp_path, dhcp).splitlines()
    assert "dhcp-ignore=tag:!pxe" in text(tmp_path, Dhcp.RESERVED).splitlines()
    assert "dhcp-ignore" not in text(tmp_path, Dhcp.FULL)


def test_a_proxy_gives_no_address(tmp_path: Path) -> None:
    (line,) = [line for line in text(tmp_path, Dhcp.PROXY).splitlines() if line.startswith("dhcp-range=")]
    assert line == "dhcp-range=10.0.4.0,proxy,255.255.255.0"


def test_nothing_is_booted_by_whom_it_is_not_for(tmp_path: Path) -> None:
    for dhcp in Dhcp:
        for line in text(tmp_path, dhcp, signed=True).splitlines():
            if line.startswith(("dhcp-boot=", "pxe-service=")):
                assert "=tag:answered," in line


def test_firmware_that_checks_signatures_never_gets_the_unsigned_loader(tmp_path: Path) -> None:
    assert "ipxe.efi" not in text(tmp_path, Dhcp.FULL, signed=True)
    assert "HTTPClient:Arch" not in text(tmp_path, Dhcp.FULL, signed=True)
    assert "http://10.0.4.2:8886/ipxe.efi" in text(tmp_path, Dhcp.FULL)


def test_firmware_without_an_order_gets_the_loader_of_its_own_disk(tmp_path: Path) -> None:
    for dhcp in Dhcp:
        lines = text(tmp_path, dhcp).splitlines()
        for line in lines:
            assert ("disk.efi" in line) == ("tag:!ordered" in line)
            assert ("ipxe.efi" in line) == ("tag:ordered" in line)
        assert "disk.efi" not in text(tmp_path, dhcp, signed=True)
        assert len([line for line in lines if "disk.efi" in line]) == (3 if dhcp is Dhcp.PROXY else 2)


def test_firmware_without_an_order_is_left_alone_where_there_is_no_such_loader(tmp_path: Path) -> None:
    for dhcp in Dhcp:
        lines = text(tmp_path, dhcp, has_disk_loader=False, answers_all=True).splitlines()
        assert {"dhcp-ignore=tag:uefi,tag:!ordered", "dhcp-ignore=tag:http,tag:!ordered"} <= set(lines)
        assert not [line for line in lines if "disk.efi" in line]
        assert "dhcp-ignore=tag:uefi,tag:!ordered" not in text(tmp_path, dhcp).splitlines()


def test_strangers_are_answered_or_ordered_only_where_it_is_said(tmp_path: Path) -> None:
    everybody = "dhcp-mac=set:{},*:*:*:*:*:*"
    assert "dhcp-mac" not in text(tmp_path, Dhcp.PROXY)
    answered = text(tmp_path, Dhcp.PROXY, answers_all=True)
    assert everybody.format("answered") in answered
    assert everybody.format("ordered") not in answered
    assert everybody.format("ordered") in text(tmp_path, Dhcp.PROXY, everyone=True)
