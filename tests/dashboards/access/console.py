"""A console over a played desk, reached in the process: accounts of each role, logins and tokens, cheap to make."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI, Request

from dashboards.access.access import Access
from dashboards.access.guards import Guard
from dashboards.access.login_page import login_router
from dashboards.access.policy import AccessPolicy
from dashboards.api.app import API_ROOT, create_api
from dashboards.api.health import healthz_router
from dashboards.api.work import Work
from dashboards.user import Role
from tests.dashboards.played_desk import PlayedDesk

HOST: Final = "console.example"
URL: Final = f"https://{HOST}"
CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD: Final = "correct horse battery"
NAMES: Final = {Role.VIEWER: "vera", Role.OPERATOR: "otto", Role.ADMIN: "ada"}


class Time:
    """Both clocks of a console, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class PlayedConsole:
    """The application, as a console puts it together, without pages.

    Args:
        folder: state folder.
        desk: what routes act on.
        policy: how it may be reached.
        names: of the accounts.
    """

    def __init__(
        self,
        folder: Path,
        desk: PlayedDesk | None = None,
        policy: AccessPolicy | None = None,
        names: dict[Role, str] = NAMES,
    ) -> None:
        self.time = Time()
        self.desk = desk or PlayedDesk()
        self.access = Access(
            folder / "state",
            policy or AccessPolicy(hosts=frozenset({HOST})),
            hasher=CHEAP,
            clock=self.time,
            now=self.time,
        )
        for role, name in names.items():
            self.access.accounts.add(name, self.access.accounts.hashed(name, PASSWORD), role)
        self.work = Work(self.time)
        self.api = create_api(self.desk, self.access, self.work)
        self.app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        self.app.include_router(login_router(self.access))
        self.app.include_router(healthz_router(self.desk))
        self.app.mount(API_ROOT, self.api)

        @self.app.api_route("/", methods=["GET", "POST"])
        async def home(request: Request) -> dict[str, str]:
            return {"user": request.state.user.name}

        @self.app.get("/metrics")
        async def metrics() -> str:
            return "slatecast_up 1"

        self.app.add_middleware(Guard, access=self.access)

    def token(self, role: Role) -> str:
        """The secret of a new token of the account with that role."""
        account = self.access.accounts.get(NAMES[role])
        assert account is not None
        name = f"t{len(self.access.tokens.of())}"
        return self.access.tokens.make(account.user, name, role)[1]

    def bearer(self, role: Role) -> dict[str, str]:
        """The header of a request by that role."""
        return {"authorization": f"Bearer {self.token(role)}"}

    def cookies(self, role: Role) -> tuple[dict[str, str], str]:
        """Cookies of a new login, and its CSRF token."""
        account = self.access.accounts.get(NAMES[role])
        assert account is not None
        session_id, login = self.access.sessions.begin(account, self.time.now)
        return {self.access.policy.session_cookie: session_id}, login.csrf_token

    @asynccontextmanager
    async def browser(self, address: str = "192.0.2.7") -> AsyncIterator[httpx.AsyncClient]:
        """Something that sends requests from an address and keeps cookies."""
        transport = httpx.ASGITransport(self.app, client=(address, 4000), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as browser:
            yield browser


def form_token(page: httpx.Response) -> str:
    """The CSRF token in a form."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


async def log_in(browser: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    """Fill in the login page and send it, as a browser does."""
    csrf = form_token(await browser.get("/login"))
    form = {"csrf": csrf, "name": name, "password": password}
    return await browser.post("/login", data=form, headers={"origin": URL})
