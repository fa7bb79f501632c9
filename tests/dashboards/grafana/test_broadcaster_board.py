import broadcaster.metrics
import receiver.metrics
from tests.dashboards.grafana.board_queries import committed, expressions
from tests.dashboards.prometheus.metric_names import RECORDED, names_in


def test_it_needs_no_console() -> None:
    own = {metric.name for metric in (*broadcaster.metrics.METRICS, *receiver.metrics.METRICS)}
    asked = set().union(*(names_in(expression) for _, expression in expressions(committed("broadcaster"))))
    assert asked <= own | RECORDED


def test_all_that_a_broadcaster_exports_is_on_it() -> None:
    asked = set().union(*(names_in(expression) for _, expression in expressions(committed("broadcaster"))))
    assert {metric.name for metric in broadcaster.metrics.METRICS} <= asked
