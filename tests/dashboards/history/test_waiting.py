from dataclasses import replace

from dashboards.history.waiting import MAX_WAITING, Task, Waiting
from tests.dashboards.history.past import OPENED, past_session

PAST = past_session()


def waiting(*tasks: Task) -> Waiting:
    made = Waiting()
    for task in tasks:
        made.add(task)
    return made


def test_what_waits_is_shown() -> None:
    made = waiting(Task(PAST.tsi, PAST, b"report"), Task("ff" * 8, past_session(255, "Hall")))
    assert list(made.sessions("", None)) == [PAST.tsi, "ff" * 8]
    assert made.sessions("Lab", None)[PAST.tsi] == replace(PAST, has_report=True, seats=(), happenings=(), samples=())
    assert not made.sessions("Lab", OPENED)
    assert made.session(PAST.tsi) == replace(PAST, has_report=True)
    assert (made.report(PAST.tsi), made.report("00" * 8), made.session("00" * 8)) == (b"report", None, None)
    assert [run.room for run in made.seat_history("aa:bb:cc:dd:ee:01")] == ["Lab", "Hall"]


def test_a_report_joins_its_session() -> None:
    made = waiting(Task(PAST.tsi, PAST), Task(PAST.tsi, None, b"report"))
    assert made.tasks() == [Task(PAST.tsi, PAST, b"report")]


def test_a_report_alone_waits_for_its_session() -> None:
    made = waiting(Task(PAST.tsi, None, b"report"))
    made.settle(made.tasks()[0], is_orphan=True)
    assert (made.tasks(), made.count, made.sessions("", None), made.seat_history("")) == ([], 0, {}, [])
    made.add(Task(PAST.tsi, PAST))
    assert made.tasks() == [Task(PAST.tsi, PAST, b"report")]


def test_what_came_while_it_was_written_still_waits() -> None:
    made = waiting(Task(PAST.tsi, PAST))
    (task,) = made.tasks()
    made.add(Task(PAST.tsi, None, b"report"))
    made.settle(task, is_orphan=False)
    assert made.count == 1
    made.settle(made.tasks()[0], is_orphan=False)
    assert made.count == 0


def test_the_oldest_makes_room() -> None:
    made = waiting(Task("report", None, b""), *(Task(f"{number}", PAST) for number in range(MAX_WAITING + 2)))
    assert (made.count, made.dropped) == (MAX_WAITING, 2)
    assert made.tasks()[0].tsi == "2"
