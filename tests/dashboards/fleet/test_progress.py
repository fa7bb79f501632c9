import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.fleet.progress import ALMOST, READ_BACK_WEIGHT, Track, spread_of, takes_part, work_of
from dashboards.fleet.views import SeatState, Spread
from protocol.manifest import CHUNK_SIZE
from protocol.operators import SeatNews
from tests.dashboards.fleet import news


def tracked(*those: SeatNews, seconds: float = 1.0) -> Track:
    track = Track()
    for index, each in enumerate(those):
        track.receive(each, index * seconds)
    return track


def test_nothing_is_done_before_the_image_is_known() -> None:
    assert work_of(news.seat(blocks_total=0, blocks_missing=0)) == (0, 0)
    assert tracked(news.seat(blocks_total=0)).progress(SeatState.READY) == 0.0


def test_written_bytes_weigh_one_and_read_back_less() -> None:
    half = news.seat(blocks_missing=50, bytes_written=50 * CHUNK_SIZE)
    whole = 100 * (1 + READ_BACK_WEIGHT)
    assert tracked(half).progress(SeatState.RECEIVING) == pytest.approx(50 / whole)
    read = news.seat(
        blocks_missing=0,
        bytes_written=100 * CHUNK_SIZE,
        bytes_to_verify=100 * CHUNK_SIZE,
        bytes_verified=50 * CHUNK_SIZE,
    )
    assert tracked(read).progress(SeatState.VERIFYING) == pytest.approx((100 + 50 * READ_BACK_WEIGHT) / whole)


def test_what_was_on_the_disk_before_is_no_work_to_write() -> None:
    track = tracked(news.seat(blocks_missing=0, bytes_to_verify=100 * CHUNK_SIZE, bytes_verified=50 * CHUNK_SIZE))
    assert track.progress(SeatState.VERIFYING) == pytest.approx(0.5)


def test_one_is_verified_only() -> None:
    done = news.seat(
        blocks_missing=0, bytes_written=100 * CHUNK_SIZE, bytes_to_verify=CHUNK_SIZE, bytes_verified=CHUNK_SIZE
    )
    assert tracked(done).progress(SeatState.VERIFYING) == ALMOST
    assert tracked(done).progress(SeatState.VERIFIED) == 1.0


def test_a_pc_that_starts_again_keeps_its_progress_and_not_its_speed() -> None:
    track = tracked(
        news.seat(1, blocks_missing=50, bytes_written=50 * CHUNK_SIZE, bytes_received=10_000_000),
        news.seat(1, blocks_missing=40, bytes_written=60 * CHUNK_SIZE, bytes_received=12_000_000),
    )
    before = track.progress(SeatState.RECEIVING)
    track.receive(news.seat(2, blocks_missing=100, machine="pc-1"), 2.0)
    assert track.progress(SeatState.RECEIVING) == before
    assert track.bits_received_per_second() == 0.0


def test_the_rate_is_that_of_the_last_seconds() -> None:
    slow = [news.seat(bytes_received=second * 1000) for second in range(20)]
    fast = [news.seat(bytes_received=19_000 + second * 500_000, catch_up_bytes=second * 500_000) for second in range(8)]
    assert tracked(*slow, *fast).bits_received_per_second() == pytest.approx(8e6, rel=0.01)


def test_news_that_come_twice_at_a_time_do_not_make_the_rate_jump() -> None:
    track = Track()
    for second in range(10):
        track.receive(news.seat(bytes_received=second * 1_000_000), second)
        track.receive(news.seat(bytes_received=second * 1_000_000), second + 0.01)
    assert track.bits_received_per_second() == pytest.approx(8e6, rel=0.02)


@given(
    st.lists(
        st.builds(
            news.seat,
            number=st.integers(1, 2),
            machine=st.just("pc"),
            blocks_total=st.integers(0, 1 << 62),
            blocks_missing=st.integers(0, 1 << 62),
            bytes_written=st.integers(0, 1 << 62),
            bytes_to_verify=st.integers(0, 1 << 62),
            bytes_verified=st.integers(0, 1 << 62),
        ),
        max_size=20,
    )
)
def test_progress_never_falls_and_is_a_share_whatever_is_said(those: list[SeatNews]) -> None:
    track = Track()
    before = 0.0
    for index, each in enumerate(those):
        track.receive(each, index)
        assert before <= track.progress(SeatState.RECEIVING) <= ALMOST
        before = track.progress(SeatState.RECEIVING)


def test_spread_is_of_those_that_take_part() -> None:
    told = [
        (SeatState.VERIFIED, 1.0),
        (SeatState.RECEIVING, 0.4),
        (SeatState.LOST, 0.2),
        (SeatState.FAILED, 0.1),
        (SeatState.REFUSED, 0.0),
        (SeatState.OFF, 0.0),
    ]
    assert spread_of(told) == Spread(0.2, 0.4, 1.0)
    assert spread_of([(SeatState.REFUSED, 0.0)]) == Spread()


@pytest.mark.parametrize("state", SeatState)
def test_who_takes_part(state: SeatState) -> None:
    outside = {
        SeatState.OFF,
        SeatState.REFUSED,
        SeatState.FAILED,
        SeatState.DAMAGED,
        SeatState.INCOMPLETE,
        SeatState.ABORTED,
    }
    assert takes_part(state) is (state not in outside)
