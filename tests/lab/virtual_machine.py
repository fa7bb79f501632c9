"""A PC in QEMU: firmware, disks, a network card on the lab's switch, a serial console to read and a screen to look at.

It is interpreted, not virtualised (``-accel tcg``), so it runs on every machine and takes one core. A test waits for
words on the serial console, never for time; when they do not come, the error shows the console's last lines and the
screen is kept as a picture. The machine's files, among them a log of the console, lie in a folder of the caller's.

    with Lab(0) as lab, VirtualMachine(Hardware(Firmware.UEFI, [Disk(path)]), folder, lab) as machine:
        machine.until("login:")

Invariant: after the ``with`` block QEMU has ended, and its TAP device is gone with it. It also ends with the thread
that switched it on, however that ends.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pexpect
from pexpect.popen_spawn import PopenSpawn
from qemu.qmp import QMPClient, QMPError

from tests.lab.disk_arguments import BAY_ARGUMENTS, Disk, disk_arguments, disk_device, disk_limit, disk_nodes
from tests.lab.facts import FACTS, Facts, read_facts
from tests.lab.network import Lab, LabError, call

PATIENCE: Final = 300.0
"""[s] Several times what any one step of a start takes on a busy machine with two cores."""

SHOWN_AT_FAILURE: Final = 4000
"""[characters] Of the console, in the text of an error."""

_QMP_PATIENCE: Final = 30.0
"""[s] QEMU answers at once; a busy machine lets it wait."""

_OVMF: Final = Path("/usr/share/OVMF")


class Firmware(Enum):
    """What a machine starts with; the value is how people call it."""

    BIOS = "BIOS"
    UEFI = "UEFI"
    SECURE_BOOT = "UEFI with Secure Boot"

    @property
    def files(self) -> tuple[str, str] | None:
        """OVMF's code and its variables, with Microsoft's and Debian's keys for Secure Boot; None for SeaBIOS."""
        return {
            Firmware.UEFI: ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
            Firmware.SECURE_BOOT: ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
        }.get(self)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a machine is made of."""

    firmware: Firmware
    disks: Sequence[Disk] = ()
    """in the order in which the firmware tries them"""
    has_bay: bool = False
    """disks of ``Bus.BAY`` can be put in while it runs"""
    mac: str | None = None
    """of its network card; None: no card"""
    boots_from_network: bool = False
    """The card comes first in the boot order, as in a lab's PCs, and the disks after it."""
    memory: int = 1024
    """[MiB]"""
    processors: int = 1
    stays_on: bool = False
    """The reference machine's system switches itself off after it has told its facts, unless this is set."""
    smbios: dict[str, str] = field(default_factory=dict)
    """fields of SMBIOS type 1: manufacturer, product, serial, uuid"""
    has_bios_on_serial: bool = False
    """What the BIOS says comes on the serial console too; the screen stays dark."""
    kernel: Path | None = None
    """started without boot loader, with ``initrd`` and ``command_line``: for tests of what runs, not of how it came"""
    initrd: Path | None = None
    command_line: str = ""


def missing_requirement() -> str | None:
    """Why no virtual machine can run here, in words for a skipped test, or None when it can."""
    missing = [] if shutil.which("qemu-system-x86_64") else ["qemu-system-x86"]
    missing += [] if _OVMF.is_dir() else ["ovmf"]
    missing += [] if Path("/usr/lib/ipxe/qemu").is_dir() else ["ipxe-qemu"]
    if missing:
        return f"needs a package: apt-get install {' '.join(missing)}"
    return None if Path("/dev/net/tun").exists() else "needs TAP devices: modprobe tun"


