"""What each chat does in its own way: layout, markup, waits, threads, addresses."""

import asyncio
import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import aiohttp
import pytest
from channel_cases import BOT_TOKEN, CASES, CHATS, KINDS, NOW, TS, delivery, event, filled
from pydantic import ValidationError
from receiver import SECRET_PATH, Answer, Receiver

from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import EventType, Severity
from segwatch.notifiers import discord, google_chat, mattermost, pace, slack, teams

ODD = (
    "*b* _i_ `c` ~s~ **B** [l](https://evil.test) ![p](https://evil.test/p) <!channel> <b>x</b> <a href='x'>y</a>"
    " @channel @here @everyone <@123> <users/all> |s| # h > q - i :fire: &lt;b&gt;"
)
SAID = "Export 24116 failed in prod — Zürich <output> & path — 路径 (0090000009)."


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_pace(monkeypatch):
    """Send at once: the pace has a test of its own."""
    for module in (discord, google_chat, mattermost, slack, teams):
        monkeypatch.setattr(module, "PACE_S", 0.0)


@pytest.fixture
def sent(session):
    async def send(name, one, answer=None):
        """Return what the receiver got, parsed."""
        case = CASES[name]
        async with Receiver(case.answered(answer or Answer())) as receiver:
            await case.build(receiver.url, session).send(one)
        return json.loads(receiver.got[0].body)

    return send


@pytest.fixture
def outcome_of(session):
    async def send(name, answer, one=None):
        async with Receiver(answer) as receiver:
            return await CASES[name].build(receiver.url, session).send(one or delivery())

    return send


def texts_of(payload, *keys):
    """Yield every text under one of the keys, wherever it is."""
    if isinstance(payload, dict):
        for key, value in payload.items():
            if key in keys and isinstance(value, str):
                yield value
            yield from texts_of(value, *keys)
    elif isinstance(payload, list):
        for value in payload:
            yield from texts_of(value, *keys)


async def test_slack_gets_blocks_and_a_text_for_the_lock_screen(sent):
    body = await sent("slack", delivery())
    said = SAID.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert said in body["text"]
    header, section, fields, context = body["blocks"]
    assert header["text"]["text"] == "🔴 Export 24116 failed in prod"
    assert section["text"]["text"].startswith(said)
    assert {"type": "plain_text", "text": "Sandbox\nprod", "emoji": False} in fields["fields"]
    footer = [one["text"] for one in context["elements"]]
    assert footer == ["firing", "critical", "2026-01-05T03:12:07.900Z", event().id]


async def test_slack_marks_up_nothing_that_the_platform_said(sent):
    body = await sent("slack", delivery(filled(ODD, EventType.JOB_FAILED)))
    assert body["mrkdwn"] is False
    *blocks, links, footer = body["blocks"]
    for block in blocks:
        texts = [block["text"]] if "text" in block else block["fields"]
        assert {(one["type"], one["emoji"]) for one in texts} == {("plain_text", False)}
    (link,) = [one["text"] for one in links["elements"]]
    assert re.fullmatch(r"<https://segwatch\.example\.test/[^<>|]*\|[^<>|*_~`]*>", link)
    assert all(re.fullmatch(r"[\w:.-]+", one["text"]) for one in footer["elements"])
    assert not re.search(r"[<>]", "".join(texts_of(blocks, "text")) + body["text"])


async def test_teams_shows_runs_of_text_which_read_no_markdown(sent):
    body = await sent("teams", delivery(filled(ODD, EventType.JOB_FAILED)))
    kinds = set(texts_of(body, "type"))
    assert kinds == {"message", "AdaptiveCard", "RichTextBlock", "TextRun", "Action.OpenUrl"}
    assert "entities" not in json.dumps(body), "which is what mentions somebody"


