"""Events as log lines, for whoever collects logs already."""

from typing import Any

import structlog

from segwatch.deliveries.model import Accepted, Delivery, Outcome
from segwatch.jobs.events import Severity
from segwatch.notifiers.base import Body, NotifierContext, NotifierKind, Options

_LEVELS = {Severity.INFO: "info", Severity.WARNING: "warning", Severity.CRITICAL: "error"}


class LogOptions(Options):
    """Writes each notification as a log line."""


class Log:
    """Writes one structured line per event."""

    def __init__(self, context: NotifierContext) -> None:
        self._log = structlog.get_logger("segwatch.events").bind(channel=context.channel)
        self._context = context

    def body(self, delivery: Delivery) -> Body:
        """Return the fields of the line, but for its time."""
        return Body(media_type="application/json", content=self._fields(delivery))

    def _fields(self, delivery: Delivery) -> dict[str, Any]:
        event = delivery.event
        payload = event.payload()
        fields: dict[str, Any] = {name: value for name, value in payload["data"].items() if value not in ("", None)}
        fields |= {"type": event.type.value, "at": payload["timestamp"], "message_id": delivery.id}
        fields["summary"] = self._context.say(delivery).summary
        # "event" names the line itself in structlog, "channel" is bound: neither may come from the details
        return {name: value for name, value in fields.items() if name not in ("event", "channel")}

    async def send(self, delivery: Delivery) -> Outcome:
        """Return Accepted, always: a log line that cannot be written has nowhere to be reported."""
        event = delivery.event
        fields = self._fields(delivery)
        getattr(self._log, _LEVELS[event.severity])("event_told", **fields)
        return Accepted()


class LogKind:
    """The kind "log"."""

    name = "log"
    options: type[Options] = LogOptions
    stateful = False

    def build(self, options: LogOptions, context: NotifierContext) -> Log:
        """Return the log of this channel."""
        return Log(context)


NOTIFIER: NotifierKind = LogKind()
