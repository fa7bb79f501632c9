import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.authority import Authority
from dashboards.access.tokens import CONSOLE_FILE
from dashboards.fleet.views import SessionView
from dashboards.user import Role
from protocol.errors import ConfigError, RefusedError, SlatecastError, TransportError
from slatecast.console_api import HANDLE_FILE, ConsoleAddress, ConsoleApi, environment_token, find_console
from tests.end_to_end.room import free_port
from tests.slatecast.played_console import ListeningConsole, listening_console

URL = "https://10.0.4.2:8443/"


def handle(state: Path, **fields: Any) -> None:
    state.mkdir(exist_ok=True)
    (state / HANDLE_FILE).write_text(json.dumps({"url": URL, "token": "here", "certificate": "PEM", **fields}))


class TestFindConsole:
    def test_the_one_that_runs_here(self, tmp_path: Path) -> None:
        handle(tmp_path / "second")
        assert CONSOLE_FILE == HANDLE_FILE
        found = find_console([tmp_path / "first", tmp_path / "second"])
        assert found == ConsoleAddress(URL, "here", b"PEM")
        assert "here" not in repr(found)

    def test_one_that_is_named(self, tmp_path: Path) -> None:
        handle(tmp_path)
        assert find_console([tmp_path], url=URL.rstrip("/")) == ConsoleAddress(URL, "here", b"PEM")
        assert find_console([tmp_path], url=URL, token="mine") == ConsoleAddress(URL, "mine", b"PEM")
        assert find_console([tmp_path], url="http://other:1", token="mine") == ConsoleAddress("http://other:1/", "mine")

    def test_a_token_is_not_sent_elsewhere(self, tmp_path: Path) -> None:
        handle(tmp_path)
        with pytest.raises(ConfigError, match="a console elsewhere wants a token"):
            find_console([tmp_path], url="https://other:8443/")

    def test_plain_http_has_no_authority(self, tmp_path: Path) -> None:
        handle(tmp_path, url="http://127.0.0.1:8443/", certificate="")
        assert find_console([tmp_path]).authority is None

    def test_an_authority_of_ones_own(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text("OTHER")
        found = find_console([], url=URL, token="mine", ca_file=tmp_path / "ca.pem")
        assert found.authority == b"OTHER"
        with pytest.raises(ConfigError, match=r"--ca-file .*none: No such file"):
            find_console([], url=URL, token="mine", ca_file=tmp_path / "none")

    def test_nobody_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no console runs on this machine: start 'slatecast serve'"):
            find_console([tmp_path, tmp_path / "nowhere"])

    @pytest.mark.parametrize("url", ["10.0.4.2:8443", "ftp://x/", "https://", "https://a b/", "https://x\n/"])
    def test_no_address(self, url: str) -> None:
        with pytest.raises(ConfigError, match="is no address: write https://host:8443/"):
            find_console([], url=url, token="mine")

    @pytest.mark.parametrize("text", ["", "{}", "[", '{"url": "ftp://x", "token": "x"}', "\x00"])
    def test_a_damaged_file(self, tmp_path: Path, text: str) -> None:
        (tmp_path / HANDLE_FILE).write_text(text)
        with pytest.raises(ConfigError, match="is damaged: start 'slatecast serve' again"):
            find_console([tmp_path])


def test_the_token_leaves_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATECAST_API_TOKEN", "secret")
    assert environment_token() == "secret"
    assert environment_token() is None


def asked(address: ConsoleAddress, path: str = "sessions", shape: Any = list[SessionView]) -> Any:
    async def ask() -> Any:
        async with ConsoleApi(address) as api:
            return await api.get(path, shape)

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ListeningConsole]:
    with listening_console(tmp_path_factory.mktemp("console")) as console:
        yield console


@pytest.mark.system
@pytest.mark.slow
class TestConsoleApi:
    def test_it_is_found_and_answers(self, console: ListeningConsole) -> None:
        assert asked(find_console([console.state])) == []

    def test_over_https_with_the_rooms_authority(self, tmp_path: Path) -> None:
        authority, other = Authority.create(), Authority.create()
        with listening_console(tmp_path, authority.server_identity(), authority.certificate) as console:
            address = find_console([console.state])
            assert asked(address) == []
            for wrong in (other.certificate, None):
                with pytest.raises(TransportError, match="shows a certificate that is not trusted: give --ca-file"):
                    asked(ConsoleAddress(address.url, address.token, wrong))

    def test_refusals_say_what_to_do(self, console: ListeningConsole) -> None:
        address = find_console([console.state])
        with pytest.raises(RefusedError, match="there is no such session: it may be in the history"):
            asked(address, f"sessions/{'0' * 16}")
        with pytest.raises(RefusedError):
            asked(ConsoleAddress(console.url, "wrong"))

    def test_what_may_not_be_is_refused(self, console: ListeningConsole) -> None:
        async def post(token: str, body: object) -> None:
            async with ConsoleApi(ConsoleAddress(console.url, token)) as api:
                await api.post("sessions", body)

        order = {"room": "Room 1", "image": "lab-ubuntu"}
        with pytest.raises(RefusedError, match="this takes the role operator"):
            asyncio.run(post(console.token(Role.VIEWER), order))
        with pytest.raises(ConfigError, match="room"):
            asyncio.run(post(console.token(Role.OPERATOR), {**order, "room": ""}))

    def test_an_answer_of_another_shape(self, console: ListeningConsole) -> None:
        with pytest.raises(TransportError, match="makes no sense"):
            asked(find_console([console.state]), "fleet", list[int])

    def test_nobody_listens(self) -> None:
        with pytest.raises(TransportError, match=r"cannot be reached \(.*\): does 'slatecast serve' run there"):
            asked(ConsoleAddress(f"http://127.0.0.1:{free_port()}/", "x"))


@pytest.mark.system
@pytest.mark.slow
@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 409 No\r\nContent-Length: 9\r\n\r\n[1, 2, 3]",
        b"HTTP/1.1 302 Away\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe[[",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
)
def test_a_stranger_is_told_in_one_line(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            listener.close()  # whoever tries again finds nobody
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        port = listener.getsockname()[1]
        stranger = threading.Thread(target=answer)
        stranger.start()
        with pytest.raises(SlatecastError) as refused:
            asked(ConsoleAddress(f"http://127.0.0.1:{port}/", "x"))
        stranger.join()
    assert "\n" not in str(refused.value)
