"""The whole API from its own description: what schemathesis makes up, and what every route must refuse."""

import random
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.routing import APIRoute
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from dashboards.access.guards import CSRF_HEADER
from dashboards.access.problems import MEDIA_TYPE
from dashboards.api.app import API_ROOT
from dashboards.api.roles import api_routes, role_of
from dashboards.user import Role
from tests.dashboards.access.console import HOST, URL, PlayedConsole

EXAMPLES = 8
STREAMS = "/events"
"""never end by themselves; tests/dashboards/api/test_events.py listens to them"""
OF_NOBODY = {
    "tsi": "0" * 16,
    "receiver_id": "0" * 32,
    "job_id": "0" * 32,
    "token_id": "0" * 16,
    "capture_id": "0" * 16,
    "version": "1",
}
HOSTILE = "<script>alert(1)</script>\0\x1b[2J\u202e'\"--${7*7}{{7*7}}"


@pytest.fixture
def console(tmp_path: Path) -> PlayedConsole:
    return PlayedConsole(tmp_path)


@pytest.mark.slow
def test_whatever_schemathesis_makes_up(console: PlayedConsole) -> None:
    chosen = random.SystemRandom().randrange(1 << 32)
    print("seed", chosen)
    token = console.token(Role.ADMIN)
    refused = {"expected-statuses": ["4xx"]}
    config = SchemathesisConfig.from_dict(
        {
            "seed": chosen,
            "generation": {"max-examples": EXAMPLES},
            "headers": {"host": HOST},
            "auth": {"openapi": {"token": {"bearer": token}}},
            "checks": {
                # A name may be well formed and belong to nobody; a body may be too long before it is anything else.
                "positive_data_acceptance": {"expected-statuses": ["2xx", "4xx"]},
                "negative_data_rejection": refused,
            },
        }
    )
    schema = schemathesis.openapi.from_asgi(
        f"{API_ROOT}/openapi.json",
        console.app,
        config=config,
        headers={"host": HOST, "authorization": f"Bearer {token}"},
    )
    tried: set[str] = set()
    faults: set[str] = set()
    for event in from_schema(schema.exclude(path_regex=STREAMS)).execute():
        if isinstance(event, events.ScenarioFinished):
            tried.add(event.label or "")
            faults |= set(faults_of(event))
        elif isinstance(event, events.NonFatalError | events.FatalError):
            faults.add(repr(event))
    assert not faults, "\n".join(sorted(faults))
    assert tried >= {f"{method} {route.path_format}" for route in routes(console) for method in route.methods or ()}


def faults_of(event: events.ScenarioFinished) -> list[str]:
    return [
        f"{event.label}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info is not None
    ]


def routes(console: PlayedConsole) -> list[APIRoute]:
    return [route for route in api_routes(console.api) if STREAMS not in route.path_format]


