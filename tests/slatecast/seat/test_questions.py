from slatecast.seat.questions import QUESTION_PATIENCE, STOP_KEYS, YES, Question, QuestionKind


def test_no_key_that_asks_also_answers() -> None:
    assert all(YES not in kind.keys for kind in QuestionKind)
    assert YES not in STOP_KEYS


def test_each_kind_is_one_of_its_own() -> None:
    assert len(QuestionKind) == 5


def test_a_question_does_not_wait_for_ever() -> None:
    question = Question(QuestionKind.RESTART, 10.0)
    assert not question.is_stale(10.0 + QUESTION_PATIENCE - 0.1)
    assert question.is_stale(10.0 + QUESTION_PATIENCE)
