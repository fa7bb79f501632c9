import asyncio
import socket

import pytest

from broadcaster.configurations import beacons as module
from broadcaster.configurations.beacons import Beacons
from protocol.configuration import beacon_datagram
from tests.end_to_end.room import free_port

TOKENS = [f"{number:032x}" for number in range(4)]


class Heard:
    def __init__(self) -> None:
        self.seats: list[tuple[str, str]] = []
        self.changed = asyncio.Event()

    def __call__(self, tsi: str, receiver_id: str) -> None:
        self.seats.append((tsi, receiver_id))
        self.changed.set()


def beacons(heard: Heard) -> Beacons:
    made = Beacons("127.0.0.1", heard, ())
    for number, token in enumerate(TOKENS[:3]):
        made.expect(token, "session", str(number))
    return made


def test_each_seat_is_told_once() -> None:
    heard = Heard()
    made = beacons(heard)
    for _ in range(3):
        made.hear(beacon_datagram(TOKENS[1]))
    assert heard.seats == [("session", "1")]
    assert made.dropped_count == 2


@pytest.mark.parametrize("datagram", [b"", b"x" * 65, beacon_datagram(TOKENS[3]), beacon_datagram(TOKENS[0])[:-1]])
def test_what_is_nothing_of_ours_is_dropped(datagram: bytes) -> None:
    heard = Heard()
    made = beacons(heard)
    made.hear(datagram)
    assert (heard.seats, made.dropped_count) == ([], 1)


def test_the_oldest_is_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOKENS", 2)
    heard = Heard()
    made = beacons(heard)
    for token in TOKENS:
        made.hear(beacon_datagram(token))
    assert [receiver for _, receiver in heard.seats] == ["1", "2"]


@pytest.mark.asyncio
@pytest.mark.system
async def test_a_datagram_is_heard_and_never_answered() -> None:
    heard = Heard()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.setblocking(False)
        async with Beacons("127.0.0.1", heard, (0,)) as listening:
            assert listening.port
            listening.expect(TOKENS[0], "session", "0")
            for datagram in (b"nonsense", beacon_datagram(TOKENS[0])):
                sender.sendto(datagram, ("127.0.0.1", listening.port))
            await asyncio.wait_for(heard.changed.wait(), 10)
            with pytest.raises(BlockingIOError):
                sender.recv(1)
    assert listening.port == 0 or heard.seats == [("session", "0")]


@pytest.mark.asyncio
@pytest.mark.system
async def test_a_port_that_is_taken_gives_way_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    async with Beacons("127.0.0.1", Heard(), (port,)) as first:
        assert first.port == port
        async with Beacons("127.0.0.1", Heard(), (port, 0)) as second:
            assert second.port not in {0, port}
        async with Beacons("127.0.0.1", Heard(), (port,)) as third:
            assert third.port == 0
    assert "no UDP port can be had" in caplog.text
