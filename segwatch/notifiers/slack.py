"""Slack, by an incoming webhook or as an app with a bot token, laid out with Block Kit.

Limits by Slack's reference of blocks: header 150 characters, section text 3000, ten fields of 2000, ten elements of a
context, 50 blocks. By "Rate limits": about one message a second for each channel, and 429 with `Retry-After` beyond.
By "Formatting text for app surfaces": `&`, `<` and `>` are escaped, and nothing else need be.

An app answers by `chat.postMessage`: HTTP 200 with `ok` and the message's `ts`, which names its thread, or an `error`.
An incoming webhook answers `ok` and no `ts`, so that it cannot begin a thread.
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, model_validator

from segwatch.addresses import split_url
from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Rejected, Retryable
from segwatch.deliveries.presentation import footer_of, headline_of, items_of, links_of, said_of
from segwatch.deliveries.runes import HTML, chunks, clip
from segwatch.errors import BadValue
from segwatch.notifiers.base import Body, Notifier, NotifierContext, NotifierKind, Options, SecretUrl
from segwatch.notifiers.pace import Pace
from segwatch.notifiers.posting import Reply, exchange, json_body, outcome_of, post, retry_after

HEADER_MAX = 150
SECTION_MAX = 3000
FIELD_MAX = 2000
FIELDS_MAX = 10
PACE_S = 1.0
_LINK_NAME_MAX = 75
_LINK_NAME = HTML | dict.fromkeys(map(ord, "|*_~`"), " ")  # nothing that ends a link, or marks up its name
_REPLY_BYTES = 256 * 1024  # the answer repeats the message, blocks and all
_TAKEN = re.compile(r'\{\s*"ok"\s*:\s*true\b')  # the beginning of an answer whose end did not come
_TS = re.compile(r'"ts"\s*:\s*"([0-9]+\.[0-9]+)"')
_JSON = {"Content-Type": "application/json; charset=utf-8"}

# Errors of chat.postMessage, by its reference. All others would come again with every attempt.
_PASSING = frozenset(
    {
        "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
        "team_added_to_org", "message_limit_exceeded",
    }
)  # fmt: skip
_THREAD_GONE = frozenset({"thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked"})
_ADVICE = {
    "not_in_channel": "invite the app to the channel",
    "channel_not_found": "check channel_id, and invite the app to the channel",
    "is_archived": "the channel is archived",
    "missing_scope": "give the app the scope chat:write",
    "invalid_auth": "check the token",
    "not_authed": "check the token",
    "account_inactive": "install the app again, and copy its new token",
    "token_revoked": "install the app again, and copy its new token",
    "token_expired": "copy the app's new token",
}


def _bot_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"xoxb-[A-Za-z0-9-]+", token.get_secret_value()):
        raise BadValue(', which is no bot token. Copy the "Bot User OAuth Token", which begins with xoxb-.')
    return token


def _channel_id(text: str) -> str:
    if not re.fullmatch(r"[CGD][A-Z0-9]{7,20}", text):
        tail = ', which is no id of a channel. Copy it from the foot of the channel\'s details, such as "C0123456789".'
        raise BadValue(tail)
    return text


def _api_url(url: str) -> str:
    split_url(url)
    return url.rstrip("/")


class SlackOptions(Options):
    """Posts to Slack: by an incoming webhook, or as an app, which keeps what belongs to one alert in one thread."""

    url: SecretUrl | None = Field(None, description="The incoming webhook's address; without it, the next two.")
    token: Annotated[SecretStr, AfterValidator(_bot_token)] | None = Field(
        None, description="The app's bot token, `xoxb-...`, with the scope `chat:write`."
    )
    channel_id: Annotated[str, AfterValidator(_channel_id)] | None = Field(
        None, description="Where the app posts, such as `C0123456789`; it must be a member there."
    )
    api_url: Annotated[str, AfterValidator(_api_url)] = Field(
        "https://slack.com/api", description="Slack's API; GovSlack has its own."
    )

    @model_validator(mode="after")
    def _one_way(self) -> "SlackOptions":
        if self.url is not None and (self.token is not None or self.channel_id is not None):
            raise BadValue(" has both url and token or channel_id. Write url for a webhook, the others for an app.")
        if self.url is None and self.token is None:
            raise BadValue(" has no url. Write url_file = ... or url = ..., or for an app token_file and channel_id.")
        if self.url is None and self.channel_id is None:
            raise BadValue(' has a token and no channel_id. Write channel_id = "C0123456789".')
        return self


class SlackWebhook:
    """Posts one message per event, at most one a second: Slack turns faster senders off."""

    def __init__(self, url: SecretStr, context: NotifierContext) -> None:
        self._url = url
        self._context = context
        self._pace = Pace(PACE_S)

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request."""
        return Body(media_type="application/json", content=payload_of(self._context.say(delivery)))

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Slack's word for a refusal (`no_service`, ...) is in the reason."""
        await self._pace.turn()
        return await post(self._context, self._url, json_body(self.body(delivery).content), _JSON)


