"""The console as Prometheus sees it, over a fleet that is played: its routes behind its guard, by HTTPS; no broker."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from broadcaster.authority import Authority
from broadcaster.broker import LOOPBACK
from dashboards.access.access import Access
from dashboards.access.guards import Guard
from dashboards.access.policy import AccessPolicy
from dashboards.fleet.fold import Fleet
from dashboards.fleet.health import health_of
from dashboards.fleet.views import FleetView
from dashboards.prometheus.routes import prometheus_routes
from dashboards.user import Role, User
from protocol.link.tls import server_context
from tests.dashboards.played_fleet import PlayedFleet
from tests.end_to_end.room import free_port, wait_until


@dataclass(frozen=True)
class ConsoleExporter:
    """Where to scrape, and what is being cast there."""

    address: str
    """host:port"""
    room: str
    authority: bytes
    """PEM of who issued its certificate"""
    token: str
    """of a viewer"""


@contextmanager
def console_exporter(folder: Path, receiver_ports: Sequence[int]) -> Iterator[ConsoleExporter]:
    """A console with its state in ``folder``, whose receivers have exporters on these ports of this machine."""
    played = _PlayedConsole(receiver_ports)
    app, port = FastAPI(), free_port()
    app.include_router(prometheus_routes(played.view))
    folder.mkdir(mode=0o700)
    access = Access(folder, AccessPolicy(hosts=frozenset({LOOPBACK})))
    app.add_middleware(Guard, access=access)
    access.accounts.add("kim", access.accounts.hashed("kim", "a long enough passphrase"), Role.ADMIN)
    _, token = access.tokens.make(User("kim", Role.ADMIN), "prometheus", Role.VIEWER)
    authority = Authority.create()
    tls = server_context(authority.server_identity([LOOPBACK]), client_authority=None)
    server = uvicorn.Server(
        uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning", ssl_context_factory=lambda *_: tls)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, "the console")
        yield ConsoleExporter(f"{LOOPBACK}:{port}", played.room, authority.certificate, token)
    finally:
        server.should_exit = True
        thread.join()


class _PlayedConsole:
    """A cast that has run for a while when it is first looked at, and goes on in real time."""

    def __init__(self, receiver_ports: Sequence[int]) -> None:
        self._play = PlayedFleet(rooms=2, seats=12, cast_seconds=120.0)
        self._fleet = Fleet()
        self._ports = receiver_ports
        self._begun = time.monotonic()
        self._seconds = 0
        self.room = self._play.rooms.rooms[0].name
        tsi = self._play.plan(self.room)
        self._play_until(5)
        self._play.start(tsi)
        self._play_until(45)
        self._ahead = self._seconds

    def view(self) -> FleetView:
        self._play_until(self._ahead + int(time.monotonic() - self._begun))
        health = health_of(self._fleet.host, 0.0, is_broker_connected=True, broker_text="played", at=self._play.now)
        view = self._fleet.view(self._play.rooms, health, float(self._seconds), self._play.now)
        receivers = [seat.receiver_id for seat in view.rooms[0].seats if seat.receiver_id]
        exporters = tuple(zip(receivers, (f"127.0.0.1:{port}" for port in self._ports), strict=False))
        return replace(view, exporters=exporters)

    def _play_until(self, seconds: int) -> None:
        while self._seconds < seconds:
            self._seconds += 1
            for news in self._play.step():
                self._fleet.receive(news, float(self._seconds))
