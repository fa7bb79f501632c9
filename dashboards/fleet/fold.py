"""The fleet, folded from the broadcaster's News into one picture. Pure: no time but ``now``, no rooms but those given.

News may be lost, repeated, late or out of order: the newest by ``sequence`` stands. Sequences count within one
generation, one start of the broadcaster. Another generation takes over with a word of its host that it was started
later, or after the present one has been silent for SILENCE (its machine's clock may have been set back); words of it
that come before that wait. Then lists begin anew, and sessions go on where they are told of again; one that is not has
ended. Ended sessions stay until KEPT_SESSIONS newer ones have ended.
"""

from collections import deque
from collections.abc import Iterator
from math import inf
from typing import Final

from dashboards.fleet.capture_view import capture_view
from dashboards.fleet.paged import Paged
from dashboards.fleet.room_view import RoomPlaces
from dashboards.fleet.session_fold import SessionFold
from dashboards.fleet.views import FleetView, Health, SessionView
from dashboards.rooms.rooms import Rooms
from protocol.operators import (
    CaptureNews,
    CapturesNews,
    HostNews,
    ImageNews,
    ImagesNews,
    News,
    ReceiverNews,
    ReceiversNews,
    SeatsNews,
    SessionNews,
    SessionStep,
    news_topic,
)

KEPT_SESSIONS: Final = 20
"""sessions that have ended and are still shown; older ones are in the history"""

SILENCE: Final = 5.0
"""[s] Five words of the broadcaster missed in a row: it is gone, or nothing of it arrives."""

GIVEN_UP: Final = 5.0
"""[s] for which the broadcaster has told of others, but no more of a session that it does not name as open either."""

MAX_EARLY: Final = 512
"""[messages] of a generation that has not introduced itself: more than all its lists have pages"""

_MAX_PAST: Final = 64
"""[generations] that are over and may not come back; bounds what restarts without end can take"""


