"""The forms of the way in and out."""

from pathlib import Path

import pytest

from dashboards.access.login_page import FORM_LIFETIME
from dashboards.user import Role
from tests.dashboards.access.console import HOST, PASSWORD, URL, PlayedConsole, form_token, log_in

pytestmark = pytest.mark.asyncio


@pytest.fixture
def console(tmp_path: Path) -> PlayedConsole:
    return PlayedConsole(tmp_path)


async def test_in_and_out(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        assert (await browser.get("/")).headers["location"] == "/login?next=%2F"
        answer = await log_in(browser, "vera")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = next(each for each in answer.headers.get_list("set-cookie") if "slatecast=" in each)
        assert cookie.startswith("__Host-slatecast=")
        assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert "omain" not in cookie
        assert (await browser.get("/")).json() == {"user": "vera"}
        csrf = form_token(await browser.get("/logout"))
        refused = await browser.post("/logout", data={"csrf": "forged"}, headers={"origin": URL})
        assert refused.status_code == 403
        answer = await browser.post("/logout", data={"csrf": csrf}, headers={"origin": URL})
        assert answer.headers["location"] == "/login"
    assert len(console.access.sessions) == 0


async def test_a_cookie_from_before_the_login_is_worth_nothing(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        browser.cookies.set("__Host-slatecast", "planted", domain=HOST, path="/")
        await log_in(browser, "vera")
        first = browser.cookies["__Host-slatecast"]
        await log_in(browser, "vera")
        assert len({"planted", first, browser.cookies["__Host-slatecast"]}) == 3
    assert len(console.access.sessions) == 1, "the one before has ended"
    assert console.access.login_of(first) is None


async def test_a_wrong_login_says_so_and_shows_the_form_again(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        answers = [await log_in(browser, name, "wrong") for name in ("vera", "nobody", '"><script>alert(1)</script>')]
    assert {answer.status_code for answer in answers} == {401}
    assert all("name or password is wrong" in answer.text for answer in answers)
    assert not any("<script" in answer.text for answer in answers)
    assert len({answer.text.replace(form_token(answer), "").split("<style")[0] for answer in answers}) == 1


async def test_too_many_logins(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        statuses = [(await log_in(browser, "vera", "wrong")).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize(
    "forged",
    [
        {"csrf": ""},
        {"csrf": "x.1.y"},
        {"csrf": "ä.1.2"},
        {"csrf": "." * 900},
    ],
    ids=["none", "made up", "strange", "dots"],
)
async def test_a_form_that_was_not_shown(console: PlayedConsole, forged: dict[str, str]) -> None:
    async with console.browser() as browser:
        await browser.get("/login")
        form = {"name": "vera", "password": PASSWORD, **forged}
        assert (await browser.post("/login", data=form)).status_code == 403
    assert len(console.access.sessions) == 0


async def test_a_form_of_another_browser_or_site_or_day(console: PlayedConsole) -> None:
    async with console.browser() as other, console.browser() as browser:
        form = {"name": "vera", "password": PASSWORD, "csrf": form_token(await other.get("/login"))}
        assert (await browser.post("/login", data=form)).status_code == 403
        for header in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
            assert (await other.post("/login", data=form, headers=header)).status_code == 403
        console.time.now += FORM_LIFETIME + 1
        assert (await other.post("/login", data=form, headers={"origin": URL})).status_code == 403


async def test_two_tabs(console: PlayedConsole) -> None:
    async with console.browser() as browser:
        first = form_token(await browser.get("/login"))
        await browser.get("/login?next=/sessions")
        form = {"name": "vera", "password": PASSWORD, "csrf": first}
        assert (await browser.post("/login", data=form, headers={"origin": URL})).status_code == 303


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        ("/rooms/Lab%201?x=1", "/rooms/Lab%201?x=1"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        ("/a\r\nset-cookie: x=1", "/"),
        ('/"><script>', '/"><script>'),
    ],
)
async def test_where_a_login_leads(console: PlayedConsole, wanted: str, goes_to: str) -> None:
    async with console.browser() as browser:
        page = await browser.get("/login", params={"next": wanted})
        assert "<script>" not in page.text
        form = {"name": "vera", "password": PASSWORD, "csrf": form_token(page), "next": wanted}
        answer = await browser.post("/login", data=form, headers={"origin": URL})
    assert answer.headers["location"].replace("%22%3E%3Cscript%3E", '"><script>') == goes_to
    assert "x" not in answer.cookies


async def test_first_admin(tmp_path: Path) -> None:
    fresh = PlayedConsole(tmp_path, names={})
    word = fresh.access.first_login.prepare()
    async with fresh.browser() as browser:
        page = await browser.get("/login")
        assert 'name="word"' in page.text
        form = {"csrf": form_token(page), "word": "wrong", "name": "ada", "password": PASSWORD}
        assert (await browser.post("/login/first", data=form, headers={"origin": URL})).status_code == 401
        weak = {**form, "word": word, "password": "short"}
        assert (await browser.post("/login/first", data=weak, headers={"origin": URL})).status_code == 422
        done = await browser.post("/login/first", data={**form, "word": word}, headers={"origin": URL})
        assert (done.status_code, done.headers["location"]) == (303, "/")
        assert (await browser.get("/")).json() == {"user": "ada"}
        assert 'name="word"' not in (await browser.get("/login")).text
        again = {**form, "word": word, "name": "eve"}
        assert (await browser.post("/login/first", data=again, headers={"origin": URL})).status_code in {401, 403}
    account = fresh.access.accounts.get("ada")
    assert account is not None
    assert account.role is Role.ADMIN
