"""Alertmanager: what is posted to its replicas, and what the real one makes of it."""

import asyncio
import base64
import json
import socket
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from alert_builders import Told, event, failed, succeeded
from notices import NOW, ODD, SUBJECT, an_alert, delivery_of, firing, resolved
from pydantic import ValidationError
from real_alertmanager import alertmanager
from receiver import HANG, Answer, Receiver

from segwatch.alerts.book import Book
from segwatch.alerts.grouping import Way
from segwatch.cli.samples import sample
from segwatch.deliveries.marking import as_test, marked
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Accepted, Rejected, Retryable
from segwatch.jobs.events import Event, EventType, Severity, rfc3339, severity_of
from segwatch.notifiers.alertmanager import NOTIFIER, Alertmanager, AlertmanagerOptions
from segwatch.notifiers.base import NotifierContext, Refreshable
from segwatch.notifiers.prometheus_alerts import alert_of, labels_of

FIVE_MINUTES = timedelta(minutes=5)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def build(session):
    def of(*urls, now=lambda: NOW, timeout_s=5.0, **options):
        context = NotifierContext(channel="am", session=session, now=now, timeout_s=timeout_s)
        return NOTIFIER.build(AlertmanagerOptions.model_validate({"urls": urls} | options), context)

    return of


def posted(receiver: Receiver) -> list[list[dict]]:
    return [json.loads(got.body) for got in receiver.got]


async def listed(*events: Event):
    return events


async def test_an_alert_fires_and_is_resolved_under_the_same_labels(build):
    async with Receiver() as receiver:
        notifier = build(receiver.origin + "/am/", labels={"team": "data"})
        for event in (firing(), resolved()):
            assert await notifier.send(delivery_of(event)) == Accepted()
    [opened], [closed] = posted(receiver)
    assert {got.path for got in receiver.got} == {"/am/api/v2/alerts"}
    assert opened == {
        "labels": {
            "alertname": "SegwatchJobFailed",
            "severity": "critical",
            "sandbox": "prod",
            "kind": "export_job",
            "alert": SUBJECT,
            "group": "g-5f0c",
            "team": "data",
        },
        "annotations": {
            "summary": "Export 24116 failed in prod",
            "description": "Export 24116 failed in prod — Zürich <output> & path — 路径 (0090000009). "
            "This was attempt 1 of 3. The retry rules decide what follows.\n"
            "- Export 24116 failed in prod since 03:09:07 UTC",
            "sandbox": "prod",
            "kind": "export_job",
            "job": "24116",
            "event_id": firing().id,
        },
        "startsAt": "2026-01-05T03:09:07.900Z",
        "endsAt": "2026-01-05T03:17:07.900Z",
    }
    assert closed["labels"] == opened["labels"]
    assert (closed["startsAt"], closed["endsAt"]) == (opened["startsAt"], "2026-01-05T03:12:07.900Z")


def labels(event: Event) -> dict[str, str]:
    return labels_of(event, message_of(event))


def test_the_labels_of_a_group_are_those_it_is_grouped_by():
    by = {"sandbox": "prod", "segment-name": "nl", "9th": "x", "dataset": ""}
    mixed = [an_alert(severity="warning"), an_alert("overdue/prod/export_job/7", severity="critical")]
    wanted = {
        "alertname": "SegwatchAlerts", "severity": "critical", "sandbox": "prod", "segment_name": "nl", "_9th": "x",
        "group": "g-5f0c",
    }  # fmt: skip
    assert labels(firing(labels=by, alerts=mixed)) == wanted
    assert labels(resolved(labels=by, alerts=mixed, kind="")) == wanted


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("work/prod/export_job/7", "SegwatchJobFailed"),
        ("pipeline/prod/nightly", "SegwatchPipelineFailed"),
        ("sandbox/prod", "SegwatchSandboxFailing"),
        ("what_comes-later/prod", "SegwatchWhatComesLater"),
        ("", "SegwatchAlerts"),
    ],
)
def test_an_alert_is_called_after_its_subject(subject, name):
    assert labels(firing(labels={"alert": subject}))["alertname"] == name


def test_one_that_grows_worse_is_another_alert_and_is_resolved_as_it_was_told_last():
    assert labels(firing(severity=Severity.WARNING))["severity"] == "warning"
    assert labels(resolved(details={"was_severity": "warning"}))["severity"] == "warning"
    assert labels(resolved(alerts=[an_alert(severity="warning")]))["severity"] == "warning"
    assert labels(resolved(details={"was_severity": 3}, alerts=[an_alert(severity="info")]))["severity"] == "info"


