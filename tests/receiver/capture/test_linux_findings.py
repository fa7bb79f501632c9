from pathlib import Path

import pytest

from receiver.capture.linux_findings import WORDS, linux_traces
from receiver.capture.tree import Tree
from tests.receiver.capture.reference_disk import put

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret"


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n", "machine-id"),
        ("etc/ssh/ssh_host_ed25519_key", KEY, "ssh-host-keys"),
        ("root/.ssh/id_ed25519", KEY, "ssh-private-keys"),
        ("home/ann/.ssh/backup", KEY, "ssh-private-keys"),
        ("etc/NetworkManager/system-connections/lab.nmconnection", "[wifi-security]\npsk=secret", "wifi-keys"),
        ("etc/wpa_supplicant/wpa_supplicant.conf", 'network={\n  psk="secret"\n}', "wifi-keys"),
        ("etc/netplan/50-wifi.yaml", "wifis:\n  password: secret", "wifi-keys"),
        ("var/lib/iwd/lab.psk", "[Security]\nPassphrase=secret", "wifi-keys"),
        ("root/anaconda-ks.cfg", "rootpw --plaintext secret", "unattended-passwords"),
        ("preseed.cfg", "d-i passwd/user-password password secret", "unattended-passwords"),
        ("var/log/installer/autoinstall-user-data", "  password: $6$hash", "unattended-passwords"),
        ("var/lib/cloud/data/instance-id", "i-1", "cloud-init"),
        ("etc/krb5.keytab", "keys", "domain-join"),
        ("var/lib/samba/private/secrets.tdb", "keys", "domain-join"),
        ("etc/udev/rules.d/70-persistent-net.rules", "rule", "udev-net-rules"),
        ("var/lib/dhcp/dhclient.leases", "lease {}", "dhcp-leases"),
        ("var/lib/systemd/random-seed", "seed", "random-seed"),
    ],
)
@pytest.mark.parametrize("root", ["", "@rootfs/", "@/", "root/", "@/.snapshots/1/snapshot/"])
def test_found(tmp_path: Path, root: str, path: str, content: str, code: str) -> None:
    put(tmp_path, f"{root}etc/hostname", "pc")
    put(tmp_path, root + path, content)
    assert [(trace.code, trace.path) for trace in linux_traces(Tree(tmp_path))] == [(code, root + path)]
    assert code in WORDS


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/machine-id", ""),
        ("etc/machine-id", "uninitialized\n"),
        ("etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA"),
        ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA"),
        ("etc/NetworkManager/system-connections/wired.nmconnection", "[ipv4]\nmethod=auto"),
        ("etc/netplan/50-wired.yaml", "ethernets:\n  eth0: {}"),
        ("root/anaconda-ks.cfg", "rootpw"),
        ("var/lib/dhcp/dhclient.leases", ""),
    ],
)
def test_not_found(tmp_path: Path, path: str, content: str) -> None:
    put(tmp_path, path, content)
    put(tmp_path, "etc/hostname", "pc")
    assert not list(linux_traces(Tree(tmp_path)))


def test_homes_on_their_own(tmp_path: Path) -> None:
    put(tmp_path, "ann/.ssh/id_rsa", KEY)
    assert [trace.code for trace in linux_traces(Tree(tmp_path))] == ["ssh-private-keys"]


def test_more_than_one_system_and_what_lies_beside_a_snapshot(tmp_path: Path) -> None:
    put(tmp_path, "@/.snapshots/1/snapshot/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    put(tmp_path, "@/var/lib/systemd/random-seed", "seed")
    put(tmp_path, "@/home/ann/.ssh/id_rsa", KEY)
    put(tmp_path, "@rootfs/etc/krb5.keytab", "keys")
    put(tmp_path, "home/ben/.ssh/id_rsa", KEY)
    assert {trace.path for trace in linux_traces(Tree(tmp_path))} == {
        "@/.snapshots/1/snapshot/etc/machine-id",
        "@/var/lib/systemd/random-seed",
        "@/home/ann/.ssh/id_rsa",
        "@rootfs/etc/krb5.keytab",
        "home/ben/.ssh/id_rsa",
    }


def test_nothing_is_told_twice(tmp_path: Path) -> None:
    put(tmp_path, "etc/hostname", "pc")
    put(tmp_path, "root/etc/hostname", "a copy")
    put(tmp_path, "root/preseed.cfg", "rootpw secret")
    assert [trace.path for trace in linux_traces(Tree(tmp_path))] == ["root/preseed.cfg"]
