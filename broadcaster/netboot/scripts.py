"""What loaders are told: iPXE's scripts and GRUB's configuration, whose every path ends at the PC's own disk.

A loader first gets an entry, the same for all machines, which asks for the machine's own part and knows what to do when
nothing comes. Nothing that a stranger chose stands in a script: addresses are checked before they come here, names are
percent-encoded, and no secret is needed.

iPXE speaks HTTP. Debian's signed GRUB has no module for it, and loads none under Secure Boot: it reads its parts,
kernel and initrd by TFTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from broadcaster.netboot.decisions import Boots, Decision

CHOICE_SECONDS: Final = 3
"""[s] in which a key chooses to restore the PC; each start of a PC with a choice takes as much longer"""

ANSWER_SECONDS: Final = 5
"""[s] without a byte of a script before a loader asks again; on a LAN an answer takes milliseconds"""

DOWNLOAD_SECONDS: Final = 10
"""[s] without a byte of kernel or initrd before it is loaded again; a service that restarts is back in five"""

MOST_TRIES: Final = 3
"""[attempts] at a script, or at kernel and initrd, before the PC boots its own disk"""

MOST_GRUB_TRIES: Final = 2
"""[attempts] of GRUB at kernel and initrd; of itself it waits 47 to 57 s for a lost block"""

RETRY_SECONDS: Final = 2
"""[s] between attempts"""

READING_SECONDS: Final = 3
"""[s] that a line about trouble stays before something else is on the screen"""

OWN_LOADERS: Final = (
    "/EFI/debian/shimx64.efi",
    "/EFI/ubuntu/shimx64.efi",
    "/EFI/fedora/shimx64.efi",
    "/EFI/opensuse/shim.efi",
    "/EFI/Microsoft/Boot/bootmgfw.efi",
    "/EFI/BOOT/BOOTX64.EFI",
)
"""On a disk, in the order in which GRUB looks for one: those of Linux offer what stands beside them, the last is the
fall-back path of the UEFI specification, section 3.5.1.1. GRUB cannot hand back to the firmware: UEFI takes its end for
success and stops at the boot menu (section 3.1.2)."""

DISK_LOADER: Final = "disk.efi"
"""what UEFI gets to boot the PC's own disk, where nobody checks signatures"""

_DISK: Final = f"""function disk {{
    for loader in {" ".join(OWN_LOADERS)}; do
        if search --no-floppy --file --set=root $loader; then
            if chainloader $loader; then boot; fi
        fi
    done
    echo "slatecast: no disk of this PC starts"
    sleep {READING_SECONDS}
    exit
}}
"""
"""GRUB's"""


def grub_own_disk() -> str:
    """GRUB's configuration for who only boots the PC's own disk."""
    return f"{_DISK}disk\n"


