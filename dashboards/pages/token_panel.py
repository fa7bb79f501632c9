"""Tokens, by which programs act for somebody: made, shown this once, and revoked."""

import time
from typing import Final

from nicegui import ui

from dashboards.access.tokens import Token
from dashboards.pages.dialogs import confirmed
from dashboards.pages.listing import ACTIONS, Listing
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.visit import Visit
from dashboards.pages.words import Words, section_title
from dashboards.user import Role, User
from protocol.errors import RefusedError
from protocol.operators import Severity

HEADINGS: Final = ("Token", "Of", "Role", "Made", "Last used", "Ends", ACTIONS)
NEVER: Final = 0
LIFETIMES: Final = {30: "30 days", 90: "90 days", 365: "a year", NEVER: "until it is revoked"}
DAY_SECONDS: Final = 86_400.0
"""[s] of a day, in which lifetimes are chosen"""


class TokenPanel:
    """One's own tokens; an admin sees those of everybody."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("section").classes("panel form-panel"):
            section_title("Tokens")
            ui.label("A program proves with a token whom it acts for. It may never do more than its account.").classes(
                "muted wrap-text"
            )
            self._nothing = ui.label("There is no token.").classes("muted")
            self._listing = Listing("Tokens", HEADINGS)
            with ui.element("div").classes("fields"):
                self._name = ui.input(label="Name of a new token").props("outlined autocomplete=off")
                roles = {role: role.name.lower() for role in Role if role <= visit.user.role}
                self._role = ui.select(roles, value=Role.VIEWER, label="Role").props("outlined")
                self._lifetime = ui.select(LIFETIMES, value=90, label="It holds").props("outlined")
            self._refusal = Note()
            self._name.on_value_change(lambda _: self._refusal.clear())
            self._name.on("keydown.enter", visit.handler(self._make))
            with ui.row().classes("actions at-left"):
                button = ui.button("Make the token", icon="vpn_key", on_click=visit.handler(self._make))
                button.props("unelevated no-caps")
        self._show()

    def _show(self) -> None:
        of = None if self._visit.may(Role.ADMIN) else self._visit.user.name
        tokens = self._visit.access.tokens.of(of)
        self._nothing.visible = not tokens
        self._listing.element.visible = bool(tokens)
        self._listing.clear()
        for token in tokens:
            self._row(token)

    def _row(self, token: Token) -> None:
        listing = self._listing
        with listing.row():
            listing.text(token.name, "strong")
            listing.text(token.account)
            listing.text(token.role.name.lower())
            for at, otherwise in ((token.created_at, ""), (token.last_used_at, "not yet"), (token.expires_at, "never")):
                with listing.cell():
                    if at is None:
                        Words("span", otherwise)
                    else:
                        LocalTime(at, with_date=True)
            with listing.cell():
                button = ui.button("Revoke", on_click=self._visit.handler(self._revoke, token))
                button.props("flat dense no-caps color=negative")
                button.props["aria-label"] = f"Revoke token {token.name} of {token.account}"

    async def _make(self) -> None:
        name, role = (self._name.value or "").strip().lower(), Role(self._role.value)
        lifetime = self._lifetime.value
        ends = time.time() + lifetime * DAY_SECONDS if lifetime else None
        made = await self._visit.act(
            lambda user: self._visit.access.tokens.make(user, name, role, ends), refused=self._refusal.show
        )
        if made is None:
            return
        self._name.value = ""
        self._show()
        await _shown_once(*made)

    async def _revoke(self, token: Token) -> None:
        if not await confirmed(
            f"Revoke token {token.name} of {token.account}?", "Programs that use it are let in no more.", "Revoke"
        ):
            return

        def revoke(user: User) -> bool:
            if user.role < Role.ADMIN and token.account != user.name:
                raise RefusedError("you have no such token: look at the list again")
            self._visit.access.tokens.revoke(token.token_id)
            return True

        if await self._visit.act(revoke, f"Token {token.name} is revoked."):
            self._show()


async def _shown_once(token: Token, secret: str) -> None:
    """Show what nobody can read again; the page forgets it when that is closed."""
    with ui.context.client, ui.dialog().props("persistent") as dialog, ui.card().classes("dialog-card"):
        dialog.props["aria-label"] = f"Token {token.name}"
        Words("h2", f"Token {token.name}").classes("dialog-title")
        Note(Severity.WARNING).show("Copy it now: it is shown this once, and nobody can read it again.")
        Words("code", secret).classes("typed-word")
        with ui.row().classes("dialog-actions"):
            ui.button("Copy", icon="content_copy", on_click=lambda _: ui.clipboard.write(secret)).props(
                "outline no-caps"
            )
            ui.button("I have it", on_click=lambda _: dialog.submit(True)).props("unelevated no-caps")
    await dialog
    dialog.delete()
