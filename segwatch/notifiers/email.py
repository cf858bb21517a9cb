"""Mail, by SMTP (RFC 5321) to a server that takes it for us: one message per event, as text and as HTML."""

import asyncio
import base64
import html
import ssl
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256
from typing import Annotated, Literal

import aiosmtplib
import structlog
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from segwatch.addresses import is_host, is_loopback
from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Rejected, Retryable
from segwatch.deliveries.runes import clip
from segwatch.errors import BadValue
from segwatch.jobs.events import rfc3339
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options
from segwatch.notifiers.posting import excerpt_of, redacted

log = structlog.get_logger(__name__)

SUBJECT_MAX = 200  # runes; a longer one is cut by whatever shows it
_SEVEN_BIT = "quoted-printable"  # whatever relays lie on the way
_GOODBYE_S = 1.0
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _host(host: str) -> str:
    if not is_host(host):
        raise BadValue(
            ", which is no address of a machine. Write such as smtp.example.org; the port is another setting."
        )
    return host


def _encrypted(security: str, info: ValidationInfo) -> str:
    if security == "none" and not is_loopback(info.data.get("host", "localhost")):
        raise BadValue(', which is for a server on this machine only. Write "starttls" or "tls".')
    return security


def _address(text: str) -> str:
    try:
        if text.isascii() and text.isprintable() and Address(addr_spec=text).domain:
            return text
    except (ValueError, IndexError):  # what the parser says of "a b" or of ""
        pass
    raise BadValue(", which is no address. Write such as oncall@example.org, without a name.")


def _somebody(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if not addresses:
        raise BadValue(', which is empty. Write such as ["oncall@example.org"].')
    return tuple(dict.fromkeys(addresses))


def _of_username(password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if password is not None and not info.data.get("username", ""):
        raise BadValue(", which counts only with a username. Write that too.")
    if password is not None and not password.get_secret_value():
        raise BadValue(", which is empty. Write it, or leave it and the username out.")
    return password


class EmailOptions(Options):
    """Sends each notification as mail, by way of an SMTP server."""

    host: Annotated[str, AfterValidator(_host)] = Field(description="The server that takes mail for us.")
    security: Annotated[Literal["starttls", "tls", "none"], AfterValidator(_encrypted)] = Field(
        "starttls",
        description="How the connection is encrypted: once it stands, from its start, or not at all on this machine.",
    )
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = Field(
        0, description="The server's port; 0 is the usual one: 587 with `starttls`, 465 with `tls`, 25 with `none`."
    )
    username: str = Field("", description="Who logs in there; empty if nobody must.")
    password: Annotated[SecretStr | None, AfterValidator(_of_username)] = Field(None, description="For the login.")
    sender: Annotated[str, AfterValidator(_address)] = Field(description="The address that the mail is from.")
    to: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], AfterValidator(_somebody)] = Field(
        description="The addresses that it goes to."
    )


class Email:
    """Opens a connection for each message: they are few, and servers close idle ones."""

    def __init__(self, options: EmailOptions, context: NotifierContext) -> None:
        self._options = options
        self._context = context
        self._tls = None if options.security == "none" else ssl.create_default_context()

    def body(self, delivery: Delivery) -> Body:
        """Return the mail, as it goes over the wire."""
        return Body(media_type="message/rfc822", content=self._mail(delivery).as_bytes().decode("ascii"))

    def _mail(self, delivery: Delivery) -> EmailMessage:
        options = self._options
        mail = mail_of(delivery, self._context.say(delivery), sender=options.sender, to=options.to)
        mail["Date"] = format_datetime(self._context.now().astimezone(UTC))
        return mail

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended: well as soon as the server takes the mail for one of the addresses."""
        mail = self._mail(delivery)
        client = self._client()
        try:
            async with asyncio.timeout(self._context.timeout_s):
                await client.connect()
                refused, _ = await client.send_message(mail)
        except (aiosmtplib.SMTPException, OSError, ValueError) as exc:
            client.close()
            return self._failed(exc)
        await _hang_up(client)
        for reply in refused.values():  # sent again, it would reach the others twice
            log.warning("mail_recipient_refused", channel=self._context.channel, reason=self._reason(*reply))
        return Accepted()

    def _client(self) -> aiosmtplib.SMTP:
        options = self._options
        return aiosmtplib.SMTP(
            hostname=options.host,
            port=options.port or _PORTS[options.security],
            username=options.username or None,
            password=options.password.get_secret_value() if options.password else None,
            timeout=self._context.timeout_s,
            use_tls=options.security == "tls",
            start_tls=options.security == "starttls",
            tls_context=self._tls,
        )

    def _failed(self, exc: Exception) -> Outcome:
        match exc:
            case TimeoutError():
                return Retryable(reason="timeout")
            case aiosmtplib.SMTPRecipientsRefused():
                # one that may be taken later is worth another attempt, for it and all others
                first = min(exc.recipients, key=lambda one: one.code)
                return self._answered(first.code, first.message)
            case aiosmtplib.SMTPResponseException():
                return self._answered(exc.code, exc.message)
            case _ if isinstance(exc, ssl.SSLError) or isinstance(exc.__cause__, ssl.SSLError):
                return Retryable(reason="tls")
            case aiosmtplib.SMTPConnectError() | ConnectionRefusedError():
                return Retryable(reason="connect")
            case aiosmtplib.SMTPServerDisconnected() | OSError():
                return Retryable(reason="connection_lost")
            case _:  # it offers no STARTTLS, or no login that we know
                return Rejected(reason=f"smtp: {self._shown(str(exc))}")

    def _answered(self, code: int, message: str) -> Outcome:
        """Return what a reply means (RFC 5321, 4.2.1): 5yz will be the same next time, any other may not."""
        reason = self._reason(code, message)
        return Rejected(reason=reason) if 500 <= code <= 599 else Retryable(reason=reason)

    def _reason(self, code: int, message: str) -> str:
        shown = self._shown(message)
        return f"smtp_{code}: {shown}" if shown else f"smtp_{code}"

    def _shown(self, message: str) -> str:
        return excerpt_of(redacted(message, *_forms(self._options)))


async def _hang_up(client: aiosmtplib.SMTP) -> None:
    """Say goodbye. What was accepted stays so, however the server takes that."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        client.close()


