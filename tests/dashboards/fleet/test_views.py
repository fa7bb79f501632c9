from dashboards.fleet.views import SeatState


def test_what_is_final_and_what_is_trouble() -> None:
    final = {state for state in SeatState if state.is_final}
    trouble = {state for state in SeatState if state.is_trouble}
    assert final - trouble == {SeatState.VERIFIED}
    assert trouble - final == {SeatState.LOST, SeatState.STALLED}
    assert not {SeatState.EMPTY, SeatState.OFF, SeatState.IDLE, SeatState.PLANNED} & (final | trouble)
