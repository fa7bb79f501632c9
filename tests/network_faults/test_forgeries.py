"""Somebody else sends to the group: garbage and forgeries without the key, lies with it; rows 7 to 9 of the faults.

The liar stands on a host of its own, takes the broadcaster's address, and is a machine that was let in: it is given the
session secret, as a ticket would tell it. FAULTS_LIES sets the share of blocks that it lies about (default 0.05, since
a small image has few blocks), FAULTS_FORGERIES the seconds of forging, FAULTS_FORGED_RATE its bits a second (20M).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broadcaster.saved_cast import CASTS_FOLDER, SavedCast
from protocol.messages import Announcement, ReceiverReport
from protocol.wire import ENCODING_SYMBOL_LENGTH, HEADER_LENGTH, TAG_LENGTH
from tests.broadcaster.library.disks import MIB
from tests.lab import INTERFACE, Host, missing_requirement
from tests.network_faults.classroom import IMAGE_BYTES, LIMIT, Classroom

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

ROOT = Path(__file__).parents[2]
DATAGRAM = HEADER_LENGTH + ENCODING_SYMBOL_LENGTH + TAG_LENGTH

FORGING_SECONDS = float(os.environ.get("FAULTS_FORGERIES", "6"))
FORGED_RATE = float(os.environ.get("FAULTS_FORGED_RATE", "20M").removesuffix("M")) * 1e6

LIES = float(os.environ.get("FAULTS_LIES", "0.05"))

ALARM_SECONDS = 10.0
"""[s] From the first lie until the operator reads who lies."""

MAX_EXTRA = 0.03
"""Of the traffic, for lies about one block in a hundred."""


class Injector:
    """A process of tests.network_faults.injector on a host."""

    def __init__(self, host: Host, *arguments: object, told: str = "") -> None:
        argv = [sys.executable, "-m", "tests.network_faults.injector", *map(str, arguments)]
        pipe = subprocess.PIPE
        self._process = host.popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT)
        assert self._process.stdin is not None
        self._process.stdin.write(told)
        self._process.stdin.close()
        self.until("hearing")

    def until(self, word: str) -> None:
        """Wait until it says so."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        if (said := self._process.stdout.readline()) != f"{word}\n":
            raise AssertionError(f"{said}{self._process.stderr.read()}")

    def finish(self) -> dict[str, Any]:
        """What it has sent, once it is done."""
        assert self._process.stdout is not None
        done: dict[str, Any] = json.loads(self._process.stdout.readline())
        self._process.wait(LIMIT)
        return done


def mac_of(host: Host) -> str:
    return host.run(["cat", f"/sys/class/net/{INTERFACE}/address"]).stdout.strip()


def secret_of(classroom: Classroom) -> str:
    """The session secret, as the cast keeps it for its own restart."""
    (path,) = (classroom.room.library / CASTS_FOLDER).glob("*.cast")
    _, _, text = path.read_bytes().partition(b"\n")
    return msgspec.json.decode(text, type=SavedCast).session_secret.hex()


def order_of(announcement: Announcement, secret: str) -> str:
    """What a machine that was let in knows, for the injector's standard input."""
    return json.dumps(
        {
            "secret": secret,
            "tsi": announcement.tsi,
            "manifest_digest": announcement.manifest_digest.hex(),
            "encoding_symbol_length": announcement.oti.encoding_symbol_length,
        }
    )


def test_row_9_lies_of_an_insider_cost_little_and_the_liar_is_named(classroom: Callable[..., Classroom]) -> None:
    rehearsal = classroom(4, size=max(IMAGE_BYTES, 48 * MIB))
    *seats, liar = rehearsal.lab.receivers
    cast = rehearsal.cast("--expect", len(seats))
    watch = rehearsal.watch()
    announcement = watch.until(Announcement)
    injector = Injector(
        liar,
        *("insider", announcement.group, announcement.port, announcement.source, 3 * rehearsal.pass_seconds, LIES),
        told=order_of(announcement, secret_of(rehearsal)),
    )
    for host in seats:
        rehearsal.seat(host)
    injector.until("lying")
    began = time.monotonic()
    first = watch.until(ReceiverReport, lambda report: report.alarm)
    named = watch.until(ReceiverReport, lambda report: mac_of(liar) in report.alarm)
    seconds = time.monotonic() - began
    outcome = rehearsal.prove()
    sent = injector.finish()
    base = outcome.report["datagrams_sent"] - outcome.report["repair_datagrams"]
    extra = outcome.report["repair_datagrams"] / base + outcome.report["catch_up_bytes"] / (base * DATAGRAM)
    scaled = extra * 0.01 * sent["blocks"] / sent["blocks_lied_about"]
    print(f"{sent}, {named.alarm!r} after {seconds:.1f} s, {extra:.2%} extra, {scaled:.2%} for lies about 1 %")
    assert sent["blocks_lied_about"] >= 3
    assert first.alarm.startswith("poisoned symbols: ")
    assert mac_of(rehearsal.lab.broadcaster) not in named.alarm
    assert seconds <= ALARM_SECONDS
    assert scaled <= MAX_EXTRA
    assert f"ALARM at {first.seat}" in cast.errors.text
    assert mac_of(liar) in cast.output.text + cast.errors.text
    assert all(seat["poisoned_symbols"] >= 1 for seat in outcome.seats.values()), outcome.seats
    assert all(seat["poisoned_blocks"] <= 2 * sent["blocks_lied_about"] for seat in outcome.seats.values())


@pytest.mark.parametrize("as_whom", ["the broadcaster", "itself"])
def test_rows_7_and_8_garbage_and_forgeries_are_not_believed(classroom: Callable[..., Classroom], as_whom: str) -> None:
    rehearsal = classroom(4)
    *seats, stranger = rehearsal.lab.receivers
    rehearsal.cast("--expect", len(seats))
    announcement = rehearsal.watch().until(Announcement)
    source = announcement.source if as_whom == "the broadcaster" else stranger.ipv4
    where = (announcement.group, announcement.port, source, FORGING_SECONDS, FORGED_RATE, announcement.source)
    injector = Injector(stranger, "forge", *where)
    for host in seats:
        rehearsal.seat(host)
    outcome = rehearsal.prove()
    sent = injector.finish()
    print(f"{sent}, {outcome.overhead:.2%} repair, {outcome.report['seconds']} s")
    assert sent["datagrams"] > 1000
    assert {seat["poisoned_blocks"] for seat in outcome.seats.values()} == {0}
    rejected = [seat["datagrams_rejected"] for seat in outcome.seats.values()]
    assert min(rejected) > 0 if as_whom == "the broadcaster" else max(rejected) == 0
    assert outcome.overhead < 0.02, "what is forged must not cost true datagrams"
    assert outcome.report["seconds"] < 1.3 * rehearsal.pass_seconds + 2.0
    for host in seats:
        assert len(rehearsal.receivers[host.name].errors.text.splitlines()) < 20, "no flood of logs"
