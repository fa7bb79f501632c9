from tests.dashboards.grafana.board_queries import choices, committed, expressions
from tests.dashboards.prometheus.metric_names import names_in


def test_the_fleet_is_seen_without_choosing_anything() -> None:
    assert not list(choices(committed("fleet")))


def test_what_an_operator_looks_at_first_is_on_it() -> None:
    asked = set().union(*(names_in(expression) for _, expression in expressions(committed("fleet"))))
    assert {
        "slatecast_console_broker_up",
        "slatecast_console_broadcaster_up",
        "slatecast_console_library_free_bytes",
        "slatecast_room_progress_ratio",
        "slatecast_room_eta_seconds",
        "room:slatecast_room_seats_in_trouble:sum",
    } <= asked