@dataclass(frozen=True, slots=True)
class Scripts:
    """Writes them for one service."""

    address: str
    """where loaders find us, without a port"""
    port: int
    """of HTTP"""
    server: str
    """host:port of the front door; empty: seats look for it"""

    @property
    def url(self) -> str:
        """Of what is served by HTTP, without a slash at the end."""
        return f"http://{self.address}:{self.port}"

    def kernel_arguments(self, decision: Decision, address: str) -> str:
        """What the environment reads on its command line; ``address`` is of the interface that boots."""
        words = [f"slatecast.mode={decision.mode}"]
        if decision.seat:
            words.append(f"slatecast.seat={quote(decision.seat, safe='')}")
        if self.server:
            words.append(f"slatecast.server={self.server}")
        return " ".join([*words, f"BOOTIF=01-{address.replace(':', '-')}"])

    def ipxe_entry(self) -> str:
        """The first script of iPXE, by TFTP: asks for the machine's own, and boots the disk when none comes.

        What boots the disk by UEFI comes first: later it may be too late.
        """
        return f"""#!ipxe
set tries:int32 0
iseq ${{platform}} efi || goto ask
imgfetch --timeout {ANSWER_SECONDS * 1000} --name {DISK_LOADER} {self.url}/{DISK_LOADER} ||
:ask
imgfetch --timeout {ANSWER_SECONDS * 1000} --name own {self.url}/boot.ipxe?mac=${{netX/mac:hexhyp}} && goto told ||
inc tries
iseq ${{tries}} {MOST_TRIES} && goto silent ||
sleep {RETRY_SECONDS}
goto ask
:told
imgexec own ||
goto disk
:silent
echo slatecast: {self.address} does not answer; this PC starts from its own disk
sleep {READING_SECONDS}
:disk
iseq ${{platform}} efi && goto efi ||
sanboot --no-describe --drive 0x80 ||
goto none
:efi
imgexec {DISK_LOADER} ||
:none
echo slatecast: the first disk does not start
sleep {READING_SECONDS}
exit 1
"""

    def ipxe(self, decision: Decision, address: str) -> str:
        """The machine's own script; whenever it ends, the entry boots the disk."""
        if decision.boots is Boots.OWN_DISK:
            return "#!ipxe\nexit\n"
        choice = ""
        if decision.boots is Boots.CHOICE:
            choice = f"""menu slatecast: this PC starts from its own disk
item disk Start this PC
item --key r restore Press R to restore this PC
choose --default disk --timeout {CHOICE_SECONDS * 1000} chosen || exit
iseq ${{chosen}} restore || exit
"""
        return f"""#!ipxe
{choice}set tries:int32 0
:load
iseq ${{platform}} efi || imgfree
echo slatecast: loading the environment from {self.address}
kernel --timeout {DOWNLOAD_SECONDS * 1000} {self.url}/vmlinuz initrd=initrd.img \
{self.kernel_arguments(decision, address)} || goto failed
initrd --timeout {DOWNLOAD_SECONDS * 1000} {self.url}/initrd.img || goto failed
boot || goto failed
:failed
inc tries
iseq ${{tries}} {MOST_TRIES} && goto give_up ||
echo slatecast: kernel or initrd did not arrive; trying again
sleep {RETRY_SECONDS}
goto load
:give_up
iseq ${{platform}} efi || imgfree
echo slatecast: kernel or initrd did not arrive; this PC starts from its own disk
sleep {READING_SECONDS}
exit
"""

    def grub(self, everyone: Decision, machines: Mapping[str, Decision]) -> str:
        """GRUB's configuration, the same for all machines: it looks for itself by its address.

        Nobody has the one name that could edit the menu or get a prompt at a seat.

        Args:
            everyone: for those that are not named.
            machines: all others, by address. They stand in the one file, for GRUB stops where one cannot be found.
        """
        tries = " ".join(str(number) for number in range(1, MOST_GRUB_TRIES + 1))
        pairs = ":".join(["([0-9a-f]+)"] * 6)
        names = " ".join(f"--set={number}:{name}" for number, name in enumerate("abcdef", 1))
        named = "".join(
            f'if [ "$net_default_mac" = "{address}" ]; then {self._grub_decision(decision, address)}; fi\n'
            for address, decision in machines.items()
        )
        return f"""{_DISK}function load {{
    echo "slatecast: loading the environment from {self.address}"
    for try in {tries}; do
        if linux $prefix/vmlinuz $arguments; then
            if initrd $prefix/initrd.img; then boot; fi
        fi
        sleep {RETRY_SECONDS}
    done
    echo "slatecast: kernel or initrd did not arrive; this PC starts from its own disk"
    sleep {READING_SECONDS}
    disk
}}
regexp {names} "{pairs}" $net_default_mac
{self._grub_decision(everyone, "$a-$b-$c-$d-$e-$f")}
{named}if [ "$boots" = "{Boots.ENVIRONMENT.name}" ]; then
    load
fi
if [ "$boots" = "{Boots.OWN_DISK.name}" ]; then
    disk
fi
set timeout={CHOICE_SECONDS}
set default=0
set superusers=nobody
menuentry "Start this PC" --unrestricted {{ disk }}
menuentry "Press R to restore this PC" --unrestricted --hotkey=r {{ load }}
"""

    def _grub_decision(self, decision: Decision, address: str) -> str:
        return f'set boots={decision.boots.name}; set arguments="{self.kernel_arguments(decision, address)}"'
