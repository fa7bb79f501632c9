from math import inf

import pytest

from receiver.poison import MAX_NAMED, SAMPLE_PAUSE, SAMPLE_SECONDS, PoisonWatch, Sender, liars_among

SOURCE = "10.0.0.1"
TRUE, LIAR = "02:00:00:00:00:01", "02:00:00:00:00:66"


def poisoned(blocks: int = 1) -> PoisonWatch:
    poison = PoisonWatch()
    for _ in range(blocks):
        poison.block_mismatched()
    return poison


# --- who lies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("true_count", "false_count", "neighbour"), [(900, 3, None), (900, 3, TRUE), (3, 900, TRUE), (900, 3, "02::bond")]
)
def test_of_two_macs_the_one_that_the_broadcaster_does_not_have_is_named(
    true_count: int, false_count: int, neighbour: str | None
) -> None:
    heard = {Sender(TRUE, SOURCE): true_count, Sender(LIAR, SOURCE): false_count}
    assert liars_among(heard, SOURCE, neighbour) == [Sender(LIAR, SOURCE)]


def test_one_mac_is_nobody_to_be_named() -> None:
    assert liars_among({Sender(TRUE, SOURCE): 9}, SOURCE, None) == []
    assert liars_among({Sender(TRUE, SOURCE): 9}, SOURCE, LIAR) == []
    assert liars_among({}, SOURCE, TRUE) == []


def test_another_ip_address_is_named_when_nobody_forges_the_broadcasters() -> None:
    heard = {Sender(TRUE, SOURCE): 9, Sender(LIAR, "10.0.0.9"): 3}
    assert liars_among(heard, SOURCE, None) == [Sender(LIAR, "10.0.0.9")]
    third = Sender("02:00:00:00:00:77", SOURCE)
    assert liars_among({**heard, third: 1}, SOURCE, TRUE) == [third]


def test_without_the_broadcasters_address_nobody_can_be_told_from_it() -> None:
    assert liars_among({Sender(TRUE, SOURCE): 9, Sender(LIAR, "10.0.0.9"): 3}, "", None) == []


# --- when to look ----------------------------------------------------------------------------------------------------


def test_there_is_a_look_for_each_piece_of_news_and_a_pause_between_looks() -> None:
    poison = PoisonWatch()
    assert not poison.is_look_due(100.0)
    poison.block_mismatched()
    assert poison.is_look_due(100.0)
    poison.looking(100.0)
    assert not poison.is_look_due(inf), "nothing has happened since"
    poison.block_mismatched()
    assert not poison.is_look_due(100.0 + SAMPLE_PAUSE - 0.1)
    assert poison.is_look_due(100.0 + SAMPLE_PAUSE)
    assert SAMPLE_SECONDS < SAMPLE_PAUSE


def test_who_is_named_needs_no_further_look() -> None:
    poison = poisoned()
    poison.looking(0.0)
    poison.looked({Sender(TRUE, SOURCE): 9, Sender(LIAR, SOURCE): 1}, SOURCE, None)
    poison.block_mismatched()
    assert not poison.is_look_due(1e9)


def test_who_may_not_look_does_not_try_again() -> None:
    poison = poisoned()
    poison.looking(0.0)
    poison.cannot_look()
    poison.block_mismatched()
    assert not poison.is_look_due(1e9)
    assert poison.alarm.endswith("2 blocks, source not known: only a receiver that runs as root sees MAC addresses")


# --- what is said ----------------------------------------------------------------------------------------------------


def test_nothing_is_said_while_all_is_well() -> None:
    assert PoisonWatch().alarm == ""


def test_the_alarm_is_raised_by_the_first_block() -> None:
    poison = poisoned()
    assert poison.alarm == (
        "poisoned symbols: somebody who knows the session secret sends false datagrams; 1 block, source not known yet"
    )
    poison.looked({Sender(TRUE, SOURCE): 9}, SOURCE, None)
    assert poison.alarm.endswith("or the memory of this machine turns bits; 1 block, no second sender heard")


def test_the_alarm_names_the_liar_and_keeps_the_name() -> None:
    poison = poisoned(3)
    poison.looked({Sender(TRUE, SOURCE): 9, Sender(LIAR, SOURCE): 1}, SOURCE, None)
    assert poison.alarm == (
        "poisoned symbols: somebody who knows the session secret sends false datagrams; "
        f"3 blocks, source MAC {LIAR} as {SOURCE}"
    )
    poison.looked({Sender(TRUE, SOURCE): 9}, SOURCE, None)
    assert LIAR in poison.alarm


def test_a_liar_of_many_names_does_not_fill_the_report() -> None:
    poison = poisoned()
    macs = [f"02:00:00:00:01:{number:02x}" for number in range(99)]
    for _ in range(3):
        poison.looked({Sender(TRUE, SOURCE): 1000, **{Sender(mac, SOURCE): 1 for mac in macs}}, SOURCE, None)
    assert poison.alarm.count("MAC") == MAX_NAMED
    assert len(poison.alarm) <= 400


def test_symbols_are_counted() -> None:
    poison = poisoned(2)
    poison.symbols_dropped(3)
    poison.symbols_dropped(1)
    assert (poison.mismatched_blocks, poison.false_symbols) == (2, 4)
