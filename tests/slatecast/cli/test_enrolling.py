import asyncio

import click
import pytest

from protocol.errors import ConfigError
from protocol.link.front_door_address import FrontDoorAddress
from slatecast.cli import enrolling
from slatecast.cli.capture import capture
from slatecast.cli.enrolling import broadcaster_at
from slatecast.cli.receive import receive


@pytest.mark.parametrize("command", [capture, receive])
def test_both_commands_take_the_same(command: click.Command) -> None:
    spellings = {spelling for parameter in command.params for spelling in parameter.opts}
    assert {"--server", "--token", "--trust", "--wait"} <= spellings


def test_a_named_broadcaster_is_not_looked_for() -> None:
    assert asyncio.run(broadcaster_at("10.0.0.1:99", None, 0)) == FrontDoorAddress("10.0.0.1", 99)
    with pytest.raises(ConfigError):
        asyncio.run(broadcaster_at("10.0.0.1:no", None, 0))


def test_else_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(wait: float, _interface: object) -> tuple[str, int]:
        return "10.0.0.2", int(wait)

    monkeypatch.setattr(enrolling, "find_broadcaster", found)
    assert asyncio.run(broadcaster_at(None, None, 7)) == FrontDoorAddress("10.0.0.2", 7)
