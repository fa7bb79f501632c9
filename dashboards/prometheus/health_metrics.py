"""Metrics of what a cast stands on, as the console sees it: broker, broadcaster, library, interface. Pure."""

from collections.abc import Iterator
from typing import Final

from dashboards.fleet.views import FleetView
from dashboards.prometheus.seat_metrics import MAX_SEATS_TOLD, Told, placed
from protocol.link.metric import MetricDescription


def _described(name: str, unit: str, meaning: str, advice: str, *labels: str) -> MetricDescription:
    return MetricDescription(f"slatecast_console_{name}", unit, meaning, advice, labels)


BROKER_UP = _described(
    *("broker_up", "0 or 1", "1 while the console is connected to the broker"),
    "0: nobody can be told anything; running casts go on for a while. Start the broker.",
)
BROADCASTER_UP = _described(
    *("broadcaster_up", "0 or 1", "1 while the console hears the broadcaster"),
    "0: it has ended, hangs, or its broker is gone. Its log says why; a cast resumes when it is started again.",
)
BROADCASTER_AGE = _described(
    *("broadcaster_age_seconds", "seconds", "Time since the broadcaster was last heard; not there before the first"),
    "About 1 when all is well. Everything else that the console tells is as old as this.",
)
BROADCASTER_START = _described(
    *("broadcaster_start_time_seconds", "seconds since 1970", "When the broadcaster was started"),
    "A change that nobody made is a crash.",
)
BROADCASTER_INFO = _described(
    *("broadcaster_info", "1", "Always 1: the labels say which program runs where"),
    "To be joined to other metrics.",
    *("version", "interface", "address"),
)
LIBRARY_FREE = _described(
    *("library_free_bytes", "bytes", "Free space where the library is"),
    "Under a tenth there may be no room for the next image: remove old versions.",
)
LIBRARY_SIZE = _described(
    *("library_size_bytes", "bytes", "Size of the file system where the library is"), "The base of the free share."
)
LINK_UP = _described(
    *("link_up", "0 or 1", "1 while the broadcaster's interface has a link"), "0: cable, port or switch."
)
LINK_SPEED = _described(
    *("link_bytes_per_second", "bytes per second", "Speed of the broadcaster's interface, 0 when it does not tell"),
    "125e6 is a gigabit. Less than the switch can do: cable or port.",
)
RECEIVERS = _described(
    *("receivers", "receivers", "Receivers that are admitted and there"),
    "Fewer than machines that were started: the others wait to be let in, or do not find the broadcaster.",
)
APPLICANTS = _described(
    *("applicants", "receivers", "Receivers that wait to be let in"), "Compare the words and admit them."
)
SESSIONS = _described("open_sessions", "sessions", "Sessions that are open", "One for each room that is being cast.")
IMAGES = _described("images", "images", "Versions of images in the library", "0: nothing can be cast yet.")
UNPLACED = _described(
    *("unplaced_receivers", "receivers", "Receivers that have no seat in any room"),
    "Place them on their seats in the console.",
)
PROBLEMS = _described(
    *("problems", "problems", "Things that an operator should mend, as the console lists them"),
    "The health page says what they are and what to do.",
)
SEATS_LEFT_OUT = _described(
    *("seats_left_out", "seats", f"Seats that are not told of, because there are more than {MAX_SEATS_TOLD}"),
    "Should be 0.",
)

METRICS: Final = (
    *(BROKER_UP, BROADCASTER_UP, BROADCASTER_AGE, BROADCASTER_START, BROADCASTER_INFO, LIBRARY_FREE, LIBRARY_SIZE),
    *(LINK_UP, LINK_SPEED, RECEIVERS, APPLICANTS, SESSIONS, IMAGES, UNPLACED, PROBLEMS, SEATS_LEFT_OUT),
)
"""All metrics of the console's health, in the order in which they are exported."""


def told_of_health(view: FleetView) -> Iterator[Told]:
    """What the console knows of it now; nothing of a broadcaster that was never heard."""
    health = view.health
    yield BROKER_UP, float(health.is_broker_connected), ()
    yield BROADCASTER_UP, float(health.is_broadcaster_heard), ()
    if health.age_seconds is not None:
        yield BROADCASTER_AGE, health.age_seconds, ()
    if (host := health.host) is not None:
        yield BROADCASTER_INFO, 1, (host.version, host.interface, host.address)
        values: dict[MetricDescription, float] = {
            BROADCASTER_START: host.started_at,
            LIBRARY_FREE: host.library_bytes_free,
            LIBRARY_SIZE: host.library_bytes_total,
            LINK_UP: float(host.is_link_up),
            LINK_SPEED: host.link_bits_per_second / 8,
            RECEIVERS: host.receiver_count,
            SESSIONS: len(host.sessions),
        }
        yield from ((description, value, ()) for description, value in values.items())
    yield APPLICANTS, len(view.applicants), ()
    yield IMAGES, len(view.images), ()
    yield UNPLACED, len(view.tray), ()
    yield PROBLEMS, len(health.problems), ()
    yield SEATS_LEFT_OUT, max(0, sum(1 for _ in placed(view)) - MAX_SEATS_TOLD), ()
