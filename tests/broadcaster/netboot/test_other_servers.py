import asyncio
from pathlib import Path

import pytest

from broadcaster.netboot.config import Dhcp
from broadcaster.netboot.other_servers import OtherServer, OtherServers

SITE = OtherServer("10.0.4.1", gives_addresses=True, says_where_to_boot=False)
ROGUE = OtherServer("10.0.4.9", gives_addresses=False, says_where_to_boot=True)
ROUTER = OtherServer("10.0.4.8", gives_addresses=True, says_where_to_boot=True)


@pytest.mark.parametrize(
    ("dhcp", "found", "lines"),
    [
        (Dhcp.PROXY, [SITE], []),
        (Dhcp.RESERVED, [SITE], []),
        (Dhcp.FULL, [], []),
        (Dhcp.PROXY, [], ["no DHCP server of the site answers here"]),
        (Dhcp.PROXY, [SITE, ROGUE], ["10.0.4.9 also tells PCs where to boot from"]),
        (Dhcp.PROXY, [ROUTER], ["10.0.4.8 also tells PCs where to boot from"]),
        (Dhcp.FULL, [SITE], ["10.0.4.1 gives addresses here too"]),
    ],
)
def test_who_is_told_of(dhcp: Dhcp, found: list[OtherServer], lines: list[str]) -> None:
    told: list[str] = []
    others = OtherServers("eth0", dhcp, told.append)
    others.judge(found)
    others.judge(found)
    assert len(told) == len(lines)
    for line, start in zip(told, lines, strict=True):
        assert line.startswith(start)


def test_an_interface_that_is_gone_is_no_end(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await OtherServers("none0", Dhcp.PROXY, print).watch()

    asyncio.run(run())
    assert "cannot be looked for" in caplog.text
    assert not Path("/sys/class/net/none0").exists()
