from pathlib import Path

from receiver.configure.enclosure import enclosed
from tests.receiver.configure.written_disk import WrittenDisk, real_disk

pytestmark = real_disk


def said_inside(linux: WrittenDisk, script: str, *, has_network: bool = False, has_disks: bool = False) -> str:
    with linux.opened() as disk, disk.linux_root(executable=True) as root:
        with enclosed(disk.stopping, root, has_network=has_network, has_disks=has_disks) as enclosure:
            ran = enclosure.run("/bin/sh", "-c", script, limit=20)
        assert ran.code == 0, ran.output
        assert root.names("run") == []
        return ran.output


def test_a_program_sees_its_system_and_no_more(linux: WrittenDisk) -> None:
    said = said_inside(
        linux, "cat /etc/os-release; echo $$; ls /dev; ls /sys/class/net; ls /proc | cat > /run/x; echo x > /dev/null"
    )
    lines = said.split()
    assert lines[:2] == ["ID=debian", "1"]
    assert {"null", "urandom", "fd"} <= set(lines)
    assert not [line for line in lines if line.startswith(("loop", "sd", "vd"))]


def test_it_has_no_network_unless_asked(linux: WrittenDisk) -> None:
    interfaces = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    assert said_inside(linux, "cat /proc/net/dev").count(":") == 1
    said = said_inside(linux, "cat /proc/net/dev /etc/resolv.conf", has_network=True)
    assert all(f"{name}:" in said for name in interfaces)
    assert Path("/etc/resolv.conf").read_text().split()[0] in said
    with linux.mounted() as folder:
        assert not (folder / "etc/resolv.conf").exists()


def test_a_resolver_that_leads_to_run_is_given_there(linux: WrittenDisk) -> None:
    with linux.mounted() as folder:
        (folder / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    said = said_inside(linux, "cat /etc/resolv.conf", has_network=True)
    assert said.strip() == Path("/etc/resolv.conf").read_text().strip()


def test_it_sees_the_disks_when_it_has_to(linux: WrittenDisk) -> None:
    before = Path("/proc/self/mounts").read_text()
    assert "loop" in said_inside(linux, "ls /dev", has_disks=True)
    assert Path("/proc/self/mounts").read_text() == before


def test_sys_cannot_be_written(linux: WrittenDisk) -> None:
    assert "Read-only" in said_inside(linux, "echo x > /sys/kernel/mm/ksm/run || true; mkdir /sys/x 2>&1 || true")
