"""What must hold of every room when everybody has left; each finding is one line."""

from math import inf
from typing import TYPE_CHECKING

from broadcaster.report import SeatReport, SessionReport, build_report
from broadcaster.roster import LEASE
from protocol.messages import ReceiverState
from tests.simulator.receiver import DATAGRAM_LENGTH, FAREWELL_LIMIT, SimulatedReceiver

if TYPE_CHECKING:
    from tests.simulator.scenario import Room

LONGEST_RESUME = 3.0
"""[s] A broadcaster that is back sends what is missing, or is done, after so long at most, where nothing else fails."""

FLOOD_SECONDS = 5.0
"""[s] 500 messages: more than any honest receiver has to say."""

LONGEST_CALM = 3.0
"""[s] On top of the time that the datagrams take: joining, scanning, reading back, saying so."""

LARGEST_RACE = 0.15
"""Share of repair in a room without faults, sent to seats that asked for a block in the moment in which it left."""


def problems_of(room: "Room", report: SessionReport) -> list[str]:
    """Everything that must not be; ``report`` is of the moment in which the session ended."""
    found = [*room.network.contradictions, *room.sender.problems]
    seats = {seat.receiver: seat for seat in report.seats}
    for receiver in room.receivers:
        found += receiver.problems
        found += _problems_of_disk(room, receiver)
        if not receiver.is_gone_for_good and not _is_stopped_by_operator(room, receiver):
            found += _problems_of_seat(room, receiver, seats.get(receiver.receiver_id))
    found += [
        f"report: {seat.seat} is {seat.outcome}, and no reason is given"
        for seat in seats.values()
        if not seat.verified and not seat.reason
    ]
    found += _problems_of_hostile(room)
    found += _problems_of_farewell(room) + _problems_of_names(room, report) + _problems_of_resume(room)
    found += _problems_of_insider(room) + _problems_of_plan(room)
    is_dropped = room.plans is not None and room.plans.is_dropped
    has_fault = room.before_kill is not None or room.insider is not None or is_dropped
    if room.is_calm and not has_fault and not room.sender.has_late_inventory:
        found += _problems_of_calm_room(room)
    return found


def report_of(room: "Room") -> SessionReport:
    """What the operator is told now."""
    return build_report(
        room.sender.session,
        bytes_on_wire=0,
        catch_up_bytes=0,
        earlier_seconds=0.0,
        expected_seats=0,
        now=room.schedule.now,
    )


def _problems_of_disk(room: "Room", receiver: SimulatedReceiver) -> list[str]:
    found = []
    if receiver.state is ReceiverState.VERIFIED and not room.image.is_on(receiver.device.platter()):
        found.append(f"{receiver.machine}: verified, but the disk is not the image")
    if receiver.device.boots_half(room.image):
        found.append(f"{receiver.machine}: bootable, but the disk is not the image")
    return found


def _is_stopped_by_operator(room: "Room", receiver: SimulatedReceiver) -> bool:
    """Whether no image is due there: the plan was dropped, or the machine was dismissed."""
    return room.plans is not None and (room.plans.is_dropped or receiver.machine in room.plans.dismissed)


def _problems_of_plan(room: "Room") -> list[str]:
    """Without a start nothing was written, anywhere."""
    plans = room.plans
    if plans is None or not plans.is_planned or plans.was_released:
        return []
    return [
        f"{receiver.machine}: it was never started, and the disk is another one"
        for receiver in room.receivers
        if receiver.device.platter() != receiver.device.initial
    ]


def _problems_of_seat(room: "Room", receiver: SimulatedReceiver, seat: SeatReport | None) -> list[str]:
    state, name = receiver.state, receiver.machine
    if seat is None or _joined_after_the_end(room, receiver):
        # It joined when every other seat was done, so that the session was over before it was heard.
        return [] if state is not ReceiverState.VERIFIED else [f"{name}: verified, and not in the report"]
    if (
        state is not None
        and state.is_final
        and seat.outcome != state.value
        and not _was_long_unreachable(room, receiver)
    ):
        return [f"{name}: {state} in the end, and reported as {seat.outcome}"]
    allowed = {ReceiverState.REFUSED} if receiver.is_stopped else set(receiver.device.allowed_states)
    if receiver.faults.is_black_hole and not room.has_lane:
        allowed = {ReceiverState.REFUSED if receiver.is_stopped else ReceiverState.READY}
    if room.rotten is not None and seat.outcome == "incomplete" and "damaged" in seat.reason:
        allowed.add(ReceiverState.RECEIVING)
    if state in allowed or (_was_long_unreachable(room, receiver) and seat.outcome == "lost"):
        return []
    fault = receiver.device.fault or "good disk"
    reason = receiver.session.reason if receiver.session is not None else ""
    return [f"{name}: {state} in the end, reported as {seat.outcome} ({seat.reason}), {fault}: {reason}"]


def _joined_after_the_end(room: "Room", receiver: SimulatedReceiver) -> bool:
    session = room.sender.session
    seat = session.roster.get(receiver.receiver_id)
    return seat is not None and session.ended_at is not None and seat.joined_at >= session.ended_at


def _was_long_unreachable(room: "Room", receiver: SimulatedReceiver) -> bool:
    """So long that the session may have ended without it, or that it has left, done but unheard."""
    final_since, back_at = receiver.final_since, room.sender.started_at[-1]
    if room.longest_without_sender > FAREWELL_LIMIT and final_since is not None and final_since < back_at:
        return True
    return any(until - start >= LEASE - 1.0 for start, until in receiver.unreachable if until != inf)


