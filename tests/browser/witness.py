"""What a browser said that nobody may hear: errors, refused scripts, requests to strangers.

Invariant: nothing is forgiven that a test has not named with ``forgive``.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError, WebSocket

INNER: Final = {"data", "blob", "about"}
"""schemes of addresses for which no network is used"""

COMPLAINTS: Final = {"error", "warning", "assert"}


class Witness:
    """Hears all pages of ``context``; ``origin`` is the only host:port that they may ask."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self._origin = origin
        self._forgiven: list[re.Pattern[str]] = []
        self._heard: list[str] = []
        self.requests = 0
        context.on("request", self._asked)
        context.on("console", self._said)
        context.on("weberror", self._threw)
        context.on("page", self._opened)

    def forgive(self, pattern: str) -> None:
        """Do not mind what this pattern is found in: the test provokes it."""
        self._forgiven.append(re.compile(pattern))

    def verdict(self) -> list[str]:
        """All that was wrong."""
        return [each for each in self._heard if not any(pattern.search(each) for pattern in self._forgiven)]

    def _asked(self, request: Request) -> None:
        self.requests += 1
        self._judge(request.url)

    def _opened(self, page: Page) -> None:
        page.on("websocket", self._connected)

    def _connected(self, socket: WebSocket) -> None:
        self._judge(socket.url)

    def _judge(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in INNER and parts.netloc != self._origin:
            self._heard.append(f"asked a stranger: {url[:200]}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in COMPLAINTS:
            self._heard.append(f"console {message.type}: {message.text} ({message.location})")

    def _threw(self, error: WebError) -> None:
        self._heard.append(f"uncaught: {error.error}")
