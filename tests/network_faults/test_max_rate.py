"""A cap on the rate holds for all casts of a host together."""

import time

import pytest

from protocol.messages import SessionPhase, SessionStatus
from tests.broadcaster.library.disks import MIB
from tests.end_to_end.room import Room
from tests.lab import INTERFACE, Lab, missing_requirement

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

MAX_RATE = 24
"""[Mbit/s]"""

MEASURED = 3.0
"""[s] Both casts together take 7 s at the cap."""

CONTROL_SHARE = 0.05
"""Of the cap, for what the kernel counts as well: MQTT, link headers of 42 bytes on 1458."""


def test_two_casts_with_a_cap_stay_under_it_together(room: Room) -> None:
    sources = [room.source(f"image-{number}", size=16 * MIB, seed=number) for number in range(2)]
    targets = [room.target(f"target-{number}", 16 * MIB) for number in range(2)]
    with Lab(2) as lab:
        casts = [
            room.cast(
                *(source, "--rate", "100M", "--max-rate", f"{MAX_RATE}M"),
                *("--library", room.folder / f"library-{source.stem}"),
                interface=INTERFACE,
                host=lab.broadcaster,
            )
            for source in sources
        ]
        watches = [room.watch(cast.broker(), host=lab.broadcaster) for cast in casts]
        receivers = [
            room.receive(target, cast.door(), seat=host.name, interface=INTERFACE, host=host)
            for target, cast, host in zip(targets, casts, lab.receivers, strict=True)
        ]
        for watch in watches:
            watch.until(SessionStatus, lambda status: status.phase is SessionPhase.DISK and status.position > 0)
        before, begun = lab.broadcaster.counters().sent_bytes, time.monotonic()
        time.sleep(MEASURED)
        sent, seconds = lab.broadcaster.counters().sent_bytes - before, time.monotonic() - begun
        assert not any(cast.has_ended for cast in casts), "measured too long"
        assert [process.finish() for process in (*casts, *receivers)] == [0] * 4
    rate = sent * 8 / seconds / 1e6
    print(f"{rate:.1f} Mbit/s of {MAX_RATE}")
    assert 0.8 * MAX_RATE < rate < (1 + CONTROL_SHARE) * MAX_RATE
    assert [target.read_bytes() for target in targets] == [source.read_bytes() for source in sources]
