"""Publishes all that operators should know: the host, the receivers that are there, the images, every session."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from broadcaster.captures.desk import CaptureDesk
from broadcaster.control_side import BrokerInUse
from broadcaster.host.attendance import Attendance
from broadcaster.host.catalogue import in_use
from broadcaster.host.news import captures_news, images_news, receivers_news
from broadcaster.host.sessions import Sessions
from broadcaster.host.vitals import Vitals
from broadcaster.waiting_room import WaitingRoom
from protocol.fields import MAX_LONG_TEXT, MAX_SHORT_TEXT
from protocol.link.front_door_address import FrontDoorAddress
from protocol.link.interfaces import InterfaceInfo
from protocol.link.mqtt import MqttLink
from protocol.operators import (
    MAX_APPLICANTS,
    ApplicantNews,
    CaptureNews,
    HostNews,
    ImageNews,
    News,
    news_topic,
    signed_news,
)
from protocol.signing import SigningKey

IMAGES_INTERVAL: Final = 2.0
"""[s] between two lists of images, or of captures, that say the same: a new console waits no longer for them."""

_MAX_WARNINGS: Final = 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is, which does not change while it runs."""

    interface: InterfaceInfo
    broker: BrokerInUse
    door: FrontDoorAddress
    library: str
    """path"""


class Newsroom:
    """Tells what there is to tell; its owner keeps what does not begin with an underscore up to date.

    Args:
        link: where the news go.
        director: signs them.
        place: where the host is.
        generation: that orders have to name now.
        sessions: of the host.
        attendance: who is there.
        waiting_room: who wants to be let in.
        captures: of the host.
        vitals: how the machine is.
    """

    def __init__(
        self,
        link: MqttLink,
        director: SigningKey,
        place: Place,
        *,
        generation: Callable[[], str],
        sessions: Sessions,
        attendance: Attendance,
        waiting_room: WaitingRoom,
        captures: CaptureDesk,
        vitals: Vitals,
    ) -> None:
        self.vitals = vitals
        self.images: list[ImageNews] = []
        self.image_faults: list[str] = []
        self.configurations: tuple[str, ...] = ()
        self.can_boot = False
        self._link = link
        self._director = director
        self._place = place
        self._generation = generation
        self._sessions = sessions
        self._attendance = attendance
        self._waiting_room = waiting_room
        self._captures = captures
        self._version = version("slatecast")
        self._started_at = time.time()
        self._sequence = 0
        self._told_images: list[ImageNews] | None = None
        self._images_told_at = 0.0
        self._told_captures: list[CaptureNews] | None = None
        self._captures_told_at = 0.0

    def tell(self) -> None:
        """Publish all of it."""
        now = time.monotonic()
        self._sequence += 1
        generation, sequence = self._generation(), self._sequence
        self._publish(self._host_news(now))
        sessions = self._sessions.by_receiver()
        for page in receivers_news(self._attendance.there(), sessions, generation=generation, sequence=sequence):
            self._publish(page)
        self._tell_images(now)
        self._tell_captures(now)
        for session in self._sessions.all():
            for news in session.news(generation, sequence):
                self._publish(news)

    def _tell_images(self, now: float) -> None:
        users = self._sessions.users()
        images = in_use(self.images, users) if users else self.images
        if images == self._told_images and now - self._images_told_at < IMAGES_INTERVAL:
            return
        self._told_images, self._images_told_at = images, now
        for page in images_news(images, generation=self._generation(), sequence=self._sequence):
            self._publish(page)

    def _tell_captures(self, now: float) -> None:
        captures = self._captures.news()
        if captures == self._told_captures and now - self._captures_told_at < IMAGES_INTERVAL:
            return
        self._told_captures, self._captures_told_at = captures, now
        for page in captures_news(captures, generation=self._generation(), sequence=self._sequence):
            self._publish(page)

    def _host_news(self, now: float) -> HostNews:
        place, interface = self._place, self._place.interface
        applicants = tuple(
            ApplicantNews(
                receiver_id=each.receiver_id,
                seat=each.seat[:MAX_SHORT_TEXT],
                address=each.address[:MAX_SHORT_TEXT],
                words=each.words[:MAX_SHORT_TEXT],
                waiting_seconds=max(0.0, now - each.pending_since),
            )
            for each in self._waiting_room.pending[:MAX_APPLICANTS]
        )
        return HostNews(
            generation=self._generation(),
            sequence=self._sequence,
            version=self._version,
            at=time.time(),
            started_at=self._started_at,
            interface=interface.name,
            address=interface.ipv4 or interface.ipv6 or "",
            front_door=str(place.door),
            broker=str(place.broker.address)[:MAX_SHORT_TEXT],
            link_bits_per_second=self.vitals.link_bits_per_second,
            is_link_up=self.vitals.is_link_up,
            library_path=place.library[:MAX_LONG_TEXT],
            library_bytes_free=self.vitals.bytes_free,
            library_bytes_total=self.vitals.bytes_total,
            sessions=tuple(session.tsi for session in self._sessions.open()),
            receiver_count=len(self._attendance),
            applicants=applicants,
            configurations=self.configurations,
            can_boot=self.can_boot,
            warnings=self._warnings(),
        )

    def _warnings(self) -> tuple[str, ...]:
        claimed = [
            f"two receivers say that they are machine {machine}: one of them must be given another name with --machine"
            for machine in self._attendance.claimed_twice()
        ]
        told = (*self.vitals.warnings, *self.image_faults, *claimed)
        return tuple(each[:MAX_LONG_TEXT] for each in told[:_MAX_WARNINGS])

    def _publish(self, news: News) -> None:
        self._link.publish(news_topic(news), signed_news(news, self._director), supersedes=True)
