"""The dashboards of one room and of one session: how far, when done, which seat holds it up."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from dashboards.grafana.board import BAD_IF_ANY, Sections, board
from dashboards.grafana.panels import Column, Panel, Query, Unit, figure, graph, listing


def room_board() -> Dashboard:
    """One room: how far, when done, which seat holds it up."""
    progress = 'slatecast_room_progress_ratio{room="$room", rank="%s"}'
    sections: Sections = (
        (
            "$room",
            (
                figure("Slowest seat", "Progress of the least far.", Unit.SHARE, progress % "minimum"),
                figure("Middle seat", "Median of the progress.", Unit.SHARE, progress % "median"),
                figure("Fastest seat", "Progress of the farthest.", Unit.SHARE, progress % "maximum"),
                figure(
                    "Time left",
                    "Until the last seat is verified.",
                    Unit.SECONDS,
                    'slatecast_room_eta_seconds{room="$room"}',
                    none="not known",
                ),
                figure(
                    "Verified",
                    "Seats whose disk was read back and is the image.",
                    Unit.COUNT,
                    'slatecast_room_seats{room="$room", state="verified"}',
                ),
                figure(
                    "In trouble",
                    "Seats that need somebody.",
                    Unit.COUNT,
                    'room:slatecast_room_seats_in_trouble:sum{room="$room"}',
                    steps=BAD_IF_ANY,
                ),
                graph(
                    "Progress",
                    "Of the slowest, the middle and the fastest seat.",
                    Unit.SHARE,
                    Query('slatecast_room_progress_ratio{room="$room"}', "{{rank}}"),
                ),
                graph(
                    "Seats by state",
                    "A state without a seat is left out.",
                    Unit.COUNT,
                    Query('slatecast_room_seats{room="$room"} > 0', "{{state}}"),
                    is_stacked=True,
                ),
            ),
        ),
        ("Seats", (_seats('room="$room"'), *_seat_graphs('room="$room"'))),
    )
    return board(
        "room",
        "Slatecast: room",
        "One room, seat by seat.",
        sections,
        ("room", "Room", "slatecast_room_seats"),
    )


def session_board() -> Dashboard:
    """One session: rate against the cap, loss, repair, and every seat."""
    of = '{session="$session"}'
    sections: Sections = (
        (
            "Session $session",
            (
                figure(
                    "Step",
                    "Where the session stands.",
                    Unit.TEXT,
                    f"slatecast_session_step{of}",
                    legend="{{step}}",
                ),
                figure(
                    "Image",
                    "What is cast.",
                    Unit.TEXT,
                    f"slatecast_session_info{of}",
                    legend="{{image}} version {{version}}",
                ),
                figure(
                    "Slowest seat",
                    "Progress of the least far.",
                    Unit.SHARE,
                    'slatecast_session_progress_ratio{session="$session", rank="minimum"}',
                ),
                figure(
                    "Time left",
                    "Until the last seat is verified.",
                    Unit.SECONDS,
                    f"slatecast_session_eta_seconds{of}",
                    none="not known",
                ),
                figure(
                    "Running for",
                    "Since sending began.",
                    Unit.SECONDS,
                    f"slatecast_session_elapsed_seconds{of}",
                ),
                figure(
                    "Expected seats",
                    "That the session is for.",
                    Unit.COUNT,
                    f"slatecast_session_expected_seats{of}",
                ),
                graph(
                    "Rate",
                    "On the wire, as the rate control allows, and the cap.",
                    Unit.BITS_PER_SECOND,
                    Query(f"8 * slatecast_session_wire_rate_bytes_per_second{of}", "on the wire"),
                    Query(f"8 * slatecast_session_rate_bytes_per_second{of}", "allowed"),
                    Query(f"8 * slatecast_session_cap_bytes_per_second{of}", "cap"),
                ),
                graph(
                    "Loss",
                    "Share that did not arrive in the first pass: median and worst seat.",
                    Unit.SHARE,
                    Query(f"slatecast_session_loss_ratio{of}", "{{rank}}"),
                ),
                graph(
                    "Repair",
                    "Share of repair in what is sent: of late, and since the start.",
                    Unit.SHARE,
                    Query(f"slatecast_session_repair_ratio{of}", "of late"),
                    Query(f"session:slatecast_session_repair_datagrams_sent:ratio{of}", "since the start"),
                ),
                graph(
                    "Seats by state",
                    "A state without a seat is left out.",
                    Unit.COUNT,
                    Query(f"slatecast_session_seats{of} > 0", "{{state}}"),
                    is_stacked=True,
                ),
                graph(
                    "Sent",
                    "To the group once for all, and by the catch-up lane to single seats.",
                    Unit.BYTES,
                    Query(f"slatecast_session_sent_bytes_total{of}", "to the group"),
                    Query(f"slatecast_session_catch_up_bytes_total{of}", "catch-up"),
                ),
                graph(
                    "Progress",
                    "Of the slowest, the middle and the fastest seat.",
                    Unit.SHARE,
                    Query(f"slatecast_session_progress_ratio{of}", "{{rank}}"),
                ),
            ),
        ),
        ("Seats", (_seats('session="$session"'), *_seat_graphs('session="$session"'))),
    )
    return board(
        "session",
        "Slatecast: session",
        "One cast of one image to one room.",
        sections,
        ("session", "Session", "slatecast_session_info"),
    )


def _seats(chosen: str) -> Panel:
    by = "max by (room, seat, machine)"
    return listing(
        "Seats",
        "One row for each seat: its state, and what may slow it.",
        ("seat", "room", "machine", "state"),
        Column("In this state", f"max by (room, seat, machine, state) (slatecast_seat_state{{{chosen}}})", Unit.COUNT),
        Column("Progress", f"{by} (slatecast_seat_progress_ratio{{{chosen}}})", Unit.SHARE),
        Column("Rate", f"8 * {by} (slatecast_seat_receive_rate_bytes_per_second{{{chosen}}})", Unit.BITS_PER_SECOND),
        Column("Loss", f"{by} (slatecast_seat_loss_ratio{{{chosen}}})", Unit.SHARE),
        Column("Time left", f"{by} (slatecast_seat_eta_seconds{{{chosen}}})", Unit.SECONDS),
        Column("Slow", f"{by} (slatecast_seat_slow{{{chosen}}})", Unit.COUNT),
        Column("Link", f"8 * {by} (slatecast_seat_link_bytes_per_second{{{chosen}}})", Unit.BITS_PER_SECOND),
        Column("Silent for", f"{by} (slatecast_seat_silent_seconds{{{chosen}}})", Unit.SECONDS),
    )


def _seat_graphs(chosen: str) -> tuple[Panel, ...]:
    return (
        graph(
            "Progress of each seat",
            "A line that stands still is a seat that is stuck.",
            Unit.SHARE,
            Query(f"slatecast_seat_progress_ratio{{{chosen}}}", "{{seat}}"),
        ),
        graph(
            "Received by each seat",
            "By multicast.",
            Unit.BITS_PER_SECOND,
            Query(f"8 * seat:slatecast_seat_received_bytes:rate30s{{{chosen}}}", "{{seat}}"),
        ),
        graph(
            "Written by each seat",
            "What its disk takes.",
            Unit.BYTES_PER_SECOND,
            Query(f"rate(slatecast_seat_written_bytes_total{{{chosen}}}[$__rate_interval])", "{{seat}}"),
        ),
        graph(
            "Disks",
            "Share of the time in which each disk is writing: near 100 % it limits its seat.",
            Unit.SHARE,
            Query(f"slatecast_seat_disk_busy_ratio{{{chosen}}}", "{{seat}}"),
        ),
        graph(
            "Buffers",
            "Fill of each seat's memory: near 100 % it is about to drop datagrams.",
            Unit.SHARE,
            Query(f"slatecast_seat_buffer_fill_ratio{{{chosen}}}", "{{seat}}"),
        ),
        graph(
            "Repaired blocks",
            "Blocks that repair completed: rises with the loss.",
            Unit.COUNT,
            Query(f"slatecast_seat_repaired_blocks_total{{{chosen}}}", "{{seat}}"),
        ),
    )