class SlackApp:
    """Posts as an app: what is told of one alert is in one thread.

    What opens an alert, reminds of it or ends it is shown in the channel as well; only the story between stays inside.
    A thread's name is `CHANNEL:TS`, so that one of another channel is not taken for ours.
    """

    def __init__(self, api_url: str, token: SecretStr, channel_id: str, context: NotifierContext) -> None:
        self._url = SecretStr(f"{api_url}/chat.postMessage")
        self._token = token
        self._channel_id = channel_id
        self._context = context
        self._pace = Pace(PACE_S)

    def body(self, delivery: Delivery) -> Body:
        """Return the body of the request: an answer in the alert's thread, where there is one in this channel."""
        message = self._context.say(delivery)
        payload = payload_of(message) | {"channel": self._channel_id, "unfurl_links": False, "unfurl_media": False}
        where, _, ts = delivery.thread.partition(":")
        if ts and where == self._channel_id:
            payload |= {"thread_ts": ts, "reply_broadcast": message.standing is not Standing.STORY}
        return Body(media_type="application/json", content=payload)

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. Slack's word for a refusal is in the reason, behind `slack_error`."""
        payload = self.body(delivery).content
        if "thread_ts" in payload:
            outcome, error = await self._post(payload)
            if error not in _THREAD_GONE:
                return Accepted(thread=delivery.thread) if isinstance(outcome, Accepted) else outcome
            del payload["thread_ts"], payload["reply_broadcast"]
        outcome, _ = await self._post(payload)  # somebody deleted the first message: this one begins a new thread
        return outcome

    async def _post(self, payload: dict[str, Any]) -> tuple[Outcome, str]:
        """Return how one request ended, and Slack's word for a refusal."""
        await self._pace.turn()
        headers = _JSON | {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        reply = await exchange(
            self._context, self._url, json_body(payload), headers, secrets=(self._token,), reply_bytes=_REPLY_BYTES
        )
        if not isinstance(reply, Reply):
            return reply, ""
        if reply.status != 200:
            return outcome_of(reply.status, retry_after(reply), reply.shown, now=self._context.now()), ""
        return self._read(reply)

    def _read(self, reply: Reply) -> tuple[Outcome, str]:
        fields = reply.fields
        if fields.get("ok") is True or _TAKEN.match(reply.text):
            ts = _TS.search(reply.text)
            return Accepted(thread=f"{self._channel_id}:{ts[1]}" if ts else ""), ""
        error = fields.get("error")
        if not isinstance(error, str) or not re.fullmatch(r"[a-z_]{1,60}", error):
            return Retryable(reason="bad_reply"), ""
        advice = f" ({_ADVICE[error]})" if error in _ADVICE else ""
        reason = f"slack_error: {error}{advice}"
        return (Retryable(reason=reason) if error in _PASSING else Rejected(reason=reason)), error


def payload_of(message: Message) -> dict[str, Any]:
    """Return the body of the request: blocks, and `text` for whatever shows no blocks.

    What the platform said is in it, so nothing is marked up but what is ours alone: `*x*` in an error is no bold x.
    """
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(headline_of(message), HEADER_MAX)},
        _section(said_of(message)),
    ]
    if lines := items_of(message, SECTION_MAX, HTML):
        blocks.append({"type": "section", "text": {"type": "plain_text", "text": "\n".join(lines), "emoji": False}})
    for some in chunks(message.fields, FIELDS_MAX):
        fields = [_plain(f"{name}\n{value}", FIELD_MAX) for name, value in some]
        blocks.append({"type": "section", "fields": fields})
    if links := links_of(message):
        elements = [_marked(f"<{url.translate(HTML)}|{clip(name, _LINK_NAME_MAX, _LINK_NAME)}>") for name, url in links]
        blocks.append({"type": "context", "elements": elements})
    blocks.append({"type": "context", "elements": [_marked(one) for one in footer_of(message)]})
    line = " ".join(said_of(message).splitlines())
    return {"text": clip(line, SECTION_MAX, HTML), "mrkdwn": False, "blocks": blocks}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, SECTION_MAX)}


def _plain(text: str, limit: int) -> dict[str, Any]:
    """Return a text that Slack shows as it is: no `*bold*`, no `:fire:`."""
    return {"type": "plain_text", "text": clip(text, limit, HTML), "emoji": False}


def _marked(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


class SlackKind:
    """The kind "slack"."""

    name = "slack"
    options: type[Options] = SlackOptions
    stateful = False

    def build(self, options: SlackOptions, context: NotifierContext) -> Notifier:
        """Return the configured receiver."""
        if options.url is not None:
            return SlackWebhook(options.url, context)
        assert options.token is not None  # by the options' own rule
        assert options.channel_id is not None
        return SlackApp(options.api_url, options.token, options.channel_id, context)


NOTIFIER: NotifierKind = SlackKind()
