"""Reads a sandbox's schedules, and tells when one did not fire, or is not as it was."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog

from segwatch.daemon.clock import Clock
from segwatch.daemon.detectors import Subjects
from segwatch.daemon.recorder import Recorder
from segwatch.jobs import firing
from segwatch.jobs.firing import Begun, Timetable, Watched
from segwatch.jobs.subject import SubjectState
from segwatch.store.base import Change, Store, StoreError
from segwatch.upstream import schedules
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import UpstreamError
from segwatch.upstream.schedules import Schedule

log = structlog.get_logger()

_KINDS = {"batch_segmentation": "segment_job", "export": "export_job"}  # by the schedule's type (AEP contract 5)
# in which of them a firing shows: one that exports may evaluate first, and tell only that job's schedule (contract C23)
_SHOWN_BY = {"segment_job": ("segment_job",), "export_job": ("segment_job", "export_job")}
_STEP_MAX_S = 10.0
_GONE_AFTER = 2  # complete lists in a row: one may have been cut short


class ScheduleWatch:
    """The worker of one sandbox's schedules.

    every: between two readings of the list. grace: how long after its time a schedule may begin its job.
    """

    def __init__(
        self, client: PlatformClient, recorder: Recorder, store: Store, clock: Clock,
        *, every: timedelta, grace: timedelta,
    ) -> None:  # fmt: skip
        self._client = client
        self._recorder = recorder
        self._sandbox = recorder.sandbox
        self._store = store
        self._clock = clock
        self._every = every
        self._grace = grace
        self._absent: dict[str, int] = {}

    async def run(self, beat: Callable[[], None]) -> None:
        """Read, judge, and judge again now and then until the next reading, for ever."""
        step_s = min(self._every.total_seconds(), _STEP_MAX_S)
        due, read = self._clock.now(), False
        found: dict[str, Schedule] = {}
        while True:
            beat()
            now = self._clock.now()
            try:
                if now >= due or due - now > 2 * self._every:  # the latter: the clock was set back
                    due = now + self._every
                    found = {one.id: one async for one in schedules.list_(self._client)}
                    read = True
                    self._count_absent(found, await self._store.subjects(self._prefix))
                if read:
                    await self._judge(found)
            except UpstreamError as error:
                log.info("schedules_not_read", sandbox=self._sandbox, error=str(error))
            except StoreError as error:
                log.warning("schedules_not_judged", sandbox=self._sandbox, error=str(error))
            await self._clock.sleep(step_s)

    @property
    def _prefix(self) -> str:
        return firing.stream_of(self._sandbox, "")

    def _count_absent(self, found: dict[str, Schedule], known: Sequence[SubjectState]) -> None:
        ids = [subject.stream.removeprefix(self._prefix) for subject in known]
        self._absent = {id_: self._absent.get(id_, 0) + 1 for id_ in ids if id_ not in found}

    async def _judge(self, found: dict[str, Schedule]) -> None:
        await self._recorder.load()
        swept = {kind: (await self._store.position(self._sandbox, kind)) for kind in set(_KINDS.values())}
        tables = [table for one in found.values() if (table := _timetable(one))]

        async def changes() -> Sequence[Change]:
            subjects, now = Subjects(self._store), self._clock.now()
            for table in tables:
                shown_by = _SHOWN_BY[table.kind]
                read_to = [at for kind in shown_by if (at := swept[kind].swept_at)]
                read_from = [at for kind in shown_by if (at := swept[kind].began_at)]
                if len(read_to) < len(shown_by) or len(read_from) < len(shown_by):  # nobody has looked yet
                    continue
                since = max(*read_from, now - self._recorder.remember)
                watched = self._watched(shown_by, since=since, until=min(read_to))
                before = await subjects.get(firing.stream_of(self._sandbox, table.id))
                subjects.put(firing.turned(before, self._sandbox, table, watched, now, grace=self._grace))
            for id_, times in self._absent.items():
                if times >= _GONE_AFTER:
                    before = await subjects.get(firing.stream_of(self._sandbox, id_))
                    nothing = Watched(begun=(), since=now, until=now)
                    subjects.put(firing.turned(before, self._sandbox, None, nothing, now, grace=self._grace))
            return subjects.changes

        if await changes():
            await self._recorder.write(changes)

    def _watched(self, kinds: Sequence[str], *, since: datetime, until: datetime) -> Watched:
        """Return what schedules began, as the recorder knows it. Who asks for a job by hand leaves no `scheduler`."""
        begun = [
            Begun(at=job.born_at, schedule_id=job.facts.schedule_id)
            for kind in kinds
            for job in self._recorder.known(kind)
            if job.facts.schedule_id or job.facts.source == "scheduler"
        ]
        return Watched(begun=begun, since=since, until=until)


def _timetable(schedule: Schedule) -> Timetable | None:
    """Return what is expected of a schedule; None for one of a type that begins no job that we know."""
    kind = _KINDS.get(schedule.type)
    if kind is None:
        return None
    return Timetable(id=schedule.id, name=schedule.name, kind=kind, cron=schedule.cron, is_active=schedule.is_active)
