from dataclasses import asdict, fields

from protocol.messages import ReceiverReport
from receiver.counters import Counters


def test_counters_begin_at_nothing() -> None:
    assert set(asdict(Counters()).values()) == {0}


def test_each_counter_is_one_of_a_report_under_the_same_name() -> None:
    names = {field.name for field in fields(Counters)}
    assert names <= set(ReceiverReport.__struct_fields__)
