from dataclasses import replace

import pytest

from dashboards.config import MailConfig, NoticesConfig
from dashboards.fleet.views import SeatState
from dashboards.notices.events import Event, SeatFailed, SessionEnded
from dashboards.notices.mail import Mail
from dashboards.notices.notifier import MAX_FAILURES, Notifier, targets_of
from dashboards.notices.webhook import Webhook
from protocol.errors import ConfigError, RefusedError
from tests.certificates import certificate
from tests.dashboards.history.test_records import seat, view
from tests.dashboards.notices.happened import AT


class Target:
    name = "noting"

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def deliver(self, event: Event) -> None:
        self.events.append(event)


class RefusingTarget(Target):
    async def deliver(self, event: Event) -> None:
        raise RefusedError("no")


@pytest.mark.asyncio
async def test_an_end_is_told_once() -> None:
    target = Target()
    session = view(seat("01", SeatState.VERIFIED), seat("02", SeatState.FAILED))
    async with Notifier([target], clock=lambda: AT) as notifier:
        notifier.session_ended(session)
        notifier.session_ended(session, {"signed": True})
    (event,) = target.events
    assert isinstance(event, SessionEnded)
    assert (event.at, event.verified_count, event.seat_count) == (AT, 1, 2)
    assert [(each.seat, each.outcome, each.reason) for each in event.unfinished] == [("02", "failed", "why")]
    assert notifier.problems == ()


@pytest.mark.asyncio
async def test_a_failed_room_is_told_by_a_few_events() -> None:
    target = Target()
    async with Notifier([target], clock=lambda: AT) as notifier:
        for number in range(60):
            failed = replace(seat(f"{number:02}", SeatState.FAILED), machine=f"m{number}")
            notifier.seat_failed(view(failed), failed)
            notifier.seat_failed(view(failed), failed)
    assert [event.failure.seat for event in target.events if isinstance(event, SeatFailed)] == [
        f"{number:02}" for number in range(MAX_FAILURES)
    ]


@pytest.mark.asyncio
async def test_what_could_not_be_delivered_is_told() -> None:
    async with Notifier([RefusingTarget()], clock=lambda: AT) as notifier:
        notifier.session_ended(view())
    assert notifier.problems == ("Notices to noting: 'Lab: 0 of 0 seats verified' was not sent: no.",)


def test_targets_of_a_configuration() -> None:
    mail = MailConfig(host="mail.example.org", port=587, sender="a@example.org", recipients=("b@example.org",))
    config = NoticesConfig(webhooks=("https://one.example.org/x", "http://two.example.org:81/"), mail=mail)
    assert [target.name for target in targets_of(config)] == [
        *("https://one.example.org", "http://two.example.org:81", "mail server mail.example.org:587"),
    ]
    assert targets_of(NoticesConfig()) == ()
    with pytest.raises(ConfigError):
        targets_of(NoticesConfig(webhooks=("nowhere",)))


def test_secret_and_authority_reach_every_target() -> None:
    mail = MailConfig(host="mail.example.org", port=587, sender="a@example.org", recipients=("b@example.org",))
    config = NoticesConfig(("https://one",), mail, webhook_secret=b"word", authority=certificate())
    hook, post = targets_of(config)
    assert isinstance(hook, Webhook)
    assert isinstance(post, Mail)
    assert hook._secret == b"word"
    assert [each._tls.cert_store_stats()["x509"] for each in (hook, post)] == [1, 1]
