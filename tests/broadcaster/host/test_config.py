import dataclasses

from broadcaster.cast_config import LINK_SHARE, START_RATE
from broadcaster.control_side import ControlSetting
from broadcaster.host.config import HostConfig
from protocol.link.interfaces import InterfaceInfo

WIRED = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, 10_000_000_000, False, False)
CONFIG = HostConfig(WIRED, ControlSetting(token=None))


def test_metrics_are_for_this_machine_unless_told_otherwise() -> None:
    assert CONFIG.metrics_host == "127.0.0.1"


def test_who_names_a_rate_gets_it_from_the_beginning() -> None:
    assert (CONFIG.rate_for(5), CONFIG.start_rate_for(5)) == (5, 5)
    named = dataclasses.replace(CONFIG, rate_bits_per_second=7)
    assert (named.rate_for(0), named.start_rate_for(0)) == (7, 7)
    assert (named.rate_for(5), named.start_rate_for(5)) == (5, 5)


def test_who_names_none_begins_where_most_seats_can_follow() -> None:
    assert (CONFIG.rate_for(0), CONFIG.start_rate_for(0)) == (int(10_000_000_000 * LINK_SHARE), START_RATE)
    slow = dataclasses.replace(CONFIG, interface=dataclasses.replace(WIRED, speed_bits_per_second=100_000_000))
    assert slow.rate_for(0) == slow.start_rate_for(0) == int(100_000_000 * LINK_SHARE)
