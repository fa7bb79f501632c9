"""``slatecast boot serve`` in a room of its own: real dnsmasq, the site's DHCP beside it, PCs in QEMU."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.netboot.config import DEFAULT_BOOT_PORT
from broadcaster.netboot.orders import BootOrder, BootOrders, write_orders
from broadcaster.netboot.scripts import MOST_TRIES
from tests.broadcaster.netboot import boot_room
from tests.broadcaster.netboot.boot_room import ENVIRONMENT, MAC, OWN_DISK, RANGE, Service, serving, site_dhcp
from tests.lab.disk_arguments import Disk
from tests.lab.network import Lab
from tests.lab.virtual_machine import PATIENCE, Firmware, Hardware, VirtualMachine

_MISSING = boot_room.missing()
pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING)),
]

FAR_AWAY = 1e10
"""seconds since 1970: after any test"""


PROMPTLY = 100.0
"""[s] for a start that takes 15 to 40; firmware that is not answered goes on for 275"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boot_room.make_environment(tmp_path_factory.mktemp("boot") / "environment")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(1) as lab:
        yield lab


def booted(lab: Lab, folder: Path, firmware: Firmware, timeout: float = PATIENCE) -> str:
    """What a PC says that starts from the network, with a disk of its own behind; ``timeout`` in seconds."""
    make = boot_room.bios_disk if firmware is Firmware.BIOS else boot_room.uefi_disk
    hardware = Hardware(firmware, [Disk(make(folder / "disk.img"))], mac=MAC, boots_from_network=True, memory=512)
    with VirtualMachine(hardware, folder / "machine", lab) as machine:
        return machine.until(f"{ENVIRONMENT}|{OWN_DISK}", timeout)[0].strip()


def ended(lab: Lab, environment: Path, orders: Path, *options: str) -> tuple[int, str]:
    """Status and words of a service that cannot run."""
    return Service(lab.broadcaster, environment, orders, options).end()


@pytest.mark.parametrize(
    ("firmware", "options"),
    [(Firmware.BIOS, ()), (Firmware.SECURE_BOOT, ("--dhcp", "reserved", "--range", RANGE))],
    ids=lambda each: each.name if isinstance(each, Firmware) else "",
)
def test_a_pc_with_an_order_boots_the_environment_beside_the_sites_dhcp(
    lab: Lab, tmp_path: Path, environment: Path, firmware: Firmware, options: tuple[str, ...]
) -> None:
    orders = tmp_path / "orders.json"
    site_dhcp(lab, tmp_path)
    with serving(lab, environment, orders, *options) as service:
        # Given while it runs: dnsmasq hears of it before a PC has asked.
        write_orders(orders, BootOrders(machines={MAC: BootOrder(until=FAR_AWAY, seat="PC 1/ä")}))
        said = booted(lab, tmp_path, firmware)
        service.until(f"{MAC} .*boots into the environment")
    words = said.split()
    assert "slatecast.seat=PC%201%2F%C3%A4" in words
    assert f"slatecast.server={lab.broadcaster.ipv4}:8884" in words
    assert f"BOOTIF=01-{MAC.replace(':', '-')}" in words


def test_a_pc_whose_order_is_over_boots_its_own_disk(lab: Lab, tmp_path: Path, environment: Path) -> None:
    orders = tmp_path / "orders.json"
    write_orders(orders, BootOrders(machines={MAC: BootOrder(until=time.time(), seat="PC-01")}))
    site_dhcp(lab, tmp_path)
    with serving(lab, environment, orders, "--answer-all") as service:
        assert booted(lab, tmp_path, Firmware.BIOS) == OWN_DISK
        service.until(f"{MAC}: boots its own disk")


def test_a_pc_of_a_room_without_an_order_is_at_its_own_disk_promptly(
    lab: Lab, tmp_path: Path, environment: Path
) -> None:
    orders = tmp_path / "orders.json"
    write_orders(orders, BootOrders(rooms=frozenset({MAC})))
    site_dhcp(lab, tmp_path)
    with serving(lab, environment, orders) as service:
        assert booted(lab, tmp_path, Firmware.UEFI, PROMPTLY) == OWN_DISK
        service.until(f"{MAC}: boots its own disk")


def test_a_pc_boots_its_own_disk_when_downloads_break_off(lab: Lab, tmp_path: Path, environment: Path) -> None:
    orders = tmp_path / "orders.json"
    write_orders(orders, BootOrders(machines={MAC: BootOrder(until=FAR_AWAY)}))
    site_dhcp(lab, tmp_path)
    boot_room.break_downloads(lab.broadcaster, DEFAULT_BOOT_PORT, length=(environment / "vmlinuz").stat().st_size // 4)
    with serving(lab, environment, orders) as service:
        assert booted(lab, tmp_path, Firmware.UEFI, PROMPTLY) == OWN_DISK
        service.until(f"{MAC}: boots into the environment")
    said = (tmp_path / "machine" / "console.log").read_text(encoding="utf-8", errors="replace")
    assert said.count("kernel or initrd did not arrive") == MOST_TRIES
    assert said.count("did not arrive; this PC starts from its own disk") == 1


def test_another_boot_server_is_told(lab: Lab, tmp_path: Path, environment: Path) -> None:
    host = lab.receivers[0]
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--pid-file=", "--user=root"]
    argv += ["--bind-interfaces", f"--interface={host.interface}", f"--dhcp-leasefile={tmp_path}/leases"]
    host.popen([*argv, "--dhcp-range=10.77.1.10,10.77.1.50,255.255.0.0", "--dhcp-boot=pxelinux.0"])
    with serving(lab, environment, tmp_path / "orders.json") as service:
        service.until(f"{host.ipv4} also tells PCs where to boot")


def test_a_port_that_is_taken_is_said_with_its_program(lab: Lab, tmp_path: Path, environment: Path) -> None:
    with serving(lab, environment, tmp_path / "orders.json", "--port", "8890"):
        status, said = ended(lab, environment, tmp_path / "orders.json")
    assert status == 6
    assert "UDP port 67 (DHCP) is taken by dnsmasq (process " in said
    assert "Traceback" not in said


def test_what_cannot_be_served_is_said(lab: Lab, tmp_path: Path, environment: Path) -> None:
    orders = tmp_path / "orders.json"
    status, said = ended(lab, tmp_path / "none", orders)
    assert (status, said) == (2, f"slatecast: {tmp_path}/none is no environment: 'slatecast boot build' makes one")
    status, said = ended(lab, environment, orders, "--dhcp", "full", "--range", "10.9.0.1-10.9.0.9")
    assert status == 2
    assert "is not in 10.77.0.0/16" in said


def test_dnsmasq_that_dies_is_started_again_and_ends_with_the_service(
    lab: Lab, tmp_path: Path, environment: Path
) -> None:
    def child() -> int:
        listed = subprocess.run(["pgrep", "-P", str(service.pid), "dnsmasq"], capture_output=True, check=True)
        return int(listed.stdout)

    with serving(lab, environment, tmp_path / "orders.json") as service:
        before = child()
        subprocess.run(["kill", "-KILL", str(before)], check=True)
        service.until("dnsmasq died")
    assert not Path("/proc", str(before)).exists()
