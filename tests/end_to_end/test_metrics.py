"""The metrics of a cast under way, scraped as Prometheus does."""

import urllib.request
from contextlib import suppress
from http.client import HTTPException

import pytest
from prometheus_client.parser import text_string_to_metric_families

from protocol.messages import ReceiverReport
from tests.end_to_end.room import Room, free_port, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_both_roles_tell_how_far_they_are(room: Room) -> None:
    source, target, ports = room.source(), room.target("seat"), (free_port(), free_port())
    cast = room.cast(source, "--rate", "16M", "--metrics-port", ports[0])
    watch = room.watch(cast.broker())
    receiver = room.receive(target, cast.door(), "--metrics-port", ports[1])
    watch.until(ReceiverReport, lambda report: 0 < report.blocks_missing < report.blocks_total)
    wait_until(lambda: bool(scrape(ports[0])), "the metrics endpoint")

    broadcast = scrape(ports[0])
    assert broadcast["slatecast_broadcaster_sent_bytes_total"] > 0
    assert broadcast["slatecast_broadcaster_datagrams_sent_total"] > 0
    assert broadcast["slatecast_broadcaster_rate_bytes_per_second"] == 2_000_000
    assert broadcast["slatecast_broadcaster_position_blocks"] > 0
    assert broadcast["slatecast_broadcaster_seats", "receiving"] == 1
    assert broadcast["slatecast_broadcaster_seats", "lost"] == 0

    received = scrape(ports[1])
    assert received["slatecast_receiver_received_bytes_total"] > 0
    assert received["slatecast_receiver_missing_blocks"] > 0
    assert received["slatecast_receiver_state", "receiving"] == 1
    assert received["slatecast_receiver_state", "verified"] == 0

    assert cast.finish() == 0
    assert receiver.finish() == 0
    assert not scrape(ports[0])


def scrape(port: int) -> dict[str | tuple[str, str], float]:
    """Value by name, or by name and state where there is one; empty where nobody answers."""
    with (
        suppress(OSError, HTTPException),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page,
    ):
        text = page.read().decode()
        return {
            (sample.name, sample.labels["state"]) if "state" in sample.labels else sample.name: sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
    return {}
