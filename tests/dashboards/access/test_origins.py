"""Hosts and origins."""

import pytest

from dashboards.access.origins import Headers, is_foreign, is_our_host, is_own_origin
from dashboards.access.policy import AccessPolicy

POLICY = AccessPolicy(hosts=frozenset({"console", "192.0.2.1", "2001:db8::1"}))


def headers(*pairs: tuple[str, str]) -> Headers:
    return Headers.of((name.encode(), value.encode("latin-1")) for name, value in pairs)


@pytest.mark.parametrize(
    "host", ["console", "CONSOLE:8443", "console.", "console.:443", "192.0.2.1:8443", "[2001:db8::1]:8443"]
)
def test_our_hosts(host: str) -> None:
    assert is_our_host(headers(("Host", host)), POLICY)


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil", "console.evil", "evil.console", "console@evil", "console:x", "console:8443:1"),
        *("192.0.2.1\x00", "[x]", "console/", " console", "console\n", "c\u00f6nsole"),
    ],
)
def test_other_hosts(host: str) -> None:
    assert not is_our_host(headers(("host", host)), POLICY)


def test_two_hosts_are_none() -> None:
    assert not is_our_host(headers(("host", "console"), ("Host", "console")), POLICY)
    assert not is_our_host(headers(), POLICY)


@pytest.mark.parametrize(
    ("said", "is_own"),
    [
        ([("origin", "https://console:8443")], True),
        ([("origin", "https://console:8443"), ("sec-fetch-site", "cross-site")], True),
        ([("sec-fetch-site", "same-origin")], True),
        ([], False),
        ([("origin", "")], False),
        ([("origin", "null"), ("sec-fetch-site", "same-origin")], False),
        ([("origin", "https://console")], False),
        ([("origin", "http://console:8443")], False),
        ([("origin", "https://evil"), ("sec-fetch-site", "same-origin")], False),
        ([("origin", "https://console:8443"), ("origin", "https://console:8443")], False),
        ([("sec-fetch-site", "same-site")], False),
        ([("sec-fetch-site", "none")], False),
    ],
)
def test_own_origin(said: list[tuple[str, str]], is_own: bool) -> None:
    assert is_own_origin(headers(("host", "console:8443"), *said), POLICY) == is_own


@pytest.mark.parametrize(
    ("said", "is_page", "foreign"),
    [
        ([], False, False),
        ([("sec-fetch-site", "none")], False, False),
        ([("sec-fetch-site", "same-origin")], False, False),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], True, False),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], False, True),
        ([("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], True, True),
        ([("sec-fetch-site", "same-site")], False, True),
        ([("origin", "https://evil"), ("sec-fetch-mode", "navigate")], True, True),
    ],
)
def test_foreign(said: list[tuple[str, str]], is_page: bool, foreign: bool) -> None:
    assert is_foreign(headers(("host", "console"), *said), POLICY, is_page=is_page) == foreign
