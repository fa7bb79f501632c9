import asyncio
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from broadcaster.keys import KeyStore
from dashboards.access.access import Access
from dashboards.access.policy import AccessPolicy
from dashboards.config import ConsoleConfig
from protocol.errors import ConfigError
from slatecast.serving.child import ChildPlan
from slatecast.serving.handover import BroadcasterHandover, decode_handover
from slatecast.serving.places import find_places
from slatecast.serving.service import (
    BROADCASTER,
    BROADCASTER_STOP_TIMEOUT,
    BROKER,
    CONSOLE,
    CONSOLE_STOP_TIMEOUT,
    PARTS,
    Service,
)
from slatecast.serving.settings import read_settings


def service(folder: Path, *parts: str, **sections: dict[str, Any]) -> Service:
    settings: dict[str, dict[str, Any]] = {
        "broadcaster": {"interface": "lo", "library": str(folder / "library"), "keys": str(folder / "keys")},
        "console": {"state": str(folder / "state")},
    }
    for section, keys in sections.items():
        settings.setdefault(section, {}).update(keys)
    return Service(find_places(read_settings(None, settings)), frozenset(parts or PARTS), lambda _: None)


def plans(service: Service) -> dict[str, ChildPlan]:
    return {plan.name: plan for plan in service._plans()}


def test_parts_end_in_their_order_and_in_time(tmp_path: Path) -> None:
    assert list(plans(service(tmp_path))) == [CONSOLE, BROADCASTER]
    assert CONSOLE_STOP_TIMEOUT + BROADCASTER_STOP_TIMEOUT < 10


def test_the_console_never_gets_the_directors_key(tmp_path: Path) -> None:
    handover = plans(service(tmp_path))[CONSOLE].handover
    config = decode_handover(handover, ConsoleConfig)
    keys = KeyStore.open(tmp_path / "keys")
    assert config.director_key == keys.director.public
    assert config.signing_seed == keys.console.private_key.private_bytes_raw()
    assert keys.image is not None
    told = list(leaves(astuple(config)))
    assert config.signing_seed in told
    kept = {key.private_key.private_bytes_raw() for key in (keys.director, keys.image)}
    assert not kept & set(told)
    assert not [each for each in told if isinstance(each, bytes) and keys.authority.private_key in each]


def leaves(value: Any) -> Iterator[object]:
    """Everything in tuples of tuples."""
    if isinstance(value, tuple):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def test_nothing_secret_stands_on_a_command_line(tmp_path: Path) -> None:
    made = plans(service(tmp_path, broadcaster={"token": "four-words-of-it"}))
    for plan in made.values():
        assert plan.argv[1:4] == ("-P", "-m", "slatecast.serving.part")
        assert plan.argv[4:] == (plan.name,)
    assert decode_handover(made[BROADCASTER].handover, BroadcasterHandover).token == "four-words-of-it"


def test_the_first_login_is_the_consoles(tmp_path: Path) -> None:
    word = service(tmp_path)._first_word
    assert word is not None
    assert service(tmp_path)._first_word == word  # made once
    access = Access(tmp_path / "state", AccessPolicy(hosts=frozenset()))
    asyncio.run(access.make_first_admin(word, "ada", "correct horse battery", "127.0.0.1"))
    assert service(tmp_path)._first_word is None


def test_settings_reach_the_parts(tmp_path: Path) -> None:
    made = plans(
        service(
            tmp_path,
            broadcaster={"rate": "900M", "max_rate": "2G", "port": 1234},
            console={"https": False, "metrics": True, "port": 4321, "listen": "127.0.0.2"},
        )
    )
    broadcaster = decode_handover(made[BROADCASTER].handover, BroadcasterHandover)
    assert (broadcaster.rate_bits_per_second, broadcaster.max_rate_bits_per_second) == (900_000_000, 2_000_000_000)
    assert (broadcaster.port, broadcaster.token, str(broadcaster.broker)) == (1234, None, "mqtts://127.0.0.1:8883")
    console = decode_handover(made[CONSOLE].handover, ConsoleConfig)
    assert (console.url, console.with_metrics, console.https) == ("http://127.0.0.2:4321/", True, None)
    assert console.broker.identity is not None


@pytest.mark.parametrize("has_tls", [True, False])
def test_a_broker_elsewhere(tmp_path: Path, has_tls: bool) -> None:
    address = f"mqtt{'s' if has_tls else ''}://10.0.4.2"
    console = decode_handover(plans(service(tmp_path, broker={"address": address}))[CONSOLE].handover, ConsoleConfig)
    assert (console.broker.identity is not None, console.broker.authority is not None) == (has_tls, has_tls)
    with pytest.raises(ConfigError, match="there is none to run here"):
        service(tmp_path, BROKER, broker={"address": address})


def test_an_authority_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[broker\] ca_file .*none: No such file"):
        service(tmp_path, broker={"address": "mqtts://10.0.4.2", "ca_file": str(tmp_path / "none")})


def test_a_state_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match=r"\[console\] state .*: "):
        service(tmp_path)


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    assert list(plans(service(tmp_path, BROADCASTER))) == [BROADCASTER]
    assert list(plans(service(tmp_path, BROKER))) == []
    assert not (tmp_path / "state").exists()
