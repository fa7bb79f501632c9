"""Recording and alerting rules for Prometheus: ``python -m dashboards.prometheus.rules`` writes rules.yml.

The file is committed; a test makes it anew and compares. Every alert says what is wrong and what to do about it. Names
of recorded series follow prometheus.io: level:metric:operations.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

DOCUMENT: Final = Path(__file__).with_name("rules.yml")

CONSOLE_JOB: Final = "slatecast-console"
"""``job`` of the console in prometheus.yml."""

TROUBLE_STATES: Final = "failed|damaged|refused|lost|stalled|incomplete|aborted"
MAX_REPAIR_RATIO: Final = 0.25
"""Of all datagrams of a session: so much repair means that the network loses a fifth of what is sent."""

MIN_DATAGRAMS: Final = 1000
"""[datagrams] Fewer say nothing about a share."""

COLLAPSED_RATIO: Final = 0.2
"""Of the greatest rate in a quarter of an hour: so deep the rate control falls only when the room cannot be served."""

STEADY_BYTES_PER_SECOND: Final = 100_000
"""[bytes/s] A session that sends at least so much for half a minute must reach each of its seats."""

NEARLY_FULL_RATIO: Final = 0.1
"""Of the library's file system."""

OLD_SECONDS: Final = 10
"""[s] The broadcaster speaks once a second; ten are not delay any more."""

_SEAT: Final = "on (room, seat, session, machine)"
_SESSION: Final = "on (room, session)"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes and keeps."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that an operator should know."""

    name: str
    expression: str
    holds: str
    """how long it must hold, as Prometheus writes durations"""
    severity: str
    """``critical``: the room does not get done; ``warning``: it gets done late, or one seat does not"""
    summary: str
    action: str


RECORDINGS: Final = (
    Recording("seat:slatecast_seat_received_bytes:rate30s", "rate(slatecast_seat_received_bytes_total[30s])"),
    Recording("session:slatecast_session_sent_bytes:rate30s", "rate(slatecast_session_sent_bytes_total[30s])"),
    Recording(
        "session:slatecast_session_repair_datagrams_sent:ratio",
        "slatecast_session_repair_datagrams_sent_total / (slatecast_session_datagrams_sent_total > 0)",
    ),
    Recording(
        "room:slatecast_room_seats_in_trouble:sum", f'sum by (room) (slatecast_room_seats{{state=~"{TROUBLE_STATES}"}})'
    ),
    Recording(
        "instance:slatecast_receiver_symbols_lost:ratio",
        "slatecast_receiver_symbols_lost_total / (slatecast_receiver_symbols_expected_total > 0)",
    ),
    Recording(
        "instance:slatecast_console_library_free_bytes:ratio",
        "slatecast_console_library_free_bytes / (slatecast_console_library_size_bytes > 0)",
    ),
)

