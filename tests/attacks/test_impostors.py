"""Other broadcasters on the same LAN, images that nobody trusted has signed, and old images.

Clocks that are wrong are tests/network_faults/test_clocks.py's.
"""

import re
from pathlib import Path

import pytest

from tests.end_to_end.room import KEYS, OLD_BYTE, Room, Running
from tests.lab import INTERFACE, Lab, missing_requirement

pytestmark = [pytest.mark.system, pytest.mark.slow]

REFUSED, USAGE = 3, 2
OTHER_KEYS = "other-keys"

needs_lab = pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}")

CAST_ANYWAY = """
from broadcaster.library.library import Library
from slatecast import casting
from slatecast.__main__ import main

casting.signed_by = lambda library, manifest, trust: library.signature(manifest)
main()
"""
"""A broadcaster that casts what its own rules forbid, with everything else in good order."""


def others(room: Room) -> dict[str, str]:
    """The environment of somebody else's broadcaster."""
    return {"SLATECAST_KEYS": str(room.folder / OTHER_KEYS)}


def export_trust(room: Room, keys: str) -> Path:
    file = room.folder / f"{keys}.trust"
    for argv in (("keys", "init"), ("keys", "export-trust", file)):
        ended = room.start(*argv, environment={"SLATECAST_KEYS": str(room.folder / keys)})
        assert ended.finish() == 0, ended.errors.text
    return file


def add(room: Room, name: str, environment: dict[str, str] | None = None, seed: int = 1) -> str:
    argv = ("image", "add", room.source(f"source-{seed}", seed=seed), "--name", name, "--library", room.library)
    added = room.start(*argv, environment=environment)
    assert added.finish() == 0, added.errors.text
    return name


def is_untouched(target: Path) -> bool:
    return set(target.read_bytes()) == {OLD_BYTE}


class TestOtherBroadcasters:
    @needs_lab
    def test_two_of_them_are_not_chosen_between(self, room: Room) -> None:
        image, target = add(room, "lab"), room.target("seat")
        theirs = add_elsewhere(room)
        with Lab(0) as lab:
            host = lab.broadcaster
            ours = room.cast(image, interface=INTERFACE, host=host)
            doors = [ours.door(), start_theirs(room, theirs, host).door()]
            receiver = room.receive(target, None, "--wait", 5, interface=INTERFACE, host=host)
            complaint = receiver.complaint(USAGE)
        assert "several broadcasters answer on interface eth0: choose with --server one of" in complaint
        assert all(door in complaint for door in doors)
        assert is_untouched(target)

    def test_with_a_trust_file_only_the_right_one_is_obeyed(self, room: Room) -> None:
        image, target, theirs = add(room, "lab"), room.target("seat"), add_elsewhere(room)
        trust = export_trust(room, KEYS)
        stranger = start_theirs(room, theirs)  # which even knows the token
        receiver = room.receive(target, stranger.door(), "--trust", trust)
        assert "has other keys than this receiver was told to trust: " in receiver.complaint(REFUSED)
        assert is_untouched(target)
        ours = room.cast(image)
        receiver = room.receive(target, ours.door(), "--trust", trust)
        assert [receiver.finish(), ours.finish()] == [0, 0]
        assert target.read_bytes() == (room.folder / "source-1.img").read_bytes()
        assert not stranger.has_ended

    def test_a_receiver_of_one_is_no_receiver_of_the_other(self, room: Room) -> None:
        """Without the token of the other it is not let in, whatever certificate it has got."""
        theirs, target = add_elsewhere(room), room.target("seat")
        stranger = start_theirs(room, theirs, token="their own token")
        receiver = room.receive(target, stranger.door())
        assert "the token is not this broadcaster's" in receiver.complaint(REFUSED)
        assert is_untouched(target)


def add_elsewhere(room: Room) -> Path:
    """Another library, with an image that another broadcaster has signed."""
    library = room.folder / "their-library"
    argv = ("image", "add", room.source("theirs", seed=9), "--name", "theirs", "--library", library)
    added = room.start(*argv, environment=others(room))
    assert added.finish() == 0, added.errors.text
    return library


def start_theirs(room: Room, library: Path, host: object = None, token: str | None = None) -> Running:
    interface = "lo" if host is None else INTERFACE
    environment = others(room) | ({} if token is None else {"SLATECAST_CAST_TOKEN": token})
    argv = ("cast", "theirs", "--library", library, "--interface", interface)
    return room.start(*argv, host=host, environment=environment)  # type: ignore[arg-type]  # a Host is a Place


class TestImages:
    def test_an_unsigned_image_is_not_cast(self, room: Room) -> None:
        export_trust(room, KEYS)
        key = room.folder / KEYS / "image.key"
        key.rename(room.folder / "offline.key")
        assert add(room, "lab")
        complaint = room.cast("lab").complaint(REFUSED)
        assert "image lab, version 1, is not signed, so no receiver would write it: " in complaint
        signed = room.start("image", "sign", "lab", "--image-key", "offline.key", "--library", room.library)
        assert signed.finish() == 0, signed.errors.text
        cast = room.cast("lab")
        assert cast.door()
        cast.interrupt()

    def test_a_foreign_image_is_not_cast(self, room: Room) -> None:
        add(room, "lab", others(room))
        complaint = room.cast("lab").complaint(REFUSED)
        assert "image lab, version 1, is signed by a key that is not trusted here (" in complaint

    def test_a_foreign_image_that_is_cast_all_the_same_is_not_written(self, room: Room) -> None:
        add(room, "lab", others(room))
        target = room.target("seat")
        argv = ("cast", "lab", "--library", room.library, "--interface", "lo")
        cast = room.start_python("-c", CAST_ANYWAY, *argv)
        receiver = room.start("receive", "--target", target, "--server", cast.door(), "--interface", "lo")
        receiver.errors.until("image lab is signed by a key")
        cast.interrupt()
        assert receiver.errors.text.count("refused:") == 1, "one line, however often it is announced"
        assert is_untouched(target)

    def test_going_back_to_an_older_version_is_shown(self, room: Room) -> None:
        for seed in (1, 2):
            add(room, "lab", seed=seed)
        new, target = room.cast("lab"), room.target("seat")
        assert new.errors.until("^session .*: (.*) to group ")[1] == "lab version 2"
        new.interrupt()
        old = room.cast("lab@1")
        assert old.errors.until("^session .*: (.*) to group ")[1] == "lab version 1 (OLDER than version 2)"
        assert [room.receive(target, old.door()).finish(), old.finish()] == [0, 0]
        assert "image lab version 1, session" in " ".join(old.output.text.split())
        assert target.read_bytes() == (room.folder / "source-1.img").read_bytes()
        shown = room.start("audit", "show", "--library", room.library)
        assert shown.finish() == 0
        assert re.search("cast started: .*image lab, .*version 1$", shown.output.text, re.MULTILINE)
