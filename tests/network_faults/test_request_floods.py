"""Somebody asks for repair again and again, or in another's name: row 14 of the table of faults.

On the embedded broker nobody speaks without a certificate, and in no name but its own; a plain one lets in everybody,
so what is said there is judged by its signature alone.
"""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from protocol.messages import Announcement, ReceiverReport
from tests.brokers import MOSQUITTO
from tests.end_to_end.room import Running, wait_until
from tests.lab import Host, missing_requirement
from tests.network_faults.classroom import LIMIT, Classroom, Outcome

MISSING = missing_requirement() or (None if MOSQUITTO else "needs Mosquitto: apt-get install mosquitto")

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}")]

RATE = 10_000
"""[messages/s] that the forger tries to say."""

FLOOD_SECONDS = 5.0
SHORT_FLOOD_SECONDS = 3.0  # the counters are read after it, and the cast that has them ends after five

VICTIMS_LOSS = 0.02
"""It must ask for repair itself, and lose less than the 5 % that make a straggler of it."""

METRICS_PORT = 9100

BROKER_PORT = 1883


class Forger:
    """A process of tests.network_faults.forge on a host."""

    def __init__(self, rehearsal: Classroom, host: Host, *arguments: object) -> None:
        self.process = rehearsal.room.start_python("-m", "tests.network_faults.forge", *arguments, host=host)

    def finish(self) -> dict[str, Any]:
        """What it says of itself, once it is done."""
        assert self.process.finish(LIMIT) == 0, self.process.errors.text
        done: dict[str, Any] = json.loads(self.process.output.text.splitlines()[-1])
        return done


def test_row_14_whoever_has_no_certificate_is_not_heard_at_all(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(2)
    seat, stranger = rehearsal.lab.receivers
    cast = rehearsal.fill(seat).running
    asked = Forger(rehearsal, stranger, "refused", cast.broker()).finish()
    assert "certificate" in asked["refused"], asked
    assert rehearsal.prove().overhead < 0.01


def test_row_14_an_admitted_receiver_that_floods_is_quarantined_alone(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(4)
    *seats, flooder = rehearsal.lab.receivers
    cast = rehearsal.cast("--expect", len(seats) + 1, "--metrics-port", METRICS_PORT, rate="16M")
    announcement = rehearsal.watch().until(Announcement)
    forger = Forger(rehearsal, flooder, "flood", cast.door(), announcement.tsi, RATE, FLOOD_SECONDS)
    for host in seats:
        rehearsal.seat(host)
    forger.process.errors.until("speaking")
    wait_until(lambda: scraped(rehearsal, "quarantines_total") >= 1, "the quarantine")
    done = forger.finish()
    assert cast.finish(LIMIT) == 4, "the flooder never gets its image"
    outcome = rehearsal.outcome()
    print(done, f"overhead {outcome.overhead:.1%}", {seat: each["seconds"] for seat, each in outcome.seats.items()})
    assert {rehearsal.receivers[host.name].finish(LIMIT) for host in seats} == {0}
    assert not outcome.seats["flooder"]["verified"]
    assert outcome.overhead <= 2.0, "it asks a hundred times for the whole image"
    others_did_not_notice(rehearsal, outcome, seats)


@pytest.mark.parametrize("what", ["victim", "replay"], ids=["row 14: unsigned", "row 14: replayed"])
def test_a_flood_in_another_name_is_not_held_against_it(classroom: Callable[..., Classroom], what: str) -> None:
    rehearsal = classroom(3)
    *seats, forging = rehearsal.lab.receivers
    victim = seats[0]
    victim.set_loss(VICTIMS_LOSS)
    broker = start_mosquitto(rehearsal)
    cast = rehearsal.cast(*("--expect", len(seats), "--broker", broker, "--metrics-port", METRICS_PORT), rate="16M")
    watch = rehearsal.watch()
    announcement = watch.until(Announcement)
    rehearsal.seat(victim)
    report = watch.until(ReceiverReport)
    asked = (cast.broker(), announcement.tsi, RATE, SHORT_FLOOD_SECONDS, report.receiver_id)
    forger = Forger(rehearsal, forging, what, *asked)
    rehearsal.seat(seats[1])
    forger.process.errors.until("speaking")
    done = forger.finish()
    quarantines = scraped(rehearsal, "quarantines_total")
    outcome = rehearsal.prove()
    print(done, f"overhead {outcome.overhead:.1%}", {seat: each["seconds"] for seat, each in outcome.seats.items()})
    assert done["messages"] > 1000
    assert quarantines == 0
    assert {seat: each["reason"] for seat, each in outcome.seats.items() if each["reason"]} == {}
    others_did_not_notice(rehearsal, outcome, seats[1:])
    assert outcome.overhead < 0.2, "only what the victim has lost is sent again"


def others_did_not_notice(rehearsal: Classroom, outcome: Outcome, others: list[Host]) -> None:
    """They are verified, in the time of a pass; the flood takes one of this machine's cores from them."""
    for host in others:
        seat = outcome.seats[host.name]
        assert seat["verified"]
        assert seat["seconds"] <= 1.5 * rehearsal.pass_seconds + 2.0


def start_mosquitto(rehearsal: Classroom) -> str:
    """On the broadcaster's host, for everybody; returns where."""
    host = rehearsal.lab.broadcaster
    settings = rehearsal.room.folder / "mosquitto.conf"
    lines = ("allow_anonymous true", "persistence false", "user root", f"listener {BROKER_PORT} {host.ipv4}")
    settings.write_text("\n".join(lines) + "\n")
    host.popen([str(MOSQUITTO), "-c", settings], stderr=subprocess.DEVNULL)
    wait_until(lambda: host.run(["ss", "-Htln", f"sport = {BROKER_PORT}"]).stdout.strip() != "", "Mosquitto")
    return f"mqtt://{host.ipv4}:{BROKER_PORT}"


def scraped(rehearsal: Classroom, name: str) -> float:
    """A value of the broadcaster's metrics, asked for on its own host."""
    page = f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{METRICS_PORT}/metrics').read().decode())"
    asked: Running = rehearsal.room.start_python("-c", page, host=rehearsal.lab.broadcaster)
    assert asked.finish() == 0, asked.errors.text
    (line,) = [each for each in asked.output.text.splitlines() if each.startswith(f"slatecast_broadcaster_{name}{{")]
    return float(line.rpartition(" ")[2])
