"""Discord, by a webhook of a channel, as an embed.

Limits by Discord's "Channels resource": title 256, description 4096, 25 fields, name 256, value 1024, footer 2048, and
6000 characters of all of these in sum. By its "Rate limits": `X-RateLimit-Remaining` and `X-RateLimit-Reset-After` on
every answer, and 429 with `retry_after` in the body, seconds with a fraction. A webhook's bucket is told by these
headers only; five in two seconds is what they have said.

An address without a version means the oldest API, whose waits are in milliseconds, so the version is put in.
Source: "API versioning" and the change log of version 8.
"""

import re
from typing import Any

from pydantic import Field, SecretStr

from segwatch.deliveries.message import Message
from segwatch.deliveries.model import Delivery, Outcome
from segwatch.deliveries.presentation import footer_of, headline_of, items_of, links_of, said_of, tone_of
from segwatch.deliveries.runes import backslashed, clip
from segwatch.jobs.events import rfc3339
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.pace import Pace
from segwatch.notifiers.posting import Reply, exchange, json_body, outcome_of, retry_after

TITLE_MAX = 256
NAME_MAX = 256
VALUE_MAX = 1024
FIELDS_MAX = 25
SUM_MAX = 6000
PACE_S = 0.5
# parts of the description; with three line breaks and the links they stay below its 4096
_SAID_MAX = 1500
_ITEMS_MAX = 1500
_LINKS_MAX = 1000
_LINK_NAME_MAX = 60
_ESCAPES = backslashed("\\*_~`|>#[]()<:@-")  # no Markdown, no mention, no emoji


class DiscordOptions(Options):
    """Posts to a channel of Discord, by its webhook."""

    url: SecretUrl = Field(description="The webhook's address.")


class Discord:
    """Posts one embed per event, two a second at most, and slower where Discord says so."""

    def __init__(self, options: DiscordOptions, context: NotifierContext) -> None:
        self._url = SecretStr(options.url.get_secret_value().replace("/api/webhooks/", "/api/v10/webhooks/", 1))
        self._context = context
        self._pace = Pace(PACE_S)

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request."""
        return Body(media_type="application/json", content=payload_of(self._context.say(delivery)))

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Nobody is mentioned, whatever the platform said."""
        await self._pace.turn()
        body = json_body(self.body(delivery).content)
        reply = await exchange(self._context, self._url, body, {"Content-Type": "application/json"})
        if not isinstance(reply, Reply):
            return reply
        if reply.headers.get("X-RateLimit-Remaining") == "0":
            self._pace.hold(_seconds(reply.headers.get("X-RateLimit-Reset-After", "")))
        return outcome_of(reply.status, _wish(reply), reply.shown, now=self._context.now())


def _wish(reply: Reply) -> str:
    """Return the wait that is asked for, from where it is told most exactly."""
    told = reply.fields.get("retry_after")
    if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told < 1e9:
        return f"{told:f}"
    return retry_after(reply) or reply.headers.get("X-RateLimit-Reset-After", "")


def _seconds(header: str) -> float:
    return float(header) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", header) else 0.0


def payload_of(message: Message) -> dict[str, Any]:
    """Return the body of the request. Fields that would pass the sum of all texts are left out, the last ones first."""
    title, footer = clip(headline_of(message), TITLE_MAX, _ESCAPES), " · ".join(footer_of(message))
    parts = [clip(said_of(message), _SAID_MAX, _ESCAPES)]
    parts += items_of(message, _ITEMS_MAX, _ESCAPES)
    parts += _links(message)
    description = "\n".join(parts)
    left, fields = SUM_MAX - len(title) - len(footer) - len(description), []
    for name, value in message.fields[:FIELDS_MAX]:
        shown = {"name": clip(name, NAME_MAX, _ESCAPES), "value": clip(value, VALUE_MAX, _ESCAPES), "inline": True}
        left -= len(str(shown["name"])) + len(str(shown["value"]))
        if left < 0:
            break
        fields.append(shown)
    embed = {
        "title": title,
        "description": description,
        "color": tone_of(message).rgb,
        "fields": fields,
        "footer": {"text": footer},
        "timestamp": rfc3339(message.at),
    }
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _links(message: Message) -> list[str]:
    """Return the links in one line, as many as have room."""
    line = ""
    for name, url in links_of(message):
        longer = f"{line} · " if line else ""
        longer += f"[{clip(name, _LINK_NAME_MAX, _ESCAPES)}]({url})"
        if len(longer) > _LINKS_MAX:
            break
        line = longer
    return [line] if line else []


class DiscordKind:
    """The kind "discord"."""

    name = "discord"
    options: type[Options] = DiscordOptions
    stateful = False

    def build(self, options: DiscordOptions, context: NotifierContext) -> Discord:
        """Return the configured receiver."""
        return Discord(options, context)


NOTIFIER: NotifierKind = DiscordKind()
