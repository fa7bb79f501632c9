from typing import Any

import pytest
from nicegui import ui

from dashboards.pages.audit_page import ENTRIES, MORE_ENTRIES
from dashboards.user import User
from tests.dashboards.pages.visitor import Visitor, settled, visiting
from tests.dashboards.played_desk import OPERATOR

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]


def rows(visitor: Visitor) -> list[dict[str, Any]]:
    (table,) = visitor.all(ui.table)
    return list(table.rows)


async def test_the_newest_entry_is_the_first_and_the_verdict_is_told() -> None:
    async with visiting() as visitor:
        await visitor.open("/audit")
        await settled()
        assert [row["number"] for row in rows(visitor)] == list(range(20, 0, -1))
        assert rows(visitor)[2]["what"] == "lab-ubuntu version 2 was started for 18 seats"
        assert rows(visitor)[0]["who"] == "anna"
        assert visitor.says("The log is whole: 20 entries")


async def test_the_entries_are_filtered() -> None:
    async with visiting() as visitor:
        await visitor.open("/audit")
        await settled()
        (field,) = visitor.all(ui.input)
        field.value = "WRITE failed"
        assert {row["what"] for row in rows(visitor)} == {"07: failed (/dev/sda: write failed)"}
        assert visitor.says("5 of 20 entries")


async def test_a_log_that_was_changed_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with visiting() as visitor:
        asked: list[int] = []

        async def audit(_: User, count: int) -> dict[str, Any]:
            asked.append(count)
            entries = [{"number": number, "event": "<b>", "fields": {}} for number in range(1, count + 1)]
            return {"entries": entries[:ENTRIES], "is_intact": False, "verdict": "entry 3 was changed"}

        monkeypatch.setattr(visitor.desk, "audit", audit)
        await visitor.open("/audit")
        await settled()
        assert visitor.says("The log was changed, or a part of it is lost: entry 3 was changed.")
        await visitor.press("Older entries")
        assert asked == [ENTRIES, MORE_ENTRIES]
        assert not [button for button in visitor.all(ui.button) if button.text == "Older entries"]


async def test_a_refusal_stands_on_the_page() -> None:
    async with visiting() as visitor:
        visitor.desk.is_broadcaster_there = False
        await visitor.open("/audit")
        await settled()
        assert visitor.says("the broadcaster does not answer")
        visitor.desk.is_broadcaster_there = True
        visitor.user = OPERATOR
        await visitor.press("Read anew")
        assert visitor.says("otto may not read the audit log")
