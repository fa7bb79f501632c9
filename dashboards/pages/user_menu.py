"""The menu of the user in the header: who it is, how the page looks, and the way out."""

from typing import Final

from nicegui import ui

from dashboards.pages.paths import LOGOUT
from dashboards.pages.visit import Visit

THEME_COOKIE: Final = "slatecast-theme"
THEMES: Final = {"auto": None, "light": False, "dark": True}
YEAR_SECONDS: Final = 31_536_000
"""[s] that a browser keeps the choice of its user"""


def user_menu(visit: Visit) -> None:
    """A button with its menu; the choice of light or dark is kept by the browser, so that no page flashes."""
    chosen = visit.request.cookies.get(THEME_COOKIE, "auto")
    theme = chosen if chosen in THEMES else "auto"
    dark = ui.dark_mode(THEMES[theme])

    def choose(name: str) -> None:
        dark.value = THEMES[name]
        cookie = f"{THEME_COOKIE}={name}; path=/; max-age={YEAR_SECONDS}; samesite=strict"
        ui.run_javascript(f"document.cookie = {cookie!r}")

    with ui.button(icon="account_circle", color=None).props("flat round") as button:
        button.props["aria-label"] = f"User {visit.user.name}"
        with ui.menu(), ui.column().classes("user-menu"):
            with ui.column().classes("gap-none"):
                ui.label(visit.user.name).classes("strong wrap-text")
                ui.label(visit.user.role.name.lower()).classes("muted small")
            ui.toggle(
                {name: name.capitalize() for name in THEMES}, value=theme, on_change=lambda event: choose(event.value)
            ).props('no-caps unelevated dense aria-label="Light or dark"').classes("theme-toggle")
            ui.separator()
            with ui.element("form").props(f"method=post action={LOGOUT}").classes("full-width"):
                # The guards put the login behind the request; its token proves that the form is of this page.
                token = getattr(getattr(visit.request.state, "login", None), "csrf_token", "")
                ui.element("input").props("type=hidden name=csrf").props["value"] = token
                leave = ui.button("Log out", icon="logout", color=None).props("flat no-caps align=left type=submit")
                leave.classes("full-width")
