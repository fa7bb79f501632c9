"""A loader for UEFI that starts the PC's own disk and nothing else, made of Debian's GRUB when the service starts.

Firmware cannot be sent on to its disk from the network: EDK II tries each further way to boot from the network first,
for a minute and more each, and a loader that ends does not always come back to it. So who is to boot its disk gets
this: half a megabyte with its configuration inside, which asks nobody. It is not signed, and stands beside iPXE, which
is not either.
"""

import tempfile
from pathlib import Path
from typing import Final

from protocol.disk.system_tools import find_tool, run_tool
from protocol.errors import ConfigError

_MODULES: Final = "chain search search_fs_file part_gpt part_msdos fat echo sleep test minicmd"
"""what a configuration needs that looks for loaders on EFI partitions"""

_FROM_PACKAGE: Final = Path("/usr/lib/grub/x86_64-efi/moddep.lst")
"""GRUB for UEFI on x64, whatever machine this is"""


def make_disk_loader(target: Path, configuration: str) -> bool:
    """Write the loader to ``target``; whether GRUB's tools are here to make it.

    Raises:
        ConfigError: they are, and it cannot be made.
    """
    tool = find_tool("grub-mkstandalone")
    if tool is None or not _FROM_PACKAGE.exists():
        return False
    with tempfile.NamedTemporaryFile("w", encoding="ascii", prefix="slatecast-grub-") as file:
        file.write(configuration)
        file.flush()
        made = run_tool(
            tool,
            "--format=x86_64-efi",
            f"--output={target}",
            "--install-modules=",
            f"--modules={_MODULES}",
            *("--fonts=", "--locales=", "--themes="),
            f"boot/grub/grub.cfg={file.name}",
        )
    if made.returncode:
        said = " ".join(made.stderr.split()) or f"exit code {made.returncode}"
        raise ConfigError(f"grub-mkstandalone cannot make the loader of PCs without an order: {said}")
    target.chmod(0o644)
    return True