class VirtualMachine:
    """One machine, switched on inside the ``with`` block.

    Args:
        hardware: what it is made of.
        folder: of the caller's, for what the machine keeps: ``console.log``, ``screen.png``, firmware variables. Two
            machines after another may share it: then the second has the first one's firmware variables.
        lab: whose switch the network card is plugged into; needed when the hardware has a card.
        name: for the text of errors.
    """

    def __init__(self, hardware: Hardware, folder: Path, lab: Lab | None = None, name: str = "machine") -> None:
        self.hardware = hardware
        self.folder = folder
        self.name = name
        self._lab = lab
        self._disks = len(hardware.disks)
        self._cleanup = ExitStack()
        self._process: PopenSpawn[str]

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            self.folder.mkdir(parents=True, exist_ok=True)
            sockets = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="slatecast-vm-"))  # a socket's path: 107
            self._qmp = f"{sockets}/qmp"
            argv = self._arguments(cleanup)
            self._process = PopenSpawn(
                ["setpriv", "--pdeathsig", "KILL", *argv], encoding="utf-8", codec_errors="replace"
            )
            cleanup.callback(self._end)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def until(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Wait until the serial console says ``pattern`` after what was found last; ``timeout`` in seconds.

        Raises:
            LabError: it did not, or the machine was switched off before.
        """
        try:
            self._process.expect(pattern, timeout=timeout)
        except pexpect.TIMEOUT:
            self._fail(f"did not say {pattern} in {timeout} s")
        except pexpect.EOF:
            self._fail(f"ended before it said {pattern}")
        match = self._process.match
        assert isinstance(match, re.Match)
        return match

    def facts(self, timeout: float = PATIENCE) -> Facts:
        """Wait until the system on the disk has started and told what it is; raises as ``until``."""
        return read_facts(self.until(FACTS, timeout)[1])

    def until_off(self, timeout: float = PATIENCE) -> None:
        """Wait until the machine switches itself off; raises as ``until``."""
        try:
            self._process.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            self._fail(f"was not off in {timeout} s")

    def type_line(self, text: str) -> None:
        """Type on the serial console, with Enter at the end."""
        self._process.sendline(text)

    def press(self, *keys: str) -> None:
        """Press keys of the keyboard together, in QEMU's names: ``ret``, ``esc``, ``f12``, ``ctrl``."""
        self.execute("send-key", {"keys": [{"type": "qcode", "data": key} for key in keys]})

    def picture(self, path: Path) -> Path:
        """What is on the screen now, as a PNG; returns ``path``."""
        self.execute("screendump", {"filename": str(path.resolve()), "format": "png"})
        return path

    def reset(self) -> None:
        """The button on the front."""
        self.execute("system_reset")

    def put_in(self, disk: Disk) -> int:
        """Put a disk into the bay of the running machine; returns the number by which it can be pulled."""
        number, self._disks = self._disks, self._disks + 1
        if disk.write_rate is not None:
            self.execute("object-add", disk_limit(disk, number))
        for node in disk_nodes(disk, number):
            self.execute("blockdev-add", node)
        self.execute("device_add", disk_device(disk, number))
        return number

    def pull(self, number: int) -> None:
        """Pull a disk out of the bay, whatever the machine is doing with it."""
        self.execute("device_del", {"id": f"slot{number}"})

    def cut_power(self) -> None:
        """No flush, no shutdown: what the disks were not told is lost."""
        self._end()

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> object:
        """A command of QMP, QEMU's own control; returns its answer.

        Raises:
            LabError: QEMU refused it, or does not run.
        """
        try:
            return asyncio.run(_execute(self._qmp, command, arguments))
        except (QMPError, TimeoutError) as error:
            raise LabError(f"{self.name}: {command}: {error}") from None

    @property
    def console(self) -> str:
        """All that the serial console has said, escape sequences included."""
        log = self.folder / "console.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def _arguments(self, cleanup: ExitStack) -> list[str]:
        hardware = self.hardware
        graphics = "off" if hardware.has_bios_on_serial else "on"
        argv = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=256"),
            *("-machine", f"q35,smm=on,graphics={graphics}"),
            # As Debian's and Windows' minimum of today, and with AES; "max" takes a quarter longer.
            *("-cpu", "Westmere", "-smp", str(hardware.processors), "-m", str(hardware.memory)),
            *("-display", "none", "-vga", "std", "-nodefaults", "-device", "virtio-rng-pci"),
            *("-chardev", f"stdio,id=console,signal=off,logfile={self.folder / 'console.log'},logappend=on"),
            *("-serial", "chardev:console", "-qmp", f"unix:{self._qmp},server=on,wait=off"),
            *("-smbios", f"type=3,asset={'stay' if hardware.stays_on else 'test'}"),
        ]
        if hardware.smbios:
            argv += ["-smbios", ",".join(["type=1", *(f"{key}={value}" for key, value in hardware.smbios.items())])]
        argv += self._firmware_arguments()
        if hardware.kernel:
            argv += ["-kernel", str(hardware.kernel), "-append", hardware.command_line]
            argv += ["-initrd", str(hardware.initrd)] if hardware.initrd else []
        argv += BAY_ARGUMENTS if hardware.has_bay else ()
        for number, disk in enumerate(hardware.disks):
            argv += disk_arguments(disk, number, boot_index=number + 1)  # 0: the network, or a kernel
        return self._network_arguments(argv, cleanup)

    def _firmware_arguments(self) -> list[str]:
        if self.hardware.firmware.files is None:
            return []
        code, variables = self.hardware.firmware.files
        own = self.folder / variables
        if not own.exists():
            shutil.copyfile(_OVMF / variables, own)
        flash = "if=pflash,format=raw,unit="
        return [
            *("-global", "driver=cfi.pflash01,property=secure,value=on"),
            *("-drive", f"{flash}0,readonly=on,file={_OVMF / code}", "-drive", f"{flash}1,file={own}"),
        ]

    def _network_arguments(self, argv: list[str], cleanup: ExitStack) -> list[str]:
        """The whole command line, with the network card and in the namespace of the switch that it is plugged into."""
        if self.hardware.mac is None:
            return [*argv, "-nic", "none"]
        if self._lab is None:
            raise LabError(f"{self.name} has a network card and no lab to plug it into")
        tap = f"tap{self.hardware.mac.replace(':', '')[-8:]}"
        switch = self._lab.switch
        call(["ip", "-n", switch, "tuntap", "add", "dev", tap, "mode", "tap"])
        cleanup.callback(call, ["ip", "-n", switch, "link", "delete", tap])
        call(["ip", "-n", switch, "link", "set", tap, "master", "switch", "up"])
        card = f"virtio-net-pci,netdev=cable,mac={self.hardware.mac}"
        if self.hardware.boots_from_network:
            card += ",bootindex=0"
        if self.hardware.firmware is not Firmware.BIOS or not self.hardware.boots_from_network:
            card += ",romfile="  # OVMF boots from the network by itself, and SeaBIOS by the iPXE in the card's ROM
        cable = f"tap,id=cable,ifname={tap},script=no,downscript=no"
        return ["ip", "netns", "exec", switch, *argv, "-netdev", cable, "-device", card]

    def _fail(self, what: str) -> None:
        with suppress(LabError):
            self.picture(self.folder / "screen.png")
        last = self.console or str(self._process.before)  # what QEMU itself says is in the second only
        raise LabError(f"{self.name} {what}; its console in {self.folder} ends: {last[-SHOWN_AT_FAILURE:]}")

    def _end(self) -> None:
        self._process.proc.kill()
        self._process.proc.wait()


async def _execute(socket: str, command: str, arguments: dict[str, Any] | None) -> object:
    monitor = QMPClient()
    async with asyncio.timeout(_QMP_PATIENCE):
        await monitor.connect(socket)
        try:
            return await monitor.execute(command, arguments)
        finally:
            await monitor.disconnect()
