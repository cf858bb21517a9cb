"""What must be written of alerts and groups."""

from dataclasses import dataclass, field, replace

from segwatch.alerts.grouping import Group
from segwatch.alerts.model import Alert


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """What must be written: what follows for alerts from the events of the log up to position `cursor`.

    cursor_before: up to where the log was taken in when this was last written.
    finished: the ids of groups that have nothing left to tell.
    """

    cursor: int
    cursor_before: int
    alerts: tuple[Alert, ...] = ()
    groups: tuple[Group, ...] = ()
    finished: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """True when only the cursor has moved on."""
        return not (self.alerts or self.groups or self.finished)


@dataclass(slots=True)
class Dirty:
    """What has changed and is not written."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)

    def written(self, cursor: int, cursor_before: int) -> Alerting:
        """Return it as it is written. cursor, cursor_before: as in `Alerting`."""
        return Alerting(
            cursor=cursor,
            cursor_before=cursor_before,
            alerts=tuple(self.alerts.values()),
            groups=tuple(replace(group, members=dict(group.members)) for group in self.groups.values()),
            finished=tuple(sorted(self.finished)),
        )
