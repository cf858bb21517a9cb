"""Standard Webhooks: one event per request, signed. Source: the Standard Webhooks specification, 1.0.0."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from segwatch.deliveries.model import Delivery, Outcome
from segwatch.errors import BadValue
from segwatch.notifiers.base import NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.posting import post

_PREFIX = "whsec_"


def _signs(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


class WebhookOptions(Options):
    """Posts each event as JSON, signed as the Standard Webhooks specification says if a secret is given."""

    url: SecretUrl = Field(description="Where to post.")
    secret: Annotated[SecretStr, AfterValidator(_signs)] | None = Field(
        None,
        description="Signs each request: base64, with or without `whsec_` before it, as the receiver hands it out.",
    )
    format: Literal["standard"] = Field("standard", description="The form of the body.")


class Webhook:
    """Sends the public form of an event."""

    def __init__(self, options: WebhookOptions, context: NotifierContext) -> None:
        self._url = options.url
        self._secret = options.secret
        self._context = context

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Delivery is at least once: a repeat carries the same webhook-id."""
        body = json.dumps(delivery.event.payload(), ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = int(self._context.now().timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(timestamp),
        }
        if self._secret is None:
            return await post(self._context, self._url, body, headers)
        key = signing_key(self._secret.get_secret_value())
        headers["webhook-signature"] = signature(key, delivery.id, timestamp, body)
        return await post(self._context, self._url, body, headers, secrets=(self._secret,))


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
    """Return the value of the webhook-signature header."""
    signed = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


class WebhookKind:
    """The kind "webhook"."""

    name = "webhook"
    options: type[Options] = WebhookOptions

    def build(self, options: WebhookOptions, context: NotifierContext) -> Webhook:
        """Return the configured receiver."""
        return Webhook(options, context)


NOTIFIER: NotifierKind = WebhookKind()
