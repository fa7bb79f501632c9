from pathlib import Path

import pytest

from protocol.configuration import HostnameStep, MachineIdStep, SshHostKeysStep, StepState
from receiver.configure import linux_identity
from receiver.configure.linux_identity import KEY_KINDS, renew_host_keys, set_hostname, set_machine_id
from receiver.configure.outcome import Outcome
from tests.receiver.configure.written_disk import WrittenDisk, copy_program, real_disk

pytestmark = real_disk


def named(disk: WrittenDisk, name: str) -> Outcome:
    with disk.opened() as target:
        return set_hostname(target, HostnameStep(name=name))


def keyed(disk: WrittenDisk, label: str = "slatecast 0123") -> Outcome:
    with disk.opened() as target:
        return renew_host_keys(target, SshHostKeysStep(label=label))


def test_a_hostname_and_its_line_of_hosts(linux: WrittenDisk) -> None:
    assert named(linux, "lab-07.lan").state is StepState.DONE
    with linux.mounted() as folder:
        assert (folder / "etc/hostname").read_text() == "lab-07\n"
        assert (folder / "etc/hosts").read_text() == (
            "127.0.0.1\tlocalhost\n127.0.1.1\tlab-07.lan lab-07\n::1\tip6-localhost\n"
        )
    assert named(linux, "lab-07.lan").state is StepState.SKIPPED


def test_hosts_without_a_line_of_its_own_gets_one(linux: WrittenDisk) -> None:
    with linux.mounted() as folder:
        (folder / "etc/hosts").write_text("127.0.0.1 localhost")
    named(linux, "lab-07")
    with linux.mounted() as folder:
        assert (folder / "etc/hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1\tlab-07\n"


def test_a_hostile_link_writes_nothing_outside(linux: WrittenDisk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "os-release").write_text("")
    with linux.mounted() as folder:
        (folder / "etc").rename(folder / "etc.real")
        (folder / "etc").symlink_to(outside)
        (folder / "usr/lib/os-release").write_text("ID=evil\n")
    with pytest.raises(Exception, match="No such file"):
        named(linux, "lab-07")
    assert [path.name for path in outside.iterdir()] == ["os-release"]


def test_a_machine_id_is_given_or_emptied(linux: WrittenDisk) -> None:
    for machine_id, content in (("0c" * 16, "0c" * 16 + "\n"), ("", "")):
        with linux.opened() as disk:
            step = MachineIdStep(machine_id=machine_id)
            assert set_machine_id(disk, step).state is StepState.DONE
            assert set_machine_id(disk, step).state is StepState.SKIPPED
        with linux.mounted() as folder:
            assert (folder / "etc/machine-id").read_text() == content
            assert (folder / "var/lib/dbus/machine-id").readlink() == Path("/etc/machine-id")
            assert not (folder / "var/lib/systemd/random-seed").exists()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["the system's own", "made here"])
def test_host_keys_are_new_and_kept_the_second_time(linux: WrittenDisk, where: str) -> None:
    if where == "the system's own":
        with linux.mounted() as folder:
            copy_program("/usr/bin/ssh-keygen", folder)
            (folder / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n")
    outcome = keyed(linux)
    assert where in outcome.text
    with linux.mounted() as folder:
        keys = {path.name: path.read_text() for path in (folder / "etc/ssh").glob("ssh_host_*")}
        assert (folder / "etc/ssh/ssh_host_rsa_key").stat().st_mode & 0o777 == 0o600
    assert set(keys) == {f"ssh_host_{kind}_key{end}" for kind in KEY_KINDS for end in ("", ".pub")}
    assert all(text.endswith(" slatecast 0123\n") for name, text in keys.items() if name.endswith(".pub"))
    assert all("PRIVATE KEY" in text for name, text in keys.items() if not name.endswith(".pub"))
    assert keyed(linux).state is StepState.SKIPPED


def test_without_any_keygen_the_system_makes_them(linux: WrittenDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_identity, "find_tool", lambda _name: None)
    assert "when it starts" in keyed(linux).text
    with linux.mounted() as folder:
        assert [path.name for path in (folder / "etc/ssh").iterdir()] == ["sshd_config"]
        assert (folder / "etc/systemd/system/multi-user.target.wants/slatecast-host-keys.service").is_symlink()


def test_a_system_without_ssh_is_left_alone(linux: WrittenDisk) -> None:
    with linux.mounted() as folder:
        for path in (folder / "etc/ssh").iterdir():
            path.unlink()
    assert keyed(linux).state is StepState.SKIPPED
