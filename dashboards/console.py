"""The console as a whole: one application of pages, login and API over one desk, served until it is told to end.

broker --news--> ConsoleLink --> Fleet --> OperatorDesk <-- pages, API, metrics <-- Guard <-- browsers, programs
                    '<--orders-- OperatorDesk                RecordKeeper --> history, notices
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from dashboards.access.access import Access
from dashboards.access.guards import Guard, current_user
from dashboards.access.login_page import login_router
from dashboards.access.policy import AccessPolicy
from dashboards.api.app import API_ROOT, create_api
from dashboards.api.errors import add_error_answers
from dashboards.api.health import healthz_router
from dashboards.api.reports import reports_router
from dashboards.api.work import Work
from dashboards.config import ConsoleConfig
from dashboards.desk import Desk
from dashboards.fleet.fold import Fleet
from dashboards.fleet.views import SessionView
from dashboards.history.records import past_session
from dashboards.history.store import History
from dashboards.link import ConsoleLink
from dashboards.notices.notifier import Notifier, targets_of
from dashboards.operator_desk import OperatorDesk
from dashboards.pages.registration import pages, run_pages_with
from dashboards.policy_keeper import PolicyKeeper
from dashboards.prometheus.routes import prometheus_routes
from dashboards.record_keeper import RecordKeeper
from dashboards.rooms.book import RoomBook
from protocol.errors import TransportError
from protocol.link.tls import server_context
from protocol.signing import SigningKey

CLOSING_TIMEOUT: Final = 1
"""[s] for open pages to be told that the console ends; browsers hold their websockets open for ever."""

HISTORY_FILE: Final = "history.sqlite"
"""In the state folder."""


def create_app(desk: Desk, access: Access, work: Work) -> FastAPI:
    """The application; NiceGUI knows one of them in a process."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(login_router(access))
    app.include_router(healthz_router(desk))
    app.include_router(prometheus_routes(desk.fleet))
    app.include_router(reports_router(desk))
    app.mount(API_ROOT, create_api(desk, access, work))
    add_error_answers(app)
    pages(desk, access, work, lambda request: current_user(request, access))
    run_pages_with(app)
    app.add_middleware(Guard, access=access)
    return app


async def run(config: ConsoleConfig, on_ready: Callable[[], object]) -> None:
    """Serve operators until cancelled; ``on_ready`` is called when browsers can connect.

    Raises:
        ConfigError: something in the state folder cannot be used.
        TransportError: it cannot listen.
    """
    with _listening(config) as listener:
        access = Access(config.state, _policy(config))
        access.tokens.write_console_file(config.url, config.authority.decode())
        async with _desk(config) as desk:
            work = Work()
            try:
                await _serve(create_app(desk, access, work), config, listener, on_ready)
            finally:
                await work.close()


@asynccontextmanager
async def _desk(config: ConsoleConfig) -> AsyncIterator[OperatorDesk]:
    """The desk with all that it stands on."""
    fleet, rooms = Fleet(), RoomBook(config.state)
    history = History(config.state / HISTORY_FILE)
    notifier = Notifier(targets_of(config.notices))
    link = ConsoleLink(fleet, config.broker, director_key=config.director_key, console=SigningKey(config.signing_seed))
    try:
        async with notifier, link:
            policies = PolicyKeeper(rooms.current, lambda: fleet.generation, link.order)
            desk = OperatorDesk(
                fleet,
                link,
                rooms,
                history,
                problems=lambda: [*notifier.problems, *filter(None, [policies.problem])],
            )
            keeper = RecordKeeper(
                desk.started_sessions,
                desk.fetch_report,
                on_ended=[lambda session, report: _keep(history, session, report), notifier.session_ended],
                on_failed=[notifier.seat_failed],
            )
            async with keeper, policies:
                yield desk
    finally:
        await asyncio.to_thread(history.close)


def _keep(history: History, session: SessionView, report: dict[str, Any] | None) -> None:
    """It is told once when the session has ended, and again when its report is there."""
    if report is None:
        history.record(past_session(session, time.time()))
    else:
        history.record_report(session.tsi, report)


def _policy(config: ConsoleConfig) -> AccessPolicy:
    return AccessPolicy(
        hosts=frozenset({config.host, *config.names, "localhost", "127.0.0.1", socket.gethostname().lower()}),
        is_secure=config.https is not None,
        is_metrics_open=config.with_metrics,
    )


@contextlib.contextmanager
def _listening(config: ConsoleConfig) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        listener = socket.create_server((config.host, config.port), family=family, backlog=128)
    except OSError as error:
        raise TransportError(
            f"the console cannot listen at {config.host}:{config.port}: {error.strerror or error}; choose another "
            "address or port in [console]"
        ) from None
    with listener:
        yield listener


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs us, and says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends with the service also where the browser has just begun to close, which uvicorn takes for a mistake."""

    def shutdown(self) -> None:
        if self.handshake_complete and not self.close_sent and self.conn.state is not State.OPEN:
            self.stop_keepalive()
            self.transport.close()
        else:
            super().shutdown()


async def _serve(app: FastAPI, config: ConsoleConfig, listener: socket.socket, on_ready: Callable[[], object]) -> None:
    https = config.https
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws=_WebSocketProtocol,
            ws_max_size=1 << 20,
            timeout_graceful_shutdown=CLOSING_TIMEOUT,
            ssl_context_factory=None if https is None else lambda *_: server_context(https, client_authority=None),
        ),
        on_ready,
    )
    serving = asyncio.create_task(server.serve([listener]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
