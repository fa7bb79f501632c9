"""A whole earlier session is sent again while another one runs: row 10 of the table of faults.

The recording is of the same image, by the same broadcaster, to the same seats; only the session's secret is another.
"""

from collections.abc import Callable

import pytest

from protocol.messages import Announcement
from tests.lab import missing_requirement
from tests.network_faults.classroom import Classroom
from tests.network_faults.test_forgeries import FORGED_RATE, FORGING_SECONDS, Injector

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(missing_requirement() is not None, reason=f"{missing_requirement()}"),
]

SILENCE = 2.0
"""[s] After which the first session is over."""


@pytest.mark.parametrize("as_new", [False, True], ids=["row 10: as it was", "row 10: in the new session's name"])
def test_a_session_that_is_sent_again_is_ignored(classroom: Callable[..., Classroom], as_new: bool) -> None:
    rehearsal = classroom(3)
    *seats, stranger = rehearsal.lab.receivers
    recording = rehearsal.room.folder / "recording"

    rehearsal.cast("--expect", len(seats))
    earlier = rehearsal.watch().until(Announcement)
    recorder = Injector(stranger, "record", earlier.group, earlier.port, earlier.source, SILENCE, recording)
    for host in seats:
        rehearsal.seat(host)
    rehearsal.prove()
    recorded = recorder.finish()

    for host in seats:
        rehearsal.targets.pop(host.name).unlink()
    rehearsal.cast("--expect", len(seats))
    now = rehearsal.watch().until(Announcement)
    assert now.tsi != earlier.tsi
    assert now.manifest_digest == earlier.manifest_digest
    where = (now.group, now.port, now.source, FORGING_SECONDS, FORGED_RATE, recording)
    injector = Injector(stranger, "replay", *where, *([now.tsi] if as_new else []))
    for host in seats:
        rehearsal.seat(host)
    outcome = rehearsal.prove()
    sent = injector.finish()
    print(f"{recorded}, {sent}, {outcome.overhead:.2%} repair, {outcome.report['seconds']} s")
    assert recorded["datagrams"] >= outcome.report["datagrams_sent"] * 0.99
    assert sent["datagrams"] > recorded["datagrams"] / 2
    rejected = [seat["datagrams_rejected"] for seat in outcome.seats.values()]
    assert min(rejected) > 0 if as_new else max(rejected) == 0, "another session's datagrams end in the kernel"
    assert {seat["poisoned_blocks"] for seat in outcome.seats.values()} == {0}
    assert outcome.overhead < 0.02, "what is sent again must not cost true datagrams"
    assert outcome.report["seconds"] < 1.3 * rehearsal.pass_seconds + 2.0
