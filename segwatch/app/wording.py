"""What one channel says of events: by the user's templates, in the standard words where there is none or it fails."""

from collections.abc import Callable, Sequence

from segwatch.config import Settings
from segwatch.deliveries.message import Message, message_of
from segwatch.deliveries.templates.rewriting import Composed, Fault, TemplateRule, composed
from segwatch.jobs.events import Event

Failed = Callable[[str, Event, Fault], None]
"""Hears of a channel, an event that a template could not word, and why."""


def unheard(channel: str, event: Event, fault: Fault) -> None:
    """Hear of it, and do nothing."""


_REMEMBERED = 1000  # events: each is composed again with every attempt, and each minute while it fires


def rules_of(settings: Settings) -> tuple[TemplateRule, ...]:
    """Return the configured templates in the form that decides."""
    return tuple(one.rule for one in settings.templates)


class Wording:
    """Composes the messages of one channel.

    standard: the words without a template. failed: hears once of each event that so goes out in these.
    """

    def __init__(
        self,
        channel: str,
        rules: Sequence[TemplateRule],
        *,
        standard: Callable[[Event], Message] = message_of,
        failed: Failed = unheard,
    ) -> None:
        self._channel = channel
        self._rules = tuple(rules)
        self._standard = standard
        self._failed = failed
        self._told: dict[str, None] = {}  # the events whose fault was told, the oldest first

    def composed(self, event: Event) -> Composed:
        """Return what is said of an event, by which template, and what is wrong with that."""
        return composed(event, self._standard(event), self._rules, self._channel)

    def compose(self, event: Event) -> Message:
        """Return what is said of an event, in whatever words."""
        found = self.composed(event)
        if found.fault is not None and event.id not in self._told:
            self._told[event.id] = None
            if len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]
            self._failed(self._channel, event, found.fault)
        return found.message
