"""The schedules at work: each fires by its cron, in emulated time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from segwatch.emulator.calendar import Calendar
from segwatch.emulator.cron import next_after
from segwatch.emulator.settings import CallLater, Handle, Json

_AWAY = timedelta(seconds=5)  # a process that is so late was not there


@dataclass(slots=True, kw_only=True)
class Watch:
    """One active schedule. since: its next firing is the first after that. skip: so many are left out."""

    cron: str
    since: datetime
    skip: int = 0
    skipped: int = 0
    due: datetime | None = field(init=False)

    def __post_init__(self) -> None:
        self.count_from(self.since)

    def count_from(self, since: datetime) -> None:
        """Fire at the first time after that."""
        self.since, self.due = since, next_after(self.cron, since)


class Scheduler:
    """Fires the schedules that are active. `refresh` tells it that one has changed.

    schedules: all of them. fire: what a firing does; it hears the schedule's id. ticked: told when some are over.
    """

    def __init__(
        self,
        calendar: Calendar,
        *,
        call_later: CallLater,
        schedules: Callable[[], Iterable[Json]],
        fire: Callable[[str], None],
        ticked: Callable[[], None],
    ) -> None:
        self._calendar = calendar
        self._call_later = call_later
        self._schedules = schedules
        self._fire = fire
        self._ticked = ticked
        self._watches: dict[str, Watch] = {}
        self._timer: Handle | None = None

    def refresh(self) -> None:
        """Look at the schedules anew: a new one, and one whose cron changed, counts from now on."""
        active = {one["id"]: one["schedule"] for one in self._schedules() if one["state"] == "active"}
        known = self._watches
        now = self._calendar.now()
        self._watches = {
            name: known[name] if name in known and known[name].cron == cron else Watch(cron=cron, since=now)
            for name, cron in active.items()
        }
        self._wait()

    def skip(self, schedule_id: str, times: int) -> bool:
        """Leave out the next firings of an active schedule; False if it is none."""
        if schedule_id not in self._watches:
            return False
        self._watches[schedule_id].skip += times
        return True

    def stop(self) -> None:
        """Fire no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clear(self) -> None:
        """Forget all schedules."""
        self.stop()
        self._watches.clear()

    def documents(self) -> Json:
        """Return where each schedule stands, for people and for another process."""
        return {
            name: {
                "cron": watch.cron,
                "since": watch.since.isoformat(),
                "next": None if watch.due is None else watch.due.isoformat(),
                "skip": watch.skip,
                "skipped": watch.skipped,
            }
            for name, watch in self._watches.items()
        }

    def go_on(self, documents: Json) -> None:
        """Go on where another process stood. What it missed is made up for once, not for each time."""
        self._watches = {
            name: Watch(
                cron=one["cron"],
                since=datetime.fromisoformat(one["since"]),
                skip=one["skip"],
                skipped=one["skipped"],
            )
            for name, one in documents.items()
        }
        self.refresh()

    def _wait(self) -> None:
        self.stop()
        dues = [due for watch in self._watches.values() if (due := watch.due) is not None]
        if dues:
            self._timer = self._call_later(self._calendar.seconds_until(min(dues)), self._tick)

    def _tick(self) -> None:
        now = self._calendar.now()
        for name, watch in list(self._watches.items()):
            while (due := watch.due) is not None and due <= now:
                watch.count_from(now if self._calendar.lateness(due) > _AWAY else due)
                if watch.skip:
                    watch.skip -= 1
                    watch.skipped += 1
                else:
                    self._fire(name)
        self._wait()
        self._ticked()
