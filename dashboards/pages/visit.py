"""One open page of one user: what it may see and do, and how it is told what became of it.

A page acts through ``Visit.act`` alone, which asks anew who the user is: whoever has logged out, or lost a role, acts
no more on a page that is still open.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, overload

from fastapi import Request
from nicegui import Client, background_tasks, ui

from dashboards.access.access import Access
from dashboards.api.work import Work
from dashboards.desk import Desk
from dashboards.fleet.views import FleetView
from dashboards.pages.paths import LOGIN
from dashboards.pages.seat_words import plain
from dashboards.pages.ticker import Look, Ticker, Watch
from dashboards.user import Role, User
from protocol.errors import SlatecastError

CurrentUser = Callable[[Request], User | None]
"""who has logged in with the session that a request belongs to; None for nobody"""

Refused = Callable[[str], object]
"""shows why something was refused"""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Place:
    """What all pages of one console stand on."""

    desk: Desk
    access: Access
    work: Work
    current_user: CurrentUser


class Visit:
    """What a page is built with."""

    def __init__(self, place: Place, ticker: Ticker, request: Request, user: User) -> None:
        self.desk = place.desk
        self.access = place.access
        self.work = place.work
        self.user = user
        self.request = request
        self.client: Client = ui.context.client
        self.watches: list[Watch] = []
        self._ticker = ticker
        self._current_user = place.current_user

    @property
    def parameters(self) -> Mapping[str, str]:
        """Of the path, decoded: {"room": "Lab 1"}."""
        return self.request.path_params

    def query(self, name: str) -> str:
        """A parameter behind the path's question mark; empty when it is not there."""
        return self.request.query_params.get(name, "")

    def may(self, role: Role) -> bool:
        """Whether to offer what ``role`` may do; the desk decides again when it is done."""
        return self.user.role >= role

    def picture(self) -> FleetView:
        """The newest picture."""
        return self._ticker.picture()

    def watch(self, look: Look, missed: Callable[[float], object] | None = None) -> None:
        """Look now, and then at each new picture, once a second."""
        look(self.picture())
        self.watches.append(self._ticker.watch(self.client, look, missed))

    def set_hidden(self, is_hidden: bool) -> None:
        """Whether the tab is in the background."""
        for watch in self.watches:
            watch.set_hidden(is_hidden)

    def handler(self, action: Callable[..., object], *values: object) -> Callable[..., Awaitable[None]]:
        """``action`` with ``values`` as what a button does.

        It runs in the context of the page, and so outlives the button, which a newer picture may have taken away.
        """

        async def handle(_: object = None) -> None:
            with self.client:
                result = action(*values)
                if inspect.isawaitable(result):
                    await result

        return handle

    @overload
    async def act(
        self, action: Callable[[User], Awaitable[Result]], done: str = "", refused: Refused | None = None
    ) -> Result | None: ...

    @overload
    async def act(
        self, action: Callable[[User], Result], done: str = "", refused: Refused | None = None
    ) -> Result | None: ...

    async def act(self, action: Callable[[User], object], done: str = "", refused: Refused | None = None) -> object:
        """Do ``action``; its result, or None when it was refused, which the user is told in words.

        ``done`` is what the user is told when it was not; ``refused`` tells the refusal where it arises.
        """
        user = self._current_user(self.request)
        if user is None:
            ui.navigate.to(LOGIN)
            return None
        try:
            outcome = action(user)
            result = await outcome if inspect.isawaitable(outcome) else outcome
        except SlatecastError as error:
            if refused is not None:
                refused(str(error))
            else:
                tell(str(error), is_refusal=True)
            return None
        if done:
            tell(done)
        self._show_at_once()
        return result

    def _show_at_once(self) -> None:
        """Let every page see what was changed without waiting for the next second."""
        background_tasks.create(self._ticker.tick(), name="show what was changed")


def tell(words: str, *, is_refusal: bool = False) -> None:
    """A message at the edge of the page; a refusal stays until it is closed."""
    words = plain(words)
    if is_refusal:
        ui.notify(words, type="negative", multi_line=True, timeout=0, close_button="Close", position="bottom")
    else:
        ui.notify(words, type="positive", multi_line=True, position="bottom")