def a_group_whose_worst_ends_first(now: datetime) -> tuple[Event, Event]:
    """Return the message that it fires, and that it is resolved, with a restart of everything between the two."""
    way = Way(route="r", channel="am", group_by=("sandbox",), group_wait=timedelta(), stateful=True)
    first = Told(ways=(way,))
    first.take(event(EventType.JOB_OVERDUE, "1", when=now), failed("2", now))
    [fires] = first.tick(now)
    first.take(succeeded("2", now))
    assert first.tick(now) == []
    written = first.book.changed()
    second = Told(ways=(way,), book=Book(written.alerts, written.groups))
    second.take(succeeded("1", now))
    [resolves] = second.tick(now + timedelta(minutes=5))
    return fires, resolves


async def test_it_is_resolved_under_the_labels_that_fired_also_where_the_worst_ended_first(build):
    fires, resolves = a_group_whose_worst_ends_first(NOW)
    assert [row["severity"] for row in resolves.details["alerts"]] == ["warning"]
    assert labels(resolves) == labels(fires)
    assert labels(fires)["severity"] == "critical"


@pytest.mark.parametrize("type_", EventType)
def test_labels_and_times_are_such_as_alertmanager_takes(type_):
    odd = {"group": 7, "labels": [1], "alerts": [1, {"since": "soon", "severity": 4}, {"since": rfc3339(NOW)[:-1]}]}
    for details in ({"title": ODD, "summary": ODD}, odd, {"labels": {ODD: ODD}, "alerts": "x"}):
        event = Event(
            type=type_, stream="s/1", sequence=1, at=NOW, severity=severity_of(type_), sandbox=ODD, details=details
        )
        for now in (NOW, NOW - timedelta(hours=1)):  # the clock may have been set back
            alert = alert_of(event, message_of(event), now, fires_for=FIVE_MINUTES)
            assert alert["labels"]["alertname"]
            for name in [*alert["labels"], *alert["annotations"]]:
                assert name.replace("_", "a").isalnum()
                assert name.isascii()
                assert not name[0].isdigit()
            assert alert["startsAt"] < alert["endsAt"]


def test_the_description_of_a_long_group_is_cut():
    event = firing(details={"items": ["x" * 600] * 50})
    alert = alert_of(event, message_of(event), NOW, fires_for=FIVE_MINUTES)
    description = alert["annotations"]["description"]
    assert 7000 < len(description) <= 8000
    assert description.splitlines()[-1] == f"… and {50 - description.count('- x')} more"


async def test_every_replica_is_told_and_one_that_takes_it_will_do(build):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with Receiver() as one, Receiver() as other, Receiver(Answer(400, body=b"no")) as picky:
            assert await build(one.origin, nobody, other.origin).send(delivery_of(firing())) == Accepted()
            assert len(one.got) == len(other.got) == 1
            assert await build(picky.origin, nobody).send(delivery_of(firing())) == Retryable(reason="connect")
            assert await build(picky.origin).send(delivery_of(firing())) == Rejected(reason="http_400: no")


async def test_a_story_is_refused(build):
    story = Event(type=EventType.JOB_DISCOVERED, stream="s/1", sequence=1, at=NOW, severity=Severity.INFO)
    async with Receiver() as receiver:
        outcome = await build(receiver.origin).send(delivery_of(story))
    assert isinstance(outcome, Rejected)
    assert receiver.got == []


async def test_a_refresh_tells_all_that_fires_in_requests_of_bearable_size(build):
    many = [firing(stream=f"alerts/{n}", labels={"alert": f"work/{n}"}, details={"group": str(n)}) for n in range(150)]
    async with Receiver() as receiver:
        notifier = build(receiver.origin)
        assert isinstance(notifier, Refreshable)
        assert await notifier.refresh(lambda: listed(*many)) == Accepted()
        assert await notifier.refresh(listed) == Accepted()
    batches = posted(receiver)
    assert [len(batch) for batch in batches] == [64, 64, 22]
    assert len({alert["labels"]["alert"] for batch in batches for alert in batch}) == 150


