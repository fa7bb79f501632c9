import json

import pytest
from msgspec.structs import replace

from dashboards.fleet.fold import Fleet
from dashboards.prometheus.service_discovery import is_target, targets
from tests.dashboards.played_fleet import PlayedFleet
from tests.dashboards.prometheus.sample_fleet import fleet, health, seat, session


def test_receivers_with_an_exporter_are_found_with_their_seats() -> None:
    exporters = (("o" * 32, "192.0.2.11:9101"), ("s" * 32, "[2001:db8::7]:9101"), ("z" * 32, "192.0.2.99:9101"))
    assert targets(fleet(exporters=exporters)) == [
        {
            "targets": ["192.0.2.11:9101"],
            "labels": {
                "__meta_slatecast_room": "lab",
                "__meta_slatecast_seat": "one",
                "__meta_slatecast_machine": "mac-one",
                "__meta_slatecast_receiver_id": "o" * 32,
            },
        },
        {
            "targets": ["[2001:db8::7]:9101"],
            "labels": {
                "__meta_slatecast_room": "",
                "__meta_slatecast_seat": "stray",
                "__meta_slatecast_machine": "mac-stray",
                "__meta_slatecast_receiver_id": "s" * 32,
            },
        },
    ]


def test_the_fleet_knows_them_from_the_broadcaster() -> None:
    play, fold = PlayedFleet(seats=2), Fleet()
    fold.receive(play.host(), 0.0)
    (news,) = play.receivers()
    one, *others = news.receivers
    fold.receive(replace(news, receivers=(replace(one, metrics="192.0.2.11:9101"), *others)), 0.0)
    (found,) = targets(fold.view(play.rooms, health(), 0.0))
    assert found["targets"] == ["192.0.2.11:9101"]
    assert found["labels"]["__meta_slatecast_room"] == play.rooms.rooms[0].name
    assert found["labels"]["__meta_slatecast_machine"] == one.machine


def test_nobody_has_one() -> None:
    assert targets(fleet()) == []


def test_of_two_that_claim_one_address_the_first_counts() -> None:
    exporters = (("o" * 32, "192.0.2.11:9101"), ("t" * 32, "192.0.2.11:9101"))
    (found,) = targets(fleet(exporters=exporters))
    assert found["labels"]["__meta_slatecast_seat"] == "one"


def test_hostile_names_are_cut_and_stay_values() -> None:
    evil = '"}],' + "x" * 1000
    view = fleet(sessions=(session([seat(evil, receiver_id="e" * 32)]),), exporters=(("e" * 32, "192.0.2.11:9101"),))
    (found,) = json.loads(json.dumps(targets(view)))
    assert found["labels"]["__meta_slatecast_seat"] == evil[:64]


@pytest.mark.parametrize("text", ["192.0.2.7:9101", "127.0.0.1:1", "[::1]:65535", "[2001:db8::7]:80"])
def test_an_address_with_a_port(text: str) -> None:
    assert is_target(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "9101", "192.0.2.7", "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "192.0.2.300:80", "192.0.2.7:80\n"),
        *("intranet:80", "intranet.example:80", "192.0.2.7:80/admin?x=", "http://192.0.2.7:80", "user@192.0.2.7:80"),
        *("[::1", "::1:80", "[fe80::1%eth0]:80", "239.192.0.1:80", "0.0.0.0:80", "[ff15::1]:80", "192.0.2.7:٣"),
    ],
)
def test_anything_else_is_not_asked_for(text: str) -> None:
    assert not is_target(text)
