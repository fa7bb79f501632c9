import pytest
from nicegui import ElementFilter, ui

from dashboards.pages.user_menu import THEME_COOKIE
from tests.dashboards.pages.visitor import visiting

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


@pytest.mark.parametrize(("cookie", "dark"), [(None, None), ("light", False), ("dark", True), ("<b>", None)])
async def test_the_theme_is_what_the_browser_kept(cookie: str | None, dark: bool | None) -> None:
    async with visiting() as visitor:
        if cookie is not None:
            visitor.browser.http_client.cookies.set(THEME_COOKIE, cookie)
        await visitor.open("/")
        (mode,) = visitor.all(ui.dark_mode)
        assert mode.value is dark


async def test_choosing_a_theme_and_the_way_out() -> None:
    async with visiting() as visitor:
        await visitor.open("/")
        with visitor.browser:
            (toggle,) = ElementFilter(kind=ui.toggle)
            forms = [element for element in ElementFilter(kind=ui.element) if element.tag == "form"]
        toggle.value = "dark"
        (mode,) = visitor.all(ui.dark_mode)
        assert mode.value is True
        assert [(form.props["method"], form.props["action"]) for form in forms] == [("post", "/logout")]
        (label,) = [text for text in visitor.all(ui.button) if text.props.get("aria-label") == "User ada"]
        assert label.visible
