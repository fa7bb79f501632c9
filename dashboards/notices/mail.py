"""Tells an event to people by e-mail: plain text, by SMTP.

The connection is encrypted when the mail server offers it: from the start on port 465, by STARTTLS elsewhere; its
certificate is checked then. A password is never sent without. What receivers wrote cannot add a header: each text is
one line of visible characters before it comes near one, and ``email`` refuses line ends besides.
"""

import hashlib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Final

import aiosmtplib

from dashboards.config import MailConfig
from dashboards.notices.events import Event, clean
from protocol.errors import ConfigError, RefusedError, TransportError

IMPLICIT_TLS_PORT: Final = 465
"""RFC 8314 section 3.3"""

STEP_TIMEOUT: Final = 15.0
"""[s] for one answer of the mail server; the outbox bounds the whole."""


class Mail:
    """The people that a mail server delivers to.

    Args:
        config: server, sender, recipients and login.
        authority: PEM of who issued the server's certificate; None for those that this system trusts.

    Raises:
        ConfigError: an address is none.
    """

    def __init__(self, config: MailConfig, authority: bytes | None = None) -> None:
        self._config = config
        for address in (config.sender, *config.recipients):
            _check_address(address)
        if not config.recipients:
            raise ConfigError("mail has no recipients: name one")
        try:
            self._tls = ssl.create_default_context(cadata=None if authority is None else authority.decode("ascii"))
        except (ssl.SSLError, UnicodeDecodeError):
            raise ConfigError(f"the authority for {config.host} is no certificate in PEM: name its file") from None

    def __repr__(self) -> str:
        return f"Mail({self.name!r})"

    @property
    def name(self) -> str:
        """The mail server."""
        return f"mail server {self._config.host}:{self._config.port}"

    async def deliver(self, event: Event) -> None:
        """Hand one mail for all recipients to the server.

        Raises:
            TransportError: it cannot be reached, or asks for another attempt.
            RefusedError: it refuses the mail, the login or all recipients, or cannot be trusted.
        """
        config = self._config
        smtp = aiosmtplib.SMTP(
            hostname=config.host,
            port=config.port,
            use_tls=config.port == IMPLICIT_TLS_PORT,
            start_tls=None,  # when it is offered, and no mail when it then fails
            tls_context=self._tls,
            timeout=STEP_TIMEOUT,
        )
        try:
            async with smtp:
                if config.user:
                    if smtp.get_transport_info("sslcontext") is None:
                        raise RefusedError("it offers no encryption, and no password is sent without: use port 465")
                    await smtp.login(config.user, config.password)
                await smtp.send_message(self.message(event), sender=config.sender, recipients=list(config.recipients))
        except ssl.SSLCertVerificationError:
            raise RefusedError("its certificate is not trusted: name the authority that issued it") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _judged(max((each.code for each in error.recipients), default=500), "every recipient") from None
        except aiosmtplib.SMTPAuthenticationError as error:
            # The server's words may repeat the login.
            raise _judged(error.code, "the login") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _judged(error.code, "the mail") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise RefusedError("its certificate is not trusted: name the authority that issued it") from None
            raise TransportError(f"it cannot be reached ({type(error).__name__}): see whether it runs") from None

    def message(self, event: Event) -> EmailMessage:
        """The mail that tells an event."""
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._config.sender
        mail["To"] = ", ".join(self._config.recipients)
        mail["Subject"] = clean(event.subject)
        mail["Date"] = format_datetime(datetime.fromtimestamp(event.at, UTC))
        mail["Message-ID"] = self._message_id(event)
        # RFC 3834 section 5: keeps absence notes from answering.
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(event.text)
        return mail

    def _message_id(self, event: Event) -> str:
        digest = hashlib.sha256(event.id.encode("utf-8", "replace")).hexdigest()[:32]
        return f"<{digest}@{parseaddr(self._config.sender)[1].rpartition('@')[2]}>"


def _judged(code: int, what: str) -> TransportError | RefusedError:
    if 400 <= code < 500:
        return TransportError(f"it refuses {what} for now (code {code})")
    return RefusedError(f"it refuses {what} (code {code}): see to its settings")


def _check_address(address: str) -> None:
    bare = parseaddr(address)[1]
    local, _, domain = bare.rpartition("@")
    # The parser leaves out what it does not understand.
    if not (local and domain and bare in address and address.isprintable() and "," not in address):
        raise ConfigError(f"'{clean(address)}' is no mail address: write NAME@DOMAIN")
