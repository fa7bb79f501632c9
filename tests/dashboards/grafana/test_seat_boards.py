import pytest

from dashboards.prometheus import seat_metrics
from tests.dashboards.grafana.board_queries import committed, expressions
from tests.dashboards.prometheus.metric_names import names_in


@pytest.mark.parametrize("board", ["room", "session"])
def test_every_query_is_about_what_was_chosen(board: str) -> None:
    assert all(f'{board}="${board}"' in expression for _, expression in expressions(committed(board)))


@pytest.mark.parametrize("board", ["room", "session"])
def test_what_tells_why_a_seat_is_slow_is_on_it(board: str) -> None:
    asked = set().union(*(names_in(expression) for _, expression in expressions(committed(board))))
    telling = (seat_metrics.STATE, seat_metrics.LOSS, seat_metrics.LINK, seat_metrics.DISK_BUSY, seat_metrics.SLOW)
    assert {metric.name for metric in telling} <= asked
