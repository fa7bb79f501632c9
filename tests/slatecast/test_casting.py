import dataclasses
import random
import socket
from pathlib import Path

import pytest

from broadcaster.broker import LOOPBACK
from broadcaster.cast_config import CastConfig
from broadcaster.library.adding import add_image
from broadcaster.library.library import Library
from broadcaster.readiness import StartPolicy
from broadcaster.report import SessionReport
from broadcaster.saved_cast import CASTS_FOLDER, CastStore, SavedCast
from protocol.errors import LibraryError, TransportError
from protocol.link.interfaces import resolve_interface
from protocol.link.mqtt import DEFAULT_PORT, BrokerAddress
from protocol.link.multicast import DATA_PORT
from slatecast.casting import LINK_SHARE, UNKNOWN_LINK_RATE, CastSetting, default_rate, run_cast
from tests.end_to_end.room import free_port
from tests.sample_messages import TSI

LO = resolve_interface("lo")


def test_the_default_rate_is_a_share_of_the_link() -> None:
    link = dataclasses.replace(LO, speed_bits_per_second=2_500_000_000)
    assert default_rate(link) == int(2_500_000_000 * LINK_SHARE)
    assert default_rate(LO) == UNKNOWN_LINK_RATE


@pytest.mark.system
@pytest.mark.slow
class TestRunCast:
    """Casts to an empty room, which end at once."""

    def test_the_embedded_broker_listens_on_the_port_that_is_asked_for(self, library: Library) -> None:
        report, broker = self.cast(library, CastSetting(port=0))
        assert report.end_reason == "no receiver is ready"
        assert [seat.outcome for seat in report.seats] == ["absent"]
        assert broker.host == LOOPBACK
        assert broker.port not in (0, DEFAULT_PORT)

    def test_where_the_standard_port_is_taken_another_one_does(self, library: Library) -> None:
        try:
            taken = socket.create_server((LOOPBACK, DEFAULT_PORT))
        except OSError:
            taken = socket.socket()  # taken by another program already, which is as good
        with taken:
            _, broker = self.cast(library, CastSetting())
        assert broker.port != DEFAULT_PORT

    def test_a_port_that_is_asked_for_and_taken_is_an_error(self, library: Library) -> None:
        with (
            socket.create_server((LOOPBACK, 0)) as taken,
            pytest.raises(TransportError, match="Address already in use"),
        ):
            self.cast(library, CastSetting(port=taken.getsockname()[1]))

    def test_an_image_that_was_removed_meanwhile_is_told(self, library: Library) -> None:
        path = library.manifest_path("lab", 1)
        path.unlink()
        with pytest.raises(LibraryError, match="image lab, version 1 has just been removed"):
            self.cast(library, CastSetting(port=0))

    def test_a_cast_that_was_killed_is_resumed_on_its_port(
        self, library: Library, capsys: pytest.CaptureFixture[str]
    ) -> None:
        port = free_port()
        self.leave_behind(library, broker_port=port)
        report, broker = self.cast(library, CastSetting())
        assert (report.session, broker.port) == (TSI, port)
        assert f"resuming session {TSI}, which ended without a farewell after 12.0 s" in capsys.readouterr().err
        assert self.kept(library) is None

    def test_where_its_port_is_taken_another_one_does(self, library: Library) -> None:
        with socket.create_server((LOOPBACK, 0)) as taken:
            port = taken.getsockname()[1]
            self.leave_behind(library, broker_port=port)
            report, broker = self.cast(library, CastSetting())
        assert report.session == TSI
        assert broker.port != port

    def test_on_demand_it_begins_anew(self, library: Library, capsys: pytest.CaptureFixture[str]) -> None:
        self.leave_behind(library, broker_port=free_port())
        report, _ = self.cast(library, CastSetting(port=0, resumes=False))
        assert report.session != TSI
        assert "resuming" not in capsys.readouterr().err
        assert self.kept(library) is None

    def test_a_cast_that_ended_is_not_resumed(self, library: Library) -> None:
        first, _ = self.cast(library, CastSetting(port=0))
        second, _ = self.cast(library, CastSetting(port=0))
        assert first.session != second.session
        assert self.kept(library) is None

    def leave_behind(self, library: Library, *, broker_port: int) -> None:
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
        CastStore(library.root / CASTS_FOLDER).create(state).close()

    def kept(self, library: Library) -> object:
        return CastStore(library.root / CASTS_FOLDER).find(self.manifest.digest, LO.name)

    @pytest.fixture
    def library(self, tmp_path: Path) -> Library:
        source = tmp_path / "source.img"
        source.write_bytes(random.Random(1).randbytes(1 << 20))
        library = Library.open_or_create(tmp_path / "library")
        self.manifest = add_image(library, source, "lab").manifest
        return library

    def cast(self, library: Library, setting: CastSetting) -> tuple[SessionReport, BrokerAddress]:
        brokers: list[BrokerAddress] = []
        config = CastConfig(LO, StartPolicy(1, 0.0), 10_000_000, 10_000_000, use_ipv6=False)
        setting = dataclasses.replace(setting, on_broker=brokers.append)
        return run_cast(library, self.manifest, config, setting), brokers[0]