async def test_discord_marks_up_nothing_and_mentions_nobody(sent):
    body = await sent("discord", delivery(filled(ODD, EventType.JOB_FAILED)))
    assert body["allowed_mentions"] == {"parse": []}
    (embed,) = body["embeds"]
    *said, link = embed["description"].split("\n")
    assert link.endswith("](https://segwatch.example.test/jobs/24116?a=%28b%29&c=%3Cd%3E%7Ce)")
    for text in (embed["title"], *said, *(one["value"] for one in embed["fields"]), link[1:].rsplit("](")[0]):
        bare = re.sub(r"\\[^A-Za-z0-9\s]", "", text).removeprefix("• ")
        assert not re.search(r"[\\*_~`|>#\[\]()<:@-]", bare), text


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


async def test_google_chat_gets_no_tag_and_calls_nobody(sent):
    body = await sent("google_chat", delivery(filled(ODD, EventType.JOB_FAILED)))
    tags = Tags()
    for text in texts_of(body, "text"):
        tags.feed(text)
    assert tags.found == []
    assert "text" not in body, "which would read Markdown and mentions"
    assert not set("<>") & set(body["fallbackText"] + body["cardsV2"][0]["card"]["header"]["title"])


async def test_mattermost_marks_up_nothing_and_mentions_nobody(sent):
    body = await sent("mattermost", delivery(filled(ODD, EventType.JOB_FAILED)))
    (attachment,) = body["attachments"]
    *said, link = attachment["text"].split("\n\n")
    assert link.endswith("](https://segwatch.example.test/jobs/24116?a=%28b%29&c=%3Cd%3E%7Ce)")
    for text in (attachment["title"], *said, *(one["value"] for one in attachment["fields"])):
        assert not re.search(r"[\\*_~`|>#\[\](){}!]", re.sub(r"\\[^A-Za-z0-9\s]", "", text)), text
    assert re.findall("@(?!\u200b)", json.dumps(body, ensure_ascii=False)) == []


RETRY_INFO = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "7.5s"}]}}
WAITS = [
    pytest.param("slack", {"Retry-After": "30"}, b"", 30, id="slack"),
    pytest.param("slack-app", {"Retry-After": "30"}, b'{"ok":false,"error":"ratelimited"}', 30, id="slack-app"),
    pytest.param("teams", {"x-ms-retry-after-ms": "1500"}, b"", 1.5, id="teams-milliseconds"),
    pytest.param("teams", {"Retry-After": "4", "x-ms-retry-after-ms": "1500"}, b"", 4, id="teams-both"),
    pytest.param("teams", {"x-ms-retry-after-ms": "soon"}, b"", None, id="teams-unreadable"),
    pytest.param("discord", {"Retry-After": "1"}, b'{"retry_after":0.65,"global":false}', 0.65, id="discord-body"),
    pytest.param("discord", {"X-RateLimit-Reset-After": "1.5"}, b"", 1.5, id="discord-header"),
    pytest.param("discord", {"Retry-After": "9"}, b'{"retry_after":"x"}', 9, id="discord-unreadable-body"),
    pytest.param("discord", {}, b'{"retry_after":true}', None, id="discord-no-number"),
    pytest.param("google_chat", {}, json.dumps(RETRY_INFO).encode(), 7.5, id="google-retry-info"),
    pytest.param("google_chat", {}, b'{"error":{"details":[7,{"retryDelay":8}]}}', None, id="google-odd"),
    pytest.param("google_chat", {"Retry-After": "3"}, b"", 3, id="google-header"),
    pytest.param("mattermost", {"X-RateLimit-Reset": "2"}, b"", 2, id="mattermost"),
]


@pytest.mark.parametrize(("name", "headers", "body", "seconds"), WAITS)
async def test_each_receiver_says_in_its_own_way_how_long_to_wait(outcome_of, name, headers, body, seconds):
    outcome = await outcome_of(name, Answer(429, headers, body))
    assert isinstance(outcome, Retryable)
    assert outcome.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("name", CHATS)
