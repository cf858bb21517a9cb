"""Between the platform's state and the archive that outlives the process."""

import logging
from collections import deque
from collections.abc import Iterator

import msgspec

from segwatch.emulator import kept_jobs
from segwatch.emulator.archive import Archive
from segwatch.emulator.engine import Job, Kind
from segwatch.emulator.journal import Entry
from segwatch.emulator.kept_jobs import KeptJob
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import CallLater, Json
from segwatch.emulator.world import Outcome, World

log = logging.getLogger(__name__)


class Keeper:
    """Writes what has changed before anybody is answered, and brings it back into the next process's world."""

    def __init__(self, world: World, archive: Archive, *, call_later: CallLater) -> None:
        self._world = world
        self._archive = archive
        self._call_later = call_later
        self._changed: dict[Job, None] = {}  # in the order of their last changes
        self._waiting = False
        self._submissions = self._events = 0

    def restore(self) -> None:
        """Bring back what another process kept, and let its jobs go on: what should have ended meanwhile ends now."""
        archive, world = self._archive, self._world
        world.data.batches.sweep()
        if (tokens := archive.fact("tokens")) is not None:
            world.tokens.restore(tokens)
        if (facts := archive.fact("world")) is not None:
            self._restore_facts(facts)
            for sandbox in facts["sandboxes"]:
                for _, documents in world.sandbox(sandbox).shelves():
                    documents.clear()  # of the seed's, too: some may have been deleted
            for sandbox, shelf, name, one in archive.documents():
                dict(world.sandbox(sandbox).shelves())[shelf][name] = one
            self._restore_ledger_and_journal()
            jobs = list(self._restored_jobs())
        else:
            jobs = []
        world.witness = self
        for kept in sorted(jobs, key=lambda one: one.job.created_ms):  # evaluations have their turns in this order
            self._go_on(kept)
        world.scheduler.go_on(facts["schedules"] if facts is not None else {})
        self.flush()

    def job_changed(self, job: Job) -> None:
        self._changed.pop(job, None)
        self._changed[job] = None
        self.touched()

    def touched(self) -> None:
        """Hear of a change that no request asked for; it is written in the next turn of the loop."""
        if not self._waiting:
            self._waiting = True
            self._call_later(0.0, self.flush)

    def job_gone(self, job: Job) -> None:
        self._changed.pop(job, None)
        self._archive.drop_job(job.kind.value, str(job.id))

    def all_gone(self) -> None:
        self._changed.clear()
        self._submissions = self._events = 0
        self._archive.clear()

    def flush(self, *, read_only: bool = False) -> None:
        """Write all that has changed since the last time. read_only: nothing but what counts requests can have."""
        if read_only and not self._waiting:
            self._put_requests()
            self._archive.flush()
            return
        self._waiting = False
        archive, world = self._archive, self._world
        for job in self._changed:
            archive.put_job(job.kind.value, str(job.id), self._job_document(job))
        self._changed.clear()
        self._put_requests()
        for number, submission in enumerate(world.ledger.submissions[self._submissions :], self._submissions):
            archive.put_submission(number, submission)
        self._submissions = len(world.ledger.submissions)
        for entry in world.journal.entries_after(self._events):
            archive.put_event(entry.number, entry)
        self._events = world.journal.written
        archive.put_documents(self._documents())
        archive.put_fact("world", self._facts())
        archive.put_fact("tokens", world.tokens.document())
        if world.data.is_made:
            archive.note_making(world.settings)
        archive.flush()

    def close(self) -> None:
        """Write what is left, and let the directory go."""
        self.flush()
        self._world.witness = None
        self._archive.close()

    def _put_requests(self) -> None:
        for key, count in self._world.ledger.changed_requests():
            self._archive.put_request(key, count)

    def _facts(self) -> Json:
        world = self._world
        return {
            "sandboxes": [sandbox.name for sandbox in world.sandboxes()],
            "counts": world.counts,
            "quirks": sorted(quirk.value for quirk in world.quirks),
            "outcomes": {kind.value: list(queue) for kind, queue in world.outcomes.items()},
            "quota": world.quota.used,
            "calendar": world.calendar.document(),
            "schedules": world.scheduler.documents(),
            "tokens_issued": world.ledger.tokens_issued,
            "events": world.journal.written,
            "played": world.played,
        }

    def _restore_facts(self, facts: Json) -> None:
        world = self._world
        world.counts.update(facts["counts"])
        world.quirks = {Quirk(name) for name in facts["quirks"]}
        for kind, queue in facts["outcomes"].items():
            world.outcomes[Kind(kind)] = deque(msgspec.convert(queue, list[Outcome]))
        world.quota.used = facts["quota"]
        world.calendar.go_on(facts["calendar"])
        world.played = facts["played"]
        world.ledger.tokens_issued = facts["tokens_issued"]

    def _restore_ledger_and_journal(self) -> None:
        world, archive = self._world, self._archive
        world.ledger.restore(archive.requests(), archive.submissions())
        self._submissions = len(world.ledger.submissions)
        entries = [msgspec.json.decode(body, type=Entry) for body in archive.events()]
        world.journal.restore(entries, written=archive.fact("world")["events"])
        self._events = world.journal.written
        archive.drop_events(world.journal.forgotten)

    def _documents(self) -> Iterator[tuple[str, str, str, Json]]:
        for sandbox in self._world.sandboxes():
            for shelf, documents in sandbox.shelves():
                for name, one in documents.items():
                    yield sandbox.name, shelf, name, one

    def _job_document(self, job: Job) -> Json:
        bench = self._world.bench
        return kept_jobs.document(
            job,
            counters=bench.counters.get(job.id) if job.kind is Kind.SEGMENT_JOB else None,
            written=bench.written.get(job.id) if job.kind is Kind.EXPORT_JOB else None,
        )

    def _restored_jobs(self) -> Iterator[KeptJob]:
        """Bring back the jobs, and yield those that go on or cannot, in the order in which they changed last."""
        world, now_ms = self._world, int(self._world.now() * 1000)
        found = [
            (changed, kept_jobs.restored(kind, job_id, body, now_ms=now_ms))
            for changed, kind, job_id, body in self._archive.jobs()
        ]
        for _, kept in found:
            job = kept.job
            world.sandbox(job.sandbox).books[job.kind].created[job.id] = job
            if kept.counters is not None:
                world.bench.counters[job.id] = kept.counters
            if kept.written is not None:
                world.bench.written[job.id] = kept.written
        for _, kept in sorted(found, key=lambda entry: entry[0]):
            job = kept.job
            world.sandbox(job.sandbox).books[job.kind].changed[job.id] = job
            world.engine.go_on_from(job.updated_ms)
            if kept.problem is None and not job.is_final and job.started_ms is not None:
                world.journal.watch(job)
            if kept.problem is not None or not job.is_final:
                yield kept

    def _go_on(self, kept: KeptJob) -> None:
        world, job = self._world, kept.job
        if kept.problem is not None:
            log.warning("%s %s cannot be read back, and failed: %s", job.kind, job.id, kept.problem)
            told = f"The job cannot be read back from the platform's directory: {kept.problem}"
            world.set_status(job, "FAILED", [{"code": "unknown", "msg": told, "callStack": ""}])
        elif job.computed and not job.is_at_end and not job.cancel_asked:
            world.workshop.take(job)
        else:
            world.engine.resume(job)
