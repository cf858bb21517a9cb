"""How many of what is wrong, in words: `200 exports failed, 3 segment jobs overdue in prod`."""

from collections import Counter
from collections.abc import Collection, Iterable

from segwatch.alerts.model import Alert
from segwatch.jobs.events import EventType
from segwatch.jobs.model import NOUNS

_VERBS = {  # behind "1 export" and "200 exports"
    EventType.JOB_FAILED.value: "failed",
    EventType.JOB_VANISHED.value: "vanished",
    EventType.JOB_OVERDUE.value: "overdue",
    EventType.JOB_UNKNOWN_STATUS.value: "in an unknown status",
    EventType.RETRY_REFUSED.value: "not submitted again",
    EventType.RETRY_EXHAUSTED.value: "failed for good",
}
_THINGS = {  # ("one", "many")
    EventType.SANDBOX_UNREACHABLE.value: ("sandbox unreachable", "sandboxes unreachable"),
    EventType.SANDBOX_UNAUTHORIZED.value: ("sandbox refuses our credentials", "sandboxes refuse our credentials"),
    EventType.CHANNEL_FAILING.value: ("channel failing", "channels failing"),
    EventType.RETRIES_HELD.value: ("sandbox with held resubmissions", "sandboxes with held resubmissions"),
    EventType.PIPELINE_FAILED.value: ("pipeline failed", "pipelines failed"),
}


def counted(alerts: Collection[Alert]) -> str:
    """Return `200 exports failed, 3 segment jobs overdue in prod`, the most frequent first."""
    sorts = Counter((alert.types[-1], alert.kind) for alert in alerts)
    parts = [_phrase(type_, kind, number) for (type_, kind), number in sorts.most_common()]
    sandbox = common(alert.sandbox for alert in alerts)
    return ", ".join(parts) + (f" in {sandbox}" if sandbox else "")


def _phrase(type_: str, kind: str, number: int) -> str:
    if type_ in _VERBS:
        noun = NOUNS.get(kind, "job")
        return f"{number:,} {noun}{'' if number == 1 else 's'} {_VERBS[type_]}"
    if type_ in _THINGS:
        return f"{number:,} {_THINGS[type_][number != 1]}"
    return f"{number:,} {type_}"


def common(values: Iterable[str]) -> str:
    """Return the value that all have; "" where they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else ""
