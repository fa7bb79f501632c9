from broadcaster.outgoing import Outgoing
from broadcaster.transmission import TransferObject
from protocol.wire import TOI_DISK, TOI_MANIFEST
from tests.sample_messages import repair_request

K = 10


def outgoing(blocks: int = 3) -> Outgoing:
    """Both first passes are planned."""
    made = Outgoing((TransferObject(1, lambda sbn: 2), TransferObject(blocks, lambda sbn: K)), 64)
    for plan in made.plans:
        plan.plan_all()
    return made


def leave(room: Outgoing, toi: int) -> list[tuple[int, int, bool]]:
    """Everything that wants to leave, as toi, sbn and whether it is of the first pass."""
    left = []
    while (each := room.next(toi)) is not None:
        room.left(each, 1.0)
        left.append((each.toi, each.sbn, each.is_first_pass))
    return left


def test_the_first_pass_leaves_in_order_and_says_when_it_is_over() -> None:
    room = outgoing()
    ends = []
    while (each := room.next(TOI_DISK)) is not None:
        assert list(each.esis) == list(range(K))
        ends.append(room.left(each, 1.0))
    assert ends == [False, False, True]


def test_what_is_asked_for_leaves_after_it_and_is_no_end() -> None:
    room = outgoing()
    leave(room, TOI_DISK)
    room.ask(repair_request(deficits=((1, 2),)), 2.0)
    repair = room.next(TOI_DISK)
    assert repair is not None
    assert (repair.sbn, repair.is_first_pass) == (1, False)
    assert not room.left(repair, 2.0)
    assert room.next(TOI_DISK) is None


def test_both_objects_are_repaired_in_turn() -> None:
    room = outgoing()
    leave(room, TOI_MANIFEST)
    leave(room, TOI_DISK)
    room.ask(repair_request(toi=TOI_MANIFEST, absent=((0, 0),)), 2.0)
    room.ask(repair_request(absent=((0, 1),)), 2.0)
    assert [toi for toi, _, _ in leave(room, TOI_DISK)] == [TOI_MANIFEST, TOI_DISK, TOI_DISK]


def test_a_block_that_cannot_be_sent_leaves_neither_way() -> None:
    room = outgoing()
    room.drop(TOI_DISK, 1)
    assert [sbn for _, sbn, _ in leave(room, TOI_DISK)] == [0, 2]
    room.ask(repair_request(absent=((0, 2),)), 2.0)
    assert [sbn for _, sbn, _ in leave(room, TOI_DISK)] == [0, 2]


def test_deficits_are_forgotten_and_blocks_that_are_wanted_whole_are_not() -> None:
    room = outgoing()
    leave(room, TOI_DISK)
    room.ask(repair_request(deficits=((1, 2),), absent=((2, 2),)), 2.0)
    room.forget_deficits()
    assert [sbn for _, sbn, _ in leave(room, TOI_DISK)] == [2]
