"""Everything that exists at the platform, and how it changes."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from segwatch.emulator import seed
from segwatch.emulator.engine import Engine, Job, Kind, Script, Step
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.faults import Faults
from segwatch.emulator.lake.batch_folder import BatchFolder
from segwatch.emulator.ledger import Ledger
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import CallLater, EmulatorSettings, Json
from segwatch.emulator.tokens import Tokens

if TYPE_CHECKING:
    from segwatch.emulator.lake.lake import Lake


class JobBook:
    """The jobs of one kind in one sandbox, in the two orders that callers poll by."""

    def __init__(self) -> None:
        self.created: dict[str | int, Job] = {}
        self.changed: dict[str | int, Job] = {}

    def note_change(self, job: Job) -> None:
        self.created.setdefault(job.id, job)
        self.changed.pop(job.id, None)
        self.changed[job.id] = job

    def remove(self, job: Job) -> None:
        del self.created[job.id]
        del self.changed[job.id]


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """One sandbox: what it holds is visible under its name only."""

    name: str
    definitions: dict[str, Json]
    datasets: dict[str, Json]
    schedules: dict[str, Json] = field(default_factory=dict)
    batches: dict[str, Json] = field(default_factory=dict)
    queries: dict[str, Json] = field(default_factory=dict)
    books: dict[Kind, JobBook] = field(default_factory=lambda: {kind: JobBook() for kind in Kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of a job that is submitted next. errors: None shows the usual ones."""

    status: str
    errors: list[Json] | None = None


