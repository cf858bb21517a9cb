"""Apprise: what it is given to send, how its complaints count, and that neither they nor its logs show a token."""

import asyncio
import io
import json
import logging
import threading

import pytest
from notices import NOW, ODD, delivery_of, firing, resolved
from pydantic import ValidationError
from receiver import HANG, RESET, Answer, Receiver

from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import Event, EventType, severity_of
from segwatch.notifiers import apprise
from segwatch.notifiers.apprise import NOTIFIER, AppriseOptions
from segwatch.notifiers.base import NotifierContext

TOKEN = "T0k3nhunter2hunter2"


def build(receiver, *, timeout_s=10.0):
    """A channel by Apprise's plugin for any receiver of JSON."""
    context = NotifierContext(channel="else", session=None, now=lambda: NOW, timeout_s=timeout_s)
    url = f"json://{receiver.origin.removeprefix('http://')}/{TOKEN}"
    return NOTIFIER.build(AppriseOptions.model_validate({"url": url}), context)


@pytest.fixture
def logged():
    """What a process that logs everything would write; pytest's own fixture also hears what is kept from the root."""
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(level)
    root.removeHandler(handler)


async def test_title_text_and_sort_are_handed_over():
    async with Receiver() as receiver:
        notifier = build(receiver)
        for event in (firing(), resolved()):
            assert await notifier.send(delivery_of(event)) == Accepted()
    opened, closed = (json.loads(got.body) for got in receiver.got)
    assert (opened["title"], opened["type"]) == ("Export 24116 failed in prod", "failure")
    assert (closed["title"], closed["type"]) == ("Export 24116 recovered in prod", "success")
    assert opened["message"].startswith("Export 24116 failed in prod — Zürich <output> & path — 路径 (0090000009).\n")
    for part in ("- Export 24116 failed in prod since 03:09:07 UTC", "Sandbox: prod", firing().id):
        assert part in opened["message"]


@pytest.mark.parametrize("type_", EventType)
async def test_every_event_can_be_sent_whatever_it_says(type_):
    details = {"title": ODD * 500, "summary": ODD * 500, "items": [ODD] * 50, "errors": [{"message": ODD}]}
    event = Event(
        type=type_, stream="s/1", sequence=1, at=NOW, severity=severity_of(type_), sandbox=ODD, details=details
    )
    async with Receiver() as receiver:
        assert await build(receiver).send(delivery_of(event)) == Accepted()
    [got] = receiver.got
    assert "\\u001b" not in got.body.decode()


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(400), Rejected, "http_400"),
        (Answer(403, body=TOKEN.encode()), Rejected, "http_403"),
        (Answer(404), Rejected, "http_404"),
        (Answer(429), Retryable, "http_429"),
        (Answer(500), Retryable, "http_500"),
        (RESET, Retryable, "not_sent"),
    ],
)
async def test_a_complaint_becomes_an_outcome_and_shows_no_token(answer, kind, code, logged):
    async with Receiver(answer) as receiver:
        notifier = build(receiver)
        outcome = await notifier.send(delivery_of(firing()))
    assert type(outcome) is kind
    assert outcome.reason.partition(":")[0] == code
    assert TOKEN not in f"{outcome!r} {vars(notifier)!r} {logged.getvalue()}"


async def test_one_that_hangs_costs_one_timeout_and_holds_up_nobody():
    async with Receiver(HANG) as receiver:
        notifier = build(receiver, timeout_s=0.3)
        ends = await asyncio.gather(*(notifier.send(delivery_of(firing())) for _ in range(6)))
        assert ends == [Retryable(reason="timeout")] * 6
        left = [one for one in threading.enumerate() if one.name == "apprise"]
        assert all(one.daemon for one in left)
    for one in left:
        await asyncio.to_thread(one.join, 10)


async def test_a_plugin_that_breaks_is_named_and_not_quoted(monkeypatch):
    def broken(url, message):
        raise KeyError(url.get_secret_value())

    monkeypatch.setattr(apprise, "_notify", broken)
    async with Receiver() as receiver:
        assert await build(receiver).send(delivery_of(firing())) == Retryable(reason="not_sent: KeyError")


@pytest.mark.parametrize("url", ["", "hush-hush", "https://", "tgram://"])
def test_what_apprise_does_not_understand_is_refused_without_being_shown(url):
    with pytest.raises(ValidationError) as caught:
        AppriseOptions.model_validate({"url": url})
    assert "which Apprise does not understand" in str(caught.value)
    assert "hush-hush" not in str(caught.value)


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'segwatch\[apprise\]'"):
        AppriseOptions.model_validate({"url": "json://example.org"})
