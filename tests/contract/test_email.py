"""Mail: what arrives at a real SMTP server, how its answers count, and that it is encrypted."""

import asyncio
import base64
import email
import email.policy
import socket
import ssl
import subprocess
import warnings
from contextlib import asynccontextmanager

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from notices import NOW, ODD, SUBJECT, delivery_of, firing, resolved
from pydantic import ValidationError
from structlog.testing import capture_logs

from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import Event, EventType, Severity, severity_of
from segwatch.notifiers.base import NotifierContext
from segwatch.notifiers.email import NOTIFIER, EmailOptions, mail_of

PASSWORD = "hunter2-hunter2"
SENDER, TO = "segwatch@example.org", ("oncall@example.org", "data@example.org")


class Post:
    """What an SMTP server of the test's own took, and what it says at each step instead of 250.

    step: "MAIL", "RCPT <address>", "DATA" or "QUIT" -> the reply; HANG never answers, DROP hangs up.
    """

    HANG, DROP = "hang", "drop"

    def __init__(self, **replies):
        self.replies = replies
        self.got = []
        self.logins = []
        self._free = asyncio.Event()

    async def _say(self, server, step):
        reply = self.replies.get(step, "250 OK")
        if reply == self.HANG:
            await self._free.wait()
        if reply == self.DROP:
            server.transport.abort()
        return reply

    async def handle_MAIL(self, server, session, envelope, address, options):
        envelope.mail_from = address
        return await self._say(server, "MAIL")

    async def handle_RCPT(self, server, session, envelope, address, options):
        reply = await self._say(server, f"RCPT {address}" if f"RCPT {address}" in self.replies else "RCPT")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server, session, envelope):
        reply = await self._say(server, "DATA")
        if reply.startswith("250"):
            self.got.append((envelope, server.transport.get_extra_info("ssl_object") is not None))
        return reply

    async def handle_QUIT(self, server, session, envelope):
        await self._say(server, "QUIT")
        return "221 Bye"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)

    @property
    def mails(self):
        return [email.message_from_bytes(one.content, policy=email.policy.default) for one, _ in self.got]

    @asynccontextmanager
    async def open(self, *, tls=None, starttls=None, login=False):
        """Listen on loopback; yield the port."""
        options = {"tls_context": starttls, "require_starttls": starttls is not None, "auth_required": login}
        if login:
            options |= {"authenticator": self.authenticate, "auth_require_tls": starttls is not None}

        def speak():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a login in the clear is unwise
                return SMTP(self, hostname="mail.example.org", loop=asyncio.get_running_loop(), **options)

        server = await asyncio.get_running_loop().create_server(speak, "127.0.0.1", 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self._free.set()
            server.close()
            await asyncio.sleep(0)


def build(port, *, timeout_s=5.0, **options):
    context = NotifierContext(channel="mail", session=None, now=lambda: NOW, timeout_s=timeout_s)
    usual = {"host": "127.0.0.1", "security": "none", "port": port, "sender": SENDER, "to": TO}
    return NOTIFIER.build(EmailOptions.model_validate(usual | options), context)


async def test_what_arrives():
    post = Post()
    async with post.open() as port:
        notifier = build(port)
        for event in (firing(), resolved()):
            assert await notifier.send(delivery_of(event)) == Accepted()
    [(envelope, _), _] = post.got
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, list(TO))
    assert envelope.content.isascii()
    assert max(map(len, envelope.content.splitlines())) <= 998
    opened, closed = post.mails
    assert opened["Subject"] == "[critical] Export 24116 failed in prod"
    assert closed["Subject"] == "[resolved] Export 24116 recovered in prod"
    assert opened["From"] == "segwatch <segwatch@example.org>"
    assert opened["To"] == "oncall@example.org, data@example.org"
    assert opened["Date"] == "Mon, 05 Jan 2026 03:12:07 +0000"
    assert opened["Message-ID"] == f"<{delivery_of(firing()).id}@example.org>"
    assert opened["References"] == closed["References"]
    assert opened["Auto-Submitted"] == "auto-generated"
    assert (opened["Importance"], closed["Importance"]) == ("high", None)
    text = opened.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == (
        "Export 24116 failed in prod — Zürich <output> & path — 路径 (0090000009).\n"
        "This was attempt 1 of 3. The retry rules decide what follows.\n\n"
        "- Export 24116 failed in prod since 03:09:07 UTC\n\n"
        "Sandbox: prod\nKind: export_job\nJob: 24116\n\n"
        f"-- \n2026-01-05T03:12:07.900Z · {firing().id}\n"
    )
    page = opened.get_body(("html",)).get_content()
    assert "Zürich &lt;output&gt; &amp; path — 路径" in page
    assert "<li>Export 24116 failed in prod since 03:09:07 UTC</li>" in page


