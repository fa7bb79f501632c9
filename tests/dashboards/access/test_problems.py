"""Problem details."""

import json

from dashboards.access.problems import MEDIA_TYPE, Problem, problem


def test_answer_is_as_described() -> None:
    answer = problem(409, "x" * 10_000)
    assert answer.status_code == 409
    assert answer.headers["content-type"] == MEDIA_TYPE
    found = Problem.model_validate(json.loads(bytes(answer.body)))
    assert (found.title, found.status, len(found.detail)) == ("Conflict", 409, 4000)
