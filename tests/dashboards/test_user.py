"""Roles."""

from dashboards.user import Role, User


def test_each_role_may_all_that_the_ones_before_it_may() -> None:
    assert Role.VIEWER < Role.OPERATOR < Role.ADMIN


def test_users_are_told_apart_by_name_and_role() -> None:
    assert User("ada", Role.ADMIN) == User("ada", Role.ADMIN)
    assert len({User("ada", Role.ADMIN), User("ada", Role.VIEWER), User("eve", Role.ADMIN)}) == 3