@pytest.mark.parametrize("type_", EventType)
def test_nothing_that_others_said_becomes_a_header_or_markup(type_):
    odd = f"{ODD}\r\nBcc: all@example.org\r\n\r\n<script>"
    long = odd * 200
    details = {
        "title": long,
        "summary": long,
        "items": [odd] * 50,
        "errors": [{"message": odd, "code": odd}],
        "why": odd,
    }
    event = Event(
        type=type_, stream="s/1", sequence=1, at=NOW, severity=severity_of(type_), sandbox=odd, job_id=odd, kind=odd,
        reason=odd, details=details,
    )  # fmt: skip
    raw = mail_of(delivery_of(event), message_of(event), sender=SENDER, to=TO).as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert mail["Bcc"] is None
    assert 0 < len(mail["Subject"]) <= 200
    page = mail.get_body(("html",)).get_content()
    assert "<script" not in page
    assert "<b>" not in page
    assert "\x1b" not in page + mail.get_body(("plain",)).get_content()


def test_a_story_threads_with_nothing():
    story = Event(type=EventType.JOB_DISCOVERED, stream="s/1", sequence=1, at=NOW, severity=Severity.INFO, job_id="7")
    mail = mail_of(delivery_of(story), message_of(story), sender=SENDER, to=TO)
    assert mail["References"] is None
    assert mail["Subject"] == "[info] Job 7 found"
    plain = Event(
        type=EventType.JOB_FAILED, stream="s/1", sequence=1, at=NOW, severity=Severity.CRITICAL, sandbox="prod",
        kind="export_job", job_id="7", details={"fingerprint": "f-nl"},
    )  # fmt: skip
    assert message_of(plain).subject == SUBJECT
    assert mail_of(delivery_of(plain), message_of(plain), sender=SENDER, to=TO)["References"]


REPLIES = [
    pytest.param({"MAIL": "451 try later"}, Retryable(reason="smtp_451: try later"), id="sender-later"),
    pytest.param({"MAIL": "550 no such sender"}, Rejected(reason="smtp_550: no such sender"), id="sender-never"),
    pytest.param({"RCPT": "550 nobody here"}, Rejected(reason="smtp_550: nobody here"), id="nobody"),
    pytest.param({"RCPT": "450 greylisted"}, Retryable(reason="smtp_450: greylisted"), id="greylisted"),
    pytest.param(
        {"RCPT": "550 nobody", f"RCPT {TO[1]}": "450 full"}, Retryable(reason="smtp_450: full"), id="one-may-later"
    ),
    pytest.param({"DATA": "552 too big"}, Rejected(reason="smtp_552: too big"), id="too-big"),
    pytest.param({"DATA": "421 closing"}, Retryable(reason="smtp_421: closing"), id="closing"),
    pytest.param({"DATA": Post.DROP}, Retryable(reason="connection_lost"), id="reset"),
    pytest.param({"DATA": "250 OK", "QUIT": Post.HANG}, Accepted(), id="accepted-and-then-silence"),
    pytest.param({"DATA": "250 OK", "QUIT": Post.DROP}, Accepted(), id="accepted-and-then-reset"),
]


@pytest.mark.parametrize(("replies", "outcome"), REPLIES)
async def test_a_reply_becomes_an_outcome(replies, outcome):
    async with Post(**replies).open() as port:
        assert await build(port).send(delivery_of(firing())) == outcome


