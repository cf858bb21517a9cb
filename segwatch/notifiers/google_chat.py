"""Google Chat, by a webhook of a space, as a card; what is told of one alert is in one thread.

By Google's "Usage limits" and reference of messages: 32,000 bytes a message with its cards, 100 widgets a card, one
message a second for each space, from all webhooks of it together; beyond, 429 with `RESOURCE_EXHAUSTED`, which may
carry a `RetryInfo` (google.rpc). A thread is named by the sender: a `threadKey` of 4000 characters at most, with the
option REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD, so that a thread that is gone is begun again.
By "Format messages": texts of cards read a few HTML tags, so `&`, `<` and `>` are escaped in them.
"""

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from segwatch.deliveries.message import Message
from segwatch.deliveries.model import Accepted, Delivery, Outcome
from segwatch.deliveries.presentation import footer_of, headline_of, items_of, links_of, said_of
from segwatch.deliveries.runes import HTML, Limit, clip, fitting
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.pace import Pace
from segwatch.notifiers.posting import Reply, json_body, post, retry_after

BODY_BYTES_MAX = 32_000
PACE_S = 1.0
_TITLE_MAX = 200
_SAID_MAX = 4000
_ITEMS_MAX = 6000
_VALUE_MAX = 1000
_LINK_NAME_MAX = 60
_THREADED = "messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
_LOOKALIKES = {ord("<"): "\u2039", ord(">"): "\u203a"}  # nobody says whether a header reads tags


class GoogleChatOptions(Options):
    """Posts to a space of Google Chat, by its webhook."""

    url: SecretUrl = Field(description="The webhook's address, with its key and token.")


class GoogleChat:
    """Posts one card per event, at most one a second."""

    def __init__(self, options: GoogleChatOptions, context: NotifierContext) -> None:
        url = options.url.get_secret_value()
        self._url = SecretStr(f"{url}{'&' if urlsplit(url).query else '?'}{_THREADED}")
        self._context = context
        self._pace = Pace(PACE_S)

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request."""
        return Body(media_type="application/json", content=payload_of(self._context.say(delivery), _thread(delivery)))

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. The first message about an alert names its thread after its event."""
        await self._pace.turn()
        thread = _thread(delivery)
        body = json_body(self.body(delivery).content)
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        outcome = await post(self._context, self._url, body, headers, wish=_wish)
        return Accepted(thread=thread) if isinstance(outcome, Accepted) else outcome


def _thread(delivery: Delivery) -> str:
    return delivery.thread or delivery.event.id


def _wish(reply: Reply) -> str:
    """Return the wait that is asked for: by header, or by a RetryInfo such as {"retryDelay": "7.5s"}."""
    error = reply.fields.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    told = [one.get("retryDelay") for one in details if isinstance(one, dict)] if isinstance(details, list) else []
    return retry_after(reply) or next((one.removesuffix("s") for one in told if isinstance(one, str)), "")


def payload_of(message: Message, thread: str) -> dict[str, Any]:
    """Return the body of the request, within its size. thread: the key of its thread."""
    return fitting(lambda limit: _payload(message, thread, limit), lambda laid: len(json_body(laid)) <= BODY_BYTES_MAX)


def _payload(message: Message, thread: str, limit: Limit) -> dict[str, Any]:
    title, *_ = headline_of(message).splitlines()
    widgets = [_paragraph(clip(said_of(message), limit(_SAID_MAX), HTML))]
    if lines := items_of(message, limit(_ITEMS_MAX), HTML):
        widgets.append(_paragraph("\n".join(lines)))
    if links := links_of(message):
        buttons = [
            {"text": clip(name, _LINK_NAME_MAX, HTML), "onClick": {"openLink": {"url": url}}} for name, url in links
        ]
        widgets.append({"buttonList": {"buttons": buttons}})
    sections: list[dict[str, Any]] = [{"widgets": widgets}]
    if message.fields:
        sections.append(
            {"widgets": [_field(name, clip(value, limit(_VALUE_MAX), HTML)) for name, value in message.fields]}
        )
    sections.append({"widgets": [_paragraph(" · ".join(footer_of(message)))]})
    header = {"title": clip(title, _TITLE_MAX).translate(_LOOKALIKES)}
    return {
        "cardsV2": [{"cardId": message.event_id, "card": {"header": header, "sections": sections}}],
        "fallbackText": clip(said_of(message), limit(_SAID_MAX)).translate(_LOOKALIKES),
        "thread": {"threadKey": thread},
    }


def _paragraph(text: str) -> dict[str, Any]:
    return {"textParagraph": {"text": text}}


def _field(name: str, value: str) -> dict[str, Any]:
    return {"decoratedText": {"topLabel": name.translate(HTML), "text": value, "wrapText": True}}


class GoogleChatKind:
    """The kind "google_chat"."""

    name = "google_chat"
    options: type[Options] = GoogleChatOptions
    stateful = False

    def build(self, options: GoogleChatOptions, context: NotifierContext) -> GoogleChat:
        """Return the configured receiver."""
        return GoogleChat(options, context)


NOTIFIER: NotifierKind = GoogleChatKind()
