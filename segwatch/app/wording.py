"""What one channel says of events: by the user's templates, and in the standard words where there is none, or it fails."""

from collections.abc import Callable, Sequence

import structlog

from segwatch.config import Settings
from segwatch.deliveries.message import Message, message_of
from segwatch.deliveries.templates.rewriting import TemplateRule, Worded, worded
from segwatch.jobs.events import Event

log = structlog.get_logger(__name__)

_REMEMBERED = 1000  # events: each is composed again with every attempt, and each minute while it fires


def rules_of(settings: Settings) -> tuple[TemplateRule, ...]:
    """Return the configured templates in the form that decides."""
    return tuple(one.rule for one in settings.templates)


class Wording:
    """Composes the messages of one channel.

    standard: the words without a template. failed: hears the channel's name for each message that a template could not
    word, and that so goes out in the standard words.
    """

    def __init__(
        self,
        channel: str,
        rules: Sequence[TemplateRule],
        *,
        standard: Callable[[Event], Message] = message_of,
        failed: Callable[[str], None] = lambda channel: None,
    ) -> None:
        self._channel = channel
        self._rules = tuple(rules)
        self._standard = standard
        self._failed = failed
        self._told: dict[str, None] = {}  # the events whose fault was told, the oldest first

    def worded(self, event: Event) -> Worded:
        """Return what is said of an event, by which template, and what is wrong with that."""
        return worded(event, self._standard(event), self._rules, self._channel)

    def compose(self, event: Event) -> Message:
        """Return what is said of an event; a template that fails is told of once for each event."""
        found = self.worded(event)
        if found.fault is not None and event.id not in self._told:
            self._told[event.id] = None
            if len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]
            fault = found.fault
            log.warning(
                "template_failed", channel=self._channel, template=fault.template, part=fault.part, line=fault.line,
                why=fault.why, event_id=event.id, type=event.type.value,
                hint=f"the standard words were sent; try: segwatch notify preview {event.id} --channel {self._channel}",
            )  # fmt: skip
            self._failed(self._channel)
        return found.message
