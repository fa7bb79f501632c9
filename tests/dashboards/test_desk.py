"""Every implementation of the desk is one, and the pages' own is as complete as the real one."""

import inspect

from dashboards.desk import Desk
from dashboards.operator_desk import OperatorDesk
from tests.dashboards.played_desk import PlayedDesk


def signatures(kind: type) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(getattr(kind, name)).parameters)
        for name, member in vars(Desk).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def test_both_desks_are_desks() -> None:
    assert signatures(OperatorDesk) == signatures(PlayedDesk) == signatures(Desk)
    assert len(signatures(Desk)) > 20


def test_what_waits_for_the_broadcaster_waits_in_both() -> None:
    for name in signatures(Desk):
        kinds = {inspect.iscoroutinefunction(getattr(desk, name)) for desk in (Desk, OperatorDesk, PlayedDesk)}
        assert len(kinds) == 1, name


def check(real: OperatorDesk, played: PlayedDesk) -> tuple[Desk, Desk]:
    """For the type checker."""
    return real, played
