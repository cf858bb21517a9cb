"""What every kind of channel must tell: its settings, and how to build a receiver from them."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

import aiohttp
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr

import segwatch.notifiers
from segwatch.addresses import split_url
from segwatch.deliveries.model import Delivery, Outcome


def _usable(url: SecretStr) -> SecretStr:
    split_url(url.get_secret_value())
    return url


SecretUrl = Annotated[SecretStr, AfterValidator(_usable)]  # whoever knows a receiver's URL can post to it


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
    route_to: for a URL, the options of a request that lead there, through a proxy for example. The session's own
    `trust_env` must stay off: aiohttp would then send to receivers whatever credentials it finds in ~/.netrc.
    """

    channel: str
    session: aiohttp.ClientSession
    now: Callable[[], datetime]
    timeout_s: float = 10.0
    route_to: Callable[[str], Mapping[str, Any]] = lambda url: {}


class Notifier(Protocol):
    """One configured receiver."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. It ends within the channel's timeout and its own pacing."""


class NotifierKind(Protocol):
    """The code of one kind of channel: its settings, and how to build a receiver from them."""

    name: str
    options: type[Options]

    def build(self, options: Any, context: NotifierContext) -> Notifier:
        """Return the receiver that `options`, an instance of `self.options`, describes."""


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
