"""What makes a copied Linux system its own: its name, its machine-id, its SSH host keys, and its random seed.

The name goes to /etc/hostname and to the line of 127.0.1.1 in /etc/hosts. A machine-id is given or left to be made at
the first start; what systemd has derived from the old one goes with it. Host keys are made in the target if it has
ssh-keygen, else here; where neither has it, the system makes them itself at its next start.
"""

import re
import tempfile
from pathlib import Path
from typing import Final

from protocol.configuration import HostnameStep, MachineIdStep, SshHostKeysStep
from protocol.disk.system_tools import find_tool
from protocol.errors import DiskError
from receiver.configure.enclosure import enclosed
from receiver.configure.outcome import Outcome, done, skipped
from receiver.configure.running import run_well
from receiver.configure.target_disk import TargetDisk
from receiver.configure.target_root import TargetRoot

KEYGEN_SECONDS: Final = 60.0
"""[s] for one host key; RSA of 3072 bits needs two on a slow PC."""

KEY_KINDS: Final = ("rsa", "ecdsa", "ed25519")

_OWN_LINE: Final = re.compile(r"^127\.0\.1\.1[ \t].*\n?", re.MULTILINE)
_DERIVED: Final = ("var/lib/systemd/random-seed", "var/lib/systemd/credential.secret", "var/lib/dbus/machine-id")
_KEYGEN: Final = "usr/bin/ssh-keygen"
_FIRST_BOOT_UNIT: Final = """\
[Unit]
Description=Make SSH host keys that were taken from the image
Before=ssh.service sshd.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""


def set_hostname(disk: TargetDisk, step: HostnameStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    with disk.linux_root() as root:
        short = step.name.partition(".")[0]
        names = step.name if short == step.name else f"{step.name} {short}"
        has_changed = root.write("etc/hostname", f"{short if names != step.name else step.name}\n".encode())
        hosts = (root.read("etc/hosts") or b"127.0.0.1\tlocalhost\n").decode(errors="surrogateescape")
        line = f"127.0.1.1\t{names}\n"
        if _OWN_LINE.search(hosts):
            hosts = line.join(_OWN_LINE.split(hosts, maxsplit=1))
        else:
            hosts = f"{hosts.rstrip(chr(10))}\n{line}"
        has_changed |= root.write("etc/hosts", hosts.encode(errors="surrogateescape"))
    return done(f"is {step.name}") if has_changed else skipped(f"is {step.name} already")


def set_machine_id(disk: TargetDisk, step: MachineIdStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    with disk.linux_root() as root:
        content = f"{step.machine_id}\n".encode() if step.machine_id else b""
        if root.read("etc/machine-id") == content:
            return skipped("has it already")
        for path in _DERIVED:
            root.remove(path)
        root.write("etc/machine-id", content, mode=0o444)
        if root.has("var/lib/dbus"):
            root.link("var/lib/dbus/machine-id", "/etc/machine-id")
    return done("given" if step.machine_id else "emptied: the system makes one when it starts")


def renew_host_keys(disk: TargetDisk, step: SshHostKeysStep) -> Outcome:
    """Carry it out; raises RefusedError or DiskError."""
    with disk.linux_root(executable=True) as root:
        there = [name for name in root.names("etc/ssh") if name.startswith("ssh_host_")]
        if not there and not root.has("etc/ssh/sshd_config"):
            return skipped("the system serves no SSH")
        if root.names("etc/ssh") and _have_label(root, step.label):
            return skipped("has keys of its own already")
        if root.has(_KEYGEN):
            _make_inside(disk, root, step.label)
            where = "made by the system's own ssh-keygen"
        elif find_tool("ssh-keygen"):
            _make_here(disk, root, step.label)
            where = "made here"
        else:
            root.write("etc/systemd/system/slatecast-host-keys.service", _FIRST_BOOT_UNIT.encode())
            wants = "etc/systemd/system/multi-user.target.wants/slatecast-host-keys.service"
            root.link(wants, "/etc/systemd/system/slatecast-host-keys.service")
            where = "removed; the system makes new ones when it starts"
        kept = {f"ssh_host_{kind}_key{end}" for kind in KEY_KINDS for end in ("", ".pub")} if "made" in where else set()
        for name in there:
            if name not in kept:
                root.remove(f"etc/ssh/{name}")
    return done(where)


def _have_label(root: TargetRoot, label: str) -> bool:
    """Whether every key is one of ours, and there is one."""
    names = [name for name in root.names("etc/ssh") if name.startswith("ssh_host_") and name.endswith(".pub")]
    return bool(names) and all(
        (root.read(f"etc/ssh/{name}") or b"").rstrip().endswith(f" {label}".encode()) for name in names
    )


def _make_inside(disk: TargetDisk, root: TargetRoot, label: str) -> None:
    with enclosed(disk.stopping, root) as enclosure:
        for kind in KEY_KINDS:
            path = f"/run/ssh_host_{kind}_key"
            ran = enclosure.run(
                f"/{_KEYGEN}", "-q", "-t", kind, "-N", "", "-C", label, "-f", path, limit=KEYGEN_SECONDS
            )
            if ran.code != 0:
                raise DiskError(f"/{_KEYGEN}", "making a host key", ran.last_lines(2))
            _take_in(root, kind, enclosure.run_folder)


def _make_here(disk: TargetDisk, root: TargetRoot, label: str) -> None:
    with tempfile.TemporaryDirectory(prefix="slatecast-keys-") as folder:
        for kind in KEY_KINDS:
            path = Path(folder) / f"ssh_host_{kind}_key"
            run_well(disk.stopping, "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", label, "-f", str(path))
            _take_in(root, kind, Path(folder))


def _take_in(root: TargetRoot, kind: str, folder: Path) -> None:
    for end, mode in (("", 0o600), (".pub", 0o644)):
        name = f"ssh_host_{kind}_key{end}"
        with TargetRoot(folder) as scratch:  # the program that made it may have left a link
            content = scratch.read(name)
        if content is None:
            raise DiskError(f"/etc/ssh/{name}", "making a host key", "ssh-keygen made none")
        root.write(f"etc/ssh/{name}", content, mode=mode, owner=0, group=0)