async def test_nobody_is_sent_faster_than_its_pace(name, session, monkeypatch):
    monkeypatch.setattr(f"segwatch.notifiers.{CASES[name].kind}.PACE_S", 0.2)
    async with Receiver(CASES[name].answered(Answer())) as receiver:
        chat = CASES[name].build(receiver.url, session)
        await asyncio.gather(*(chat.send(delivery()) for _ in range(4)))
    times = [got.at for got in receiver.got]
    assert times[-1] - times[0] >= 0.3  # of 0.6: the receiver may note the first one late


async def test_discord_is_left_alone_when_its_allowance_is_used_up(session):
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "0.6"}
    async with Receiver(Answer(204, used_up)) as receiver:
        chat = CASES["discord"].build(receiver.url, session)
        await chat.send(delivery())
        await chat.send(delivery())
    first, second = (got.at for got in receiver.got)
    assert second - first >= 0.3


async def test_no_receiver_can_hold_a_turn_for_long():
    held = pace.Pace(0.0)
    held.hold(3600)
    assert held._next_at - asyncio.get_running_loop().time() <= pace.HOLD_MAX_S


async def test_discord_is_spoken_to_in_a_version_whose_waits_are_seconds(session):
    async with Receiver() as receiver:
        options = {"url": f"{receiver.origin}/api/webhooks/1234/made-up"}
        kind = KINDS["discord"]
        context = slack.NotifierContext(channel="ops", session=session, now=lambda: NOW)
        await kind.build(kind.options.model_validate(options), context).send(delivery())
    assert receiver.got[0].path == "/api/v10/webhooks/1234/made-up"


@pytest.mark.parametrize(
    "url",
    ["https://contoso.webhook.office.com/webhookb2/hunter2", "https://outlook.office.com/webhook/hunter2"],
)
def test_a_retired_connector_of_teams_is_refused_with_what_to_do(url):
    with pytest.raises(ValidationError) as caught:
        KINDS["teams"].options.model_validate({"url": url})
    assert "retired" in str(caught.value)
    assert '"Send webhook alerts to a channel"' in str(caught.value)
    assert "hunter2" not in str(caught.value)


APP = {"token": BOT_TOKEN, "channel_id": "C0123456789"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "has no url"), (APP | {"url": "https://hooks.example.test/x"}, "both url and token"),
        ({"token": BOT_TOKEN}, "no channel_id"), ({"channel_id": "C0123456789"}, "has no url"),
        (APP | {"channel_id": "#ops"}, "no id of a channel"), (APP | {"token": "xoxp-hunter2"}, "no bot token"),
        (APP | {"api_url": "http://slack.example.test/api"}, "not encrypted"),
    ],
)  # fmt: skip
def test_slack_is_told_in_one_way(options, words):
    with pytest.raises(ValidationError, match=words) as caught:
        KINDS["slack"].options.model_validate(options)
    assert "hunter2" not in str(caught.value)


def taken(ts=TS):
    return Answer(body=json.dumps({"ok": True, "channel": "C0123456789", "ts": ts}).encode())


def refused(error):
    return Answer(body=json.dumps({"ok": False, "error": error}).encode())


async def test_a_slack_app_names_the_thread_that_a_message_begins(session):
    async with Receiver(taken()) as receiver:
        outcome = await CASES["slack-app"].build(receiver.url, session).send(delivery())
    assert outcome == Accepted(thread=f"C0123456789:{TS}")
    (got,) = receiver.got
    body = json.loads(got.body)
    assert got.path.endswith("/chat.postMessage")
    assert got.headers["authorization"] == f"Bearer {BOT_TOKEN}"
    assert body["channel"] == "C0123456789"
    assert "thread_ts" not in body


@pytest.mark.parametrize(
    ("type_", "seen"),
    [(EventType.RECOVERED, True), (EventType.RETRY_EXHAUSTED, False), (EventType.ALERT_FIRING, True)],
)
async def test_a_slack_app_goes_on_in_the_thread_and_shows_what_counts_outside(sent, type_, seen):
    body = await sent("slack-app", delivery(event(type=type_), thread=f"C0123456789:{TS}"))
    assert (body["thread_ts"], body["reply_broadcast"]) == (TS, seen)


