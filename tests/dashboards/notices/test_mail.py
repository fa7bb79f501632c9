import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from dashboards.config import MailConfig
from dashboards.notices import mail as mail_module
from dashboards.notices.events import Event
from dashboards.notices.mail import Mail
from dashboards.notices.outbox import Outbox
from protocol.errors import ConfigError, RefusedError, TransportError
from tests.dashboards.notices.happened import LOOPBACK, ended, failed, hostile_events, loopback_tls
from tests.end_to_end.room import free_port

pytestmark = [pytest.mark.asyncio, pytest.mark.system]


class MailServer:
    """Keeps the mails that it takes; says what it is told to instead when there is something to say."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.taken: list[tuple[str, list[str], EmailMessage]] = []
        self.logins: list[LoginPassword] = []
        self.was_encrypted: list[bool] = []
        self.port = 0
        self.password = b"word"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        self.was_encrypted.append(session.ssl is not None)
        parsed = message_from_bytes(cast(bytes, envelope.content), policy=policy.default)
        self.taken.append((str(envelope.mail_from), list(envelope.rcpt_tos), parsed))
        return "250 taken"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such user"
        if address.startswith("later"):
            return "450 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    def authenticate(self, server: SMTP, session: Any, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
        self.logins.append(login)
        # What is handled is answered already, and a refusal is not.
        is_right = login.password == self.password
        return AuthResult(success=is_right, handled=is_right)


@asynccontextmanager
async def listening(
    server: MailServer, *, starttls: ssl.SSLContext | None = None, at_once: ssl.SSLContext | None = None
) -> AsyncIterator[MailServer]:
    def protocol() -> SMTP:
        return SMTP(
            server,
            hostname="test",
            tls_context=starttls,
            authenticator=server.authenticate,
            auth_require_tls=at_once is None,
            loop=asyncio.get_running_loop(),
        )

    listener = await asyncio.get_running_loop().create_server(protocol, LOOPBACK, 0, ssl=at_once)
    server.port = listener.sockets[0].getsockname()[1]
    yield server
    listener.close()


def mail(
    server: MailServer, *recipients: str, user: str = "", password: str = "", authority: bytes | None = None
) -> Mail:
    config = MailConfig(
        host=LOOPBACK,
        port=server.port,
        sender="Slatecast <slatecast@example.org>",
        recipients=recipients or ("ops@example.org", "Bo <boss@example.org>"),
        user=user,
        password=password,
    )
    return Mail(config, authority)


async def test_one_mail_for_all_recipients() -> None:
    async with listening(MailServer()) as server:
        await mail(server).deliver(ended())
    ((sender, recipients, taken),) = server.taken
    assert (sender, recipients) == ("slatecast@example.org", ["ops@example.org", "boss@example.org"])
    assert taken["Subject"] == "Lab: 29 of 30 seats verified"
    assert (taken["From"], taken["To"]) == (
        "Slatecast <slatecast@example.org>",
        "ops@example.org, Bo <boss@example.org>",
    )
    assert taken["Auto-Submitted"] == "auto-generated"
    assert taken["Date"].datetime.timestamp() == ended().at
    assert taken.get_content_type() == "text/plain"
    assert taken.get_content().replace("\r\n", "\n") == ended().text


async def test_the_same_event_has_the_same_message_id() -> None:
    async with listening(MailServer()) as server:
        target = mail(server)
        for event in (ended(1), ended(1), ended(2)):
            await target.deliver(event)
    first, again, other = (taken["Message-ID"] for _, _, taken in server.taken)
    assert first == again != other
    assert first.endswith("@example.org>")


@pytest.mark.parametrize("event", hostile_events(), ids=["ended", "failed"])
async def test_hostile_texts_add_no_header(event: Event) -> None:
    async with listening(MailServer()) as server:
        await mail(server).deliver(event)
    ((_, recipients, taken),) = server.taken
    assert recipients == ["ops@example.org", "boss@example.org"]
    assert sorted(taken.keys()) == sorted(
        [
            *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
            *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
        ]
    )
    assert taken["Subject"].isprintable()
    assert taken.get_content_type() == "text/plain"
    assert taken.get_content().replace("\r\n", "\n") == event.text


async def test_encrypted_when_it_is_offered(tmp_path: Path) -> None:
    tls, authority = loopback_tls(tmp_path)
    async with listening(MailServer(), starttls=tls) as server:
        await mail(server, authority=authority, user="ops", password="word").deliver(ended())
        with pytest.raises(RefusedError, match="certificate is not trusted"):
            await mail(server).deliver(ended())
    assert server.was_encrypted == [True]
    assert server.logins == [LoginPassword(b"ops", b"word")]


async def test_encrypted_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, authority = loopback_tls(tmp_path)
    async with listening(MailServer(), at_once=tls) as server:
        monkeypatch.setattr(mail_module, "IMPLICIT_TLS_PORT", server.port)
        await mail(server, authority=authority, user="ops", password="word").deliver(ended())
        with pytest.raises(RefusedError, match="certificate is not trusted"):
            await mail(server).deliver(ended())
    assert len(server.taken) == len(server.logins) == 1


async def test_no_password_goes_in_clear() -> None:
    async with listening(MailServer()) as server:
        with pytest.raises(RefusedError, match="no password is sent without"):
            await mail(server, user="ops", password="word").deliver(ended())
    assert (server.logins, server.taken) == ([], [])


async def test_a_wrong_password(tmp_path: Path) -> None:
    tls, authority = loopback_tls(tmp_path)
    async with listening(MailServer(), starttls=tls) as server:
        with pytest.raises(RefusedError, match="it refuses the login") as caught:
            await mail(server, authority=authority, user="ops", password="hunter2").deliver(ended())
    assert "hunter2" not in str(caught.value)
    assert not server.taken


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ("451 later", TransportError, "for now"),
        ("554 spam", RefusedError, "it refuses the mail .code 554"),
    ],
)
async def test_answers(answer: str, error: type[Exception], words: str) -> None:
    async with listening(MailServer(answer)) as server:
        with pytest.raises(error, match=words):
            await mail(server).deliver(ended())


async def test_recipients_that_are_refused() -> None:
    async with listening(MailServer()) as server:
        with pytest.raises(RefusedError, match="every recipient"):
            await mail(server, "nobody@example.org").deliver(ended())
        with pytest.raises(TransportError, match="every recipient for now"):
            await mail(server, "later@example.org").deliver(ended())
        await mail(server, "nobody@example.org", "ops@example.org").deliver(ended())
    assert [recipients for _, recipients, _ in server.taken] == [["ops@example.org"]]


async def test_nobody_there() -> None:
    server = MailServer()
    server.port = free_port()
    with pytest.raises(TransportError, match="cannot be reached"):
        await mail(server).deliver(ended())


async def test_a_server_that_hangs_up_or_speaks_nonsense() -> None:
    for greeting in (b"", b"220", b"\xff" * 5000 + b"\r\n", b"554 go away\r\n"):

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter, words: bytes = greeting) -> None:
            writer.write(words)
            writer.close()

        listener = await asyncio.start_server(greet, LOOPBACK, 0)
        server = MailServer()
        server.port = listener.sockets[0].getsockname()[1]
        with pytest.raises((TransportError, RefusedError)):
            await mail(server).deliver(ended())
        listener.close()


async def test_through_the_outbox_until_it_is_taken() -> None:
    async with listening(MailServer("451 later", "421 later still")) as server:
        outbox = Outbox([mail(server)], first_pause=0.001)
        outbox.start()
        outbox.put(failed())
        await outbox.stop(patience=10.0)
    assert [taken["Subject"] for _, _, taken in server.taken] == ["Lab: seat 14 failed"]
    assert outbox.problems == ()


@pytest.mark.parametrize(
    "address",
    ["", "nobody", "@example.org", "a@", "a@b\r\nBcc: c@d", "a@b, c@d", "a b", "a@b c"],
)
async def test_addresses_that_are_none(address: str) -> None:
    for config in (
        MailConfig(host="h", port=25, sender=address, recipients=("a@b",)),
        MailConfig(host="h", port=25, sender="a@b", recipients=("a@b", address)),
    ):
        with pytest.raises(ConfigError, match="no mail address: write NAME@DOMAIN"):
            Mail(config)


async def test_what_cannot_be_configured_and_what_is_not_told() -> None:
    with pytest.raises(ConfigError, match="no recipients"):
        Mail(MailConfig(host="h", port=25, sender="a@b", recipients=()))
    config = MailConfig(host="h", port=25, sender="a@b", recipients=("a@b",), user="u", password="secret-word")
    assert repr(Mail(config)) == "Mail('mail server h:25')"
    with pytest.raises(ConfigError, match="no certificate in PEM"):
        Mail(config, authority=b"x")
