"""Single news for tests of the fold, each field as quiet as can be unless it is named."""

from typing import Any

import msgspec

from dashboards.fleet.session_fold import SessionFold
from dashboards.fleet.views import Health, SessionView
from protocol.manifest import CHUNK_SIZE
from protocol.messages import SessionPhase
from protocol.operators import HostNews, ReceiverNews, ReceiversNews, SeatNews, SeatsNews, SessionNews, SessionStep

GENERATION = "a" * 32
LATER = "b" * 32
TSI = "0123456789abcdef"
NO_HEALTH = Health(True, "", None, None, True, ())


def receiver_id(number: int) -> str:
    return f"{number:032x}"


def host(sequence: int = 1, generation: str = GENERATION, started_at: float = 1000.0, **fields: Any) -> HostNews:
    news = HostNews(
        generation=generation,
        sequence=sequence,
        version="1",
        at=2000.0 + sequence,
        started_at=started_at,
        interface="eth0",
        address="192.0.2.1",
        front_door="192.0.2.1:1",
        broker="mqtt://192.0.2.1:2",
        link_bits_per_second=1_000_000_000,
        is_link_up=True,
        library_path="/srv",
        library_bytes_free=1 << 40,
        library_bytes_total=1 << 41,
        sessions=(TSI,),
        receiver_count=0,
        applicants=(),
        configurations=(),
        can_boot=False,
        warnings=(),
    )
    return msgspec.structs.replace(news, **fields)


def session(sequence: int = 1, generation: str = GENERATION, **fields: Any) -> SessionNews:
    news = SessionNews(
        generation=generation,
        tsi=TSI,
        sequence=sequence,
        room="Lab",
        image="ubuntu",
        version=1,
        disk_size=100 * CHUNK_SIZE,
        stored_bytes=50 * CHUNK_SIZE,
        block_count=100,
        ordered_by="anna",
        opened_at=1500.0,
        step=SessionStep.RUNNING,
        phase=SessionPhase.DISK,
        position=0,
        elapsed_seconds=1.0,
        rate_bits_per_second=900_000_000,
        cap_bits_per_second=940_000_000,
        rate_reason="",
        bytes_on_wire=0,
        catch_up_bytes=0,
        datagrams_sent=0,
        repair_datagrams=0,
        expected_seats=1,
        pages=1,
        end_reason="",
        happenings=(),
        backs_up=False,
    )
    return msgspec.structs.replace(news, **fields)


def seat(number: int = 1, outcome: str = "receiving", **fields: Any) -> SeatNews:
    news = SeatNews(
        receiver_id=receiver_id(number),
        machine=f"pc-{number}",
        seat=f"{number:02}",
        outcome=outcome,
        reason="",
        is_on_catch_up=False,
        target="/dev/sda",
        silent_seconds=0.1,
        settled_seconds=-1.0,
        has_scanned=True,
        blocks_total=100,
        blocks_missing=100,
        blocks_to_scan=100,
        blocks_scanned=100,
        bytes_received=0,
        catch_up_bytes=0,
        symbols_expected=0,
        symbols_lost=0,
        blocks_repaired=0,
        buffer_drops=0,
        buffer_fill_ratio=0.0,
        bytes_written=0,
        disk_busy_ratio=0.0,
        link_bits_per_second=1_000_000_000,
        bytes_to_verify=0,
        bytes_verified=0,
        datagrams_rejected=0,
        poisoned_symbols=0,
        alarm="",
    )
    return msgspec.structs.replace(news, **fields)


def seats(*those: SeatNews, sequence: int = 1, page: int = 0, generation: str = GENERATION) -> SeatsNews:
    return SeatsNews(generation=generation, tsi=TSI, sequence=sequence, page=page, seats=those)


def receivers(
    *those: ReceiverNews, sequence: int = 1, page: int = 0, pages: int = 1, generation: str = GENERATION
) -> ReceiversNews:
    return ReceiversNews(generation=generation, sequence=sequence, page=page, pages=pages, receivers=those)


def present(number: int, in_session: str = "") -> ReceiverNews:
    return ReceiverNews(receiver_id(number), f"pc-{number}", f"host-{number}", in_session, "")


def session_view(*outcomes: str, step: SessionStep = SessionStep.RUNNING, tsi: str = TSI) -> SessionView:
    """What is shown of a session with one seat for each outcome."""
    fold = SessionFold(tsi)
    fold.receive_head(session(step=step), 0.0, 2000.0)
    fold.receive_seats(seats(*(seat(number, outcome) for number, outcome in enumerate(outcomes, 1))), 0.0)
    view = fold.view(0.0, is_given_up=False)
    assert view is not None
    return view
