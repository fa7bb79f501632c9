"""A room that boots from the network: the site's own DHCP, ``slatecast boot serve`` beside it, and PCs in QEMU.

The environment is Debian's kernel with an initrd that prints its command line and switches the PC off; the disks of the
PCs print a line of their own. So a test reads on the serial console what a PC has booted.
"""

import gzip
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from broadcaster.environment.description import FILES, Environment, file_facts, write_description
from tests.lab.network import Host, Lab, missing_requirement
from tests.lab.virtual_machine import missing_requirement as missing_machine

MAC: Final = "52:54:00:12:34:56"
OWN_DISK: Final = "BOOTED FROM THE DISK"
ENVIRONMENT: Final = r"ENVIRONMENT (.*)\r"
RANGE: Final = "10.77.2.10-10.77.2.50"
PATIENCE: Final = 60.0
"""[s] for the service to be ready or to say a line, on a busy machine"""

_LOADERS: Final = {
    "undionly.kpxe": "/usr/lib/ipxe/undionly.kpxe",
    "ipxe.efi": "/boot/ipxe.efi",
    "shimx64.efi": "/usr/lib/shim/shimx64.efi.signed",
    "grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
}
_DISK_GRUB: Final = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
_BUSYBOX: Final = Path("/bin/busybox")

_INIT: Final = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /dev
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
exec >/dev/ttyS0
echo "{ENVIRONMENT.partition(" ")[0]} $(/bin/busybox cat /proc/cmdline)"
/bin/busybox poweroff -f
"""


def missing() -> str | None:
    """Why there can be no such room here, in words for a skipped test."""
    packages = {
        "ipxe": "/boot/ipxe.efi",
        "shim-signed": _LOADERS["shimx64.efi"],
        "grub-efi-amd64-signed": _DISK_GRUB,
        "grub-efi-amd64-bin": "/usr/lib/grub/x86_64-efi/moddep.lst",
        "grub-common": "/usr/bin/grub-mkstandalone",
        "busybox-static": "/bin/busybox",
        "mtools": "/usr/bin/mformat",
        "dnsmasq-base": "/usr/sbin/dnsmasq",
    }
    absent = [package for package, file in packages.items() if not Path(file).exists()]
    absent += [] if _kernels() else ["linux-image-cloud-amd64"]
    absent += [] if shutil.which("cpio") else ["cpio"]
    if absent:
        return f"needs packages: apt-get install {' '.join(absent)}"
    return missing_requirement() or missing_machine()


def make_environment(folder: Path) -> Path:
    """A whole environment of 20 MB."""
    folder.mkdir()
    shutil.copyfile(_kernels()[-1], folder / "vmlinuz")
    for name, source in _LOADERS.items():
        shutil.copyfile(source, folder / name)
    root = folder.with_name(f"{folder.name}-root")
    (root / "bin").mkdir(parents=True)
    shutil.copy(_BUSYBOX, root / "bin/busybox")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    listed = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=listed.encode(), capture_output=True, check=True
    )
    (folder / "initrd.img").write_bytes(gzip.compress(archive.stdout, 1))
    describe(folder)
    return folder


def describe(folder: Path) -> None:
    """Write environment.json for the files as they are now."""
    write_description(
        folder,
        Environment(
            slatecast="0",
            suite="bookworm",
            debian="12",
            kernel="6.1",
            built_at=0,
            initrd_unpacked=0,
            has_trust=False,
            files=file_facts(folder, FILES),
            packages={},
            python_packages={},
        ),
    )


def bios_disk(path: Path) -> Path:
    """A disk whose boot sector prints the line on the serial port."""
    text = f"{OWN_DISK}\r\n\0".encode()
    # xor ax,ax; mov ds,ax; mov dx,0x3f8; mov si,TEXT; lodsb; test al,al; jz +3; out dx,al; jmp -8; hlt; jmp -3
    code = bytes.fromhex("31c08ed8baf803be") + (0x7C00 + 21).to_bytes(2, "little")
    code += bytes.fromhex("ac84c07403eeebf8f4ebfd")
    path.write_bytes((code + text).ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return path


def uefi_disk(path: Path) -> Path:
    """A disk with Debian's signed loaders, whose GRUB prints the line."""
    configuration = path.with_suffix(".cfg")
    configuration.write_text(f'echo "{OWN_DISK}"\nsleep 60\n')
    with path.open("wb") as file:
        file.truncate(16 << 20)
    image = ("-i", str(path))
    for argv in (
        ("mformat", *image, "-v", "ESP", "::"),
        ("mmd", *image, "::EFI", "::EFI/BOOT", "::EFI/debian"),
        ("mcopy", *image, _LOADERS["shimx64.efi"], "::EFI/BOOT/BOOTX64.EFI"),
        ("mcopy", *image, _DISK_GRUB, "::EFI/BOOT/grubx64.efi"),
        ("mcopy", *image, str(configuration), "::EFI/debian/grub.cfg"),
    ):
        subprocess.run(argv, check=True)
    return path


class Service:
    """``slatecast boot serve`` on the broadcaster's host."""

    def __init__(self, host: Host, environment: Path, orders: Path, options: Sequence[str]) -> None:
        argv: list[str | Path] = [sys.executable, "-P", "-m", "slatecast", "-v", "boot", "serve"]
        self._process = host.popen(
            [*argv, "--folder", environment, "--interface", host.interface, "--orders", orders, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def until(self, pattern: str) -> str:
        """The first line that matches, said or to be said."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._has_ended or self._line(pattern), PATIENCE), self._lines
            line = self._line(pattern)
        assert line is not None, self._lines
        return line

    def end(self) -> tuple[int, str]:
        """Wait until it has ended by itself; its status and all that it said."""
        status = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status, " ".join(" ".join(self._lines).split())

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def _line(self, pattern: str) -> str | None:
        return next((line for line in self._lines if re.search(pattern, line)), None)

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            with self._changed:
                self._lines.append(line.rstrip())
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


@contextmanager
def serving(lab: Lab, environment: Path, orders: Path, *options: str) -> Iterator[Service]:
    """The service, ready, while this is open."""
    service = Service(lab.broadcaster, environment, orders, options)
    try:
        service.until("ready on")
        yield service
    finally:
        service.stop()


def break_downloads(host: Host, port: int, length: int) -> None:
    """Let each TCP connection to this port be reset once it has answered so many bytes."""
    host.run(["sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1"])
    rule = f"tcp dport {port} ct reply bytes > {length} reject with tcp reset"
    chain = "{ type filter hook input priority 0; }"
    host.run(["nft", f"add table inet breaks; add chain inet breaks input {chain}; add rule inet breaks input {rule}"])


def site_dhcp(lab: Lab, folder: Path) -> None:
    """Let the first receiver be the site's DHCP server; it ends with the lab."""
    host = lab.receivers[0]
    argv = ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--pid-file=", "--log-facility=-"]
    argv += [f"--interface={host.interface}", "--bind-interfaces", "--user=root", f"--dhcp-leasefile={folder}/leases"]
    host.popen([*argv, "--dhcp-range=10.77.1.10,10.77.1.50,255.255.0.0,1h"], stderr=subprocess.DEVNULL)


def _kernels() -> list[Path]:
    return sorted(Path("/boot").glob("vmlinuz-*-cloud-amd64"))
