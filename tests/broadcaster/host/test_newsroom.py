from types import SimpleNamespace
from typing import Any, cast

import pytest

from broadcaster.captures.capture import Capture
from broadcaster.captures.desk import CaptureDesk
from broadcaster.control_side import BrokerInUse
from broadcaster.host import newsroom as module
from broadcaster.host.attendance import Attendance
from broadcaster.host.newsroom import Newsroom, Place
from broadcaster.host.sessions import Sessions
from broadcaster.host.vitals import Vitals
from broadcaster.waiting_room import WaitingRoom
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import BrokerAddress, MqttLink
from protocol.operators import (
    MAX_APPLICANTS,
    CaptureNews,
    CapturesNews,
    HostNews,
    ImageNews,
    ImagesNews,
    News,
    ReceiversNews,
    open_news,
)
from tests.broadcaster.applicants import Candidate
from tests.broadcaster.captures.played import record
from tests.broadcaster.host.played_session import GENERATION, session_news
from tests.broadcaster.host.test_host_audit import apply
from tests.sample_messages import DIRECTOR, TSI, presence, receiver_id

ETH = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, None, False, False)
PLACE = Place(
    ETH,
    BrokerInUse(BrokerAddress("192.0.2.7", 8883, "user", "secret", tls=True), None, None),
    FrontDoorAddress("192.0.2.7", 8884),
    "/srv/library",
)
IMAGE = ImageNews(name="lab", version=1, created="", disk_size=1, stored_bytes=1, is_signed=True, sessions=())


class Room:
    """A newsroom and what it told in its last round."""

    def __init__(self) -> None:
        self.attendance = Attendance()
        self.waiting_room = WaitingRoom(lambda _: None)
        self.open: list[Any] = []
        self.captures: list[CaptureNews] = []
        self.users: dict[tuple[str, int], tuple[str, ...]] = {}
        self._told: list[News] = []
        sessions = SimpleNamespace(
            all=lambda: self.open, open=lambda: self.open, by_receiver=lambda: {}, users=lambda: self.users
        )
        self.newsroom = Newsroom(
            cast(MqttLink, self),
            DIRECTOR,
            PLACE,
            generation=lambda: GENERATION,
            sessions=cast(Sessions, sessions),
            attendance=self.attendance,
            waiting_room=self.waiting_room,
            captures=cast(CaptureDesk, SimpleNamespace(news=lambda: self.captures)),
            vitals=Vitals(5, 10, 10**9, is_link_up=True, warnings=("mend it",)),
        )

    def publish(self, topic: str, payload: bytes, *, supersedes: bool) -> None:
        assert supersedes
        self._told.append(open_news(topic, payload, DIRECTOR.public))

    def tell(self) -> list[News]:
        self._told = []
        self.newsroom.tell()
        return self._told

    def host(self) -> HostNews:
        (host,) = (news for news in self.tell() if isinstance(news, HostNews))
        return host


@pytest.fixture
def room() -> Room:
    return Room()


def test_the_host_tells_where_it_is_and_no_secret(room: Room) -> None:
    host = room.host()
    assert (host.interface, host.address, host.front_door) == ("eth0", "192.0.2.7", "192.0.2.7:8884")
    assert host.broker == "mqtts://user@192.0.2.7:8883"
    assert (host.library_bytes_free, host.library_bytes_total, host.link_bits_per_second) == (5, 10, 10**9)
    assert host.warnings == ("mend it",)
    assert not host.can_boot
    room.newsroom.can_boot = True
    again = room.host()
    assert again.can_boot
    assert again.sequence == host.sequence + 1


def test_who_is_there_and_who_waits(room: Room) -> None:
    for number in (1, 2):
        room.attendance.hear(presence(number), 0.0)
    for number in range(MAX_APPLICANTS + 3):
        apply(room.waiting_room, Candidate(number))
    told = room.tell()
    (receivers,) = (news for news in told if isinstance(news, ReceiversNews))
    assert [each.receiver_id for each in receivers.receivers] == [receiver_id(1), receiver_id(2)]
    host = room.host()
    assert host.receiver_count == 2
    assert len(host.applicants) == MAX_APPLICANTS
    assert (host.applicants[0].seat, host.applicants[0].words) == ("seat-0", Candidate(0).words)


def test_what_should_be_mended_is_told_and_bounded(room: Room) -> None:
    room.attendance.hear(presence(1, machine="aa:bb"), 0.0)
    room.attendance.hear(presence(2, machine="aa:bb"), 0.0)
    room.newsroom.image_faults = ["x" * 1000]
    assert [len(each) for each in room.host().warnings[:2]] == [7, 400]
    assert "two receivers say that they are machine aa:bb" in room.host().warnings[2]
    room.newsroom.image_faults = ["x"] * 100
    assert len(room.host().warnings) == 32


def test_images_are_told_when_they_change_and_now_and_then(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def images() -> list[ImageNews]:
        return [image for news in room.tell() if isinstance(news, ImagesNews) for image in news.images]

    assert any(isinstance(news, ImagesNews) for news in room.tell())
    assert not any(isinstance(news, ImagesNews) for news in room.tell())
    room.newsroom.images = [IMAGE]
    assert images() == [IMAGE]
    assert images() == []
    room.open = [SimpleNamespace(tsi=TSI, news=lambda *_: [session_news()])]
    room.users = {("lab", 1): (TSI,)}
    assert [image.sessions for image in images()] == [(TSI,)]
    monkeypatch.setattr(module, "IMAGES_INTERVAL", 0.0)
    assert [image.sessions for image in images()] == [(TSI,)]
    assert room.host().sessions == (TSI,)
    assert session_news() in room.tell()


def test_captures_are_told_when_they_change_and_now_and_then(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    def captures() -> list[str]:
        return [each.machine for news in room.tell() if isinstance(news, CapturesNews) for each in news.captures]

    assert any(isinstance(news, CapturesNews) for news in room.tell())
    assert not any(isinstance(news, CapturesNews) for news in room.tell())
    room.captures = [Capture(record(), 0.0).news, Capture(record(machine="other"), 0.0).news]
    assert captures() == ["pc", "other"]
    assert captures() == []
    monkeypatch.setattr(module, "IMAGES_INTERVAL", 0.0)
    assert captures() == ["pc", "other"]
