import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.netboot.config import Dhcp, NetbootConfig
from protocol.errors import ConfigError
from slatecast.serving import netboot_part
from slatecast.serving.handover import decode_handover, encode_handover
from slatecast.serving.places import find_places
from slatecast.serving.service import NETBOOT, Service
from slatecast.serving.settings import read_settings

CONFIG = NetbootConfig(Path("/boot"), Path("/orders"), "lo", "10.0.4.2:8884", Dhcp.FULL, "10.0.4.3-10.0.4.9")


def test_it_runs_with_what_was_handed_over_and_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[NetbootConfig] = []

    class Fake:
        def __init__(self, config: NetbootConfig, say: Callable[[str], object]) -> None:
            given.append(config)
            say("a line")

        async def run(self, on_ready: Callable[[str], object]) -> None:
            on_ready("lo, 127.0.0.1")

    monkeypatch.setattr(netboot_part, "Netboot", Fake)
    found: list[str] = []
    asyncio.run(netboot_part.work(encode_handover(CONFIG), found.append))
    assert (given, found) == ([CONFIG], ["lo, 127.0.0.1"])


def service(base: Path, parts: set[str], **boot: object) -> Service:
    settings = read_settings(
        None,
        {
            "broadcaster": {"interface": "lo", "library": str(base / "library"), "keys": str(base / "keys")},
            "console": {"state": str(base / "state")},
            "boot": boot,
        },
    )
    return Service(find_places(settings), frozenset(parts), lambda _: None)


def test_it_is_told_what_the_settings_say(tmp_path: Path) -> None:
    (plan,) = service(
        tmp_path, {NETBOOT}, enabled=True, dhcp="reserved", range="127.0.0.3-127.0.0.9", folder="/boot", everyone=True
    )._plans()
    config = decode_handover(plan.handover, NetbootConfig)
    assert config == NetbootConfig(
        environment=Path("/boot"),
        orders=tmp_path / "library/boot-orders.json",
        interface="lo",
        server="127.0.0.1:8884",
        dhcp=Dhcp.RESERVED,
        addresses="127.0.0.3-127.0.0.9",
        everyone=True,
    )


def test_it_runs_only_where_it_is_switched_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[boot\] enabled is false"):
        service(tmp_path, {NETBOOT})
    assert [plan.name for plan in service(tmp_path, {NETBOOT, "broadcaster"})._plans()] == ["broadcaster"]
