"""What every kind of channel must tell: its settings, and how to build a receiver from them."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol, runtime_checkable

import aiohttp
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

import segwatch.notifiers
from segwatch.addresses import service_url, split_url
from segwatch.deliveries.marking import marked
from segwatch.deliveries.message import Message, ending, message_of
from segwatch.deliveries.model import Delivery, Outcome, Rejected
from segwatch.errors import BadValue
from segwatch.jobs.events import Event


def _usable(url: SecretStr) -> SecretStr:
    split_url(url.get_secret_value())
    return url


SecretUrl = Annotated[SecretStr, AfterValidator(_usable)]  # whoever knows a receiver's URL can post to it
ServiceUrl = Annotated[str, AfterValidator(service_url)]  # that of an API, which another setting opens


def _one_word(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or " " in text or not text.isascii() or not text.isprintable():
        raise BadValue(", which is empty or contains a blank or an odd letter. Copy it again from the receiver.")
    return secret


Key = Annotated[SecretStr, AfterValidator(_one_word)]  # as receivers hand them out, fit for a header

MASK = "**********"  # in place of a secret, wherever something is shown

NOT_AN_ALERT = Rejected(
    reason="not_an_alert: this event neither opens nor closes one, and the channel knows nothing else"
)


class Options(BaseModel):
    """The settings that one kind of channel adds to those of all; a module's subclass names its own.

    Its docstring and the descriptions of its fields are what the reference says. A field for a `SecretStr` can also be
    given as a file: `config` adds `KEY_file`. A validator refuses with `BadValue`. Errors never show what was written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierContext:
    """What a channel gets from outside.

    timeout_s: bounds one attempt from connect to the end of the reply.
    compose: what is said of an event to the people on this channel; `say` tells what a delivery says to them.
    route_to: for a URL, the options of a request that lead there, through a proxy for example. The session's own
    `trust_env` must stay off: aiohttp would then send to receivers whatever credentials it finds in ~/.netrc.
    """

    channel: str
    session: aiohttp.ClientSession
    now: Callable[[], datetime]
    timeout_s: float = 10.0
    compose: Callable[[Event], Message] = message_of
    route_to: Callable[[str], Mapping[str, Any]] = lambda url: {}

    def say(self, delivery: Delivery) -> Message:
        """Return what a delivery says, also of itself and of what it ends."""
        return marked(ending(self.compose(delivery.event), delivery.ends), delivery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a receiver gets, with MASK in place of secrets. content: text, or what becomes JSON."""

    media_type: str
    content: Any


class Notifier(Protocol):
    """One configured receiver."""

    def body(self, delivery: Delivery) -> Body | Rejected:
        """Return what `send` would send now, or why it would send nothing. It changes nothing, here or there."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. It ends within the channel's timeout and its own pacing."""


@runtime_checkable
class Refreshable(Notifier, Protocol):
    """A receiver that forgets what it is not told again.

    refresh_every: how long it remembers at least.
    """

    refresh_every: timedelta

    async def refresh(self, firing: Callable[[], Awaitable[Sequence[Event]]]) -> Outcome:
        """Tell again what fires, and return how that ended, within the channel's timeout.

        firing: reads the latest notice of every group that fires on this channel. What is sent from `send` meanwhile is
        newer than what was read, and must not be undone by it.
        """


class NotifierKind(Protocol):
    """The code of one kind of channel: its settings, and how to build a receiver from them.

    stateful: its receivers keep incidents, which they open and close: they are told of notices only, never of single
    events. One with `worded = False` sends the event itself, and nothing of what is said of it.
    """

    name: str
    options: type[Options]
    stateful: bool

    def build(self, options: Any, context: NotifierContext) -> Notifier:
        """Return the receiver that `options`, an instance of `self.options`, describes."""


def is_worded(kind: NotifierKind | None) -> bool:
    """True when a channel of this kind says something in words, which a template may change."""
    return getattr(kind, "worded", True)


def load_notifiers() -> dict[str, NotifierKind]:
    """Return every kind of channel by its name: each module of this package that ends in `NOTIFIER = ...`."""
    found: dict[str, NotifierKind] = {}
    for module in pkgutil.iter_modules(segwatch.notifiers.__path__):
        kind: NotifierKind | None = getattr(
            importlib.import_module(f"segwatch.notifiers.{module.name}"), "NOTIFIER", None
        )
        if kind is not None:
            found[kind.name] = kind
    return found
