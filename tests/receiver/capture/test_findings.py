from pathlib import Path

import pytest

from protocol.capture import Finding, FindingKind
from protocol.fields import MAX_LONG_TEXT
from receiver.capture import findings as module
from receiver.capture.findings import find_all, refusals
from receiver.capture.reading import survey
from receiver.capture.traces import Trace
from tests.receiver.capture.reference_disk import MIB, ext4_file, filled, needs, ntfs_file, opened, put, run
from tests.receiver.loop_device import needs_root, sparse_file

SECRET = "tell-nobody"


def found(image: Path, scratch: Path, *, is_backup: bool = False) -> tuple[Finding, ...]:
    with opened(image, scratch) as source:
        return find_all(survey(source, scratch), is_backup=is_backup)


@needs_root
@pytest.mark.system
def test_a_linux_that_was_used(tmp_path: Path) -> None:
    image = ext4_file(tmp_path / "ext4.img", 16 * MIB)
    with filled(image, tmp_path / "root") as root:
        put(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        put(root, "etc/NetworkManager/system-connections/lab", f"psk={SECRET}\n")
        for kind in ("rsa", "dsa", "ecdsa", "ed25519"):
            put(root, f"etc/ssh/ssh_host_{kind}_key", SECRET)
    findings = found(image, tmp_path)
    assert {each.code for each in findings} == {"machine-id", "ssh-host-keys", "wifi-keys"}
    assert all(each.kind is FindingKind.WARNING for each in findings)
    texts = " ".join(each.text for each in findings)
    assert SECRET not in texts
    assert "0123456789abcdef" not in texts
    assert "and 1 more: every machine would have these SSH host keys" in texts
    assert not found(image, tmp_path, is_backup=True), "in a backup they belong"


@needs_root
@pytest.mark.system
@needs("mkfs.btrfs", "btrfs-progs")
@pytest.mark.parametrize("default", ["", "@home"])
def test_a_linux_in_a_named_subvolume(tmp_path: Path, default: str) -> None:
    image = sparse_file(tmp_path / "btrfs.img", 130 * MIB)
    run("mkfs.btrfs", "-q", image)
    with filled(image, tmp_path / "root") as root:
        for name in ("@", "@home"):
            run("btrfs", "subvolume", "create", root / name)
        put(root, "@/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        put(root, "@/etc/ssh/ssh_host_rsa_key", SECRET)
        put(root, "@home/ann/.ssh/id", "-----BEGIN RSA PRIVATE KEY-----\n")
        if default:  # as an installer leaves it that lets the boot loader name no subvolume
            run("btrfs", "subvolume", "set-default", root / default)
    findings = found(image, tmp_path)
    assert {each.code: each.text.partition(":")[0] for each in findings} == {
        "machine-id": "/@/etc/machine-id",
        "ssh-host-keys": "/@/etc/ssh/ssh_host_rsa_key",
        "ssh-private-keys": "/@home/ann/.ssh/id",
    }


@needs_root
@pytest.mark.system
@needs("mkntfs", "ntfs-3g")
def test_a_windows_that_was_used(tmp_path: Path) -> None:
    files = {
        "Windows/System32/config/SYSTEM": b"hive",
        "Windows/Panther/unattend.xml": f"<Password><Value>{SECRET}</Value>".encode(),
    }
    findings = found(ntfs_file(tmp_path / "ntfs.img", files, tmp_path, 16 * MIB), tmp_path)
    assert [each.code for each in findings] == ["unattended-passwords", "not-generalised"]
    assert SECRET not in "".join(each.text for each in findings)
    assert "Windows Setup" in findings[0].text


def refusal(code: str) -> Finding:
    return Finding(kind=FindingKind.REFUSAL, code=code, where="the disk", text="x")


def test_only_refusals_that_nobody_accepted_refuse() -> None:
    warning = Finding(kind=FindingKind.WARNING, code="luks", where="the disk", text="x")
    every = (warning, refusal("dirty"), refusal("bitlocker"))
    assert [each.code for each in refusals(every, ())] == ["dirty", "bitlocker"]
    assert [each.code for each in refusals(every, ("dirty",))] == ["bitlocker"]
    assert not refusals(every, ("dirty", "bitlocker"))


def test_refusals_come_first_and_are_warnings_of_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warning = Finding(kind=FindingKind.WARNING, code="luks", where="the disk", text="x")
    monkeypatch.setattr(module, "disk_findings", lambda _survey: iter([warning] * 80 + [refusal("dirty")]))
    disk = put(tmp_path, "disk", b"x" * 4096)
    findings = found(disk, tmp_path)
    assert findings[0].code == "dirty"
    assert len(findings) == 64
    assert all(each.kind is FindingKind.WARNING for each in found(disk, tmp_path, is_backup=True))


def test_hostile_names_do_nothing_to_a_terminal() -> None:
    told = module._told("machine-id", "the disk", [Trace("machine-id", f"etc/\x1b[31m{'x' * 500}")])
    assert "\x1b" not in told.text
    assert len(told.text) == MAX_LONG_TEXT


def test_what_cannot_be_searched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_arguments: object) -> None:
        raise OSError("unknown filesystem type")

    monkeypatch.setattr(module, "mounted_tree", refusing)
    image = ext4_file(tmp_path / "ext4.img", 16 * MIB)
    assert [(each.code, "unknown filesystem" in each.text) for each in found(image, tmp_path)][-1] == (
        "not-searched",
        True,
    )
