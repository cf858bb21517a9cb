"""PagerDuty's Events API v2: an incident is opened by `trigger`, and closed by `resolve` with the same key.

Limits by PagerDuty's reference of the API: summary 1024 characters, dedup_key 255, a whole event 512 KB. It answers 202
once an event is queued, 400 for one that it will never take, 429 above some hundred events a minute for one key.
"""

import hashlib
import json
from typing import Any

from pydantic import Field

from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Delivery, Outcome, Rejected
from segwatch.deliveries.phrases import text
from segwatch.deliveries.runes import clip
from segwatch.jobs.events import Event, rfc3339
from segwatch.notifiers.base import MASK, NOT_AN_ALERT, Body, Key, NotifierContext, NotifierKind, Options, ServiceUrl
from segwatch.notifiers.posting import post

SUMMARY_MAX = 1024
DEDUP_KEY_MAX = 255
_LINK_MAX = 2000


class PagerDutyOptions(Options):
    """Opens and closes incidents in PagerDuty, one for each group of alerts."""

    routing_key: Key = Field(description="The integration key of a service's Events API v2 integration.")
    base_url: ServiceUrl = Field(
        "https://events.pagerduty.com", description="Where events go; `https://events.eu.pagerduty.com` for the EU."
    )


class PagerDuty:
    """Sends a trigger for what fires, and a resolve for what no longer does; a repeated one changes nothing there."""

    def __init__(self, options: PagerDutyOptions, context: NotifierContext) -> None:
        self._key = options.routing_key
        self._url = f"{options.base_url}/v2/enqueue"
        self._context = context

    def body(self, delivery: Delivery) -> Body | Rejected:
        """Return the body of the request, for what opens or closes an incident."""
        message = self._context.say(delivery)
        if message.standing is Standing.STORY:
            return NOT_AN_ALERT
        content = {"routing_key": MASK} | order_of(delivery.event, message)
        return Body(media_type="application/json", content=content)

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended."""
        told = self.body(delivery)
        if isinstance(told, Rejected):
            return told
        order = told.content | {"routing_key": self._key.get_secret_value()}
        body = json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"}
        return await post(self._context, self._url, body, headers, secrets=(self._key,))


def order_of(event: Event, message: Message) -> dict[str, Any]:
    """Return the body of the request, but for the routing key."""
    known = {"dedup_key": dedup_key(message.subject)}
    if message.standing is Standing.RESOLVED:
        return known | {"event_action": "resolve"}
    details: dict[str, Any] = {
        "What it means": message.explanation,
        "What segwatch does": message.action,
        "Alerts": list(message.lines),
        **dict(message.fields),
        "Event": message.event_id,
    }
    payload = {
        "summary": clip(message.summary or message.title, SUMMARY_MAX),
        "source": clip(f"segwatch {text(event.sandbox)}".rstrip(), SUMMARY_MAX),
        "severity": message.severity.value,
        "timestamp": rfc3339(message.at),
        "component": text(event.kind),
        "class": message.type.value,
        "custom_details": {name: value for name, value in details.items() if value},
    }
    links = [{"href": url, "text": name} for name, url in message.links if _leads_somewhere(url)]
    return known | {
        "event_action": "trigger",
        "client": "segwatch",
        "payload": {name: value for name, value in payload.items() if value},
        **({"links": links} if links else {}),
    }


def dedup_key(subject: str) -> str:
    """Return the key by which PagerDuty knows an incident: the subject, or what stands for one that is too long."""
    if len(subject) <= DEDUP_KEY_MAX:
        return subject
    return "segwatch/" + hashlib.sha256(subject.encode()).hexdigest()


def _leads_somewhere(url: str) -> bool:
    return url.startswith(("https://", "http://")) and len(url) <= _LINK_MAX


class PagerDutyKind:
    """The kind "pagerduty"."""

    name = "pagerduty"
    options: type[Options] = PagerDutyOptions
    stateful = True

    def build(self, options: PagerDutyOptions, context: NotifierContext) -> PagerDuty:
        """Return the configured receiver."""
        return PagerDuty(options, context)


NOTIFIER: NotifierKind = PagerDutyKind()
