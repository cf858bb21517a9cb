"""What every channel promises, shown with each way to configure one that reaches out over the network."""

import base64
import email.utils
import gzip
import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from channel_cases import (
    BOT_TOKEN,
    CASES,
    CHATS,
    KINDS,
    NOW,
    STATEFUL,
    assert_within_limits,
    delivery,
    event,
    filled,
    plainly,
)  # fmt: skip
from pydantic import ValidationError
from receiver import HANG, RESET, SECRET_PATH, Answer, Receiver
from standardwebhooks import Webhook as Verifier
from structlog.testing import capture_logs

from segwatch.cli.samples import sample
from segwatch.deliveries.marking import as_test
from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import EventType
from segwatch.notifiers.base import NotifierContext
from segwatch.notifiers.posting import outcome_of

KEY = base64.b64encode(b"a key of twenty-four byte").decode()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def build(session):
    def of(name, url, *, timeout_s=5.0, now=lambda: NOW, **options):
        case = CASES[name]
        chosen = replace(case, options=lambda url: case.options(url) | options)
        return chosen.build(url, session, timeout_s=timeout_s, now=now)

    return of


def test_the_channels_of_this_version():
    chats = ["discord", "google_chat", "mattermost", "slack", "teams"]
    assert sorted(KINDS) == sorted([*chats, "alertmanager", "apprise", "email", "log", "pagerduty", "webhook"])
    assert sorted(CASES) == sorted([*chats, "alertmanager", "pagerduty", "slack-app", "webhook"])


IN_30_S = {"Retry-After": email.utils.format_datetime(NOW + timedelta(seconds=30.1), usegmt=True)}
LONG_AGO = {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}

REPLIES = [
    pytest.param(Answer(200), Accepted(), id="200"),
    pytest.param(Answer(204, body=b""), Accepted(), id="204"),
    pytest.param(Answer(299, body=b"fine"), Accepted(), id="299"),
    pytest.param(Answer(400, body=b"invalid_payload"), Rejected(reason="http_400: invalid_payload"), id="400"),
    pytest.param(Answer(404, body=b"no_service"), Rejected(reason="http_404: no_service"), id="404"),
    pytest.param(
        Answer(410, body=b"channel_is_archived\n"), Rejected(reason="http_410: channel_is_archived"), id="410"
    ),
    pytest.param(Answer(403, body=b""), Rejected(reason="http_403"), id="403"),
    pytest.param(Answer(408, body=b""), Retryable(reason="http_408"), id="408"),
    pytest.param(Answer(425, body=b""), Retryable(reason="http_425"), id="425"),
    pytest.param(
        Answer(429, {"Retry-After": "7"}, b""),
        Retryable(reason="http_429", retry_after=timedelta(seconds=7)),
        id="429-seconds",
    ),
    pytest.param(
        Answer(429, IN_30_S, b"rate_limited"),
        Retryable(reason="http_429: rate_limited", retry_after=timedelta(seconds=30.1)),
        id="429-date",
    ),
    pytest.param(
        Answer(503, LONG_AGO, b""), Retryable(reason="http_503", retry_after=timedelta(0)), id="503-date-in-the-past"
    ),
    pytest.param(Answer(429, {"Retry-After": "soon"}, b""), Retryable(reason="http_429"), id="429-unreadable"),
    pytest.param(Answer(500, body=b"oh\x00 no\r\n"), Retryable(reason="http_500: oh no"), id="500"),
    pytest.param(Answer(503, body=b""), Retryable(reason="http_503"), id="503"),
    pytest.param(RESET, Retryable(reason="connection_lost"), id="reset"),
    pytest.param(Answer(200, act="stall"), Accepted(), id="200-and-then-silence"),
    pytest.param(Answer(500, act="stall"), Retryable(reason="http_500"), id="500-and-then-silence"),
]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("answer", "outcome"), REPLIES)
async def test_a_reply_becomes_an_outcome(build, name, answer, outcome):
    if CASES[name].taken and answer.act == "stall" and answer.status == 200:
        outcome = Retryable(reason="bad_reply")  # whether it was taken would have been in the body
    async with Receiver(CASES[name].answered(answer)) as receiver:
        assert plainly(await build(name, receiver.url).send(delivery())) == outcome
        assert len(receiver.got) == 1, "the retry of a delivery belongs to settle()"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_refused_and_not_followed(build, name, status):
    async with Receiver() as elsewhere, Receiver(Answer(status, {"Location": elsewhere.url})) as receiver:
        outcome = await build(name, receiver.url).send(delivery())
        assert outcome == Rejected(reason=f"http_{status}: redirects are not followed")
        assert elsewhere.got == []


