"""Identity and secrets that a Linux system would give to every machine that is made from it."""

import re
from collections.abc import Iterator
from typing import Final

from protocol.disk.mounts import ROOT_SUBVOLUMES
from receiver.capture.traces import Rule, Trace, find_traces
from receiver.capture.tree import Tree

WORDS: Final = {
    "machine-id": "every machine would have this machine-id: empty it with 'truncate -s 0', or give each a new one in "
    "the configure steps",
    "ssh-host-keys": "every machine would have these SSH host keys: delete them, or make new ones in the configure "
    "steps",
    "ssh-private-keys": "a private SSH key would be on every machine: delete it",
    "wifi-keys": "the key of a Wi-Fi would be on every machine: delete the connection unless all of them need it",
    "unattended-passwords": "an installer's answer file holds a password: delete it, and change the password",
    "cloud-init": "cloud-init thinks that it has run: 'cloud-init clean --logs --seed' before the capture",
    "domain-join": "the membership of a domain would be on every machine: leave the domain, and join from each",
    "udev-net-rules": "names of network interfaces are bound to this machine's cards: delete the file",
    "dhcp-leases": "every machine would ask for this machine's address: delete the leases",
    "random-seed": "every machine would start from the same random seed: delete it",
}
"""Per code, what it means and what to do; the paths are put before it."""

ROOTS: Final = tuple(f"{each}/".lstrip("/") for each in ROOT_SUBVOLUMES)
"""Where a system may begin in a file system: btrfs keeps it in a subvolume of one of these names."""

_MARKS: Final = frozenset({"etc", ".snapshots"})
"""What lies where a system begins, or, as openSUSE has it, beside the snapshot of one: the rest of that system."""

_MACHINE_ID: Final = re.compile(r"^(?!uninitialized\s*$)\S")
_WIFI_KEY: Final = re.compile(
    r"^\s*(?:psk|password|passphrase|presharedkey|wep[-_]key\d|leap-password)\s*[=:]\s*\S", re.MULTILINE | re.IGNORECASE
)
_PASSWORD: Final = re.compile(
    r"^\s*(?:rootpw|password|d-i passwd/\S*password(?:-crypted)?(?: \S+)?)\b[:\s]+\S", re.MULTILINE | re.IGNORECASE
)
PRIVATE_KEY: Final = re.compile(r"^-----BEGIN [A-Z ]*PRIVATE KEY-----")

_SYSTEM: Final = (
    Rule("machine-id", "etc/machine-id", _MACHINE_ID),
    Rule("machine-id", "var/lib/dbus/machine-id", _MACHINE_ID),
    Rule("ssh-host-keys", "etc/ssh/ssh_host_*_key"),
    Rule("ssh-private-keys", "root/.ssh/*", PRIVATE_KEY),
    Rule("ssh-private-keys", "home/*/.ssh/*", PRIVATE_KEY),
    Rule("wifi-keys", "etc/NetworkManager/system-connections/*", _WIFI_KEY),
    Rule("wifi-keys", "etc/wpa_supplicant/*", _WIFI_KEY),
    Rule("wifi-keys", "etc/netplan/*", _WIFI_KEY),
    Rule("wifi-keys", "var/lib/iwd/*", _WIFI_KEY),
    Rule("unattended-passwords", "preseed.cfg", _PASSWORD),
    Rule("unattended-passwords", "root/preseed.cfg", _PASSWORD),
    Rule("unattended-passwords", "root/*-ks.cfg", _PASSWORD),
    Rule("unattended-passwords", "autoinstall.yaml", _PASSWORD),
    Rule("unattended-passwords", "var/log/installer/autoinstall-user-data", _PASSWORD),
    Rule("cloud-init", "var/lib/cloud/data/instance-id"),
    Rule("cloud-init", "var/lib/cloud/instances/*/user-data.txt"),
    Rule("domain-join", "etc/krb5.keytab"),
    Rule("domain-join", "var/lib/samba/private/secrets.tdb"),
    Rule("udev-net-rules", "etc/udev/rules.d/70-persistent-net.rules"),
    Rule("dhcp-leases", "var/lib/dhcp/*.leases"),
    Rule("dhcp-leases", "var/lib/dhclient/*.leases"),
    Rule("dhcp-leases", "var/lib/dhcpcd/*.lease"),
    Rule("dhcp-leases", "var/lib/NetworkManager/*.lease"),
    Rule("random-seed", "var/lib/systemd/random-seed"),
    Rule("random-seed", "var/lib/urandom/random-seed"),
)

_HOMES: Final = (
    Rule("ssh-private-keys", "*/.ssh/*", PRIVATE_KEY),
    Rule("ssh-private-keys", "@home/*/.ssh/*", PRIVATE_KEY),
    Rule("ssh-private-keys", "home/*/.ssh/*", PRIVATE_KEY),
)
"""Of a file system that is mounted at /home, or has the homes in a subvolume of one of these names."""


def linux_traces(tree: Tree) -> Iterator[Trace]:
    """What is found on one file system; it may hold a system, only the homes, or nothing of the kind."""
    traces = [
        trace for root in ROOTS if not _MARKS.isdisjoint(tree.names(root)) for trace in find_traces(tree, _SYSTEM, root)
    ]
    if "etc" not in tree.names():
        traces += find_traces(tree, _HOMES)
    yield from dict.fromkeys(traces)
