"""Everything else: whatever the Apprise library can send to, by its URLs. It needs the extra `segwatch[apprise]`.

Apprise blocks, so each message is sent in a thread of its own, which nobody waits for once its time is up.
"""

import asyncio
import importlib.util
import logging
import re
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, SecretStr

from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Retryable
from segwatch.errors import BadValue
from segwatch.jobs.events import Severity, rfc3339
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options
from segwatch.notifiers.posting import excerpt_of, outcome_of, redacted

if TYPE_CHECKING:
    from apprise import Apprise as Library
    from apprise import NotifyType

_AT_ONCE = 4
_STATUS = re.compile(r"\berror=(\d{3})\b")  # how Apprise's plugins log the status of a reply


def _known_to_apprise(url: SecretStr) -> SecretStr:
    if importlib.util.find_spec("apprise") is None:
        raise BadValue(", for which a library is missing. Install it: pip install 'segwatch[apprise]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it loads its plugins now, some of which are old
        known = bool(_library(url))
    if not known:
        raise BadValue(
            ", which Apprise does not understand. Write one as its documentation shows, such as tgram://TOKEN/CHAT."
        )
    return url


class AppriseOptions(Options):
    """Sends to any of the services that the Apprise library knows."""

    url: Annotated[SecretStr, AfterValidator(_known_to_apprise)] = Field(
        description="The service in Apprise's notation, such as `tgram://TOKEN/CHAT`."
    )


class Apprise:
    """Sends a title and a text; the service lays them out."""

    def __init__(self, options: AppriseOptions, context: NotifierContext) -> None:
        self._url = options.url
        self._context = context
        self._places = asyncio.Semaphore(_AT_ONCE)

    def body(self, delivery: Delivery) -> Body:
        """Return what Apprise is given; how a service lays it out is known to Apprise alone."""
        message = self._context.say(delivery)
        return Body(media_type="application/json", content={"title": message.title, "body": _text(message)})

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended. One that timed out may arrive all the same: delivery is at least once."""
        message = self._context.say(delivery)
        try:
            async with asyncio.timeout(self._context.timeout_s), self._places:
                said = await _in_thread(lambda: _notify(self._url, message))
        except TimeoutError:
            return Retryable(reason="timeout")
        return self._outcome(said)

    def _outcome(self, said: list[str] | None) -> Outcome:
        """Return what Apprise's complaints mean; None is success."""
        if said is None:
            return Accepted()
        shown = excerpt_of(redacted(" ".join(said), self._url))
        if status := _STATUS.search(shown):
            return outcome_of(int(status[1]), "", shown, now=self._context.now())
        return Retryable(reason=f"not_sent: {shown}" if shown else "not_sent")


def _notify(url: SecretStr, message: Message) -> list[str] | None:
    """Send the message, and return None; what Apprise complained of if it could not."""
    # told that it is plain text, Apprise escapes it for services that take markup
    result = _library(url).notify(
        body=_text(message), title=message.title, notify_type=_type(message), body_format="text"
    )
    return None if result else [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR")]


def _library(url: SecretStr) -> "Library":
    """Return Apprise with one service; with none if it does not understand the URL."""
    from apprise import Apprise as Library  # here, since the extra may be missing
    from apprise import AppriseAsset

    for name in ("apprise", "urllib3"):  # their lines show URLs, which hold tokens
        logging.getLogger(name).propagate = False
    # without threads and deadlines of its own: those threads would hold up our exit
    library = Library(asset=AppriseAsset(async_mode=False, service_timeout=0))
    library.add(url.get_secret_value())
    return library


def _type(message: Message) -> "NotifyType":
    from apprise import NotifyType

    if message.standing is Standing.RESOLVED:
        return NotifyType.SUCCESS
    return {
        Severity.INFO: NotifyType.INFO,
        Severity.WARNING: NotifyType.WARNING,
        Severity.CRITICAL: NotifyType.FAILURE,
    }[message.severity]


def _text(message: Message) -> str:
    parts = [
        "\n".join(message.said),
        "\n".join(f"- {item}" for item in message.lines),
        "\n".join(f"{name}: {value}" for name, value in message.fields),
        "\n".join(f"{name}: {url}" for name, url in message.links),
        f"{rfc3339(message.at)} · {message.event_id}",
    ]
    return "\n\n".join(filter(None, parts))


async def _in_thread(call: Callable[[], list[str] | None]) -> list[str] | None:
    """Return what the call returns. Its thread holds up no exit: one that hangs is left behind."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[list[str] | None] = loop.create_future()

    def settle(said: list[str] | None) -> None:
        if not ended.done():
            ended.set_result(said)

    def run() -> None:
        try:
            said = call()
        except Exception as exc:  # noqa: BLE001 - plugins are of many hands; the text may show a token
            said = [type(exc).__name__]
        try:
            loop.call_soon_threadsafe(settle, said)
        except RuntimeError:
            return  # the loop was closed meanwhile

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return await ended


class AppriseKind:
    """The kind "apprise"."""

    name = "apprise"
    options: type[Options] = AppriseOptions
    stateful = False

    def build(self, options: AppriseOptions, context: NotifierContext) -> Apprise:
        """Return the configured receiver."""
        return Apprise(options, context)


NOTIFIER: NotifierKind = AppriseKind()
