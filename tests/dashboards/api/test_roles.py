"""What routes ask."""

import pytest
from fastapi import HTTPException, Request

from dashboards.api.roles import Needs, api_routes, role_of
from dashboards.user import Role, User
from tests.dashboards.access.console import PlayedConsole


def request(user: object) -> Request:
    return Request({"type": "http", "state": {} if user is None else {"user": user}})


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("needed", list(Role))
def test_each_role_may_all_that_those_before_it_may(role: Role, needed: Role) -> None:
    user = User("ada", role)
    if role >= needed:
        assert Needs(needed)(request(user)) is user
    else:
        with pytest.raises(HTTPException) as refusal:
            Needs(needed)(request(user))
        assert refusal.value.status_code == 403


@pytest.mark.parametrize("nobody", [None, "ada", 3])
def test_nobody_may_nothing_even_when_the_guard_is_missing(nobody: object) -> None:
    with pytest.raises(HTTPException) as refusal:
        Needs(Role.VIEWER)(request(nobody))
    assert refusal.value.status_code == 401


def test_every_route_asks_for_a_role_and_what_changes_something_for_more(console: PlayedConsole) -> None:
    own = {"/tokens", "/tokens/{token_id}", "/me/password"}
    for route in api_routes(console.api):
        role = role_of(route)
        if route.methods != {"GET"} and route.path_format not in own:
            assert role >= Role.OPERATOR, route.path_format
