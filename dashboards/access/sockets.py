"""Websockets that live no longer than the login behind them."""

import asyncio
import contextlib
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.access.access import Access
from dashboards.access.sessions import Login

CLOSED_BY_GUARD: Final = 4401
"""Close code (4000 to 4999 are for applications) that tells a page to log in again."""

_DEED: Final = '42["event"'
"""How Socket.IO begins what an operator does in NiceGUI; heartbeats and acknowledgements begin otherwise."""


async def close_unopened(receive: Receive, send: Send) -> None:
    """Refuse a websocket before it is open; a browser sees 403."""
    await receive()
    await send({"type": "websocket.close", "code": CLOSED_BY_GUARD})


class GuardedSocket:
    """One websocket with the login that opened it; made in a running event loop, and run once."""

    def __init__(self, access: Access, login: Login, receive: Receive, send: Send) -> None:
        self._access = access
        self._login = login
        self._receive = receive
        self._send = send
        self._ended = asyncio.Event()
        self._incoming: asyncio.Future[Message] | None = None
        self._watch = asyncio.ensure_future(self._end_in_time())

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run ``app`` on the websocket until either of them or the login ends."""
        self._login.on_end.append(self._ended.set)
        running = asyncio.ensure_future(app(scope, self._receive_until_end, self._send_until_end))
        try:
            await asyncio.wait({running, self._watch}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await self._send({"type": "websocket.close", "code": CLOSED_BY_GUARD})
            await running
        finally:
            for task in (running, self._watch, self._incoming):
                if task is not None:
                    task.cancel()
            if self._ended.set in self._login.on_end:
                self._login.on_end.remove(self._ended.set)

    async def _end_in_time(self) -> None:
        """Until the login has ended, by its time as well."""
        while not self._login.is_ended:
            now = self._access.now()
            self._access.sessions.end_overdue(now)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), max(0.0, self._access.sessions.ends_at(self._login) - now))

    async def _receive_until_end(self) -> Message:
        self._incoming = self._incoming or asyncio.ensure_future(self._receive())
        waited_for: set[asyncio.Future[Any]] = {self._incoming, self._watch}
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        if self._login.is_ended:
            return {"type": "websocket.disconnect", "code": CLOSED_BY_GUARD}
        message, self._incoming = self._incoming.result(), None
        if str(message.get("text") or "").startswith(_DEED):
            self._login.used_at = self._access.now()
        return message

    async def _send_until_end(self, message: Message) -> None:
        if not self._login.is_ended:
            await self._send(message)
