"""What follows from the policy."""

from dashboards.access.policy import AccessPolicy


def test_cookies_are_bound_to_the_host_where_browsers_allow_it() -> None:
    secure = AccessPolicy(hosts=frozenset({"x"}))
    assert secure.session_cookie.startswith("__Host-")
    assert secure.form_cookie.startswith("__Host-")
    assert secure.scheme == "https"
    plain = AccessPolicy(hosts=frozenset({"x"}), is_secure=False)
    assert not plain.session_cookie.startswith("__Host-")
    assert plain.scheme == "http"
    assert secure.session_cookie != secure.form_cookie
