"""Everything that exists at the platform, and how it changes."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, Protocol

from segwatch.emulator import seed
from segwatch.emulator.bench import DataBench
from segwatch.emulator.calendar import Calendar, Quota
from segwatch.emulator.data import Data
from segwatch.emulator.engine import Engine, Job, Kind, Script, Step
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.faults import Faults
from segwatch.emulator.journal import Journal
from segwatch.emulator.lake.batch_folder import BatchFolder
from segwatch.emulator.ledger import Ledger
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.sandbox import ALL_SEGMENTS, JobBook, Outcome, Sandbox
from segwatch.emulator.scheduler import Scheduler
from segwatch.emulator.settings import CallLater, EmulatorSettings, Json
from segwatch.emulator.tokens import Tokens
from segwatch.emulator.workshop import Workshop

if TYPE_CHECKING:
    from segwatch.emulator.lake.lake import Lake


log = logging.getLogger(__name__)

__all__ = ["ALL_SEGMENTS", "JobBook", "Outcome", "Sandbox", "Witness", "World"]

_SUCCESS = Outcome(status="SUCCEEDED")


class Witness(Protocol):
    """Who hears of changes that no request makes."""

    def job_changed(self, job: Job) -> None: ...
    def touched(self) -> None: ...
    def job_gone(self, job: Job) -> None: ...
    def all_gone(self) -> None: ...
    def flush(self) -> None: ...


class World:
    """The platform's state. Its timers and tasks run in the caller's event loop; `close` ends them all."""

    def __init__(self, settings: EmulatorSettings, *, now: Callable[[], float], call_later: CallLater) -> None:
        self.settings = settings
        self.now = now
        self.witness: Witness | None = None
        self.stopped_by_reset: list[Callable[[], Awaitable[None]]] = []  # ends what runs outside of the world
        # a reset leaves the tokens alone: they belong to the clients, which did not ask for a new start
        self.tokens = Tokens(lifetime_s=settings.token_lifetime_s, now=now)
        self.data = Data(settings, now=now, made=self.touch, was_kept=self._has_history)
        self.bench = DataBench(self.data, sandbox=self.sandbox, now=now, realized_is_all=self._realized_is_all)
        self.engine = Engine(speed=settings.speed, now=now, call_later=call_later, changed=self._job_changed)
        self.workshop = Workshop(self.engine, self.bench, speed=settings.speed, now=now, done=self._follow_up)
        self.calendar = Calendar(speed=settings.speed, now=now)
        self.scheduler = Scheduler(
            self.calendar,
            call_later=call_later,
            schedules=self._schedules,
            fire=self._run_schedule,
            ticked=self.touch,
        )
        self._call_later = call_later
        self._resetting = asyncio.Lock()
        self._sandboxes: dict[str, Sandbox] = {}
        self._begin()

    def _begin(self) -> None:
        self.ledger = Ledger()
        self.journal = Journal(speed=self.settings.speed, now=self.now, call_later=self._call_later)
        self.quota = Quota(per_day=self.settings.evaluations_per_day, calendar=self.calendar)
        self.faults = Faults(chance=seed.chance(self.settings.seed, "faults", 0), now=self.now)
        self.quirks: set[Quirk] = set()
        self.played: Json | None = None  # what a scenario has done so far
        self.outcomes: dict[Kind, deque[Outcome]] = {kind: deque() for kind in Kind}
        self.counts: Counter[str] = Counter()  # how many there are of each topic, also of those that are gone
        self._sandboxes.clear()
        self.sandbox(seed.SANDBOX)

    async def reset(self) -> None:
        """Return to the seed: jobs, what they computed, schedules, faults, quirks, outcomes and ledger are gone."""
        async with self._resetting:
            for stop in self.stopped_by_reset:
                await stop()
            await self._stop()
            await self.data.clear()
            self.bench.forget()
            self._begin()
            if self.witness is not None:
                self.witness.all_gone()

    async def at_rest(self) -> None:
        """Return once it is not being reset: what would begin meanwhile would be half of either world."""
        async with self._resetting:
            pass

    async def _stop(self) -> None:
        self.scheduler.clear()
        for job in self.jobs():
            self.engine.stop(job)
        await self.workshop.close()

    async def close(self) -> None:
        """End every timer and task, and let go of the data; the jobs stay where they are."""
        await self._stop()
        await self.data.close()

    async def lake(self) -> "Lake":
        """Return the data's lake; the first call opens it. Raises ServiceError where that is not possible."""
        return await self.data.lake()

    @property
    def batch_folder(self) -> BatchFolder:
        return self.data.batches

    def sandbox(self, name: str) -> Sandbox:
        """Return the sandbox of that name; a new name gets one with the seed's definitions and dataset."""
        if name not in self._sandboxes:
            self._sandboxes[name] = Sandbox(name=name, definitions=seed.definitions(name), datasets=seed.datasets(name))
        return self._sandboxes[name]

    def sandboxes(self) -> Iterator[Sandbox]:
        yield from self._sandboxes.values()

    def jobs(self) -> Iterator[Job]:
        """Yield every job, by sandbox and kind, oldest first."""
        for sandbox in self._sandboxes.values():
            for book in sandbox.books.values():
                yield from book.created.values()

    def find(self, kind: Kind, text: str) -> Job | None:
        """Return the job of that id, in whichever sandbox; ids are unique over all."""
        for sandbox in self._sandboxes.values():
            if (job := self.find_in(sandbox, kind, text)) is not None:
                return job
        return None

    def find_in(self, sandbox: Sandbox, kind: Kind, text: str) -> Job | None:
        """Return the sandbox's job of that id, as it is written in a path."""
        match kind:
            case Kind.SEGMENT_JOB:
                return sandbox.books[kind].created.get(text)
            case Kind.EXPORT_JOB:
                is_id = text.isdecimal() and len(text) < 19  # beyond that int() itself may refuse
                return sandbox.books[kind].created.get(int(text)) if is_id else None

    def submit(self, kind: Kind, sandbox: Sandbox, org: str, request: Json, *, body: object) -> Job:
        """Accept a job through the platform's API. Raises ServiceError when it cannot be computed here."""
        job = self.start(kind, sandbox, request, org=org, origin="platform")
        self.ledger.note_submission(job, body, self.now())
        return job

    def start(self, kind: Kind, sandbox: Sandbox, request: Json, *, org: str = seed.ORG, origin: str) -> Job:
        """Start a job that is computed; it takes the next outcome, or succeeds if it can. Raises ServiceError."""
        queue = self.outcomes[kind]
        if not queue:
            self.data.demand_engine()
        outcome = queue.popleft() if queue else _SUCCESS
        job = self.new_job(kind, sandbox, request, org=org, origin=origin, outcome=outcome)
        job.computed = True
        self.workshop.take(job)
        return job

    def place(
        self, kind: Kind, sandbox: Sandbox, request: Json, *, script: Script | None, errors: list[Json] | None
    ) -> Job:
        """Put a job there that computes nothing; it walks the script, or the natural path to success."""
        outcome = Outcome(status="SUCCEEDED", errors=errors)
        job = self.new_job(kind, sandbox, request, org=seed.ORG, origin="control", outcome=outcome)
        job.script = script or job.script
        self.engine.start(job)
        return job

    def new_job(
        self, kind: Kind, sandbox: Sandbox, request: Json, *, org: str, origin: str, outcome: Outcome = _SUCCESS
    ) -> Job:
        """Return a job that has no status yet, on its natural path to the outcome."""
        ordinal, rng = self.draw(kind.value)
        job_id: str | int = seed.uuid_by(rng)
        if kind is Kind.EXPORT_JOB:
            job_id = seed.FIRST_EXPORT_ID + ordinal
        natural = seed.natural_script(kind, self.settings.dialect, rng, outcome.status)
        return Job(
            kind=kind,
            id=job_id,
            sandbox=sandbox.name,
            org=org,
            origin=origin,
            request=request,
            facts=seed.facts(rng, batches=sandbox.batch_count(kind, request)),
            script=natural,
            errors=outcome.errors,
        )

    def draw(self, topic: str) -> tuple[int, Random]:
        """Return the number of the next thing of a topic (from 0), and its chance."""
        ordinal = self.counts[topic]
        self.counts[topic] += 1
        return ordinal, seed.chance(self.settings.seed, topic, ordinal)

    def set_status(self, job: Job, status: str, errors: list[Json] | None) -> None:
        """Give the job a status now; it stays there until told otherwise."""
        self._take_over(job)
        job.errors = errors
        self.engine.follow(job, (Step(status=status, seconds=0),))

    def cancel(self, job: Job) -> None:
        """Mark the job for cancelling; it ends a moment later, without any effect. AEP contract 3.6, 4.4.

        Nothing happens to a job that has ended, nor to one whose result is there: that is about to succeed with it.
        """
        if job.is_final or job.cancel_asked or not self.workshop.withdraw(job):
            return
        job.cancel_asked = True
        self._take_over(job)
        seconds = 1.0 + 2.0 * job.facts.audience_u
        if job.kind is Kind.EXPORT_JOB and Quirk.EXPORT_CANCEL_STATUS not in self.quirks:
            job.errors = seed.EXPORT_CANCELLED
            self.engine.leave_after(job, seconds, Step(status="FAILED", seconds=0))
            if self.witness is not None:
                self.witness.job_changed(job)  # it was asked to end, and its status does not say so
            return
        script = (Step(status="CANCELLING", seconds=seconds), Step(status="CANCELLED", seconds=0))
        self.engine.follow(job, script)

    def vanish(self, job: Job) -> None:
        """Take the job away: from now on nobody knows its id."""
        self.workshop.drop(job)
        self.engine.stop(job)
        self.bench.abandon(job)
        self._sandboxes[job.sandbox].books[job.kind].remove(job)
        if self.witness is not None:
            self.witness.job_gone(job)

    def _take_over(self, job: Job) -> None:
        """Let a script decide about a job that was computed until now."""
        self.workshop.drop(job)
        job.computed = False

    def _job_changed(self, job: Job) -> None:
        self._sandboxes[job.sandbox].books[job.kind].note_change(job)
        self.journal.note(job)
        self.bench.note(job)
        if self.witness is not None:
            self.witness.job_changed(job)

    def _run_schedule(self, schedule_id: str) -> None:
        """Start what a schedule runs: an evaluation, whatever its type. AEP contract 5, C23."""
        sandbox = next(box for box in self._sandboxes.values() if schedule_id in box.schedules)
        schedule = sandbox.schedules[schedule_id]
        ordinal, _ = self.draw("run")
        run_id = seed.uuid_by(seed.chance(self.settings.seed, schedule_id, ordinal))
        request = {
            "segments": schedule["properties"].get("segments") or [ALL_SEGMENTS],
            "properties": {"scheduleId": schedule_id, "runId": run_id},
        }
        try:
            self.start(Kind.SEGMENT_JOB, sandbox, request, org=schedule["imsOrgId"], origin="schedule")
        except ServiceError as error:
            log.warning("schedule %s did not run: %s", schedule["name"], error.message)

    def _follow_up(self, job: Job) -> None:
        """Start the export that the platform itself starts after some evaluations. AEP contract 4, C23."""
        if job.kind is not Kind.SEGMENT_JOB:
            return
        sandbox = self._sandboxes[job.sandbox]
        properties = job.request.get("properties")
        if properties is None:
            wanted = Quirk.EXPORT_AFTER_EVALUATION in self.quirks
        else:
            wanted = sandbox.schedules.get(properties.get("scheduleId"), {}).get("type") == "export"
        target = next((key for key, one in sandbox.datasets.items() if seed.holds_profiles(one)), None)
        if wanted and target is not None:
            request = seed.export_of(job.request["segments"], target)
            self.start(Kind.EXPORT_JOB, sandbox, request, org=job.org, origin="platform")

    def touch(self) -> None:
        """Have written what changed without a request."""
        if self.witness is not None:
            self.witness.touched()

    def _has_history(self, sandbox: str, job_id: str) -> bool:
        return sandbox in self._sandboxes and self._sandboxes[sandbox].has_history(job_id)

    def _schedules(self) -> Iterator[Json]:
        for sandbox in self._sandboxes.values():
            yield from sandbox.schedules.values()

    def _realized_is_all(self) -> bool:
        return self.settings.dialect == "current" and Quirk.EXISTING_STATUS not in self.quirks
