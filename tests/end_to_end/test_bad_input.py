"""Bad input from the command line: one clear line, the documented exit code, and nothing touched."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.broker import LOOPBACK
from tests.broadcaster.library.disks import MIB, needs, run, tree
from tests.brokers import Mosquitto
from tests.end_to_end.room import OLD_BYTE, Room, Running, free_port, is_bootable
from tests.lab import Lab, missing_requirement
from tests.receiver.loop_device import loop_device, mounted, needs_root, sparse_file

pytestmark = [pytest.mark.system, pytest.mark.slow]

USAGE, REFUSED, UNFINISHED, UNREACHABLE = 2, 3, 4, 6

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")


class TestImage:
    @needs("qemu-img", "qemu-utils")
    @pytest.mark.parametrize("command", ["add", "cast"])
    def test_a_truncated_virtual_disk_is_refused(self, room: Room, command: str) -> None:
        whole, truncated = room.source(), room.folder / "truncated.qcow2"
        run("qemu-img", "convert", "-O", "qcow2", str(whole), str(truncated))
        with truncated.open("r+b") as file:
            file.truncate(MIB)
        complaint = self.taking_in(room, truncated, command)
        assert str(truncated) in complaint

    @pytest.mark.parametrize("command", ["add", "cast"])
    @pytest.mark.parametrize(
        "content", [b"", b"Dear reader,\n", b"\x7fELF" + bytes(97)], ids=["empty", "text", "short"]
    )
    def test_a_file_that_is_no_disk_is_refused(self, room: Room, command: str, content: bytes) -> None:
        foreign = room.folder / "foreign.img"
        foreign.write_bytes(content)
        assert str(foreign) in self.taking_in(room, foreign, command)

    def test_a_missing_image_is_a_usage_error(self, room: Room) -> None:
        assert "neither an image in library" in room.cast("missing").complaint(USAGE)

    @staticmethod
    def taking_in(room: Room, image: Path, command: str) -> str:
        room.add(room.source("good"), "good")
        before = tree(room.library)
        if command == "add":
            process = room.start("image", "add", image, "--name", "bad", "--library", room.library)
        else:
            process = room.cast(image)
        complaint = process.complaint(REFUSED)
        assert tree(room.library) == before
        return complaint


class TestLibrary:
    @pytest.mark.parametrize("command", ["add", "cast"])
    def test_a_folder_that_is_no_library_stays_as_it_is(self, room: Room, command: str) -> None:
        source = room.source()
        room.library.mkdir()
        (room.library / "letter").write_text("dear reader")
        before = tree(room.library)
        argv = ["image", "add", source, "--name", "lab"] if command == "add" else ["cast", source, "--interface", "lo"]
        complaint = room.start(*argv, "--library", room.library).complaint(REFUSED)
        assert f"{room.library} is not a slatecast library" in complaint
        assert tree(room.library) == before

    @needs_root
    @pytest.mark.parametrize("command", ["add", "cast"])
    def test_a_full_disk_leaves_the_library_as_it_was(self, room: Room, command: str) -> None:
        small, large = room.source("small", 4 * MIB), room.source("large", 64 * MIB)
        with mounted("tmpfs", room.library, "-t", "tmpfs", "-o", "size=12m"):
            room.add(small, "small")
            before = tree(room.library)
            if command == "add":
                process = room.start("image", "add", large, "--name", "large", "--library", room.library)
            else:
                process = room.cast(large)
            assert f"library {room.library} is full; nothing was changed" in process.complaint(REFUSED)
            assert tree(room.library) == before


class TestTarget:
    def test_a_target_that_is_too_small_is_refused_before_anything_is_sent(self, room: Room) -> None:
        target = room.target("small", 7 * MIB)
        assert "is too small" in self.refusal(room, target)

    @needs_root
    def test_a_mounted_disk(self, room: Room) -> None:
        backing = room.target("backing")
        run("mkfs.ext4", "-q", "-F", str(backing))
        with loop_device(backing) as device, mounted(device, room.folder / "mount") as folder:
            (folder / "thesis").write_text("four years of work")
            run("sync")
            assert "is mounted at" in self.refusal(room, device, content=backing.read_bytes())

    @needs_root
    def test_a_read_only_disk(self, room: Room) -> None:
        with loop_device(room.target("backing"), 512, "--read-only") as device:
            assert "is read-only" in self.refusal(room, device)

    @needs_root
    def test_a_disk_with_other_sectors(self, room: Room) -> None:
        with loop_device(room.target("backing"), 4096) as device:
            assert "has sectors of 4096 bytes" in self.refusal(room, device)

    @pytest.mark.parametrize(("target", "reason"), [("missing.disk", "does not exist"), (".", "is a directory")])
    def test_what_can_be_no_target_is_told_without_a_broadcaster(self, room: Room, target: str, reason: str) -> None:
        before = tree(room.folder)
        complaint = room.receive(room.folder / target, "127.0.0.1:1").complaint(REFUSED)
        assert reason in complaint
        assert tree(room.folder) == before

    @needs_root
    def test_a_file_on_a_disk_that_fills_up_fails_and_stays_marked(self, room: Room) -> None:
        with mounted("tmpfs", room.folder / "small", "-t", "tmpfs", "-o", "size=4m") as folder:
            target = sparse_file(folder / "seat.disk", 8 * MIB)
            cast = room.cast(room.source())
            receiver = room.receive(target, cast.door())
            assert receiver.finish() == UNFINISHED
            assert "failed and is marked incomplete: " in receiver.errors.text
            assert "No space left on device" in cast.complaint(UNFINISHED)
            assert not is_bootable(target)

    @staticmethod
    def refusal(room: Room, target: Path | str, content: bytes | None = None) -> str:
        """What a receiver says that refuses; its broadcaster names it too, and the target is what it was."""
        before = Path(target).read_bytes() if content is None else content
        cast = room.cast(room.source())
        receiver = room.receive(target, cast.door())
        assert receiver.finish() == REFUSED, receiver.errors.text
        assert "was refused, nothing was written" in receiver.errors.text
        complaint = cast.complaint(REFUSED)
        assert "1 of 1 seats are not verified: seat refused" in complaint
        assert Path(target).read_bytes() == before
        return complaint


class TestSeats:
    def test_no_receiver_comes(self, room: Room) -> None:
        complaint = room.cast(room.source(), "--expect", 2, "--wait", 0.5).complaint(REFUSED)
        assert "2 of 2 seats are not verified" in complaint
        assert "never came" in complaint

    def test_a_report_that_cannot_be_written_is_told_after_the_cast(self, room: Room) -> None:
        cast = room.cast(room.source(), "--report", "/dev/full")
        assert room.receive(room.target("seat"), cast.door()).finish() == 0
        assert "--report /dev/full: No space left on device; the cast itself has ended" in cast.complaint(USAGE)

    def test_fewer_come_than_expected_and_are_served(self, room: Room) -> None:
        source, target, port = room.source(), room.target("seat"), free_port()
        receiver = room.receive(target, f"{LOOPBACK}:{port}")  # first, for on a busy machine its start takes seconds
        cast = room.cast(source, "--port", port, "--expect", 2, "--wait", 3)
        assert receiver.finish() == 0
        assert "1 of 2 seats are not verified: absent" in cast.complaint(UNFINISHED)
        assert target.read_bytes() == source.read_bytes()

    def test_a_refused_seat_does_not_keep_the_others_from_starting(self, room: Room) -> None:
        source, good = room.source(), room.target("good")
        cast = room.cast(source, "--expect", 2)
        refused = room.receive(room.target("small", MIB), cast.door(), seat="small")
        assert room.receive(good, cast.door(), seat="good").finish() == 0
        assert refused.finish() == REFUSED
        assert "1 of 2 seats are not verified: small refused" in cast.complaint(UNFINISHED)
        assert good.read_bytes() == source.read_bytes()


class TestNetwork:
    @pytest.mark.parametrize("role", ["cast", "receive"])
    def test_an_interface_that_does_not_exist(self, room: Room, role: str) -> None:
        if role == "cast":
            process = room.cast(room.source(), interface="wan9")
        else:
            process = room.receive(room.target("seat"), "127.0.0.1:1", interface="wan9")
        assert "no interface has the name or address wan9: there is " in process.complaint(UNREACHABLE)
        assert not room.library.exists()

    @needs_lab
    def test_an_interface_without_an_address(self, room: Room) -> None:
        source = room.source()
        with Lab(1) as lab:
            host = lab.broadcaster
            host.run(["ip", "address", "flush", "dev", "eth0"])
            complaint = room.cast(source, interface="eth0", host=host).complaint(UNREACHABLE)
            assert complaint.startswith("interface eth0 has no address")
            host.run(["ip", "link", "set", "eth0", "down"])
            assert "interface eth0 is down" in room.cast(source, interface="eth0", host=host).complaint(UNREACHABLE)

    def test_a_port_in_use(self, room: Room) -> None:
        source = room.source()
        with socket.create_server((LOOPBACK, 0)) as taken:
            port = taken.getsockname()[1]
            complaint = room.cast(source, "--port", port).complaint(UNREACHABLE)
            assert f"port {port} of 127.0.0.1: Address already in use; choose another" in complaint
            complaint = room.cast(source, "--broker-port", port).complaint(UNREACHABLE)
            assert f"the broker cannot listen on 127.0.0.1 port {port}: Address already in use" in complaint
            complaint = room.cast(source, "--metrics-port", port).complaint(UNREACHABLE)
            assert complaint.startswith(f"metrics port {port}: Address already in use")
            cast = room.cast(source)
            receiver = room.receive(room.target("seat"), cast.door(), "--metrics-port", port)
            assert receiver.complaint(UNREACHABLE).startswith(f"metrics port {port}: Address already in use")

    def test_nobody_listens_where_the_broker_should_be(self, room: Room) -> None:
        port = free_port()
        process = room.cast(room.source(), "--broker", f"mqtt://127.0.0.1:{port}")
        assert f"broker mqtt://127.0.0.1:{port} refuses the connection" in complaint_of(process)

    def test_nobody_listens_where_the_broadcaster_should_be(self, room: Room) -> None:
        port = free_port()
        process = room.receive(room.target("seat"), f"127.0.0.1:{port}", "--wait", 1)
        assert f"127.0.0.1:{port}" in process.complaint(UNREACHABLE)

    @pytest.mark.asyncio
    async def test_a_broker_that_wants_a_password(self, room: Room, mosquitto: Callable[..., Mosquitto]) -> None:
        broker = mosquitto("allow_anonymous false")
        await broker.start()
        assert "refuses us" in complaint_of(room.cast(room.source(), "--broker", broker.address))

    def test_a_broker_in_the_place_of_the_broadcaster(self, room: Room) -> None:
        cast, target = room.cast(room.source()), room.target("seat")
        host, _, port = cast.broker().removeprefix("mqtts://").rpartition(":")
        process = room.receive(target, f"{host}:{port}", "--wait", 1)
        assert process.finish() in {REFUSED, UNREACHABLE}
        assert set(target.read_bytes()) == {OLD_BYTE}

    def test_a_token_that_is_not_the_casts(self, room: Room) -> None:
        cast, target = room.cast(room.source()), room.target("seat")
        process = room.receive(target, cast.door(), "--token", "somebody else's word")
        assert "the token is not this broadcaster's" in process.complaint(REFUSED)
        assert set(target.read_bytes()) == {OLD_BYTE}
        cast.errors.until("presented a wrong token")

    def test_no_broadcaster_answers_by_multicast_dns(self, room: Room) -> None:
        with Lab(0) as lab:
            receiver = room.receive(room.target("seat"), None, "--wait", 0.5, interface="eth0", host=lab.broadcaster)
            assert "no broadcaster answers on interface eth0" in receiver.complaint(UNREACHABLE)


def complaint_of(cast: Running) -> str:
    """The complaint of a cast that was warned of its plain broker before."""
    assert cast.finish() == UNREACHABLE
    return cast.errors.text.replace("\n", " ")


class TestUsage:
    @pytest.mark.parametrize(
        "argv",
        [
            ("cast",),
            ("cast", "image", "--rate", "fast"),
            ("cast", "image", "--rate", "9"),
            ("cast", "image", "--expect", "0"),
            ("cast", "image", "--broker", "http://broker"),
            ("cast", "image", "--broker", "broker", "--broker-port", "1883"),
            ("cast", "image", "--token", "abc"),
            ("cast", "image", "--report", "missing/report.json"),
            ("receive",),
            ("receive", "--target", "disk.disk", "--server", "a:b:c"),
            ("receive", "--target", "disk.disk", "--seat", "\n"),
            ("--config", "missing.toml", "cast", "image"),
            ("sing",),
        ],
        ids=" ".join,
    )
    def test_what_cannot_be_is_told_before_anything_is_done(self, room: Room, argv: tuple[str, ...]) -> None:
        disk = room.target("disk", MIB)
        shutil.copyfile(room.source("image"), room.folder / "image")
        before = tree(room.folder)
        room.start(*argv, environment={"SLATECAST_LIBRARY": str(room.library)}).complaint(USAGE)
        assert tree(room.folder) == before
        assert not is_bootable(disk)
