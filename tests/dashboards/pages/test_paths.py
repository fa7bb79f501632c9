from urllib.parse import unquote

from dashboards.pages import paths


def test_every_name_of_a_room_comes_back_from_its_path() -> None:
    for name in ("Lab 1", "a/b", "<b>", "ä?#%"):
        path = paths.room_path(name)
        assert path.startswith("/rooms/")
        assert unquote(path.removeprefix("/rooms/")) == name
        assert not set("/?#<> ") & set(path.removeprefix("/rooms/"))


def test_paths_of_sessions_plans_and_reports() -> None:
    assert paths.session_path("00ff") == "/sessions/00ff"
    assert paths.report_path("00ff", "json") == "/sessions/00ff/report.json"
    assert paths.start_path() == "/start"
    assert paths.start_path("a&b") == "/start?room=a%26b"
    assert paths.start_path("a&b", image="c d", version=3) == "/start?room=a%26b&image=c%20d&version=3"
    assert paths.start_path(tsi="00ff") == "/start?tsi=00ff"