async def test_a_refresh_says_what_is_wrong_with_any_replica(build):
    async with Receiver() as one, Receiver(Answer(503, body=b"starting")) as other, Receiver(HANG) as silent:
        assert await build(one.origin, other.origin).refresh(lambda: listed(firing())) == Retryable(
            reason="http_503: starting"
        )
        slow = build(one.origin, silent.origin, timeout_s=0.1)
        assert await slow.refresh(lambda: listed(firing())) == Retryable(reason="timeout")
        assert await slow.send(delivery_of(resolved())) == Accepted()  # nothing stays locked


async def test_a_replica_that_hangs_holds_up_neither_an_alert_nor_a_refresh_of_the_other(session):
    many = [firing(stream=f"alerts/{n}", labels={"alert": f"work/{n}"}) for n in range(65)]
    async with Receiver() as one, Receiver(HANG) as silent:
        context = NotifierContext(channel="am", session=session, now=lambda: NOW, timeout_s=3600.0)
        options = AlertmanagerOptions.model_validate({"urls": [silent.origin, one.origin]})
        notifier = Alertmanager(options, context, grace_s=0.05)
        assert await notifier.send(delivery_of(firing())) == Accepted()
        refreshing = asyncio.create_task(notifier.refresh(lambda: listed(*many)))
        await one.until(lambda: len(one.got) == 3)
        assert await notifier.send(delivery_of(resolved())) == Accepted()
        refreshing.cancel()
        await asyncio.wait({refreshing})
    assert [len(batch) for batch in posted(one)] == [1, 64, 1, 1]


async def test_what_was_read_before_it_was_resolved_does_not_arrive_after_it(build):
    read, go_on = asyncio.Event(), asyncio.Event()

    async def slowly():
        read.set()
        await go_on.wait()
        return (firing(),)

    async with Receiver() as receiver:
        notifier = build(receiver.origin)
        refreshing = asyncio.create_task(notifier.refresh(slowly))
        await read.wait()
        sending = asyncio.create_task(notifier.send(delivery_of(resolved())))
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.gather(refreshing, sending) == [Accepted(), Accepted()]
    assert [alert["endsAt"] for [alert] in posted(receiver)] == [rfc3339(NOW + FIVE_MINUTES), rfc3339(NOW)]


@pytest.mark.parametrize(
    ("options", "sent", "secret"),
    [
        ({"bearer_token": "t0k3n-hush-hush"}, "Bearer t0k3n-hush-hush", "t0k3n-hush-hush"),
        (
            {"username": "segwatch", "password": "hush-hush"},
            "Basic " + base64.b64encode(b"segwatch:hush-hush").decode(),
            base64.b64encode(b"segwatch:hush-hush").decode(),
        ),
    ],
)
async def test_it_logs_in_and_shows_no_secret(build, options, sent, secret):
    async with Receiver(Answer(401, body=f"not {secret}".encode())) as receiver:
        notifier = build(receiver.origin, **options)
        assert await notifier.send(delivery_of(firing())) == Rejected(reason="http_401: not [redacted]")
    assert receiver.got[0].headers["authorization"] == sent


URLS = {"urls": ["https://am.example.test"]}
PLAIN = {"urls": ["http://127.0.0.1:9093", "http://am.monitoring.svc:9093"], "allow_http": True}


def test_within_a_cluster_it_may_do_without_encryption_if_nothing_secret_is_sent():
    assert AlertmanagerOptions.model_validate(PLAIN).urls == tuple(PLAIN["urls"])
    alone = {"urls": PLAIN["urls"][:1], "bearer_token": "hush-hush"}
    assert AlertmanagerOptions.model_validate(alone).urls == tuple(alone["urls"])


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, ("urls",)),
        ({"urls": []}, ("urls",)),
        ({"urls": ["http://am.example.test"]}, ("urls", 0)),
        (PLAIN | {"bearer_token": "hush-hush"}, ("bearer_token",)),
        (PLAIN | {"username": "a", "password": "hush-hush"}, ("password",)),
        ({"urls": ["ftp://am.example.test"], "allow_http": True}, ("urls", 0)),
        ({"urls": ["https://user:hush-hush@am.example.test"]}, ("urls", 0)),
        (URLS | {"password": "hush-hush"}, ("password",)),
        (URLS | {"username": "a", "password": "b", "bearer_token": "hush-hush"}, ("bearer_token",)),
        (URLS | {"bearer_token": "hush-hush here"}, ("bearer_token",)),
        (URLS | {"labels": {"team-name": "x"}}, ("labels",)),
        (URLS | {"labels": {"severity": "x"}}, ("labels",)),
    ],
)
def test_wrong_settings_are_refused_without_being_shown(settings, wrong):
    with pytest.raises(ValidationError) as caught:
        AlertmanagerOptions.model_validate(settings)
    assert [error["loc"] for error in caught.value.errors()] == [wrong]
    assert "hush-hush" not in str(caught.value)