@pytest.mark.parametrize("name", CASES)
async def test_a_receiver_that_hangs_costs_one_timeout(build, name):
    async with Receiver(HANG) as receiver:
        assert await build(name, receiver.url, timeout_s=0.1).send(delivery()) == Retryable(reason="timeout")


@pytest.mark.parametrize("name", CASES)
async def test_nobody_listens(build, name):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}{SECRET_PATH}"
        assert await build(name, url).send(delivery()) == Retryable(reason="connect")


@pytest.mark.parametrize("name", CASES)
async def test_a_plain_server_behind_https_is_named_as_trouble_with_tls_or_the_connection(build, name):
    async with Receiver() as receiver:
        outcome = await build(name, receiver.url.replace("http://", "https://")).send(delivery())
    assert outcome == Retryable(reason="tls")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("status", [200, 500])
async def test_a_big_body_is_read_only_in_part(build, name, status):
    bomb = Answer(status, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 20_000_000))
    big = Answer(status, body=CASES[name].taken + b"y" * 20_000_000)
    for answer in (big, bomb):
        async with Receiver(answer) as receiver:
            outcome = await build(name, receiver.url).send(delivery())
        says_it_in_the_body = answer is bomb and CASES[name].taken
        if status == 200 and not says_it_in_the_body:
            assert plainly(outcome) == Accepted()
        else:
            assert len(outcome.reason) < 300


@pytest.mark.parametrize("name", [one for one in CASES if one not in STATEFUL])  # whose URLs are no secrets
@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_no_reason_repr_or_log_line_shows_the_url(build, name, status):
    echo = Answer(status, body=f"Cannot POST {SECRET_PATH} ({SECRET_PATH.rsplit('/', 1)[1]}) {BOT_TOKEN}".encode())
    with capture_logs() as lines:
        async with Receiver(echo) as receiver:
            notifier = build(name, receiver.url)
            outcome = await notifier.send(delivery())
    shown = f"{outcome!r} {notifier!r} {vars(notifier)!r} {lines!r}"
    assert outcome.reason.startswith(f"http_{status}: Cannot POST ")
    assert "[redacted]" in outcome.reason
    for part in SECRET_PATH.strip("/").split("/")[1:]:
        assert part not in shown
    assert name != "slack-app" or BOT_TOKEN not in shown


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "url", ["http://hooks.example.test/hunter2", "hooks.example.test/hunter2", "ftp://x.test/hunter2", "https://"]
)
def test_a_bad_url_is_refused_without_being_shown(name, url):
    with pytest.raises(ValidationError) as caught:
        KINDS[CASES[name].kind].options.model_validate(CASES[name].options(url))
    assert "Write https://" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", CASES)
def test_an_unknown_setting_is_refused(name):
    with pytest.raises(ValidationError, match="extra_forbidden"):
        KINDS[CASES[name].kind].options.model_validate(
            CASES[name].options("https://hooks.example.test/in") | {"ulr": "x"}
        )


ODD = (
    "*b* _i_ `c` ~s~ [l](https://evil.test) <!channel> <b>x</b> @channel @here <@1> <users/all> |s|\x1b[31m\u202e 路径"
)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "text",
    [ODD, "路", "<&>*" * 200, "😀@" * 400, "\\" * 800],
    ids=["odd", "short", "marks", "runes", "slashes"],
)
async def test_whatever_is_said_a_message_is_taken(build, name, text):
    async with Receiver(CASES[name].answered(Answer())) as receiver:
        for type_ in EventType:
            told = delivery(filled(text, type_))
            outcome = await build(name, receiver.url, timeout_s=60.0).send(told)
            if name in STATEFUL and message_of(told.event).standing is Standing.STORY:
                assert isinstance(outcome, Rejected), type_
            else:
                assert plainly(outcome) == Accepted(), type_
    for got in receiver.got:
        assert got.headers["content-type"].startswith("application/json")
        if name in CHATS:
            assert_within_limits(name, got.body)
            assert not {"\x1b", "\u202e"} & set(got.body.decode())


