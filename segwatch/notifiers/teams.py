"""Microsoft Teams, by a workflow "Send webhook alerts to a channel" (or to a chat), as an Adaptive Card.

By Microsoft's "Create incoming webhooks with Workflows for Microsoft Teams": the body is a message with the card as an
attachment, and 28 KB is its largest size. The workflow answers 202 before it has shown anything and drops what is too
large, so the size is kept here. A TextRun shows its text as it is; TextBlock and FactSet would read Markdown in it.
By the reference of the Teams connector: 300 calls in 300 seconds for each connection, so one a second.

The connectors of Office 365 (`webhook.office.com`) are retired and are refused.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from segwatch.addresses import split_url
from segwatch.deliveries.message import Message
from segwatch.deliveries.model import Delivery, Outcome
from segwatch.deliveries.presentation import Tone, footer_of, headline_of, items_of, links_of, said_of, tone_of
from segwatch.deliveries.runes import Limit, clip, fitting
from segwatch.errors import BadValue
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.pace import Pace
from segwatch.notifiers.posting import Reply, json_body, post, retry_after

BODY_BYTES_MAX = 28_000
PACE_S = 1.0
_TITLE_MAX = 300
_SAID_MAX = 4000
_ITEMS_MAX = 6000
_VALUE_MAX = 1000
_LINK_NAME_MAX = 60
_RETIRED = ("webhook.office.com", "outlook.office.com", "outlook.office365.com")
_COLORS = {Tone.GOOD: "Good", Tone.INFO: "Accent", Tone.WARNING: "Warning", Tone.CRITICAL: "Attention"}


def _workflow(url: SecretStr) -> SecretStr:
    host = split_url(url.get_secret_value()).hostname or ""
    if any(host == one or host.endswith(f".{one}") for one in _RETIRED):
        raise BadValue(
            ", which is an Office 365 connector, and Microsoft has retired these. In Teams, add the workflow"
            ' "Send webhook alerts to a channel", and write its URL.'
        )
    return url


class TeamsOptions(Options):
    """Posts to a channel or a chat of Microsoft Teams, through a workflow."""

    url: Annotated[SecretUrl, AfterValidator(_workflow)] = Field(description="The workflow's address.")


class Teams:
    """Posts one card per event, at most one a second."""

    def __init__(self, options: TeamsOptions, context: NotifierContext) -> None:
        self._url = options.url
        self._context = context
        self._pace = Pace(PACE_S)

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request."""
        return Body(media_type="application/json", content=payload_of(self._context.say(delivery)))

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. An accepted card is in the workflow's hands, and not always on a screen."""
        await self._pace.turn()
        body = json_body(self.body(delivery).content)
        return await post(self._context, self._url, body, {"Content-Type": "application/json"}, wish=_wish)


def _wish(reply: Reply) -> str:
    """Return the wait that is asked for; services of Azure also tell it in milliseconds."""
    span_ms = reply.headers.get("x-ms-retry-after-ms", "")
    return retry_after(reply) or (str(int(span_ms) / 1000) if span_ms.isascii() and span_ms.isdigit() else "")


def payload_of(message: Message) -> dict[str, Any]:
    """Return the body of the request, within its size."""
    return fitting(lambda limit: _payload(message, limit), lambda laid: len(json_body(laid)) <= BODY_BYTES_MAX)


def _payload(message: Message, limit: Limit) -> dict[str, Any]:
    title = _run(clip(headline_of(message), limit(_TITLE_MAX)), weight="Bolder", size="Medium")
    said = said_of(message)
    body = [_block(title | {"color": _COLORS[tone_of(message)]})]
    body += [_block(_run(clip(line, limit(_SAID_MAX)))) for line in said.splitlines() if line.strip()]
    lines = items_of(message, limit(_ITEMS_MAX))
    body += [_block(_run(line), close=number > 0) for number, line in enumerate(lines)]
    body += [
        _field(name, clip(value, limit(_VALUE_MAX)), close=at > 0) for at, (name, value) in enumerate(message.fields)
    ]
    body.append(_block(_run(" · ".join(footer_of(message)), isSubtle=True, size="Small")))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": clip(said.replace("\n", " "), limit(_TITLE_MAX)),
        "msteams": {"width": "Full"},
        "body": body,
    }
    if links := links_of(message):
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": clip(name, _LINK_NAME_MAX), "url": url} for name, url in links
        ]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _field(name: str, value: str, *, close: bool) -> dict[str, Any]:
    return _block(_run(f"{name}: ", weight="Bolder"), _run(value.replace("\n", "; ")), close=close)


def _block(*runs: dict[str, Any], close: bool = False) -> dict[str, Any]:
    """Return a line of text. close: right below the one before."""
    return {"type": "RichTextBlock", "inlines": list(runs)} | ({"spacing": "None"} if close else {})


def _run(text: str, **looks: object) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **looks}


class TeamsKind:
    """The kind "teams"."""

    name = "teams"
    options: type[Options] = TeamsOptions
    stateful = False

    def build(self, options: TeamsOptions, context: NotifierContext) -> Teams:
        """Return the configured receiver."""
        return Teams(options, context)


NOTIFIER: NotifierKind = TeamsKind()
