"""PagerDuty: one incident for each group, opened and closed under one key, within the limits of its API."""

import json
from dataclasses import replace

import aiohttp
import pytest
from notices import NOW, ODD, SUBJECT, an_alert, delivery_of, firing, resolved
from pydantic import ValidationError
from receiver import Answer, Receiver

from segwatch.cli.samples import sample
from segwatch.deliveries.marking import as_test
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Accepted, Rejected
from segwatch.jobs.events import Event, EventType, severity_of
from segwatch.notifiers.base import NotifierContext
from segwatch.notifiers.pagerduty import NOTIFIER, dedup_key, order_of

KEY = "r0ut1ngk3yr0ut1ngk3yr0ut1ngk3y00"
QUEUED = Answer(202, body=b'{"status": "success", "message": "Event processed", "dedup_key": "alerts/g-5f0c"}')
EVENT_MAX_BYTES = 512 * 1024


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


def pagerduty(session, receiver):
    context = NotifierContext(channel="pager", session=session, now=lambda: NOW)
    return NOTIFIER.build(NOTIFIER.options.model_validate({"routing_key": KEY, "base_url": receiver.origin}), context)


async def test_a_group_opens_and_closes_one_incident(session):
    async with Receiver(QUEUED) as receiver:
        notifier = pagerduty(session, receiver)
        for event in (firing(), resolved()):
            assert await notifier.send(delivery_of(event)) == Accepted()
    opened, closed = (json.loads(got.body) for got in receiver.got)
    assert [got.path for got in receiver.got] == ["/v2/enqueue"] * 2
    assert opened == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "alerts/g-5f0c",
        "client": "segwatch",
        "payload": {
            "summary": "Export 24116 failed in prod — Zürich <output> & path — 路径 (0090000009).",
            "source": "segwatch prod",
            "severity": "critical",
            "timestamp": "2026-01-05T03:12:07.900Z",
            "component": "export_job",
            "class": "alert.firing",
            "custom_details": {
                "What segwatch does": "This was attempt 1 of 3. The retry rules decide what follows.",
                "Alerts": ["Export 24116 failed in prod since 03:09:07 UTC"],
                "Sandbox": "prod",
                "Kind": "export_job",
                "Job": "24116",
                "Event": firing().id,
            },
        },
    }
    assert closed == {"routing_key": KEY, "event_action": "resolve", "dedup_key": "alerts/g-5f0c"}


def single(type_: EventType, **fields) -> Event:
    """An event as `notify test` and `notify replay --channel` may bring it here."""
    base = {
        "type": type_, "stream": "prod/export_job/24116", "sequence": 3, "at": NOW, "severity": severity_of(type_),
        "sandbox": "prod", "kind": "export_job", "job_id": "24116", "details": {"fingerprint": "f-nl"},
    }  # fmt: skip
    return Event(**(base | fields))


async def test_a_single_event_opens_or_closes_by_its_subject_and_a_story_is_refused(session):
    async with Receiver(QUEUED) as receiver:
        notifier = pagerduty(session, receiver)
        for type_ in (EventType.JOB_FAILED, EventType.RECOVERED):
            assert await notifier.send(delivery_of(single(type_))) == Accepted()
        told = await notifier.send(delivery_of(single(EventType.JOB_DISCOVERED)))
    orders = [json.loads(got.body) for got in receiver.got]
    assert [(one["event_action"], one["dedup_key"]) for one in orders] == [("trigger", SUBJECT), ("resolve", SUBJECT)]
    assert isinstance(told, Rejected)
    assert told.reason.startswith("not_an_alert: ")


@pytest.mark.parametrize("type_", EventType)
async def test_whatever_a_test_opens_another_closes(session, type_):
    async with Receiver(QUEUED) as receiver:
        notifier = pagerduty(session, receiver)
        for tried in (type_, EventType.ALERT_RESOLVED):
            await notifier.send(delivery_of(as_test(sample(tried, NOW))))
    orders = [json.loads(got.body) for got in receiver.got]
    assert {one["dedup_key"] for one in orders} == {"segwatch-test"}
    assert orders[-1]["event_action"] == "resolve"
    assert all(one["payload"]["summary"].startswith("(a test) ") for one in orders if "payload" in one)


async def test_a_receiver_that_repeats_the_routing_key_does_not_get_it_shown(session):
    async with Receiver(Answer(400, body=f'{{"errors": ["bad key {KEY}"]}}'.encode())) as receiver:
        notifier = pagerduty(session, receiver)
        outcome = await notifier.send(delivery_of(firing()))
    assert outcome == Rejected(reason='http_400: {"errors": ["bad key [redacted]"]}')
    assert KEY not in repr(vars(notifier))


@pytest.mark.parametrize("type_", EventType)
def test_an_incident_stays_within_the_limits_whatever_is_said(type_):
    long = "😀<&>" * 2000
    details = {
        "title": long, "summary": long, "action": long, "items": [long] * 200, "alerts": [an_alert()] * 200,
        "errors": [{"code": long, "message": long}] * 20, "profiles": {long: 1}, "why": long, "dataset": long,
        "root": long, "channel": long, "pipeline": long, "batches": [long] * 9, "skipped": [long] * 90,
    }  # fmt: skip
    said = single(type_, details=details, sandbox=long, job_id=long, kind=long, reason=long, stream=long)
    order = order_of(said, message_of(said))
    assert len(json.dumps(order, ensure_ascii=False).encode()) < EVENT_MAX_BYTES - 100
    assert len(order["dedup_key"]) <= 255
    if order["event_action"] == "trigger":
        assert 0 < len(order["payload"]["summary"]) <= 1024
        assert order["payload"]["source"]
        assert order["payload"]["severity"] in ("critical", "error", "warning", "info")


def test_long_subjects_have_keys_of_their_own():
    keys = {dedup_key("x" * 300 + end) for end in "abc"}
    assert len(keys) == 3
    assert all(len(key) <= 255 for key in keys)
    assert dedup_key("x" * 255) == "x" * 255


def test_what_others_said_holds_no_control_characters():
    odd = firing(details={"summary": ODD, "title": ODD, "items": [ODD]}, sandbox=ODD)
    order = order_of(odd, message_of(odd))
    shown = json.dumps(order, ensure_ascii=False)
    assert "Zürich 路径" in shown
    for sign in ("\\u001b", "\u202e", "\\r", "\\n"):
        assert sign not in shown


def test_links_lead_to_web_pages_only():
    message = message_of(firing())
    links = (("Job", "https://s.example.test/1"), ("Odd", "javascript:alert(1)"), ("Long", "https://x/" + "x" * 3000))
    order = order_of(firing(), replace(message, links=links))
    assert order["links"] == [{"href": "https://s.example.test/1", "text": "Job"}]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "routing_key"),
        ({"routing_key": ""}, "routing_key"),
        ({"routing_key": "two words of hush-hush"}, "routing_key"),
        ({"routing_key": KEY, "base_url": "http://events.example.test"}, "base_url"),
        ({"routing_key": KEY, "base_url": "https://events.example.test/?a=b"}, "base_url"),
    ],
)
def test_wrong_settings_are_refused_without_being_shown(settings, wrong):
    with pytest.raises(ValidationError) as caught:
        NOTIFIER.options.model_validate(settings)
    assert [error["loc"] for error in caught.value.errors()] == [(wrong,)]
    assert "hush-hush" not in str(caught.value)
