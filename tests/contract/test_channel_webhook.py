"""Webhooks: the two forms of the body, and two signatures while a secret is being replaced."""

import base64
from datetime import UTC, datetime

import aiohttp
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from notices import NOW, delivery_of
from pydantic import ValidationError
from receiver import Receiver
from standardwebhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from segwatch.deliveries.model import Delivery
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.notifiers.base import NotifierContext
from segwatch.notifiers.webhook import NOTIFIER

KEY = base64.b64encode(b"a key of twenty-four byte").decode()


def event(sandbox: str = "prod") -> Event:
    return Event(
        type=EventType.JOB_FAILED, stream="prod/export_job/24116", sequence=3, at=NOW, severity=Severity.CRITICAL,
        sandbox=sandbox, kind="export_job", job_id="24116", details={"errors": [{"message": "Zürich — 路径"}]},
    )  # fmt: skip


def delivery(sandbox: str = "prod") -> Delivery:
    return delivery_of(event(sandbox))


@pytest.fixture
async def build():
    async with aiohttp.ClientSession() as session:

        def of(url, *, now=lambda: NOW, **options):
            context = NotifierContext(channel="ops", session=session, now=now)
            return NOTIFIER.build(NOTIFIER.options.model_validate({"url": url} | options), context)

        yield of


async def test_during_a_rotation_a_webhook_verifies_with_either_secret(build):
    other = base64.b64encode(b"the key of before, longer").decode()
    async with Receiver() as receiver:
        options = {"secret": f"whsec_{KEY}", "previous_secret": other, "now": lambda: datetime.now(UTC)}
        await build(receiver.url, **options).send(delivery())
    (got,) = receiver.got
    for secret in (KEY, other):
        assert Verifier(secret).verify(got.body, got.headers) == event().payload()
    with pytest.raises(WebhookVerificationError):
        Verifier(base64.b64encode(b"the key of somebody else").decode()).verify(got.body, got.headers)


@pytest.mark.parametrize("options", [{"previous_secret": KEY}, {"secret": KEY, "previous_secret": "no base64!"}])
def test_a_previous_secret_that_replaces_nothing_or_cannot_sign_is_refused(options):
    with pytest.raises(ValidationError) as caught:
        NOTIFIER.options.model_validate({"url": "https://hooks.example.test/in"} | options)
    assert [error["loc"] for error in caught.value.errors()] == [("previous_secret",)]
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("sandbox", ["prod", ""])
async def test_a_cloud_event_is_read_by_the_library_of_receivers_and_signed(build, sandbox):
    async with Receiver() as receiver:
        options = {"format": "cloudevents", "secret": KEY, "now": lambda: datetime.now(UTC)}
        await build(receiver.url, **options).send(delivery(sandbox=sandbox))
    (got,) = receiver.got
    Verifier(KEY).verify(got.body, got.headers)
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    read = from_http_event(HTTPMessage(headers=got.headers, body=got.body))
    assert read.get_specversion() == "1.0"
    assert read.get_id() == got.headers["webhook-id"] == delivery(sandbox=sandbox).id
    assert read.get_type() == "job.failed"
    assert read.get_source() == ("/segwatch/prod" if sandbox else "/segwatch")
    assert read.get_subject() == event().stream
    assert read.get_time() == NOW
    assert read.get_extension("severity") == "critical"
    assert read.get_data() == event(sandbox=sandbox).payload()["data"]
