"""The dashboard of the whole fleet: health, rooms, network and library."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.board import BAD_IF_ANY, LATE, OK_IF_UP, TASK_IF_ANY, Sections, board
from dashboards.grafana.panels import Column, Query, Unit, figure, graph, listing


def fleet_board() -> Dashboard:
    """Everything at once: is it healthy, which rooms are being cast, which seats are in trouble."""
    sections: Sections = (
        (
            "Health",
            (
                figure(
                    "Broker",
                    "Whether the console is connected to the MQTT broker.",
                    Unit.COUNT,
                    "slatecast_console_broker_up",
                    words=OK_IF_UP,
                ),
                figure(
                    "Broadcaster",
                    "Whether the console hears the broadcaster.",
                    Unit.COUNT,
                    "slatecast_console_broadcaster_up",
                    words=OK_IF_UP,
                ),
                figure(
                    "Link",
                    "Whether the broadcaster's interface has a link.",
                    Unit.COUNT,
                    "slatecast_console_link_up",
                    words=OK_IF_UP,
                ),
                figure(
                    "Age of the picture",
                    "Time since the broadcaster was last heard.",
                    Unit.SECONDS,
                    "slatecast_console_broadcaster_age_seconds",
                    steps=LATE,
                ),
                figure(
                    "Problems",
                    "What an operator should mend; the console's health page says what.",
                    Unit.COUNT,
                    "slatecast_console_problems",
                    steps=BAD_IF_ANY,
                ),
                figure(
                    "Alerts",
                    "Alerts of rules.yml that fire now.",
                    Unit.COUNT,
                    'count(ALERTS{alertname=~"Slatecast.*", alertstate="firing"}) or vector(0)',
                    steps=BAD_IF_ANY,
                ),
            ),
        ),
        (
            "Rooms",
            (
                figure(
                    "Open sessions",
                    "Casts and plans that have not ended.",
                    Unit.COUNT,
                    "slatecast_console_open_sessions",
                ),
                figure(
                    "Receivers",
                    "Admitted and there.",
                    Unit.COUNT,
                    "slatecast_console_receivers",
                ),
                figure(
                    "Waiting to be let in",
                    "Receivers whose words nobody has compared.",
                    Unit.COUNT,
                    "slatecast_console_applicants",
                    steps=TASK_IF_ANY,
                ),
                figure(
                    "Without a seat",
                    "Receivers that are on no seat of a room.",
                    Unit.COUNT,
                    "slatecast_console_unplaced_receivers",
                    steps=TASK_IF_ANY,
                ),
                figure(
                    "Seats in trouble",
                    "Failed, damaged, refused, lost, stalled, incomplete, aborted.",
                    Unit.COUNT,
                    "sum(room:slatecast_room_seats_in_trouble:sum)",
                    steps=BAD_IF_ANY,
                ),
                figure(
                    "Images",
                    "Versions of images in the library.",
                    Unit.COUNT,
                    "slatecast_console_images",
                ),
                listing(
                    "Rooms",
                    "One row for each room: how far its slowest and its middle seat are.",
                    ("room",),
                    Column("Slowest seat", 'sum by (room) (slatecast_room_progress_ratio{rank="minimum"})', Unit.SHARE),
                    Column("Middle seat", 'sum by (room) (slatecast_room_progress_ratio{rank="median"})', Unit.SHARE),
                    Column("Time left", "sum by (room) (slatecast_room_eta_seconds)", Unit.SECONDS),
                    Column("Verified", 'sum by (room) (slatecast_room_seats{state="verified"})', Unit.COUNT),
                    Column("In trouble", "room:slatecast_room_seats_in_trouble:sum", Unit.COUNT),
                ),
                graph(
                    "Slowest seat of each room",
                    "Progress of the seat that is the least far.",
                    Unit.SHARE,
                    Query('slatecast_room_progress_ratio{rank="minimum"}', "{{room}}"),
                ),
                graph(
                    "Seats by state",
                    "Of all rooms; a state without a seat is left out.",
                    Unit.COUNT,
                    Query("sum by (state) (slatecast_room_seats) > 0", "{{state}}"),
                    is_stacked=True,
                ),
            ),
        ),
        (
            "Network and library",
            (
                graph(
                    "Wire rate",
                    "What leaves to the group of each session.",
                    Unit.BITS_PER_SECOND,
                    Query("8 * slatecast_session_wire_rate_bytes_per_second", "{{room}}"),
                ),
                graph(
                    "Library",
                    "Free space where the library is, and all of it.",
                    Unit.BYTES,
                    Query("slatecast_console_library_free_bytes", "free"),
                    Query("slatecast_console_library_size_bytes", "size"),
                ),
            ),
        ),
    )
    return board("fleet", "Slatecast: fleet", "All rooms, and what they stand on.", sections)
