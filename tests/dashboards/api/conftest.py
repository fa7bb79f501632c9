"""One console for each test, and a short way to call its API."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from dashboards.user import Role
from tests.dashboards.access.console import PlayedConsole

Call = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def console(tmp_path: Path) -> PlayedConsole:
    return PlayedConsole(tmp_path)


@pytest.fixture
def call(console: PlayedConsole) -> Call:
    """``await call("GET", "/fleet", role=Role.VIEWER, json=...)``"""
    tokens: dict[Role, dict[str, str]] = {}

    async def call_once(method: str, path: str, role: Role = Role.ADMIN, **more: Any) -> httpx.Response:
        if role not in tokens:
            tokens[role] = console.bearer(role)
        headers = {**tokens[role], **more.pop("headers", {})}
        async with console.browser() as browser:
            return await browser.request(method, f"/api/v1{path}", headers=headers, **more)

    return call_once
