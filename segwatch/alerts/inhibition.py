"""Which alerts go without saying, because another one explains them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from segwatch.alerts.model import Alert
from segwatch.jobs.events import EventType

_UNSEEN = frozenset({EventType.JOB_OVERDUE.value, EventType.JOB_VANISHED.value, "schedule.missed"})
_OF_RETRIES = frozenset({EventType.RETRY_REFUSED.value, EventType.RETRY_EXHAUSTED.value})

Knows = Callable[[Alert], bool]


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
        for alert in alerts:
            match alert.first_type:
                case EventType.SANDBOX_UNREACHABLE | EventType.SANDBOX_UNAUTHORIZED:
                    found.down[alert.sandbox] = alert
                case EventType.RETRIES_HELD:
                    found.held[alert.sandbox] = alert
                case EventType.JOB_FAILED if alert.kind == "segment_job":
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