class Fleet:
    """The picture; ``now`` is seconds of any clock that never runs backwards."""

    def __init__(self) -> None:
        self.host: HostNews | None = None
        """the newest word of the broadcaster"""
        self.host_heard_at = -inf
        """s, when it came"""
        self._past: deque[str] = deque(maxlen=_MAX_PAST)
        self._early: dict[tuple[str, str], News] = {}
        self._receivers: Paged[ReceiverNews] = Paged(lambda receiver: receiver.receiver_id)
        self._images: Paged[ImageNews] = Paged(lambda image: (image.name, image.version))
        self._captures: Paged[CaptureNews] = Paged(lambda capture: capture.capture_id)
        self._sessions: dict[str, SessionFold] = {}
        self._places = RoomPlaces()

    @property
    def generation(self) -> str:
        """Of the broadcaster as it runs now; empty when it has not been heard."""
        return "" if self.host is None else self.host.generation

    def receive(self, news: News, now: float) -> bool:
        """Take news whose origin was proved; False when it says nothing new."""
        if isinstance(news, HostNews):
            return self._receive_host(news, now)
        if news.generation != self.generation:
            if news.generation not in self._past:
                self._early[news.generation, news_topic(news)] = news
                while len(self._early) > MAX_EARLY:
                    del self._early[next(iter(self._early))]
            return False
        match news:
            case ReceiversNews() | ImagesNews() | CapturesNews():
                return self._receive_page(news)
            case SeatsNews():
                return self._session(news.tsi).receive_seats(news, now)
            case SessionNews():
                return self._receive_session(news, now)

    def view(self, rooms: Rooms, health: Health, now: float, at: float | None = None) -> FleetView:
        """All of it for these rooms; ``at`` is our time of day in seconds since 1970, ``now`` when left out."""
        sessions = self._session_views(now)
        started = [fold.tsi for fold in self._sessions.values() if fold.was_started]
        room_views, tray = self._places.view(rooms, sessions, started, self._receivers)
        return FleetView(
            at=now if at is None else at,
            health=health,
            rooms=room_views,
            tray=tray,
            sessions=sessions,
            applicants=self.host.applicants if self.host is not None else (),
            images=tuple(self._images),
            captures=tuple(map(capture_view, self._captures)),
            exporters=tuple((each.receiver_id, each.metrics) for each in self._receivers if each.metrics),
            is_library_known=self._images.is_complete,
            configurations=self.host.configurations if self.host is not None else (),
            can_boot=self.host is not None and self.host.can_boot,
        )

    def session(self, tsi: str, now: float) -> SessionView | None:
        """One session of the picture."""
        fold = self._sessions.get(tsi)
        return None if fold is None else fold.view(now, is_given_up=self._is_given_up(fold))

    def was_started(self, tsi: str) -> bool:
        """Whether a session has been more than a plan."""
        fold = self._sessions.get(tsi)
        return fold is not None and fold.was_started

    def receivers(self) -> Iterator[ReceiverNews]:
        """Admitted receivers that are there."""
        return iter(self._receivers)

    def _receive_host(self, news: HostNews, now: float) -> bool:
        host = self.host
        if host is not None and news.generation == host.generation:
            if news.sequence <= host.sequence:
                return False
        elif not self._takes_over(news, now):
            return False
        else:
            self._switch(news)
        self.host, self.host_heard_at = news, now
        waiting = [early for (generation, _), early in self._early.items() if generation == news.generation]
        self._early = {} if waiting else self._early
        for early in waiting:
            self.receive(early, now)
        return True

    def _takes_over(self, news: HostNews, now: float) -> bool:
        if self.host is None:
            return True
        if news.generation in self._past:
            return False
        return news.started_at > self.host.started_at or now - self.host_heard_at > SILENCE

    def _switch(self, news: HostNews) -> None:
        if self.host is not None:
            self._past.append(self.host.generation)
        self._receivers = Paged(lambda receiver: receiver.receiver_id)
        self._images.restarted()
        self._captures = Paged(lambda capture: capture.capture_id)
        for fold in self._sessions.values():
            fold.restarted()

    def _receive_page(self, news: ReceiversNews | ImagesNews | CapturesNews) -> bool:
        match news:
            case ReceiversNews():
                self._receivers.receive_count(news.sequence, news.pages)
                return self._receivers.receive(news.sequence, news.page, news.receivers)
            case ImagesNews():
                self._images.receive_count(news.sequence, news.pages)
                return self._images.receive(news.sequence, news.page, news.images)
            case CapturesNews():
                self._captures.receive_count(news.sequence, news.pages)
                return self._captures.receive(news.sequence, news.page, news.captures)

    def _receive_session(self, news: SessionNews, now: float) -> bool:
        assert self.host is not None  # its generation is the host's
        is_new = self._session(news.tsi).receive_head(news, now, self.host.at + max(0.0, now - self.host_heard_at))
        if news.step is SessionStep.ENDED:
            self._forget_old_ones()
        return is_new

    def _session(self, tsi: str) -> SessionFold:
        if tsi not in self._sessions:
            self._sessions[tsi] = SessionFold(tsi)
            self._forget_old_ones()
        return self._sessions[tsi]

    def _forget_old_ones(self) -> None:
        ended = [fold for fold in self._sessions.values() if fold.head is not None and not self._is_open(fold)]
        for fold in sorted(ended, key=lambda fold: fold.heard_at)[:-KEPT_SESSIONS]:
            del self._sessions[fold.tsi]

    def _is_open(self, fold: SessionFold) -> bool:
        return fold.step(is_given_up=self._is_given_up(fold)) is not SessionStep.ENDED

    def _is_given_up(self, fold: SessionFold) -> bool:
        return (
            self.host is not None
            and fold.tsi not in self.host.sessions
            and self.host_heard_at - fold.heard_at > GIVEN_UP
            and fold.head is not None
            and fold.head.step is not SessionStep.ENDED
        )

    def _session_views(self, now: float) -> tuple[SessionView, ...]:
        views = [fold.view(now, is_given_up=self._is_given_up(fold)) for fold in self._sessions.values()]
        known = [view for view in views if view is not None]
        return tuple(sorted(known, key=lambda view: (view.step is SessionStep.ENDED, -view.opened_at, view.tsi)))
