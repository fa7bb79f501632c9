import random
import urllib.request
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.announcement import build_announcement
from protocol.messages import FecOti, ReceiverState
from receiver.arming import Arming
from receiver.metrics import METRICS, ReceiverMetrics
from receiver.session import ReceiverSession
from tests.end_to_end.room import free_port
from tests.simulator.image import ENCODING_SYMBOL_LENGTH, draw_image

pytestmark = pytest.mark.system


def scrape(session: ReceiverSession | None) -> dict[str, float]:
    """Values by name, and by name and label where there is one."""
    port = free_port()
    receiver = SimpleNamespace(session=session)
    with ReceiverMetrics(receiver, port):  # type: ignore[arg-type]  # all that the metrics look at
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_before_a_session_there_is_nothing_to_tell() -> None:
    assert scrape(None) == {}


def test_a_scrape_reads_the_session_as_it_is() -> None:
    manifest = draw_image(random.Random(1), 20, 0.7).manifest
    announcement = build_announcement(
        manifest,
        tsi=7,
        image_key=bytes(32),
        image_signature=bytes(64),
        source="192.0.2.1",
        group="239.192.0.1",
        port=7000,
        oti=FecOti(encoding_symbol_length=ENCODING_SYMBOL_LENGTH),
    )
    session = ReceiverSession(
        announcement,
        receiver_id="0" * 32,
        seat="seat",
        target="disk",
        arming=Arming(0.0, 0.0, is_held=False),
        rng=random.Random(1),
        now=0.0,
    )
    session.manifest_loaded(manifest, 1.0)
    session.counters.bytes_received = 1_000
    session.first_pass.symbols_expected = 200
    session.first_pass.symbols_lost = 3
    session.first_pass.blocks_repaired = 2
    session.counters.buffer_drops = 1
    session.counters.datagrams_rejected = 4
    session.counters.bytes_verified = 77
    session.poison.block_mismatched()
    session.poison.symbols_dropped(6)
    values = scrape(session)
    assert {name.split()[0] for name in values} == {each.name for each in METRICS}
    states = {name.split()[1]: values.pop(name) for name in list(values) if " " in name}
    assert states == {state.value: float(state is ReceiverState.RECEIVING) for state in ReceiverState}
    assert values == {
        "slatecast_receiver_received_bytes_total": 1_000,
        "slatecast_receiver_symbols_expected_total": 200,
        "slatecast_receiver_poisoned_blocks_total": 1,
        "slatecast_receiver_poisoned_symbols_total": 6,
        "slatecast_receiver_symbols_lost_total": 3,
        "slatecast_receiver_blocks_repaired_total": 2,
        "slatecast_receiver_buffer_drops_total": 1,
        "slatecast_receiver_datagrams_rejected_total": 4,
        "slatecast_receiver_missing_blocks": 20,
        "slatecast_receiver_backlog_bytes": 0,
        "slatecast_receiver_verified_bytes": 77,
    }
