"""Mattermost, by an incoming webhook, as a message attachment.

By Mattermost's "Incoming webhooks" and "Message attachments": texts read Markdown and mentions, a footer shows 300
characters. A post holds 16,383 characters; what it carries beside its text, as attachments are, was bound to 8000 in
all before version 6, so the whole body is kept below that. By its settings of rate limits: ten calls a second where
they are on, beyond that 429 with `X-RateLimit-Reset`, the seconds until calls are taken again.

An incoming webhook answers without the id of the post, so that it cannot begin a thread.
"""

from typing import Any

from pydantic import Field

from segwatch.deliveries.message import Message
from segwatch.deliveries.model import Delivery, Outcome
from segwatch.deliveries.presentation import footer_of, headline_of, items_of, links_of, said_of, tone_of
from segwatch.deliveries.runes import Limit, backslashed, clip, fitting
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.pace import Pace
from segwatch.notifiers.posting import Reply, json_body, post, retry_after

BODY_RUNES_MAX = 7500
FOOTER_MAX = 300
PACE_S = 0.2
_TITLE_MAX = 250
_SAID_MAX = 2000
_ITEMS_MAX = 2500
_VALUE_MAX = 500
_LINK_NAME_MAX = 60
_UNMENTIONED = {ord("@"): "@\u200b"}  # no backslash keeps an "@" from calling everybody; a space of no width does
_ESCAPES = {**backslashed("\\*_~`|>#[](){}!"), **_UNMENTIONED}


class MattermostOptions(Options):
    """Posts to a channel of Mattermost, by an incoming webhook."""

    url: SecretUrl = Field(description="The incoming webhook's address.")


class Mattermost:
    """Posts one message per event, five a second at most."""

    def __init__(self, options: MattermostOptions, context: NotifierContext) -> None:
        self._url = options.url
        self._context = context
        self._pace = Pace(PACE_S)

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request."""
        return Body(media_type="application/json", content=payload_of(self._context.say(delivery)))

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Nobody is mentioned, whatever the platform said."""
        await self._pace.turn()
        body = json_body(self.body(delivery).content)
        return await post(self._context, self._url, body, {"Content-Type": "application/json"}, wish=_wish)


def _wish(reply: Reply) -> str:
    return retry_after(reply) or reply.headers.get("X-RateLimit-Reset", "")


def payload_of(message: Message) -> dict[str, Any]:
    """Return the body of the request, within its size."""
    return fitting(lambda limit: _payload(message, limit), lambda laid: len(json_body(laid).decode()) <= BODY_RUNES_MAX)


def _payload(message: Message, limit: Limit) -> dict[str, Any]:
    parts = [clip(said_of(message), limit(_SAID_MAX), _ESCAPES)]
    if lines := items_of(message, limit(_ITEMS_MAX), _ESCAPES, sign=""):
        parts.append("\n".join(f"- {line}" for line in lines))
    if links := links_of(message):
        parts.append(" · ".join(f"[{clip(name, _LINK_NAME_MAX, _ESCAPES)}]({url})" for name, url in links))
    fields = [
        {"short": True, "title": name.translate(_ESCAPES), "value": clip(value, limit(_VALUE_MAX), _ESCAPES)}
        for name, value in message.fields
    ]
    attachment = {
        "fallback": clip(headline_of(message), limit(_TITLE_MAX), _UNMENTIONED),
        "color": f"#{tone_of(message).rgb:06x}",
        "title": clip(headline_of(message), limit(_TITLE_MAX), _ESCAPES),
        "text": "\n\n".join(parts),
        "fields": fields,
        "footer": clip(" · ".join(footer_of(message)), FOOTER_MAX),
    }
    return {"attachments": [attachment]}


class MattermostKind:
    """The kind "mattermost"."""

    name = "mattermost"
    options: type[Options] = MattermostOptions
    stateful = False

    def build(self, options: MattermostOptions, context: NotifierContext) -> Mattermost:
        """Return the configured receiver."""
        return Mattermost(options, context)


NOTIFIER: NotifierKind = MattermostKind()
