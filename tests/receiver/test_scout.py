import asyncio
from collections import Counter

import pytest

from protocol.errors import TransportError
from receiver import scout
from receiver.poison import PoisonWatch, Sender
from receiver.scout import look, watch_senders

pytestmark = pytest.mark.asyncio

SOURCE = "10.0.0.1"
TRUE, LIAR = "02:00:00:00:00:01", "02:00:00:00:00:66"


class FakeWatch:
    """Hears the broadcaster all the time, and a liar from some read on."""

    lies_from = 1

    def __init__(self, interface_name: str, group: str) -> None:
        self.where = (interface_name, group)
        self.ignored: list[str] = []
        self.is_closed = False
        self.reads = 0
        watches.append(self)

    def __enter__(self) -> "FakeWatch":
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True

    def ignore(self, mac: str) -> None:
        self.ignored.append(mac)

    def read(self) -> Counter[tuple[str, str]]:
        self.reads += 1
        heard = Counter({(TRUE, SOURCE): 50, **({(LIAR, SOURCE): 1} if self.reads >= FakeWatch.lies_from else {})})
        return Counter({key: count for key, count in heard.items() if key[0] not in self.ignored})


watches: list[FakeWatch] = []


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    watches.clear()
    monkeypatch.setattr(scout, "SenderWatch", FakeWatch)
    monkeypatch.setattr(scout, "neighbour_mac", lambda address, interface_name: None)
    monkeypatch.setattr(scout, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(scout, "CROWD_SECONDS", 0.01)
    monkeypatch.setattr(scout, "READ_SECONDS", 0.001)


@pytest.mark.parametrize("neighbour", [None, TRUE, "02:00:00:00:00:99"])
async def test_the_crowd_is_looked_at_first_and_then_only_strangers(
    monkeypatch: pytest.MonkeyPatch, neighbour: str | None
) -> None:
    monkeypatch.setattr(scout, "neighbour_mac", lambda address, interface_name: neighbour)
    monkeypatch.setattr(FakeWatch, "lies_from", 20)
    heard, source_mac = await look("eth0", "239.192.0.1", SOURCE, 60.0)
    (watch,) = watches
    assert watch.where == ("eth0", "239.192.0.1")
    assert (watch.ignored, watch.is_closed) == ([TRUE], True)
    assert source_mac == neighbour
    assert heard[Sender(LIAR, SOURCE)] == 1, "it ends when it has found somebody"
    assert heard[Sender(TRUE, SOURCE)] < 20 * 50, "the broadcaster is kept back"


async def test_where_nobody_else_is_heard_the_look_comes_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeWatch, "lies_from", 10**9)
    heard, _ = await look("eth0", "239.192.0.1", SOURCE, 0.05)
    assert list(heard) == [Sender(TRUE, SOURCE)]
    assert watches[0].is_closed


async def watched(poison: PoisonWatch, ending: str) -> None:
    """Let somebody watch until the alarm ends like this."""
    watching = asyncio.create_task(watch_senders(poison, "eth0", "239.192.0.1", SOURCE))
    async with asyncio.timeout(10):
        while not poison.alarm.endswith(ending):  # noqa: ASYNC110 - what is waited for raises no event
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.005)  # several polls more
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_nobody_looks_while_all_is_well() -> None:
    await watched(PoisonWatch(), "")
    assert not watches


async def test_the_liar_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def quick(interface_name: str, group: str, source: str) -> tuple[Counter[Sender], str | None]:
        return await look(interface_name, group, source, 0.01)

    monkeypatch.setattr(scout, "look", quick)
    poison = PoisonWatch()
    poison.block_mismatched()
    await watched(poison, f"1 block, source MAC {LIAR} as {SOURCE}")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [poison.alarm]
    assert len(watches) == 1


async def test_who_may_not_look_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise TransportError("looking who sends to 239.192.0.1 needs root or CAP_NET_RAW: Operation not permitted")

    monkeypatch.setattr(scout, "SenderWatch", refused)
    poison = PoisonWatch()
    poison.block_mismatched()
    await watched(poison, "only a receiver that runs as root sees MAC addresses")