async def test_a_slack_app_keeps_the_name_of_the_thread_and_knows_one_of_another_channel(session):
    async with Receiver(taken("1700000000.000001")) as receiver:
        chat = CASES["slack-app"].build(receiver.url, session)
        inside = await chat.send(delivery(thread=f"C0123456789:{TS}"))
        outside = await chat.send(delivery(thread=f"C9999999999:{TS}"))
    assert inside == Accepted(thread=f"C0123456789:{TS}")
    assert outside == Accepted(thread="C0123456789:1700000000.000001")
    assert "thread_ts" not in json.loads(receiver.got[1].body)


async def test_a_slack_app_begins_a_new_thread_when_the_old_one_is_gone(session):
    answers = [refused("thread_not_found"), taken("1700000000.000001")]
    async with Receiver(lambda n, request: answers[n]) as receiver:
        outcome = await CASES["slack-app"].build(receiver.url, session).send(delivery(thread=f"C0123456789:{TS}"))
    assert outcome == Accepted(thread="C0123456789:1700000000.000001")
    assert "thread_ts" not in json.loads(receiver.got[1].body)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (refused("is_archived"), Rejected(reason="slack_error: is_archived (the channel is archived)")),
        (refused("not_in_channel"), Rejected(reason="slack_error: not_in_channel (invite the app to the channel)")),
        (refused("invalid_blocks"), Rejected(reason="slack_error: invalid_blocks")),
        (refused("internal_error"), Retryable(reason="slack_error: internal_error")),
        (refused("Oh no: xoxb-1"), Retryable(reason="bad_reply")),
        (Answer(body=b"<html>sign in to the network</html>"), Retryable(reason="bad_reply")),
        (Answer(body=b"[1]"), Retryable(reason="bad_reply")),
    ],
)
async def test_a_slack_app_reads_what_became_of_a_message_in_the_body(outcome_of, answer, outcome):
    assert await outcome_of("slack-app", answer) == outcome


async def test_google_chat_names_a_thread_by_its_first_event_and_goes_on_in_it(session):
    async with Receiver() as receiver:
        chat = CASES["google_chat"].build(f"{receiver.url}?key=made-up&token=made-up-2", session)
        first = await chat.send(delivery())
        second = await chat.send(delivery(event(sequence=4), thread=first.thread))
    assert first == second == Accepted(thread=event().id)
    assert {json.loads(got.body)["thread"]["threadKey"] for got in receiver.got} == {event().id}


@pytest.mark.parametrize("query", ["", "?key=made-up&token=made-up-2"])
async def test_google_chat_asks_for_a_thread_in_the_query(session, query, monkeypatch):
    asked = []
    real = session.post
    monkeypatch.setattr(session, "post", lambda url, **options: asked.append(url) or real(url, **options))
    async with Receiver() as receiver:
        await CASES["google_chat"].build(receiver.url + query, session).send(delivery())
    assert receiver.got[0].path == SECRET_PATH
    assert asked[0].endswith(
        f"{query or '?'}{'&' if query else ''}messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
    )


@pytest.mark.parametrize("name", CHATS)
async def test_a_notice_lists_what_it_counts_with_its_links(sent, name):
    notice = event(
        type=EventType.ALERT_FIRING, stream="alerts/1", severity=Severity.CRITICAL, kind="", job_id="", status="",
        links={"Dashboard": "https://segwatch.example.test/alerts/1"},
        details={
            "title": "200 exports failed in prod", "summary": "200 exports failed in prod within 1 m.",
            "action": "One is tried, the rest wait.", "items": [f"Export {number} failed" for number in range(900)],
        },
    )  # fmt: skip
    shown = json.dumps(await sent(name, delivery(notice)), ensure_ascii=False).replace("\\", "")
    assert "200 exports failed in prod within 1 m." in shown
    assert "Export 0 failed" in shown
    assert re.search(r"… and \d+ more", shown)
    assert "https://segwatch.example.test/alerts/1" in shown
    assert "firing" in shown
