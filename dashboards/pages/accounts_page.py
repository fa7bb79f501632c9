"""One's own password and tokens; for an admin, the accounts and the tokens of everybody."""

from typing import Final

from nicegui import ui

from dashboards import desk_rules as rules
from dashboards.access.accounts import Account
from dashboards.access.names import MIN_PASSWORD
from dashboards.pages.dialogs import confirmed
from dashboards.pages.listing import ACTIONS, Listing
from dashboards.pages.local_time import LocalTime
from dashboards.pages.notes import Note
from dashboards.pages.paths import LOGIN
from dashboards.pages.token_panel import TokenPanel
from dashboards.pages.visit import Visit, tell
from dashboards.pages.words import Words, page_title, section_title
from dashboards.user import Role, User

HEADINGS: Final = ("Account", "Role", "Made", "Changed", ACTIONS)
ROLES: Final = {role: role.name.lower() for role in Role}
WHAT_ROLES_MAY: Final = (
    "A viewer looks; an operator also plans, starts and stops sessions, admits receivers and edits rooms; "
    "an admin also manages images and accounts, and reads the audit log."
)
ENDS_LOGINS: Final = "Every login of the account ends with it."


def build_accounts(visit: Visit) -> None:
    """The page of accounts and tokens."""
    page_title("Accounts")
    _OwnPassword(visit)
    TokenPanel(visit)
    if visit.may(Role.ADMIN):
        _Accounts(visit)


def password_field(label: str, autocomplete: str) -> ui.input:
    """An input for a password, which can be shown."""
    field = ui.input(label=label, password=True, password_toggle_button=True).props("outlined")
    field.props["autocomplete"] = autocomplete
    return field


class _OwnPassword:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("section").classes("panel form-panel"):
            section_title("Your password")
            ui.label(f"At least {MIN_PASSWORD} characters. You log in anew afterwards, everywhere.").classes("muted")
            with ui.element("div").classes("fields"):
                self._old = password_field("Present password", "current-password")
                self._new = password_field("New password", "new-password")
                self._again = password_field("New password again", "new-password")
            self._refusal = Note()
            for field in (self._old, self._new, self._again):
                field.on_value_change(lambda _: self._refusal.clear())
                field.on("keydown.enter", visit.handler(self._change))
            with ui.row().classes("actions at-left"):
                button = ui.button("Change the password", icon="key", on_click=visit.handler(self._change))
                button.props("unelevated no-caps")

    async def _change(self) -> None:
        old, new = self._old.value or "", self._new.value or ""
        if new != (self._again.value or ""):
            self._refusal.show("The new password was typed in two ways: type it anew.")
            return
        client = self._visit.request.client

        async def change(user: User) -> bool:
            await self._visit.access.change_own_password(user, old, new, client.host if client else "")
            return True

        if await self._visit.act(change, refused=self._refusal.show):
            ui.navigate.to(LOGIN)