def test_a_huge_retry_after_is_borne():
    assert outcome_of(503, "9" * 400, "", now=NOW).retry_after == timedelta(days=365)


@pytest.mark.parametrize("secret", [f"whsec_{KEY}", KEY])
async def test_a_webhook_verifies_with_the_standard_library_of_receivers(build, secret):
    times = [datetime.now(UTC), datetime.now(UTC) + timedelta(seconds=90)]
    verifier = Verifier(secret)
    async with Receiver() as receiver:
        for now in times:
            await build("webhook", receiver.url, secret=secret, now=lambda now=now: now).send(delivery())
    first, second = receiver.got
    for got in (first, second):
        assert verifier.verify(got.body, got.headers) == event().payload()
        assert got.headers["webhook-id"] == delivery().id
        assert got.headers["content-type"] == "application/json"
    assert [got.headers["webhook-timestamp"] for got in (first, second)] == [str(int(t.timestamp())) for t in times]
    assert first.body == second.body
    assert "Zürich <output> & path — 路径".encode() in first.body
    assert list(json.loads(first.body)) == ["type", "timestamp", "data"]
    assert b": " not in first.body.replace(b"output> & path", b"")


async def test_a_webhook_without_a_secret_is_not_signed(build):
    async with Receiver() as receiver:
        await build("webhook", receiver.url).send(delivery())
    assert "webhook-signature" not in receiver.got[0].headers
    assert receiver.got[0].headers["webhook-id"] == delivery().id


async def test_a_receiver_that_repeats_the_signing_secret_does_not_get_it_shown(build):
    async with Receiver(Answer(400, body=f"bad secret whsec_{KEY}".encode())) as receiver:
        outcome = await build("webhook", receiver.url, secret=f"whsec_{KEY}").send(delivery())
    assert outcome == Rejected(reason="http_400: bad secret [redacted]")


@pytest.mark.parametrize("secret", ["whsec_not base64!", "whsec_", "a plain secret", ""])
def test_a_secret_that_cannot_sign_is_refused_without_being_shown(secret):
    with pytest.raises(ValidationError) as caught:
        KINDS["webhook"].options.model_validate({"url": "https://hooks.example.test/in", "secret": secret})
    assert "not base64!" not in str(caught.value)


async def test_the_log_channel_writes_one_line_and_is_always_accepted(session):
    kind = KINDS["log"]
    notifier = kind.build(kind.options(), NotifierContext(channel="journal", session=session, now=lambda: NOW))
    with capture_logs() as lines:
        assert await notifier.send(delivery(details={"channel": "x", "event": "y", "attempt": 1})) == Accepted()
    (line,) = lines
    assert (line["event"], line["log_level"], line["channel"]) == ("event_told", "error", "journal")
    assert (line["type"], line["job_id"], line["attempt"]) == ("job.failed", "24116", 1)
    assert "previous" not in line


@pytest.mark.parametrize("type_", EventType)
async def test_the_log_channel_takes_whatever_is_said(session, type_):
    kind = KINDS["log"]
    notifier = kind.build(kind.options(), NotifierContext(channel="journal", session=session, now=lambda: NOW))
    with capture_logs() as lines:
        assert await notifier.send(delivery(filled(ODD, type_))) == Accepted()
    (line,) = lines
    assert line["event"] == "event_told"
    assert line["summary"].isprintable()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("type_", [EventType.JOB_FAILED, EventType.SCHEDULE_MISSED])
def test_a_test_says_that_it_is_one(build, name, type_):
    body = build(name, "https://x.example.test").body(delivery(as_test(sample(type_, NOW))))
    if CASES[name].kind == "webhook":
        assert body.content["data"]["test"] is True
    else:
        assert "(a test)" in json.dumps(body.content).replace("\\", "")  # as Discord escapes it
