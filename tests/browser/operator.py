"""An operator at a browser: a profile of its own, logged in or not, and what it does on every page."""

import re
from typing import Final, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, StorageState, expect

from tests.browser.witness import Witness
from tests.end_to_end.room import PATIENCE

DESKTOP: Final = (1280, 800)
"""[CSS pixels] of the page, unless a test says otherwise"""

PHONE: Final = (390, 844)
"""[CSS pixels] of a phone of today"""

ADMIN: Final = "ada"
PASSWORD: Final = "correct horse battery"


class Operator:
    """One browser profile with one page; at the end, what the browser complained of fails the test."""

    def __init__(
        self, browser: Browser, url: str, login: StorageState | None = None, size: tuple[int, int] = DESKTOP
    ) -> None:
        width, height = size
        self.url = url
        self._context = browser.new_context(
            base_url=url,
            ignore_https_errors=True,  # its authority is the room's own
            storage_state=login,
            viewport={"width": width, "height": height},
            is_mobile=size == PHONE,
            has_touch=size == PHONE,
        )
        self._context.set_default_timeout(PATIENCE * 1000)
        self._context.set_default_navigation_timeout(PATIENCE * 1000)
        self.witness = Witness(self._context, urlsplit(url).netloc)
        self.page = self._context.new_page()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._context.close()
        if kind is None:
            complaints = self.witness.verdict()
            assert not complaints, "\n".join(complaints)

    @property
    def login(self) -> StorageState:
        """Its cookies, with which another profile is logged in as well."""
        return self._context.storage_state()

    # What stands on every page

    def make_admin(self, word: str, name: str = ADMIN, password: str = PASSWORD) -> None:
        """Make the first account, with the word that was printed."""
        self.page.goto("/")
        self.page.locator("[name=word]").fill(word)
        self._send_form(name, password, "Make the account")

    def log_in(self, name: str = ADMIN, password: str = PASSWORD) -> None:
        """Fill in the login page, which is open."""
        self._send_form(name, password, "Log in")

    def _send_form(self, name: str, password: str, button: str) -> None:
        self.page.locator("[name=name]").fill(name)
        self.page.locator("[name=password]").fill(password)
        self.page.get_by_role("button", name=button).click()

    def open(self, path: str, title: str) -> None:
        """Go to a page, and wait until it lives: its heading is there and its socket is connected."""
        self.page.goto(path)
        self.sees_page(title)

    def sees_page(self, title: str) -> None:
        """The page with this heading is open and brought up to date."""
        expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        expect(self.page.locator(".top-bar .chip")).to_have_accessible_name("Connection: live")

    def width_taken(self) -> int:
        """[CSS pixels] More than the screen has where the page scrolls sideways."""
        return int(self.page.evaluate("document.documentElement.scrollWidth"))

    def seat_card(self, name: str) -> Locator:
        """A seat on the map of the room's page."""
        return self.page.locator(f'[data-seat="{name}"]')

    def sees_seat(self, name: str, words: str, timeout: float = PATIENCE) -> None:
        """The card of a seat says so; ``words`` is a pattern."""
        expect(self.seat_card(name)).to_have_accessible_name(re.compile(words), timeout=timeout * 1000)

    def is_told(self, words: str) -> None:
        """A message at the edge of the page says so; ``words`` is a pattern."""
        expect(self.page.locator(".q-notification", has_text=re.compile(words)).first).to_be_visible()

    def button(self, name: str, exact: bool = True) -> Locator:
        """A button of the page, or of the dialog that is open."""
        return self.page.get_by_role("button", name=name, exact=exact)

    def dialog(self, title: str) -> Locator:
        """The dialog with this title."""
        dialog = self.page.get_by_role("dialog", name=title)
        expect(dialog).to_be_visible()
        return dialog

    def choose(self, field: str, option: str) -> None:
        """Choose from a list."""
        self.page.get_by_role("combobox", name=field).click()
        self.page.get_by_role("option", name=option).click()

    def sees_row(self, seat: str, words: str) -> None:
        """The row of a seat in the table says so; ``words`` is a pattern."""
        expect(self.page.get_by_role("row", name=re.compile(rf"^{seat}\b"))).to_contain_text(re.compile(words))

    def start_session(self, room: str, image: str, machines: int, rate: int) -> None:
        """From the form of the plan to the page of the session, at ``rate`` [Mbit/s] at most."""
        self.open(f"/start?room={room}", "Start a session")
        expect(self.page.get_by_text(f"{machines} of {machines} machines of {room} switched on")).to_be_visible()
        self.choose("Image", image)
        self.page.get_by_label("At most (Mbit/s)").fill(str(rate))
        self.button("Make the plan").click()
        expect(self.page.get_by_text(f"To confirm, type {room} and {machines}")).to_be_visible()
        self.page.get_by_label("Name of the room").fill(room)
        self.page.get_by_label("Number of machines").fill(str(machines))
        self.button("Start and overwrite").click()
        self.sees_page(f"{image} version 1")
