import asyncio
from collections.abc import Callable

import pytest

from dashboards.config import ConsoleConfig
from slatecast.serving import console_part
from slatecast.serving.handover import encode_handover
from tests.slatecast.serving.test_handover import CONSOLE


def test_it_runs_with_what_was_handed_over_and_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[ConsoleConfig] = []

    async def run(config: ConsoleConfig, on_ready: Callable[[], object]) -> None:
        ran.append(config)
        on_ready()

    monkeypatch.setattr(console_part, "run", run)
    found: list[str] = []
    asyncio.run(console_part.work(encode_handover(CONSOLE), found.append))
    assert (ran, found) == ([CONSOLE], [CONSOLE.url])