def _is_control_good(room: "Room") -> bool:
    """Whether every message arrived, and soon."""
    faults = room.broker_faults
    is_prompt = faults.is_orderly and not faults.loss_ratio and faults.delay_seconds < 0.1
    return is_prompt and not room.has_broker_outage and not room.has_partition


def _problems_of_hostile(room: "Room") -> list[str]:
    """A flood is noticed, and stopped."""
    hostile, ended_at = room.hostile, room.sender.session.ended_at
    if hostile is None or not hostile.is_flood or not _is_control_good(room) or room.longest_without_sender:
        return []
    if ended_at is None or ended_at - hostile.began_at < FLOOD_SECONDS:
        return []
    budget = room.sender.budget
    if budget.quarantined_count and budget.rejected_count and room.sender.nonsense_count:
        return []
    return ["hostile: a flood of nonsense was neither counted nor stopped"]


def _problems_of_insider(room: "Room") -> list[str]:
    """Who was lied to says so, and what is false comes again without much ado."""
    found = []
    for receiver in room.receivers:
        session = receiver.session
        if session is None or not session.poison.mismatched_blocks:
            continue
        seat = room.sender.session.roster.get(receiver.receiver_id)
        is_told = seat is not None and seat.report.alarm
        if _is_control_good(room) and receiver.is_alive and receiver.is_acknowledged and not is_told:
            found.append(f"{receiver.machine}: {session.poison.mismatched_blocks} blocks were wrong, and nobody heard")
        lies = 0 if room.insider is None else room.insider.datagrams_sent
        if session.poison.false_symbols > lies and not receiver.habits.bad_memory_ratio:
            found.append(f"{receiver.machine}: {session.poison.false_symbols} symbols were dropped for {lies} lies")
        may_ask = room.has_lane and not room.has_partition and not room.longest_without_sender
        if may_ask and session.state is ReceiverState.VERIFIED and not session.poison.false_symbols:
            found.append(f"{receiver.machine}: blocks were wrong, and no symbol was found to be false")
    return found


def _problems_of_farewell(room: "Room") -> list[str]:
    """Who has said its last word hears that it was heard."""
    if not _is_control_good(room) or room.longest_without_sender:
        return []
    return [
        f"{receiver.machine}: its final report was never acknowledged"
        for receiver in room.receivers
        if receiver.is_alive and receiver.has_left and receiver.is_settled and not receiver.is_acknowledged
    ]


def _problems_of_names(room: "Room", report: SessionReport) -> list[str]:
    """A machine that was started anew has one line in the report, or another one that is verified."""
    if room.broker_faults.loss_ratio or room.has_broker_outage or room.has_partition or room.longest_without_sender:
        return []
    found = []
    for name in sorted({receiver.seat for receiver in room.receivers}):
        machines = [receiver for receiver in room.receivers if receiver.seat == name]
        if any(receiver.was_back_soon for receiver in machines):
            continue  # before its last will was heard
        lines = sum(seat.seat == name and not seat.verified for seat in report.seats)
        if lines > len(machines):
            found.append(f"report: {name} has {lines} lines, and there are {len(machines)} machines of this name")
    return found


def _problems_of_resume(room: "Room") -> list[str]:
    """What everybody had is not sent again, and the rest is sent at once."""
    sender, before = room.sender, room.before_kill
    if (
        before is None
        or room.plans is not None
        or len(sender.sessions) < 2
        or room.rotten is not None
        or room.hostile is not None
        or not _is_control_good(room)
    ):
        return []
    if room.live_sessions() != before.sessions or not before.have_all_scanned:
        return []
    found = []
    again = before.stored_by_all.intersection(sender.audits[-1].whole_blocks)
    if again:
        found.append(f"resume: blocks {sorted(again)} were sent again, and every seat had them")
    went_on_at = sender.went_on_at[-1] if len(sender.went_on_at) == len(sender.sessions) else sender.session.ended_at
    if went_on_at is None:
        return found
    if went_on_at - sender.started_at[-1] > LONGEST_RESUME:
        found.append(f"resume: after {went_on_at - sender.started_at[-1]:.1f} s nothing of the disk had been sent")
    return found


def _problems_of_calm_room(room: "Room") -> list[str]:
    session, image = room.sender.session, room.image
    missing: set[int] = set()
    for receiver in room.receivers:
        missing |= image.missing_on(receiver.device.initial)
    disk = room.sender.objects[1]
    manifest = room.sender.objects[0]
    needed = sum(disk.source_block_length(sbn) for sbn in missing)
    needed += sum(manifest.source_block_length(sbn) for sbn in range(manifest.block_count))
    found = []
    # What only few seats want comes in no order that they could know, so that they may ask for it as it leaves.
    if session.repair_datagrams > needed * LARGEST_RACE:
        found.append(f"no fault, and {session.repair_datagrams} datagrams of repair beside {needed}")
    if session.datagrams_sent - session.repair_datagrams != needed:
        found.append(f"no fault, and {session.datagrams_sent} datagrams were sent instead of {needed}")
    for seat in session.roster.seats():
        if seat.was_slow_because:
            found.append(f"no fault, and {seat.report.seat} was slow: {seat.was_slow_because}")
        # With more seats some blocks are wanted by few.
        if seat.report.symbols_lost and room.machine_count < 3:
            found.append(f"no fault, and {seat.report.seat} lost {seat.report.symbols_lost} symbols")
    least = needed * DATAGRAM_LENGTH * 8 / session.rate.ceiling_bits_per_second
    assert session.ended_at is not None
    least += room.longest_countdown + (0.0 if room.plans is None else room.plans.ends_at)
    if session.ended_at > least + LONGEST_CALM:
        found.append(f"no fault, and {session.ended_at:.1f} s instead of {least:.1f}")
    return found