def _forms(options: EmailOptions) -> tuple[SecretStr, ...]:
    """Return the password as a server may repeat it: as it is, and as a login sends it (RFC 4616, RFC 4954)."""
    if options.password is None:
        return ()
    password = options.password.get_secret_value()
    sent = (password.encode(), f"\0{options.username}\0{password}".encode())
    return (options.password, *(SecretStr(base64.b64encode(one).decode()) for one in sent))


def mail_of(delivery: Delivery, message: Message, *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return the mail, all but its date. A repeat has the same Message-ID; mails of one alert form a thread."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = clip(f"[{_mark(message)}] {message.title}", SUBJECT_MAX)
    mail["From"] = Address("segwatch", addr_spec=sender)
    mail["To"] = ", ".join(to)
    mail["Message-ID"] = f"<{delivery.id}@{domain}>"
    if message.subject:
        thread = sha256(f"{delivery.channel}>{message.subject}".encode()).hexdigest()[:32]
        mail["References"] = f"<alert.{thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    if delivery.event.severity.value == "critical" and message.standing is Standing.FIRING:
        mail["Importance"] = "high"
    mail.set_content(_text(message), cte=_SEVEN_BIT)
    mail.add_alternative(_html(message), subtype="html", cte=_SEVEN_BIT)
    return mail


def _mark(message: Message) -> str:
    return "resolved" if message.standing is Standing.RESOLVED else message.severity.value


def _footer(message: Message) -> str:
    return f"{rfc3339(message.at)} · {message.event_id}"


def _text(message: Message) -> str:
    parts = [
        "\n".join(message.said),
        "\n".join(f"- {item}" for item in message.lines),
        "\n".join(f"{name}: {value}" for name, value in message.fields),
        "\n".join(f"{name}: {url}" for name, url in message.links),
        f"-- \n{_footer(message)}",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _html(message: Message) -> str:
    """Return the same with everything escaped: what the platform said is in it."""
    items = "".join(f"<li>{html.escape(item)}</li>" for item in message.lines)
    fields = "".join(
        f'<tr><th align="left" valign="top">{html.escape(name)}</th><td>{_html_lines(value)}</td></tr>'
        for name, value in message.fields
    )
    links = " · ".join(
        f'<a href="{html.escape(url)}">{html.escape(name)}</a>'
        for name, url in message.links
        if url.startswith(("https://", "http://"))
    )
    parts = [
        f"<p><strong>{_html_lines(message.summary)}</strong></p>",
        f"<p>{_html_lines(message.explanation)}</p>" if message.explanation else "",
        f"<p>{_html_lines(message.action)}</p>" if message.action else "",
        f"<ul>{items}</ul>" if items else "",
        f'<table cellpadding="4">{fields}</table>' if fields else "",
        f"<p>{links}</p>" if links else "",
        f"<p><small>{html.escape(_footer(message))}</small></p>",
    ]
    return f"<!DOCTYPE html>\n<html><body>\n{chr(10).join(filter(None, parts))}\n</body></html>\n"


def _html_lines(text: str) -> str:
    return "<br>".join(map(html.escape, text.splitlines()))


class EmailKind:
    """The kind "email"."""

    name = "email"
    options: type[Options] = EmailOptions
    stateful = False

    def build(self, options: EmailOptions, context: NotifierContext) -> Email:
        """Return the configured receiver."""
        return Email(options, context)


NOTIFIER: NotifierKind = EmailKind()