async def test_one_address_that_is_refused_does_not_keep_the_others_from_it():
    post = Post(**{f"RCPT {TO[0]}": "550 moved away"})
    with capture_logs() as lines:
        async with post.open() as port:
            assert await build(port).send(delivery_of(firing())) == Accepted()
    assert post.got[0][0].rcpt_tos == [TO[1]]
    [line] = lines
    assert (line["event"], line["channel"], line["reason"]) == (
        "mail_recipient_refused", "mail", "smtp_550: moved away",
    )  # fmt: skip


async def test_a_server_that_hangs_costs_one_timeout_and_none_is_no_connection():
    async with Post(MAIL=Post.HANG).open() as port:
        assert await build(port, timeout_s=0.2).send(delivery_of(firing())) == Retryable(reason="timeout")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await build(taken.getsockname()[1]).send(delivery_of(firing()))
    assert outcome == Retryable(reason="connect")


async def test_a_login_that_is_refused_shows_no_password():
    post = Post()
    async with post.open(login=True) as port:
        assert await build(port, username="segwatch", password=PASSWORD).send(delivery_of(firing())) == Accepted()
        wrong = build(port, username="segwatch", password=PASSWORD + "x")
        outcome = await wrong.send(delivery_of(firing()))
    assert ("segwatch", PASSWORD) in post.logins
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("smtp_535: ")
    assert PASSWORD not in f"{outcome!r} {vars(wrong)!r}"


async def test_a_server_that_repeats_the_password_does_not_get_it_shown():
    encoded = base64.b64encode(f"\0segwatch\0{PASSWORD}".encode()).decode()
    async with Post(MAIL=f"550 what is {PASSWORD} or {encoded}?").open(login=True) as port:
        outcome = await build(port, username="segwatch", password=PASSWORD).send(delivery_of(firing()))
    assert outcome == Rejected(reason="smtp_550: what is [redacted] or [redacted]?")


@pytest.fixture
def certificate(tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return cert, context


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_it_is_encrypted_and_the_certificate_is_checked(certificate, monkeypatch, security):
    cert, context = certificate
    post = Post()
    async with post.open(**{security: context}, login=True) as port:
        options = {"security": security, "username": "segwatch", "password": PASSWORD}
        stranger = build(port, **options)
        assert await stranger.send(delivery_of(firing())) == Retryable(reason="tls")
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert await build(port, **options).send(delivery_of(firing())) == Accepted()
    assert [encrypted for _, encrypted in post.got] == [True]


async def test_a_server_that_cannot_encrypt_gets_no_mail_and_no_password():
    post = Post()
    async with post.open() as port:
        notifier = build(port, security="starttls", username="segwatch", password=PASSWORD)
        outcome = await notifier.send(delivery_of(firing()))
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("smtp: ")
    assert (post.got, post.logins) == ([], [])


GOOD = {"host": "smtp.example.org", "sender": SENDER, "to": TO}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"host": "smtp.example.org:25"}, ("host",)),
        ({"security": "none"}, ("security",)),
        ({"security": "ssl"}, ("security",)),
        ({"sender": "segwatch"}, ("sender",)),
        ({"sender": "Zoë <zoe@example.org>"}, ("sender",)),
        ({"to": []}, ("to",)),
        ({"to": ["a@example.org", "b\r\nRCPT TO:<c@example.org>"]}, ("to", 1)),
        ({"password": "hush-hush"}, ("password",)),
        ({"port": 70000}, ("port",)),
    ],
)
def test_wrong_settings_are_refused_without_being_shown(changes, wrong):
    with pytest.raises(ValidationError) as caught:
        EmailOptions.model_validate(GOOD | changes)
    assert [error["loc"] for error in caught.value.errors()] == [wrong]
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465)])
def test_the_usual_port_is_taken_unless_one_is_given(security, port):
    context = NotifierContext(channel="mail", session=None, now=lambda: NOW)
    client = NOTIFIER.build(EmailOptions.model_validate(GOOD | {"security": security}), context)._client()
    assert client.port == port
