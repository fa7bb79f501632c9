"""The frame around every page: header, navigation, state of the connection, help, and what is said aloud.

It shows how old the picture is and why, so that nobody takes an old one for the room as it is: a lost connection to
the console (which only the browser can see), a broker or a broadcaster that is silent, a picture that cannot be made.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nicegui import events, ui

from dashboards.fleet.views import FleetView, Health
from dashboards.pages import paths
from dashboards.pages.pickers import PlacePicker
from dashboards.pages.quantities import age_in_words, duration_in_words
from dashboards.pages.trouble import Troubles, new_trouble, troubles
from dashboards.pages.user_menu import user_menu
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words
from dashboards.user import Role

STALE_SECONDS: Final = 3.0
"""[s] age from which the picture is called old: two of the broadcaster's words were missed"""

STYLE: Final = Path(__file__).parent / "console.css"
BROWSER_SIDE: Final = Path(__file__).parent / "console.js"
"""what only a browser can know: that its connection is lost, and whether its tab is seen"""

ASSETS: Final = {"/console.css": STYLE, "/console.js": BROWSER_SIDE}
"""paths under which they are served: the content security policy of the console lets no inline script of ours run"""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A page of the navigation."""

    path: str
    title: str
    icon: str
    key: str
    """letter that opens it after "g" """
    role: Role = Role.VIEWER


MENU: Final = (
    MenuEntry(paths.ROOMS, "Rooms", "grid_view", "r"),
    MenuEntry(paths.SESSIONS, "Sessions", "podcasts", "s"),
    MenuEntry(paths.START, "Start a session", "play_circle", "n", Role.OPERATOR),
    MenuEntry(paths.LIBRARY, "Library", "inventory_2", "l"),
    MenuEntry(paths.CAPTURES, "Captures", "add_a_photo", "d"),
    MenuEntry(paths.HISTORY, "History", "history", "h"),
    MenuEntry(paths.EDIT_ROOMS, "Edit rooms", "edit_location_alt", "e", Role.OPERATOR),
    MenuEntry(paths.AUDIT, "Audit", "policy", "a", Role.ADMIN),
    MenuEntry(paths.HEALTH, "Health", "monitor_heart", "c"),
    MenuEntry(paths.ACCOUNTS, "Accounts", "manage_accounts", "u"),
)


class Shell:
    """Builds the frame; the page's own content goes into ``content``."""

    def __init__(self, visit: Visit, title: str, path: str) -> None:
        self._visit = visit
        self._path = path
        self._troubles: Troubles = troubles(visit.picture())
        self._waits_for_letter = False
        self._menu = [entry for entry in MENU if visit.may(entry.role)]
        ui.add_head_html('<link rel="stylesheet" href="/console.css"><script src="/console.js" defer></script>')
        ui.page_title(f"{title} · slatecast")
        self._header()
        self._drawer = self._navigation()
        self._help = self._help_dialog()
        self._banner()
        self.content = ui.element("div").classes("page")
        ui.skip_link(target=self.content)
        self._live = ui.label().classes("only-read-aloud").props("role=status aria-live=polite")
        ui.keyboard(on_key=self._key, ignore=["input", "select", "textarea"], repeating=False)
        ui.on("slatecastVisibility", lambda event: visit.set_hidden(bool(event.args)))
        visit.watch(self._look, self._missed)

    def _header(self) -> None:
        with ui.header(bordered=True, wrap=False).classes("top-bar"):
            menu = ui.button(icon="menu", on_click=lambda _: self._drawer.toggle(), color=None).props("flat round")
            menu.classes("menu-button").props["aria-label"] = "Open or close the navigation"
            with ui.link(target=paths.ROOMS).classes("product").props('aria-label="slatecast, to the rooms"'):
                ui.icon("podcasts").props("aria-hidden=true")
                ui.label("slatecast").classes("product-name")
            self._picker = PlacePicker(self._visit)
            ui.space()
            with ui.link(target=paths.HEALTH).classes("chip") as self._chip:
                self._chip_icon = ui.icon("sensors").props("aria-hidden=true")
                self._chip_words = ui.label("live").classes("chip-words")
            help_button = ui.button(icon="help_outline", on_click=lambda _: self._help.open(), color=None).props(
                "flat round"
            )
            help_button.classes("not-on-phone").props["aria-label"] = "Shortcuts"
            user_menu(self._visit)

    def _navigation(self) -> ui.left_drawer:
        # Without a value the console would ask each browser for it, and wait for one that has left already.
        drawer = ui.left_drawer(value=False, bordered=True).classes("navigation")
        drawer.props("width=220 breakpoint=1023 show-if-above")
        with drawer, ui.element("nav").props('aria-label="Main"'), ui.list().props("role=none"):
            for entry in self._menu:
                self._menu_item(entry)
        return drawer

    def _menu_item(self, entry: MenuEntry) -> None:
        is_here = entry.path == self._path
        with ui.item().props("clickable tag=a role=link").classes("menu-item" + (" here" if is_here else "")) as item:
            item.props["href"] = entry.path
            if is_here:
                item.props["aria-current"] = "page"
            with ui.item_section().props("avatar"):
                ui.icon(entry.icon).props("aria-hidden=true")
            ui.item_section(entry.title)

    def _help_dialog(self) -> ui.dialog:
        with ui.dialog() as dialog, ui.card().classes("dialog-card"):
            dialog.props["aria-label"] = "Shortcuts"
            Words("h2", "Shortcuts").classes("dialog-title")
            with ui.element("dl").classes("shortcuts"):
                for keys, words in [
                    ("?", "these shortcuts"),
                    *((f"g {entry.key}", entry.title) for entry in self._menu),
                    ("Tab, Shift + Tab", "from one control to the next, and back"),
                    ("arrow keys", "from seat to seat on the map"),
                    ("Enter", "open the seat, press the button"),
                    ("Escape", "close what is open"),
                ]:
                    with ui.element("dt"):
                        for key in keys.split(" ") if keys.startswith("g ") else [keys]:
                            Words("kbd", key)
                    with ui.element("dd"):
                        ui.label(words)
            with ui.row().classes("dialog-actions"):
                ui.button("Close", on_click=dialog.close).props("flat no-caps")
        return dialog

    def _banner(self) -> None:
        with ui.element("div").classes("banners").props("role=alert"):
            with ui.row(wrap=False).classes("banner") as self._trouble:
                ui.icon("cloud_off").props("aria-hidden=true")
                self._trouble_words = ui.label().classes("wrap-text")
            with ui.row(wrap=False).classes("banner") as self._fault:
                ui.icon("report").props("aria-hidden=true")
                self._fault_words = ui.label().classes("wrap-text")
        self._trouble.visible = self._fault.visible = False

    async def _key(self, event: events.KeyEventArguments) -> None:
        if not event.action.keydown or event.modifiers.ctrl or event.modifiers.alt or event.modifiers.meta:
            return
        key = event.key.name
        if self._waits_for_letter:
            self._waits_for_letter = False
            for entry in self._menu:
                if key == entry.key:
                    ui.navigate.to(entry.path)
        elif key == "g":
            self._waits_for_letter = True
        elif key == "?":
            self._help.open()

    def _look(self, picture: FleetView) -> None:
        health = picture.health
        self._show_connection(silence_in_words(health), *_chip(health))
        self._picker.look(picture)
        now = troubles(picture)
        if words := new_trouble(self._troubles, now):
            self._live.text = words
        self._troubles = now
        faults = [watch.fault for watch in self._visit.watches if watch.fault]
        self._fault.visible = bool(faults)
        if faults:
            self._fault_words.text = f"A part of this page is not brought up to date: {faults[0]}. Load it anew."

    def _missed(self, age: float) -> None:
        words = f"The console cannot make a new picture; this one was made {age_in_words(age)}. See its log."
        self._show_connection(words, "error", f"{duration_in_words(age)} old", "bad")

    def _show_connection(self, trouble: str, icon: str, words: str, tone: str) -> None:
        self._trouble.visible = bool(trouble)
        self._trouble_words.text = trouble
        self._chip_icon.props["name"] = icon
        self._chip_words.text = words
        self._chip.classes(replace=f"chip tone-{tone}")
        self._chip.props["aria-label"] = f"Connection: {words}"


def _chip(health: Health) -> tuple[str, str, str]:
    if not health.is_broker_connected:
        return "cloud_off", "no broker", "bad"
    if health.age_seconds is None:
        return "cloud_off", "no broadcaster", "bad"
    if not health.is_broadcaster_heard or health.age_seconds >= STALE_SECONDS:
        return "history", f"{duration_in_words(health.age_seconds)} old", "bad"
    return "sensors", "live", "good"


def silence_in_words(health: Health) -> str:
    """Why the picture is not of now, how old it is and what to do; empty when all is well."""
    age = (
        "Nothing has been heard yet."
        if health.age_seconds is None
        else f"What you see was told {age_in_words(health.age_seconds)}."
    )
    if not health.is_broker_connected:
        return f"The broker cannot be reached ({health.broker_text}). {age} Casts go on without this page."
    if not health.is_broadcaster_heard:
        return f"The broadcaster is silent. {age} Look whether slatecast serve is running."
    return ""
