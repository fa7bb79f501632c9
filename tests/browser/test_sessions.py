"""What an operator sees of a session that is not as it should be, and does with it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.network import interface_elsewhere
from tests.browser.operator import PHONE, Operator
from tests.browser.served import ServedConsole

pytestmark = [pytest.mark.system, pytest.mark.slow]

SEATS = ("pc-01", "pc-02", "pc-03")
LAYOUT = {"Lab": SEATS, "Far": ("far-01", "far-02")}
SIZE = 26 << 20
"""[bytes] 16 MiB of the disk are in use."""

IMAGE = "lab"
RATE = 2
"""[Mbit/s] The session takes a minute: longer than anybody looks at it."""


@pytest.fixture(scope="module", autouse=True)
def image(console: ServedConsole) -> None:
    console.add(console.source(size=SIZE), IMAGE)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with interface_elsewhere() as name:
        if name is None:
            pytest.skip("needs an interface with MTU 1500 besides the loopback one, or root to make one")
        yield name


def test_a_session_is_paused_continued_thinned_out_and_stopped(operator: Operator, console: ServedConsole) -> None:
    page = operator.page
    for seat in SEATS:
        console.switch_on(seat, SIZE)
    operator.start_session("Lab", IMAGE, len(SEATS), RATE)
    for seat in SEATS:
        operator.sees_row(seat, "receiving")

    operator.button("Pause").click()
    expect(page.locator(".chip", has_text=re.compile("^.*paused$"))).to_be_visible()
    operator.sees_row("pc-01", "waiting: the session is paused")
    operator.button("Continue").click()
    expect(page.locator(".chip", has_text="running")).to_be_visible()
    operator.sees_row("pc-01", "receiving")

    page.get_by_role("row", name=re.compile("pc-03")).get_by_role("button").click()
    operator.dialog("Seat pc-03").get_by_role("button", name="Stop this seat").click()
    operator.dialog("Stop seat pc-03?").get_by_role("button", name="Stop this seat").click()
    expect(page.get_by_role("dialog", name="Stop seat pc-03?")).to_be_hidden()
    page.keyboard.press("Escape")
    operator.sees_row("pc-03", "stopped")
    operator.sees_row("pc-01", "receiving")

    operator.button("Stop").click()
    question = operator.dialog("Stop the session in Lab?")
    stop = question.get_by_role("button", name="Stop the session")
    expect(stop).to_be_disabled()
    question.get_by_label("Confirmation").fill("lab")
    expect(stop).to_be_disabled()
    question.get_by_label("Confirmation").fill("Lab")
    stop.click()
    expect(page.locator(".chip", has_text="ended")).to_be_visible()
    expect(page.get_by_text("0 seats verified, 3 not")).to_be_visible()
    for seat in SEATS:
        operator.sees_row(seat, "stopped")


def test_it_is_said_why_a_seat_is_slow(operator: Operator, console: ServedConsole, elsewhere: str) -> None:
    console.switch_on("far-01", SIZE)
    console.switch_on("far-02", SIZE, interface=elsewhere)
    operator.start_session("Far", IMAGE, 2, RATE)
    why = "control ok, no data: multicast does not reach this seat"
    operator.sees_row("far-02", f"catching up.*{why}")
    operator.sees_row("far-01", "receiving")
    expect(operator.page.get_by_label("What happened, the newest first")).to_contain_text("far-02")
    width, height = PHONE
    operator.page.set_viewport_size({"width": width, "height": height})
    operator.sees_row("far-02", "catching up")
    assert operator.width_taken() <= width
    operator.open("/rooms/Far", "Far")
    operator.sees_seat("far-02", f"catching up.*{why}")
    expect(operator.seat_card("far-02").get_by_text(why)).to_be_visible()
