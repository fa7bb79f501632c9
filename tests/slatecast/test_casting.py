import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from broadcaster.audit import AUDIT_FILE, AuditEvent
from broadcaster.audit_check import read_entries
from broadcaster.broker import LOOPBACK
from broadcaster.cast_config import CastConfig
from broadcaster.control_side import ControlSetting
from broadcaster.keys import KeyStore
from broadcaster.library.adding import add_image
from broadcaster.library.image_signature import sign_digest
from broadcaster.library.library import Library
from broadcaster.readiness import StartPolicy
from broadcaster.report import SessionReport
from broadcaster.saved_cast import CASTS_FOLDER, CastStore, SavedCast
from protocol.errors import LibraryError, TransportError
from protocol.link.front_door_address import DEFAULT_FRONT_DOOR_PORT, FrontDoorAddress
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import DEFAULT_TLS_PORT, BrokerAddress
from protocol.link.multicast import DATA_PORT
from protocol.signing import SigningKey
from slatecast.casting import CastSetting, run_cast
from tests.end_to_end.room import free_port
from tests.sample_messages import TSI

LO = resolve_interface("lo")
TOKEN = "legal-winner-thank-year"


@contextmanager
def taken(port: int) -> Iterator[None]:
    """The port is used: by this test, or by another program already, which is as good."""
    try:
        listener = socket.create_server((LOOPBACK, port))
    except OSError:
        listener = socket.socket()
    with listener:
        yield


class EmptyRoom:
    """A library with one signed image, and what was said of its casts."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.keys = KeyStore.open_or_create(folder / "keys")
        source = folder / "source.img"
        source.write_bytes(random.Random(1).randbytes(1 << 20))
        self.library = Library.open_or_create(folder / "library")
        self.manifest = add_image(self.library, source, "lab", signer=self.keys.image).manifest
        self.doors: list[FrontDoorAddress] = []
        self.said = ""
        self._capsys = capsys

    @property
    def broker(self) -> str:
        """Where the broker of the last cast was."""
        found = re.search(r"broker (\S+), enrolment", self.said)
        assert found is not None, self.said
        return found[1]

    @property
    def broker_port(self) -> int:
        return BrokerAddress.parse(self.broker).port

    def cast(self, *, resumes: bool = True, **control: Any) -> SessionReport:
        """To nobody."""
        ports = {"port": 0, "broker_port": 0}
        setting = CastSetting(
            ControlSetting(token=TOKEN, **{**ports, **control}), resumes=resumes, on_open=self.doors.append
        )
        config = CastConfig(LO, StartPolicy(1, 0.0), 10_000_000, 10_000_000, use_ipv6=False)
        try:
            return run_cast(self.library, self.manifest, self.keys, config, setting)
        finally:
            self.said = self._capsys.readouterr().err

    def leave_behind(self, *, broker_port: int) -> None:
        """The state of a cast of this image on loopback whose process was killed."""
        state = SavedCast(
            tsi=TSI,
            session_secret=bytes(32),
            image_name="lab",
            image_version=1,
            manifest_digest=self.manifest.digest,
            group="239.192.7.9",
            port=DATA_PORT,
            interface_name=LO.name,
            use_ipv6=False,
            broker_host=LOOPBACK,
            broker_port=broker_port,
            expected_seats=1,
            elapsed_seconds=12.0,
        )
        CastStore(self.library.root / CASTS_FOLDER).create(state).close()

    def kept(self) -> object:
        return CastStore(self.library.root / CASTS_FOLDER).find(self.manifest.digest, LO.name)


@pytest.fixture
def room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> EmptyRoom:
    return EmptyRoom(tmp_path, capsys)


@pytest.mark.system
@pytest.mark.slow
class TestRunCast:
    """Casts to an empty room, which end at once."""

    def test_broker_and_front_door_listen_on_the_ports_that_are_asked_for(self, room: EmptyRoom) -> None:
        port, broker_port = free_port(), free_port()
        report = room.cast(port=port, broker_port=broker_port)
        assert report.end_reason == "no receiver is ready"
        assert [seat.outcome for seat in report.seats] == ["absent"]
        assert room.doors == [FrontDoorAddress(LOOPBACK, port)]
        assert room.broker == f"mqtts://{LOOPBACK}:{broker_port}"

    def test_where_the_standard_ports_are_taken_others_do(self, room: EmptyRoom) -> None:
        with taken(DEFAULT_TLS_PORT), taken(DEFAULT_FRONT_DOOR_PORT):
            room.cast(port=None, broker_port=None)
        assert room.broker_port not in (0, DEFAULT_TLS_PORT)
        assert room.doors[0].port not in (0, DEFAULT_FRONT_DOOR_PORT)

    @pytest.mark.parametrize("which", ["port", "broker_port"])
    def test_a_port_that_is_asked_for_and_taken_is_an_error(self, room: EmptyRoom, which: str) -> None:
        with (
            socket.create_server((LOOPBACK, 0)) as taken,
            pytest.raises(TransportError, match="Address already in use"),
        ):
            room.cast(**{which: taken.getsockname()[1]})

    def test_an_image_that_was_removed_meanwhile_is_told(self, room: EmptyRoom) -> None:
        room.library.manifest_path("lab", 1).unlink()
        with pytest.raises(LibraryError, match="image lab, version 1 has just been removed"):
            room.cast()

    def test_an_image_that_nobody_trusted_has_signed_is_not_cast(self, room: EmptyRoom) -> None:
        room.library.put_signature(room.manifest.header, sign_digest(room.manifest.digest, SigningKey(b"x" * 32)))
        with pytest.raises(LibraryError, match="signed by a key that is not trusted here"):
            room.cast()
        assert room.doors == []

    def test_a_cast_that_was_killed_is_resumed_on_its_port(self, room: EmptyRoom) -> None:
        port = free_port()
        room.leave_behind(broker_port=port)
        report = room.cast(broker_port=None)
        assert (report.session, room.broker_port) == (TSI, port)
        assert f"resuming session {TSI}, which ended without a farewell after 12.0 s" in room.said
        assert room.kept() is None

    def test_where_its_port_is_taken_another_one_does(self, room: EmptyRoom) -> None:
        with socket.create_server((LOOPBACK, 0)) as taken:
            port = taken.getsockname()[1]
            room.leave_behind(broker_port=port)
            report = room.cast(broker_port=None)
        assert report.session == TSI
        assert room.broker_port != port

    def test_on_demand_it_begins_anew(self, room: EmptyRoom) -> None:
        room.leave_behind(broker_port=free_port())
        report = room.cast(resumes=False)
        assert report.session != TSI
        assert "resuming" not in room.said
        assert room.kept() is None

    def test_a_cast_that_ended_is_not_resumed(self, room: EmptyRoom) -> None:
        first = room.cast()
        second = room.cast()
        assert first.session != second.session
        assert room.kept() is None

    def test_a_cast_is_written_down_and_its_report_is_signed(self, room: EmptyRoom) -> None:
        report = room.cast()
        entries = list(read_entries(room.library.root / AUDIT_FILE))
        assert [entry.event for entry in entries] == [AuditEvent.CAST_STARTED, AuditEvent.CAST_ENDED]
        assert {entry.fields["session"] for entry in entries} == {report.session}
        assert report.audit_head

    @pytest.mark.parametrize("is_new", [True, False])
    def test_a_token_is_shown_only_where_nobody_knows_it(self, room: EmptyRoom, is_new: bool) -> None:
        room.cast(is_token_new=is_new)
        assert (TOKEN in room.said) == is_new
