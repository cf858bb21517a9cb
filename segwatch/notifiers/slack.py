"""Slack's incoming webhooks, laid out with Block Kit.

Limits by Slack's reference of blocks and rate limits: header 150 characters, section text 3000, ten fields of
2000, 50 blocks; about one message a second for each webhook.
"""

import asyncio
import json
from typing import Any

from pydantic import Field

from segwatch.deliveries.message import Message, message_of
from segwatch.deliveries.model import Delivery, Outcome
from segwatch.jobs.events import EventType, Severity, rfc3339
from segwatch.notifiers.base import NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.posting import post

HEADER_MAX = 150
SECTION_MAX = 3000
FIELD_MAX = 2000
FIELDS_MAX = 10
_PACE_S = 1.0

_EMOJI = {
    Severity.INFO: ":information_source:",
    Severity.WARNING: ":warning:",
    Severity.CRITICAL: ":red_circle:",
}
_GOOD_NEWS = frozenset(
    {
        EventType.JOB_SUCCEEDED,
        EventType.RECOVERED,
        EventType.RETRIES_RELEASED,
        EventType.SANDBOX_RECOVERED,
        EventType.CHANNEL_RECOVERED,
    }
)


class SlackOptions(Options):
    """Posts to a Slack incoming webhook."""

    url: SecretUrl = Field(description="The incoming webhook's address.")


class Slack:
    """Posts one message per event, at most one a second: Slack turns faster senders off."""

    def __init__(self, options: SlackOptions, context: NotifierContext, *, pace_s: float = _PACE_S) -> None:
        self._url = options.url
        self._context = context
        self._pace_s = pace_s
        self._next_at = 0.0

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Slack's word for a refusal (`no_service`, ...) is in the reason."""
        await self._turn()
        message = message_of(delivery.event)
        body = json.dumps(payload_of(message), ensure_ascii=False, separators=(",", ":")).encode()
        return await post(self._context, self._url, body, {"Content-Type": "application/json; charset=utf-8"})

    async def _turn(self) -> None:
        """Wait for this sender's place in the queue; each gets one, in the order of asking."""
        now = asyncio.get_running_loop().time()
        mine = max(self._next_at, now)
        self._next_at = mine + self._pace_s
        await asyncio.sleep(mine - now)


def payload_of(message: Message) -> dict[str, Any]:
    """Return the body of the request: blocks, and `text` for whatever shows no blocks.

    What the platform said is in it, so nothing is marked up but what is ours alone: `*x*` in an error is no bold x.
    """
    emoji = ":large_green_circle:" if message.type in _GOOD_NEWS else _EMOJI[message.severity]
    said = f"{message.summary}\n{message.action}".rstrip()
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(f"{emoji} {message.title}", HEADER_MAX, emoji=True)},
        {"type": "section", "text": _plain(said, SECTION_MAX)},
    ]
    if message.fields:
        fields = [_field(name, value) for name, value in message.fields[:FIELDS_MAX]]
        blocks.append({"type": "section", "fields": fields})
    footer = [rfc3339(message.at), message.event_id]
    blocks.append({"type": "context", "elements": [_marked(one) for one in footer]})
    return {"text": clip(message.line, SECTION_MAX), "mrkdwn": False, "blocks": blocks}


def clip(text: str, limit: int) -> str:
    """Return the text escaped for Slack, in at most `limit` runes, no escape cut in two."""
    whole = _escaped(text)
    if len(whole) <= limit:
        return whole
    kept, length = [], 1  # the ellipsis
    for rune in text:
        piece = _escaped(rune)
        length += len(piece)
        if length > limit:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str, limit: int, *, emoji: bool = False) -> dict[str, Any]:
    """Return a text that Slack shows as it is. emoji: turn `:name:` into a picture."""
    return {"type": "plain_text", "text": clip(text, limit), "emoji": emoji}


def _marked(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def _field(name: str, value: str) -> dict[str, Any]:
    return _plain(f"{name}\n{value}", FIELD_MAX)


class SlackKind:
    """The kind "slack"."""

    name = "slack"
    options: type[Options] = SlackOptions

    def build(self, options: SlackOptions, context: NotifierContext) -> Slack:
        """Return the configured receiver."""
        return Slack(options, context)


NOTIFIER: NotifierKind = SlackKind()
