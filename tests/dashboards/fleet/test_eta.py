import pytest

from dashboards.fleet.eta import LONGEST_ETA, seat_eta, session_eta
from dashboards.fleet.progress import READ_BACK_WEIGHT, Track, work_of
from dashboards.fleet.views import SeatState
from protocol.manifest import CHUNK_SIZE
from protocol.operators import SeatNews
from tests.dashboards.fleet import news


def written(blocks: int) -> SeatNews:
    return news.seat(blocks_missing=100 - blocks, bytes_written=blocks * CHUNK_SIZE)


def eta(*those: SeatNews, state: SeatState = SeatState.RECEIVING, seconds: float = 1.0) -> float | None:
    track = Track()
    for index, each in enumerate(those):
        track.receive(each, index * seconds)
    return seat_eta(state, work_of(those[-1]), track)


def test_what_is_left_at_the_speed_of_late() -> None:
    left = 100 * (1 + READ_BACK_WEIGHT) - 20
    assert eta(*(written(blocks) for blocks in range(21))) == pytest.approx(left)
    assert eta(*(written(blocks * 2) for blocks in range(11))) == pytest.approx(left / 2)


def test_read_back_goes_at_its_own_speed() -> None:
    those = [
        news.seat(
            blocks_missing=0,
            bytes_written=100 * CHUNK_SIZE,
            bytes_to_verify=100 * CHUNK_SIZE,
            bytes_verified=10 * second * CHUNK_SIZE,
        )
        for second in range(6)
    ]
    assert eta(*those, state=SeatState.VERIFYING) == pytest.approx(5.0)


@pytest.mark.parametrize(
    "those",
    [
        [written(10)],
        [written(10), written(11)],
        [written(10)] * 10,
        [news.seat(blocks_total=0)] * 10,
    ],
    ids=["one word", "too short", "stands still", "no image"],
)
def test_nobody_can_tell(those: list[SeatNews]) -> None:
    assert eta(*those) is None


@pytest.mark.parametrize("state", [SeatState.LOST, SeatState.FAILED, SeatState.READY, SeatState.PLANNED])
def test_who_does_not_work_has_no_time(state: SeatState) -> None:
    assert eta(*(written(blocks) for blocks in range(21)), state=state) is None


def test_a_week_is_for_ever() -> None:
    crawl = [news.seat(blocks_missing=100, bytes_written=second) for second in range(20)]
    assert eta(*crawl) is None
    assert LONGEST_ETA == 7 * 24 * 3600


def test_verified_is_now() -> None:
    assert eta(written(100), state=SeatState.VERIFIED) == 0.0


def test_the_last_seat_decides() -> None:
    assert session_eta([(SeatState.VERIFIED, 0.0), (SeatState.RECEIVING, 30.0), (SeatState.VERIFYING, 5.0)]) == 30.0
    assert session_eta([(SeatState.RECEIVING, 30.0), (SeatState.READY, None)]) is None
    assert session_eta([(SeatState.RECEIVING, 30.0), (SeatState.LOST, None), (SeatState.FAILED, None)]) == 30.0
    assert session_eta([(SeatState.FAILED, None)]) is None
    assert session_eta([]) is None
