"""Webhooks: one event per request, signed.

Sources: the Standard Webhooks specification, 1.0.0, for the headers and one form of the body; for the other, the
CloudEvents specification, 1.0.2, in structured content mode of its HTTP binding.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from segwatch.deliveries.model import Delivery, Outcome
from segwatch.errors import BadValue
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.posting import post

_PREFIX = "whsec_"


def _signs(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


def _replaced(previous: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if previous is not None and info.data.get("secret", previous) is None:
        raise BadValue(", and there is no secret that replaces it. Write secret_file = ..., or leave this one out.")
    return previous


class WebhookOptions(Options):
    """Posts each event as JSON, signed as the Standard Webhooks specification says if a secret is given."""

    url: SecretUrl = Field(description="Where to post.")
    secret: Annotated[SecretStr, AfterValidator(_signs)] | None = Field(
        None,
        description="Signs each request: base64, with or without `whsec_` before it, as the receiver hands it out.",
    )
    previous_secret: Annotated[Annotated[SecretStr, AfterValidator(_signs)] | None, AfterValidator(_replaced)] = Field(
        None, description="While `secret` is being replaced, the one before: each request is then signed with both."
    )
    format: Literal["standard", "cloudevents"] = Field(
        "standard", description="The form of the body: `{type, timestamp, data}`, or CloudEvents 1.0, structured."
    )


class Webhook:
    """Sends the public form of an event."""

    def __init__(self, options: WebhookOptions, context: NotifierContext) -> None:
        self._url = options.url
        self._secrets = tuple(one for one in (options.secret, options.previous_secret) if one is not None)
        self._format = options.format
        self._context = context

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request: the event in the form that the settings choose."""
        if self._format == "cloudevents":
            return Body(media_type="application/cloudevents+json; charset=utf-8", content=cloud_event(delivery))
        return Body(media_type="application/json", content=delivery.event.payload())

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Delivery is at least once: a repeat carries the same webhook-id."""
        told = self.body(delivery)
        body = json.dumps(told.content, ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = int(self._context.now().timestamp())
        headers = {
            "Content-Type": told.media_type,
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
        }
        keys = [signing_key(secret.get_secret_value()) for secret in self._secrets]
        if keys:
            headers["webhook-signature"] = " ".join(signature(key, delivery.id, timestamp, body) for key in keys)
        return await post(self._context, self._url, body, headers, secrets=self._secrets)


def cloud_event(delivery: Delivery) -> dict[str, Any]:
    """Return the event as CloudEvents has it. `id` is the webhook-id: with `source` it names what was told for good."""
    event = delivery.event
    payload = event.payload()
    return {
        "specversion": "1.0",
        "id": delivery.id,
        "source": f"/segwatch/{quote(event.sandbox, safe='')}".rstrip("/"),
        "type": payload["type"],
        "subject": event.stream,
        "time": payload["timestamp"],
        "datacontenttype": "application/json",
        "severity": event.severity.value,
        "data": payload["data"],
    }


def signing_key(secret: str) -> bytes:
    """Return the key that a secret stands for. Raises BadValue, which does not show it, if it is none."""
    if not secret:
        raise BadValue(", which is empty. Write the secret, or leave the setting out.")
    encoded = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise BadValue(', which is not base64, with or without "whsec_" before it. Copy it again from the receiver.')
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return a signature as the webhook-signature header lists it."""
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


class WebhookKind:
    """The kind "webhook"."""

    name = "webhook"
    options: type[Options] = WebhookOptions
    stateful = False
    worded = False

    def build(self, options: WebhookOptions, context: NotifierContext) -> Webhook:
        """Return the configured receiver."""
        return Webhook(options, context)


NOTIFIER: NotifierKind = WebhookKind()
