"""The dashboard of what broadcaster and receivers say themselves, without the console."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.board import Sections, board
from dashboards.grafana.panels import Query, Unit, graph

_RECEIVER: Final = "{{seat}} {{instance}}"
"""Its seat, where the console's list of targets tells it."""


def broadcaster_board() -> Dashboard:
    """What the exporters of broadcaster and receivers say themselves."""
    of = '{session="$session"}'
    sections: Sections = (
        (
            "Broadcaster, session $session",
            (
                graph(
                    "Rate",
                    "What leaves to the group, and what the rate control allows.",
                    Unit.BITS_PER_SECOND,
                    Query(f"8 * rate(slatecast_broadcaster_sent_bytes_total{of}[$__rate_interval])", "on the wire"),
                    Query(f"8 * slatecast_broadcaster_rate_bytes_per_second{of}", "allowed"),
                ),
                graph(
                    "Datagrams",
                    "All that leave, and the ones for repair among them.",
                    Unit.PER_SECOND,
                    Query(f"rate(slatecast_broadcaster_datagrams_sent_total{of}[$__rate_interval])", "all"),
                    Query(f"rate(slatecast_broadcaster_repair_datagrams_sent_total{of}[$__rate_interval])", "repair"),
                ),
                graph(
                    "First pass",
                    "Blocks sent, planned, and damaged in the library.",
                    Unit.COUNT,
                    Query(f"slatecast_broadcaster_position_blocks{of}", "sent"),
                    Query(f"slatecast_broadcaster_planned_blocks{of}", "planned"),
                    Query(f"slatecast_broadcaster_damaged_blocks{of}", "damaged"),
                ),
                graph(
                    "Seats by state",
                    "As the broadcaster judges them.",
                    Unit.COUNT,
                    Query(f"slatecast_broadcaster_seats{of} > 0", "{{state}}"),
                    is_stacked=True,
                ),
                graph(
                    "Catch-up lane",
                    "What single seats fetch by HTTPS.",
                    Unit.BYTES_PER_SECOND,
                    Query(f"rate(slatecast_broadcaster_catch_up_bytes_total{of}[$__rate_interval])", "all seats"),
                    width=8,
                ),
                graph(
                    "Seats on the catch-up lane",
                    "That fetch by themselves what they miss.",
                    Unit.COUNT,
                    Query(f"slatecast_broadcaster_catch_up_seats{of}", "seats"),
                    width=8,
                ),
                graph(
                    "Nonsense",
                    "Messages dropped unread, and receivers quarantined for it.",
                    Unit.COUNT,
                    Query(f"slatecast_broadcaster_messages_rejected_total{of}", "messages"),
                    Query(f"slatecast_broadcaster_quarantines_total{of}", "quarantines"),
                    width=8,
                ),
            ),
        ),
        (
            "Receivers with an exporter of their own",
            (
                graph(
                    "Received",
                    "By multicast, at each receiver.",
                    Unit.BITS_PER_SECOND,
                    Query("8 * rate(slatecast_receiver_received_bytes_total[$__rate_interval])", _RECEIVER),
                ),
                graph(
                    "Loss",
                    "Share of the first pass that did not arrive.",
                    Unit.SHARE,
                    Query("instance:slatecast_receiver_symbols_lost:ratio", _RECEIVER),
                ),
                graph(
                    "Missing blocks",
                    "Blocks that are not stored yet.",
                    Unit.COUNT,
                    Query("slatecast_receiver_missing_blocks", _RECEIVER),
                ),
                graph(
                    "Backlog",
                    "Blocks in memory that wait for the disk.",
                    Unit.BYTES,
                    Query("slatecast_receiver_backlog_bytes", _RECEIVER),
                ),
                graph(
                    "Read back",
                    "What verification has gone over.",
                    Unit.BYTES,
                    Query("slatecast_receiver_verified_bytes", _RECEIVER),
                ),
                graph(
                    "Dropped, rejected, poisoned",
                    "Should all stay near 0.",
                    Unit.COUNT,
                    Query("sum(slatecast_receiver_buffer_drops_total)", "no room in the receive buffer"),
                    Query("sum(slatecast_receiver_datagrams_rejected_total)", "seal did not match"),
                    Query("sum(slatecast_receiver_poisoned_symbols_total)", "poisoned symbols"),
                    Query("sum(slatecast_receiver_poisoned_blocks_total)", "poisoned blocks"),
                ),
            ),
        ),
    )
    return board(
        "broadcaster",
        "Slatecast: broadcaster",
        "What the roles' own exporters say.",
        sections,
        ("session", "Session", "slatecast_broadcaster_rate_bytes_per_second"),
    )
