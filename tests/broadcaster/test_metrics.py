import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.metrics import METRICS, OUTCOMES, BroadcasterMetrics
from broadcaster.rate import RateControl
from broadcaster.readiness import StartPolicy
from broadcaster.session import SenderSession
from broadcaster.transmission import TransferObject
from protocol.messages import ReceiverState, SessionPhase
from protocol.wire import TOI_DISK
from tests.end_to_end.room import free_port
from tests.sample_messages import announcement, missing_blocks, receiver_id, report


@pytest.fixture
def session() -> SenderSession:
    """Three seats, one of which has been silent for long at second 120 and one catches up; 5 of 20 blocks are to be
    sent, of which one has left and one is damaged.
    """
    session = SenderSession(
        announcement(),
        manifest_object=TransferObject(1, lambda _: 1),
        disk_object=TransferObject(20, lambda _: 3),
        policy=StartPolicy(3, 60.0),
        rate=RateControl(100_000_000, 100.0),
        now=100.0,
    )
    for number in (1, 2, 3):
        session.receive_message(report(number, 1), 100.0)
    transmission = session.next_transmission(100.0)
    assert transmission is not None
    session.transmitted(transmission, 100.0)
    for number in (1, 2, 3):
        session.receive_message(
            report(number, 2, state=ReceiverState.RECEIVING, has_manifest=True, has_scanned=True), 101.0
        )
        session.receive_message(missing_blocks(number, 3, ranges=[(4, 9)], block_count=20), 101.0)
    assert session.phase is SessionPhase.DISK
    for _ in range(2):
        transmission = session.next_transmission(101.0)
        assert transmission is not None
        if transmission.sbn == 4:
            session.transmitted(transmission, 101.0)
        else:
            session.cannot_send(TOI_DISK, transmission.sbn, "damaged", 101.0)
    for number in (2, 3):
        session.roster.hear(receiver_id(number), 119.0)
    slow = session.roster.get(receiver_id(3))
    assert slow is not None
    slow.slow_because = "disk 12 MB/s"
    return session


@pytest.mark.system
def test_a_scrape_reads_the_session_as_it_is(session: SenderSession) -> None:
    budget = SimpleNamespace(rejected_count=7, quarantined_count=1)
    broadcast = SimpleNamespace(
        session=session, bytes_sent=12_345, catch_up_bytes=678, budget=budget, now=lambda: 120.0
    )
    port = free_port()
    with BroadcasterMetrics(lambda: [broadcast], port):  # type: ignore[list-item]  # all that the metrics look at
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    values = {name: family.samples[0].value for name, family in families.items() if len(family.samples) == 1}
    assert values == {
        "slatecast_broadcaster_sent_bytes": 12_345,
        "slatecast_broadcaster_datagrams_sent": 1 + 3,
        "slatecast_broadcaster_repair_datagrams_sent": 0,
        "slatecast_broadcaster_rate_bytes_per_second": 12_500_000,
        "slatecast_broadcaster_planned_blocks": 5,
        "slatecast_broadcaster_position_blocks": 1,
        "slatecast_broadcaster_damaged_blocks": 1,
        "slatecast_broadcaster_catch_up_seats": 1,
        "slatecast_broadcaster_catch_up_bytes": 678,
        "slatecast_broadcaster_messages_rejected": 7,
        "slatecast_broadcaster_quarantines": 1,
    }
    seats = {sample.labels["state"]: sample.value for sample in families["slatecast_broadcaster_seats"].samples}
    assert seats == {**dict.fromkeys(OUTCOMES, 0), "receiving": 2, "lost": 1}
    assert {(name, family.type) for name, family in families.items()} == {
        (each.name.removesuffix("_total"), each.type) for each in METRICS
    }
    assert {sample.labels["session"] for family in families.values() for sample in family.samples} == {
        session.announcement.tsi
    }
    assert all(family.documentation for family in families.values())
