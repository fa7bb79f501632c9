"""Security headers."""

import pytest

from dashboards.access.headers import page_content_policy, security_headers, strict_content_policy
from dashboards.access.policy import AccessPolicy

HOSTS = frozenset({"console"})


def directives(policy: str) -> dict[str, list[str]]:
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


@pytest.mark.parametrize("policy", [page_content_policy("abc"), strict_content_policy("abc")])
def test_nothing_from_elsewhere(policy: str) -> None:
    found = directives(policy)
    assert found["default-src"] == ["'none'"]
    assert found["frame-ancestors"] == found["base-uri"] == found["object-src"] == ["'none'"]
    assert not [value for values in found.values() for value in values if "*" in value or "http" in value]


def test_pages_run_no_inline_script_without_the_nonce() -> None:
    scripts = directives(page_content_policy("abc"))["script-src"]
    assert "'nonce-abc'" in scripts
    assert "'unsafe-inline'" not in scripts


def test_our_own_documents_run_no_script() -> None:
    assert "script-src" not in directives(strict_content_policy("abc"))
    assert directives(strict_content_policy("abc"))["style-src"] == ["'nonce-abc'"]


def test_https_only_where_it_is_spoken() -> None:
    for is_secure, seconds, is_sent in ((True, 60, True), (False, 60, False), (True, 0, False)):
        policy = AccessPolicy(hosts=HOSTS, is_secure=is_secure, strict_transport_seconds=seconds)
        assert (b"strict-transport-security" in dict(security_headers(policy, ""))) == is_sent


def test_others() -> None:
    sent = dict(security_headers(AccessPolicy(hosts=HOSTS), "default-src 'none'"))
    assert sent[b"x-frame-options"] == b"DENY"
    assert sent[b"x-content-type-options"] == b"nosniff"
    assert sent[b"cross-origin-opener-policy"] == b"same-origin"
    assert b"camera=()" in sent[b"permissions-policy"]
    assert sent[b"referrer-policy"] == b"same-origin", "no-referrer would make forms come from the origin null"