class _Accounts:
    """For an admin."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        with ui.element("section").classes("panel"):
            section_title("All accounts")
            ui.label(WHAT_ROLES_MAY).classes("muted wrap-text")
            self._listing = Listing("Accounts", HEADINGS)
        with ui.element("section").classes("panel form-panel"):
            section_title("A new account")
            with ui.element("div").classes("fields"):
                self._name = ui.input(label="Name").props("outlined autocomplete=off")
                self._role = ui.select(ROLES, value=Role.OPERATOR, label="Role").props("outlined")
                self._password = password_field("First password", "new-password")
            self._refusal = Note()
            for field in (self._name, self._password):
                field.on_value_change(lambda _: self._refusal.clear())
                field.on("keydown.enter", visit.handler(self._add))
            with ui.row().classes("actions at-left"):
                button = ui.button("Make the account", icon="person_add", on_click=visit.handler(self._add))
                button.props("unelevated no-caps")
        self._show()

    def _show(self) -> None:
        self._listing.clear()
        for account in self._visit.access.accounts.all():
            self._row(account)

    def _row(self, account: Account) -> None:
        listing = self._listing
        with listing.row():
            with listing.cell():
                Words("span", account.name).classes("strong wrap-text")
                if account.name == self._visit.user.name:
                    Words("span", " (you)").classes("muted")
            listing.text(ROLES[account.role])
            for at in (account.created_at, account.changed_at):
                with listing.cell():
                    LocalTime(at, with_date=True)
            with listing.cell():
                for text, action in (
                    ("Role", self._set_role),
                    ("Password", self._set_password),
                    ("Remove", self._remove),
                ):
                    button = ui.button(text, on_click=self._visit.handler(action, account)).props("flat dense no-caps")
                    button.props["aria-label"] = (
                        f"{text} of {account.name}" if text != "Remove" else f"Remove {account.name}"
                    )
                    if text == "Remove":
                        button.props["color"] = "negative"

    async def _add(self) -> None:
        name, password = (self._name.value or "").strip().lower(), self._password.value or ""
        role = Role(self._role.value)

        async def add(user: User) -> Account:
            rules.require(user, Role.ADMIN, "make accounts")
            return await self._visit.access.add_account(name, password, role)

        if await self._visit.act(add, f"{name} may log in as {ROLES[role]}.", self._refusal.show):
            self._name.value = self._password.value = ""
            self._show()

    async def _set_role(self, account: Account) -> None:
        with ui.context.client, ui.dialog() as dialog, ui.card().classes("dialog-card"):
            dialog.props["aria-label"] = f"Role of {account.name}"
            Words("h2", f"Role of {account.name}").classes("dialog-title")
            ui.label(f"{WHAT_ROLES_MAY} {ENDS_LOGINS}").classes("wrap-text")
            choice = ui.radio(ROLES, value=account.role)
            with ui.row().classes("dialog-actions"):
                ui.button("Cancel", on_click=lambda _: dialog.submit(None)).props("flat no-caps")
                ui.button("Set the role", on_click=lambda _: dialog.submit(choice.value)).props("unelevated no-caps")
        role = await dialog
        dialog.delete()
        if role is None or role is account.role:
            return

        def set_role(user: User) -> Account:
            rules.require(user, Role.ADMIN, "set roles")
            return self._visit.access.accounts.set_role(account.name, Role(role))

        if await self._visit.act(set_role, f"{account.name} is {ROLES[Role(role)]} now."):
            self._show()

    async def _set_password(self, account: Account) -> None:
        with ui.context.client, ui.dialog() as dialog, ui.card().classes("dialog-card"):
            dialog.props["aria-label"] = f"Password of {account.name}"
            Words("h2", f"A new password for {account.name}").classes("dialog-title")
            ui.label(f"At least {MIN_PASSWORD} characters. {ENDS_LOGINS}").classes("wrap-text")
            field = password_field("New password", "new-password").classes("full-width")
            refusal = Note()

            async def submit(_: object = None) -> None:
                password = field.value or ""

                async def set_password(user: User) -> Account:
                    rules.require(user, Role.ADMIN, "set passwords")
                    return await self._visit.access.set_password(account.name, password)

                if await self._visit.act(set_password, refused=refusal.show):
                    dialog.submit(True)

            field.on("keydown.enter", submit)
            with ui.row().classes("dialog-actions"):
                ui.button("Cancel", on_click=lambda _: dialog.submit(False)).props("flat no-caps")
                ui.button("Set the password", on_click=submit).props("unelevated no-caps")
        if await dialog:
            tell(f"{account.name} has a new password.")
            self._show()
        dialog.delete()

    async def _remove(self, account: Account) -> None:
        if not await confirmed(
            f"Remove account {account.name}?",
            f"{ENDS_LOGINS} Its tokens end as well.",
            "Remove",
            typed=account.name,
        ):
            return

        def remove(user: User) -> bool:
            rules.require(user, Role.ADMIN, "remove accounts")
            self._visit.access.accounts.remove(account.name)
            return True

        if await self._visit.act(remove, f"{account.name} is removed."):
            self._show()
