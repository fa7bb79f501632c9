import pytest

from dashboards.fleet.health import health_of
from protocol.operators import HostNews
from tests.dashboards.fleet import news


def problems(
    host: HostNews | None = None,
    heard: float | None = 0.5,
    connected: bool = True,
    at: float = 2001.5,
    rejected: int = 0,
) -> str:
    health = health_of(
        host, heard, is_broker_connected=connected, broker_text="mqtt://b:1", at=at, rejected_count=rejected
    )
    return " ".join(health.problems)


def test_all_is_well() -> None:
    health = health_of(news.host(), 0.5, is_broker_connected=True, broker_text="mqtt://b:1", at=2001.5)
    assert (health.problems, health.is_broadcaster_heard, health.age_seconds) == ((), True, 0.5)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (problems(connected=False), "The broker is gone (mqtt://b:1): start it"),
        (problems(heard=None), "The broadcaster has not been heard: start it"),
        (problems(news.host(), heard=12.0, at=2013.0), "The broadcaster has been silent for 12 s"),
        (problems(news.host(is_link_up=False)), "The interface eth0 has no link"),
        (
            problems(news.host(library_bytes_free=10**9, library_bytes_total=100 * 10**9)),
            "The library is nearly full: 1.0 GB of 100 GB are free in /srv",
        ),
        (problems(news.host(warnings=("mend me",))), "mend me"),
        (problems(news.host(), at=2301.5), "The clocks of broadcaster and console are 300 s apart"),
        (problems(news.host(), rejected=3), "3 messages in the broadcaster's name were not signed by it"),
    ],
)
def test_what_is_to_be_mended(told: str, words: str) -> None:
    assert told.startswith(words)


def test_a_broadcaster_is_not_heard_while_the_broker_is_gone() -> None:
    health = health_of(news.host(), 0.1, is_broker_connected=False, broker_text="", at=2001.0)
    assert not health.is_broadcaster_heard
    assert len(health.problems) == 1