ALERTS: Final = (
    Alert(
        "SlatecastSeatStuck",
        f"""(
  changes(slatecast_seat_progress_ratio[3m]) == 0
  and slatecast_seat_progress_ratio offset 3m
  and {_SEAT} slatecast_seat_state{{state=~"receiving|catching up|verifying"}}
  and {_SESSION} slatecast_session_step{{step="running"}}
) or slatecast_seat_state{{state=~"stalled|lost"}} == 1""",
        "30s",
        "warning",
        "Seat {{ $labels.seat }} in room {{ $labels.room }} gets nowhere.",
        "Look at its reason in the console. Is the PC on, does its disk work, is its cable in? Retry the seat when the "
        "others are done.",
    ),
    Alert(
        "SlatecastSeatFailed",
        'slatecast_seat_state{state=~"failed|damaged|refused|incomplete"} == 1',
        "0s",
        "warning",
        "Seat {{ $labels.seat }} in room {{ $labels.room }} is {{ $labels.state }}.",
        "Look at its reason in the console: a disk error needs a new disk; a refused disk is too small, mounted or of "
        "another sector size. Then retry the seat.",
    ),
    Alert(
        "SlatecastMulticastDoesNotArrive",
        f"""(
  rate(slatecast_seat_received_bytes_total[30s]) == 0
  and {_SEAT} slatecast_seat_state{{state=~"ready|receiving"}}
or
  slatecast_seat_received_bytes_total == 0
  and {_SEAT} slatecast_seat_state{{state="catching up"}}
)
and {_SESSION} min_over_time(slatecast_session_wire_rate_bytes_per_second[30s]) > {STEADY_BYTES_PER_SECOND}""",
        "20s",
        "warning",
        "Room {{ $labels.room }} is sent to, and nothing of it reaches seat {{ $labels.seat }}.",
        "Check the switch: IGMP snooping needs a querier in the VLAN, storm control must allow the rate. Check the "
        "firewall of the PC: UDP 27183 in.",
    ),
    Alert(
        "SlatecastRateCollapsed",
        f"""slatecast_session_rate_bytes_per_second
  < {COLLAPSED_RATIO} * max_over_time(slatecast_session_rate_bytes_per_second[15m])
and {_SESSION} slatecast_session_step{{step="running"}}""",
        "30s",
        "warning",
        "The cast in room {{ $labels.room }} has become slower than a fifth of what it was.",
        "The console says what the rate control saw. Loss at all seats: a switch port at a lower speed, or another "
        "load. Loss at a few: move them to catch-up.",
    ),
    Alert(
        "SlatecastRepairOverBudget",
        f"""session:slatecast_session_repair_datagrams_sent:ratio > {MAX_REPAIR_RATIO}
and {_SESSION} slatecast_session_datagrams_sent_total > {MIN_DATAGRAMS}
and {_SESSION} slatecast_session_step{{step="running"}}""",
        "30s",
        "warning",
        "More than a quarter of what room {{ $labels.room }} is sent is repair.",
        "Find the seats with the greatest loss in the console and move them to catch-up; then check their cables and "
        "ports. If all of them lose, lower the rate.",
    ),
    Alert(
        "SlatecastBlocksDamaged",
        "slatecast_broadcaster_damaged_blocks > 0",
        "0s",
        "critical",
        "The library cannot read blocks of the image that session {{ $labels.session }} casts.",
        "No seat can finish. Verify the image, check the library's disk, and add the image again.",
    ),
    Alert(
        "SlatecastLibraryNearlyFull",
        f"instance:slatecast_console_library_free_bytes:ratio < {NEARLY_FULL_RATIO}",
        "1m",
        "warning",
        "The library's file system has less than a tenth of its space left.",
        "Remove old versions of images that no session uses, or give it more space.",
    ),
    Alert(
        "SlatecastLinkDown",
        "slatecast_console_link_up == 0",
        "5s",
        "critical",
        "The broadcaster's interface has no link.",
        "Check the cable and the switch port of the broadcaster.",
    ),
    Alert(
        "SlatecastBrokerGone",
        "slatecast_console_broker_up == 0",
        "15s",
        "critical",
        "The console cannot reach the MQTT broker.",
        "Start the broker: without it no cast can be started or stopped, and seats cannot ask for repair.",
    ),
    Alert(
        "SlatecastBroadcasterGone",
        "slatecast_console_broadcaster_up == 0 and slatecast_console_broker_up == 1",
        "15s",
        "critical",
        "The broadcaster is not heard any more.",
        "Start it again; its log says why it ended. Casts that were running resume.",
    ),
    Alert(
        "SlatecastConsoleDataOld",
        f"""slatecast_console_broadcaster_age_seconds > {OLD_SECONDS}
or slatecast_session_age_seconds > {OLD_SECONDS}""",
        "15s",
        "warning",
        "What the console shows is older than ten seconds.",
        "Do not rely on the seat map now. Look for the broker, the broadcaster, or a machine that is overloaded.",
    ),
    Alert(
        "SlatecastConsoleGone",
        f'up{{job="{CONSOLE_JOB}"}} == 0',
        "30s",
        "warning",
        "The console's metrics cannot be scraped.",
        "Start the console, or mend address, port and credentials in prometheus.yml. Casts go on without it.",
    ),
)


def rules() -> dict[str, Any]:
    """The document, as plain values."""
    return {
        "groups": [
            {
                "name": "slatecast-recordings",
                "rules": [{"record": each.name, "expr": each.expression} for each in RECORDINGS],
            },
            {"name": "slatecast-alerts", "rules": [_alert(each) for each in ALERTS]},
        ]
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.holds,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "action": alert.action},
    }


class _Readable(yaml.SafeDumper):
    """Writes expressions of several lines as such."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _Readable.represent_text)


def rules_document() -> str:
    """rules.yml."""
    head = "# Generated by: python -m dashboards.prometheus.rules\n"
    return head + yaml.dump(rules(), Dumper=_Readable, sort_keys=False, width=1000)


if __name__ == "__main__":
    DOCUMENT.write_text(rules_document(), encoding="utf-8")
