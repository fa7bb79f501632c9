import random
import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.announcement import build_announcement
from broadcaster.metrics import OUTCOMES, BroadcasterMetrics
from broadcaster.rate import RateControl
from broadcaster.session import SenderSession, StartPolicy
from broadcaster.transmission import TransferObject
from protocol.messages import FecOti, ReceiverReport, ReceiverState, encode_tsi
from tests.end_to_end.room import free_port
from tests.simulator.image import draw_image


@pytest.fixture
def session() -> SenderSession:
    """Two seats, one of which has been silent for long at second 120; 20 blocks, of which one has left."""
    announcement = build_announcement(
        draw_image(random.Random(1), 20).manifest,
        tsi=7,
        session_secret=bytes(32),
        group="239.192.0.1",
        port=7000,
        oti=FecOti(),
    )
    session = SenderSession(
        announcement,
        manifest_object=TransferObject(1, lambda _: 1),
        disk_object=TransferObject(20, lambda _: 3),
        policy=StartPolicy(2, 60.0),
        rate=RateControl(100_000_000, 100.0),
        now=100.0,
    )
    for number, heard_at in ((1, 100.0), (2, 100.0), (2, 119.0)):
        session.receive_message(report(number, sequence=int(heard_at)), heard_at)
    transmission = session.next_transmission(119.0)
    assert transmission is not None
    session.transmitted(transmission, 119.0)
    return session


def report(number: int, sequence: int) -> ReceiverReport:
    counts = (
        *("blocks_total", "blocks_missing", "bytes_received", "symbols_expected", "symbols_lost", "blocks_repaired"),
        *("buffer_drops", "backlog_bytes", "bytes_to_verify", "bytes_verified"),
    )
    return ReceiverReport(
        tsi=encode_tsi(7),
        receiver_id=f"{number:032x}",
        seat=f"seat-{number}",
        sequence=sequence,
        state=ReceiverState.READY,
        reason="",
        target="/dev/sda",
        has_manifest=True,
        buffer_fill_ratio=0.0,
        **dict.fromkeys(counts, 0),
    )


@pytest.mark.system
def test_a_scrape_reads_the_session_as_it_is(session: SenderSession) -> None:
    broadcast = SimpleNamespace(session=session, bytes_sent=12_345, now=lambda: 120.0)
    port = free_port()
    with BroadcasterMetrics(broadcast, port):  # type: ignore[arg-type]  # all that the metrics look at
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {name: family.samples[0].value for name, family in families.items() if len(family.samples) == 1}
    assert values == {
        "slatecast_broadcaster_sent_bytes": 12_345,
        "slatecast_broadcaster_datagrams_sent": 1,
        "slatecast_broadcaster_repair_datagrams_sent": 0,
        "slatecast_broadcaster_rate_bits_per_second": 100_000_000,
        "slatecast_broadcaster_position_blocks": 0,
    }
    seats = {sample.labels["state"]: sample.value for sample in families["slatecast_broadcaster_seats"].samples}
    assert seats == {**dict.fromkeys(OUTCOMES, 0), "ready": 1, "lost": 1}
    assert all(family.documentation for family in families.values())