def real_time():
    return datetime.now(UTC)


def now_firing(**fields) -> Event:
    now = real_time()
    return firing(at=now, alerts=[an_alert(since=rfc3339(now - timedelta(minutes=1)))], **fields)


def now_resolved(fired: Event) -> Event:
    return resolved(at=real_time(), alerts=fired.details["alerts"])


def told(receiver: Receiver) -> list[str]:
    return [json.loads(got.body)["status"] for got in receiver.got]


@pytest.mark.needs("prometheus-alertmanager")
async def test_the_real_one_fires_and_resolves_and_notifies_once_of_each(build, session, tmp_path):
    async with Receiver() as receiver, alertmanager(session, tmp_path, receiver.url) as real:
        notifier = build(real.url, now=real_time, labels={"team": "data"})
        fired = now_firing()
        assert await notifier.send(delivery_of(fired)) == Accepted()
        [shown] = await real.until_fires(1, alertname="SegwatchJobFailed", severity="critical", team="data")
        assert shown["annotations"]["summary"] == "Export 24116 failed in prod"
        assert "路径" in shown["annotations"]["description"]
        assert shown["status"]["state"] == "active"
        await receiver.until(lambda: told(receiver) == ["firing"])

        assert await notifier.refresh(lambda: listed(fired)) == Accepted()
        assert await notifier.send(delivery_of(now_resolved(fired))) == Accepted()
        await real.until_fires(0)
        await receiver.until(lambda: told(receiver) == ["firing", "resolved"])


@pytest.mark.needs("prometheus-alertmanager")
async def test_the_real_one_resolves_what_fired_before_a_restart_though_the_worst_of_it_had_ended(
    build, session, tmp_path
):
    async with Receiver() as receiver, alertmanager(session, tmp_path, receiver.url) as real:
        fires, resolves = a_group_whose_worst_ends_first(real_time())
        assert await build(real.url, now=real_time).send(delivery_of(fires)) == Accepted()
        await real.until_fires(1, severity="critical", sandbox="prod")
        assert await build(real.url, now=real_time).send(delivery_of(resolves)) == Accepted()
        await real.until_fires(0)
        await receiver.until(lambda: told(receiver) == ["firing", "resolved"])


@pytest.mark.needs("prometheus-alertmanager")
async def test_the_real_one_learns_after_a_restart_what_fires_and_forgets_what_is_not_told_again(
    build, session, tmp_path
):
    fired = now_firing()
    async with Receiver() as receiver, alertmanager(session, tmp_path, receiver.url) as real:
        notifier = build(real.url, now=real_time)
        assert await notifier.send(delivery_of(fired)) == Accepted()
        await real.until_fires(1)
        await real.kill()
        assert await notifier.refresh(lambda: listed(fired)) == Retryable(reason="connect")
        await real.start()
        assert await real.alerts() == []
        assert await notifier.refresh(lambda: listed(fired)) == Accepted()
        await real.until_fires(1)

        context = NotifierContext(channel="am", session=session, now=real_time)
        options = AlertmanagerOptions.model_validate({"urls": [real.url]})
        brief = Alertmanager(options, context, fires_for=timedelta(seconds=1))
        other = now_firing(labels={"alert": "work/other"})
        assert await brief.send(delivery_of(other)) == Accepted()
        await real.until_fires(0, alert="work/other")
        await real.until_fires(1)


@pytest.mark.parametrize("type_", [EventType.JOB_FAILED, EventType.ALERT_FIRING, EventType.SANDBOX_UNREACHABLE])
def test_what_a_critical_test_opens_another_closes(type_):
    fires, ends = (as_test(sample(one, NOW)) for one in (type_, EventType.ALERT_RESOLVED))
    labels = [labels_of(one, marked(message_of(one), delivery_of(one))) for one in (fires, ends)]
    assert labels == [{"alertname": "SegwatchTest", "sandbox": "sample", "severity": "critical"}] * 2
