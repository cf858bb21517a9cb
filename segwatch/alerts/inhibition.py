"""Which alerts go without saying, because another one explains them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from segwatch.alerts.model import Alert
from segwatch.jobs.events import Event, EventType

_UNSEEN = frozenset({EventType.JOB_OVERDUE.value, EventType.JOB_VANISHED.value, EventType.SCHEDULE_MISSED.value})
_OF_RETRIES = frozenset({EventType.RETRY_REFUSED.value, EventType.RETRY_EXHAUSTED.value})
_EXPLAINS = frozenset(
    {EventType.SANDBOX_UNREACHABLE.value, EventType.SANDBOX_UNAUTHORIZED.value, EventType.RETRIES_HELD.value}
)

Knows = Callable[[Alert], bool]


def may_be_explained(event: Event) -> bool:
    """True for what is told only when it is known that no open alert explains it."""
    return event.type.value in _UNSEEN | _OF_RETRIES or event.type is EventType.PIPELINE_FAILED


def explains(alert: Alert) -> bool:
    """True for what may explain another alert."""
    return alert.first_type in _EXPLAINS or (alert.first_type == EventType.JOB_FAILED and alert.kind == "segment_job")


@dataclass(frozen=True, slots=True)
class Inhibitors:
    """The open alerts that explain others.

    down: of sandboxes that cannot be reached or refuse us, by sandbox. held: of held resubmissions, by sandbox.
    failed: of evaluations that failed, by sandbox and job.
    """

    down: dict[str, Alert]
    held: dict[str, Alert]
    failed: dict[tuple[str, str], Alert]

    @classmethod
    def among(cls, alerts: Iterable[Alert]) -> "Inhibitors":
        """Return those among the open alerts."""
        found = cls({}, {}, {})
        for alert in filter(explains, alerts):
            match alert.first_type:
                case EventType.SANDBOX_UNREACHABLE | EventType.SANDBOX_UNAUTHORIZED:
                    found.down[alert.sandbox] = alert
                case EventType.RETRIES_HELD:
                    found.held[alert.sandbox] = alert
                case _:
                    found.failed.update({(alert.sandbox, job): alert for job in alert.jobs})
        return found

    def of(self, alert: Alert) -> Alert | None:
        """Return what explains the whole alert: a sandbox that does not answer, or the evaluation it waited for."""
        if alert.first_type in _UNSEEN:
            return self.down.get(alert.sandbox)
        return self.failed.get((alert.sandbox, alert.awaits)) if alert.awaits else None

    def sayable(self, alert: Alert, knows: Knows) -> tuple[str, ...]:
        """Return the types of the alert that may be told now to somebody; () when it is wholly explained.

        knows: whether he is told of an alert himself: what explains nothing to him holds nothing back.
        """
        inhibitor = self.of(alert)
        if inhibitor is not None and knows(inhibitor):
            return ()
        held = self.held.get(alert.sandbox)
        if held is not None and not _OF_RETRIES.isdisjoint(alert.types) and knows(held):
            return tuple(type_ for type_ in alert.types if type_ not in _OF_RETRIES)
        return alert.types

    def heard(
        self, alert: Alert, owed: Iterable[tuple[str, str, str]], known_by: Callable[[str], Knows]
    ) -> tuple[Alert, list[tuple[str, str]]]:
        """Return the alert, and who is told at once, now, of what: channels and the ids of events.

        owed: channels that an immediate route leads to, with id and type of the event. Where something explains it,
        the alert keeps it `inhibited`. known_by: what a channel is told of.
        """
        hearing: list[tuple[str, str]] = []
        waiting = list(alert.inhibited)
        for channel, id_, type_ in owed:
            if type_ in self.sayable(alert, known_by(channel)):
                hearing.append((channel, id_))
            else:
                waiting.append((channel, id_, type_))
        told = tuple(dict.fromkeys([*alert.told, *(channel for channel, _ in hearing)]))
        return replace(alert, told=told, inhibited=tuple(dict.fromkeys(waiting))), hearing