@pytest.mark.asyncio
async def test_every_route_refuses_who_has_not_logged_in(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        for method, path, _ in requests(console):
            for headers in ({}, {"authorization": "Bearer slatecast_forged"}, {"authorization": "Basic YTpi"}):
                answer = await browser.request(method, path, headers=headers)
                assert (answer.status_code, answer.headers["content-type"]) == (401, MEDIA_TYPE), path
                assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.asyncio
async def test_every_route_refuses_a_role_below_its_own(console: PlayedConsole) -> None:
    tried = 0
    tokens = {role: console.bearer(role) for role in Role}
    async with console.browser() as browser:
        for method, path, needed in requests(console):
            for role in [role for role in Role if role < needed]:
                answer = await browser.request(method, path, headers=tokens[role], json={})
                assert answer.status_code == 403, f"{method} {path} as {role.name}"
                tried += 1
    assert tried > 20


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "foreign",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}"},
        {"origin": f"{URL}.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
async def test_every_route_refuses_the_page_of_another_site(console: PlayedConsole, foreign: dict[str, str]) -> None:
    cookies, csrf = console.cookies(Role.ADMIN)
    async with console.browser() as browser:
        browser.cookies.update(cookies)
        for method, path, _ in requests(console):
            answer = await browser.request(method, path, headers={CSRF_HEADER: csrf, **foreign})
            assert answer.status_code == 403, f"{method} {path}"


@pytest.mark.asyncio
async def test_every_route_that_changes_something_asks_for_the_token_of_the_login(console: PlayedConsole) -> None:
    cookies, csrf = console.cookies(Role.ADMIN)
    _, of_another_login = console.cookies(Role.ADMIN)
    tried = 0
    async with console.browser() as browser:
        browser.cookies.update(cookies)
        for method, path, _ in requests(console):
            if method == "GET":
                continue
            for headers in ({"origin": URL}, {"origin": URL, CSRF_HEADER: of_another_login}, {CSRF_HEADER: csrf}):
                answer = await browser.request(method, path, headers=headers)
                assert answer.status_code == 403, f"{method} {path} {headers}"
                tried += 1
    assert tried > 30


@pytest.mark.asyncio
async def test_every_route_refuses_another_host(console: PlayedConsole) -> None:
    token = console.bearer(Role.ADMIN)
    async with console.browser() as browser:
        for method, path, _ in requests(console):
            answer = await browser.request(method, path, headers={**token, "host": "rebound.example"})
            assert answer.status_code == 421, path


@pytest.mark.asyncio
async def test_text_of_a_megabyte_in_every_field(console: PlayedConsole) -> None:
    await every_field_refuses(console, "A" * (1 << 20))


@pytest.mark.asyncio
async def test_control_characters_in_every_field(console: PlayedConsole) -> None:
    await every_field_refuses(console, HOSTILE)


async def every_field_refuses(console: PlayedConsole, text: str) -> None:
    token = console.bearer(Role.ADMIN)
    before = (console.desk.rooms(), console.desk.fleet().images, console.access.accounts.all())
    tried = 0
    async with console.browser() as browser:
        for method, path, fields in bodies(console):
            for field in fields:
                answer = await browser.request(method, path, headers=token, json={**fields, field: text})
                assert answer.status_code in refused(path), f"{method} {path} {field}: {answer.text}"
                assert len(answer.content) < 5000
                assert "<script>" not in answer.text
                tried += 1
    assert tried > 15
    assert before == (console.desk.rooms(), console.desk.fleet().images, console.access.accounts.all())


def refused(path: str) -> set[int]:
    """Statuses; a token has no password of its own, whatever is sent."""
    return {404, 413, 422} if path.endswith("/me/password") else {413, 422}


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"a": NaN}',
        b'"\\ud800"',
        b"null",
        b'{"room": 1e999}',
        b"[" * 20 + b"]" * 20,
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_malformed_bodies(console: PlayedConsole, body: bytes) -> None:
    headers = {**console.bearer(Role.ADMIN), "content-type": "application/json"}
    async with console.browser() as browser:
        for method, path, _ in bodies(console):
            answer = await browser.request(method, path, headers=headers, content=body)
            assert answer.status_code in {400, 422}, f"{method} {path}"
            assert answer.headers["content-type"] == MEDIA_TYPE


@pytest.mark.asyncio
async def test_a_broadcaster_that_is_gone(console: PlayedConsole) -> None:
    console.desk.is_broadcaster_there = False
    async with console.browser() as browser:
        answer = await browser.get("/api/v1/audit", headers=console.bearer(Role.ADMIN))
    assert answer.status_code == 503
    assert "does not answer" in answer.json()["detail"]


@pytest.mark.asyncio
async def test_description(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        answer = await browser.get("/api/v1/openapi.json", headers=console.bearer(Role.VIEWER))
        assert (await browser.get("/api/v1/openapi.json")).status_code == 401
    description = answer.json()
    assert description["openapi"].startswith("3.1")
    assert description["servers"] == [{"url": API_ROOT}]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert operation["x-role"] in {"viewer", "operator", "admin"}
            assert "4XX" in operation["responses"], f"{method} {path}"


def requests(console: PlayedConsole) -> list[tuple[str, str, Role]]:
    """A request for each route, of things that are nobody's, and the role that it takes."""
    return [
        (method, API_ROOT + filled(route.path_format), role_of(route))
        for route in api_routes(console.api)
        for method in sorted(route.methods or ())
    ]


def filled(path: str) -> str:
    return path.format_map({"name": "vera", **OF_NOBODY})


def bodies(console: PlayedConsole) -> list[tuple[str, str, dict[str, Any]]]:
    """A request for each route that takes an object, with each text field of it."""
    schema = console.api.openapi()
    found = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                name = content["schema"]["$ref"].rpartition("/")[2]
                fields = dict.fromkeys(schema["components"]["schemas"][name]["properties"], "x")
                found.append((method.upper(), API_ROOT + filled(path), fields))
    assert len(found) > 10
    return found
