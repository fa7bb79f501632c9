import dataclasses

import pytest

from broadcaster.cast_config import LINK_SHARE, UNKNOWN_LINK_RATE, CastConfig, default_rate
from broadcaster.readiness import StartPolicy
from protocol.link.interfaces import InterfaceInfo

WIRED = InterfaceInfo("eth0", 2, "192.0.2.7", None, 1500, 1_000_000_000, False, False)


@pytest.mark.parametrize(("rate", "cap", "ceiling"), [(900, None, 900), (900, 500, 500), (900, 1000, 900)])
def test_a_cast_keeps_to_its_own_rate_and_to_the_cap_of_all(rate: int, cap: int | None, ceiling: int) -> None:
    config = CastConfig(WIRED, StartPolicy(1, 0.0), rate, 100, use_ipv6=False, max_rate_bits_per_second=cap)
    assert config.ceiling_bits_per_second == ceiling


def test_the_default_rate_is_a_share_of_the_link() -> None:
    fast = dataclasses.replace(WIRED, speed_bits_per_second=2_500_000_000)
    assert default_rate(fast) == int(2_500_000_000 * LINK_SHARE)
    assert default_rate(dataclasses.replace(WIRED, speed_bits_per_second=None)) == UNKNOWN_LINK_RATE