class World:
    """The platform's state. Its timers run in the caller's event loop; `stop` ends them all."""

    def __init__(self, settings: EmulatorSettings, *, now: Callable[[], float], call_later: CallLater) -> None:
        self.settings = settings
        self.now = now
        # a reset leaves the tokens alone: they belong to the clients, which did not ask for a new start
        self.tokens = Tokens(lifetime_s=settings.token_lifetime_s, now=now)
        self._engine = Engine(speed=settings.speed, now=now, call_later=call_later, changed=self._job_changed)
        self.batch_folder = BatchFolder(settings.data)
        self._sandboxes: dict[str, Sandbox] = {}
        self._opening: asyncio.Task[Lake] | None = None
        self._begin()

    def _begin(self) -> None:
        self.ledger = Ledger()
        self.faults = Faults(chance=seed.chance(self.settings.seed, "faults", 0), now=self.now)
        self.quirks: set[Quirk] = set()
        self.outcomes: dict[Kind, deque[Outcome]] = {kind: deque() for kind in Kind}
        self._counts = {"segment_job": 0, "export_job": 0, "dataset": 0, "schedule": 0, "query": 0}
        self._sandboxes.clear()
        self.sandbox(seed.SANDBOX)

    def reset(self) -> None:
        """Return to the seed: jobs, faults, quirks, outcomes and the ledger are gone."""
        self.stop()
        self.batch_folder.clear()
        self._begin()

    def stop(self) -> None:
        """Cancel every timer; the jobs stay where they are."""
        for job in self.jobs():
            self._engine.stop(job)

    async def close(self) -> None:
        """Cancel every timer, and let go of the data."""
        self.stop()
        if self._opening is not None:
            opening, self._opening = self._opening, None
            await asyncio.wait([opening])
            if opening.exception() is None:
                await asyncio.to_thread(opening.result().close)
        self.batch_folder.close()

    async def lake(self) -> "Lake":
        """Return the data, one for all sandboxes; the first call opens it, and has its profiles created.

        Raises ServiceError where the engine is not installed, or the profiles cannot be read.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._opened())
        # a caller that goes away must not take the opening with it: others wait for the same one
        return await asyncio.shield(self._opening)

    async def _opened(self) -> "Lake":
        try:
            # here and not above: an emulator whose jobs only walk scripts starts at once, and without the engine
            from segwatch.emulator.lake.opening import opened
        except ModuleNotFoundError as exc:
            raise ServiceError(501, f"The platform's data needs {exc.name}. Install segwatch[emulator].") from exc
        now = datetime.fromtimestamp(self.now(), UTC)
        try:
            return await asyncio.to_thread(opened, self.settings, now=now)
        except ValueError as exc:
            raise ServiceError(500, str(exc)) from exc

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
        """Accept a job through the platform's API: it takes the next outcome, or succeeds."""
        queue = self.outcomes[kind]
        outcome = queue.popleft() if queue else Outcome(status="SUCCEEDED")
        job = self._create(kind, sandbox, org, request, outcome=outcome, script=None, origin="platform")
        self.ledger.note_submission(job, body, self.now())
        return job

    def place(
        self, kind: Kind, sandbox: Sandbox, request: Json, *, script: Script | None, errors: list[Json] | None
    ) -> Job:
        """Put a job there by the control API; it walks the script, or the natural path to success."""
        outcome = Outcome(status="SUCCEEDED", errors=errors)
        return self._create(kind, sandbox, seed.ORG, request, outcome=outcome, script=script, origin="control")

    def _create(
        self,
        kind: Kind,
        sandbox: Sandbox,
        org: str,
        request: Json,
        *,
        outcome: Outcome,
        script: Script | None,
        origin: str,
    ) -> Job:
        ordinal, rng = self.draw(kind.value)
        job_id: str | int = seed.uuid_by(rng)
        if kind is Kind.EXPORT_JOB:
            job_id = seed.FIRST_EXPORT_ID + ordinal
        natural = seed.natural_script(kind, self.settings.dialect, rng, outcome.status)
        job = Job(
            kind=kind,
            id=job_id,
            sandbox=sandbox.name,
            org=org,
            origin=origin,
            request=request,
            facts=seed.facts(rng, batches=self._batch_count(kind, sandbox, request)),
            script=script or natural,
            errors=outcome.errors,
        )
        self._engine.start(job)
        return job

    def draw(self, topic: str) -> tuple[int, Random]:
        """Return the number of the next thing of a topic (from 0), and its chance."""
        ordinal = self._counts[topic]
        self._counts[topic] += 1
        return ordinal, seed.chance(self.settings.seed, topic, ordinal)

    def set_status(self, job: Job, status: str, errors: list[Json] | None) -> None:
        """Give the job a status now; it stays there until told otherwise."""
        job.errors = errors
        self._engine.follow(job, (Step(status=status, seconds=0),))

    def cancel(self, job: Job) -> None:
        """Mark the job for cancelling; it ends a moment later, unless it has. AEP contract 3.6, 4.4."""
        if job.is_final or job.cancel_asked:
            return
        job.cancel_asked = True
        seconds = 1.0 + 2.0 * job.facts.audience_u
        if job.kind is Kind.EXPORT_JOB and Quirk.EXPORT_CANCEL_STATUS not in self.quirks:
            job.errors = seed.EXPORT_CANCELLED
            script = (Step(status=job.status, seconds=seconds), Step(status="FAILED", seconds=0))
        else:
            script = (Step(status="CANCELLING", seconds=seconds), Step(status="CANCELLED", seconds=0))
        self._engine.follow(job, script)

    def vanish(self, job: Job) -> None:
        """Take the job away: from now on nobody knows its id."""
        self._engine.stop(job)
        self._sandboxes[job.sandbox].books[job.kind].remove(job)

    def _job_changed(self, job: Job) -> None:
        self._sandboxes[job.sandbox].books[job.kind].note_change(job)

    def _batch_count(self, kind: Kind, sandbox: Sandbox, request: Json) -> int:
        if kind is Kind.SEGMENT_JOB or not request["destination"].get("segmentPerBatch"):
            return 1
        segments = (request.get("filter") or {}).get("segments")
        return len(segments) if segments else len(sandbox.definitions)
