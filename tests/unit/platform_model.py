"""A tiny platform, and a process that answers its failed exports with the rules under test and can die at any step."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from builders import EXPORT_PATH, T0, facts, retry_policy, seen, watch

from segwatch import decision
from segwatch.jobs import breaker, proof, reading, retry, submission
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobError, JobState, Observation, Status
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Refusal, Resubmission, Step
from segwatch.jobs.retry import Hold, Refuse, RetryPolicy
from segwatch.jobs.submission import Found, Posted, Unclear

HOLD_S = 60  # the platform may act on a request, and list what came of it, so long after it was sent
NEVER = JobError(code="7", text="No such dataset.")
QUOTA = JobError(code="8", text="Storage quota of dataset exceeded.")


class Fate(StrEnum):
    """What becomes of a POST, and what we hear of it."""

    TAKEN = "taken"
    LOST_BUT_TAKEN = "lost but taken"
    LOST = "lost"
    DECLINED_BUT_TAKEN = "declined but taken"
    DECLINED = "declined"
    NOT_SENT = "not sent"
    REJECTED = "rejected"


_HEARD = {
    Fate.LOST_BUT_TAKEN: Posted.How.LOST,
    Fate.LOST: Posted.How.LOST,
    Fate.DECLINED_BUT_TAKEN: Posted.How.DECLINED,
    Fate.DECLINED: Posted.How.DECLINED,
    Fate.NOT_SENT: Posted.How.NOT_SENT,
    Fate.REJECTED: Posted.How.REJECTED,
}


@dataclass(kw_only=True)
class Export:
    """wish: the failure, and the how-manieth wish about it, that made us order it; None for other people's."""

    id: str
    order: str
    created_at: datetime
    wish: tuple[str, int] | None = None
    status: Status = Status.PROCESSING
    ended_at: datetime | None = None
    errors: tuple[JobError, ...] = ()


class Conflict(Exception):
    """The row on disk is not what the step was decided on."""


@dataclass(kw_only=True)
class Platform:
    """What exists, also what will only exist in a moment.

    lag_s: how late its list shows an export. tells_after_s: how old an export must be for its record to tell its order;
    unless that is zero, the list never tells it. mute: the ids of those at whose records it fails, now and for ever.
    taken_up: of those that had failed, and went on. behind: by how much its clock is behind the host's, by which all
    times here are told. odd_ends: an export seems to have changed last a day before it was created, and tells no end.
    replies_tell_times: the answer to a POST says when the export was created.
    """

    exports: list[Export] = field(default_factory=list)
    lag_s: float = 0
    tells_after_s: float = 0
    mute: set[str] = field(default_factory=set)
    taken_up: set[str] = field(default_factory=set)
    behind: timedelta = timedelta()
    odd_ends: bool = False
    replies_tell_times: bool = True

    def create(self, order: str, when: datetime, wish: tuple[str, int] | None = None) -> Export:
        export = Export(id=str(len(self.exports) + 1), order=order, created_at=when, wish=wish)
        self.exports.append(export)
        return export

    def end(self, export: Export, status: Status, when: datetime, errors: tuple[JobError, ...] = ()) -> None:
        export.status, export.ended_at, export.errors = status, max(when, export.created_at), errors

    def take_up(self, export: Export) -> None:
        """Go on with one that was said to have ended."""
        self.taken_up.add(export.id)
        export.status, export.ended_at, export.errors = Status.PROCESSING, None, ()

    def goes_on(self, job_id: str) -> bool:
        return any(export.id == job_id and export.ended_at is None for export in self.exports)

    def running(self, now: datetime) -> list[Export]:
        return [export for export in self.exports if export.ended_at is None and export.created_at <= now]

    def list(self, now: datetime) -> list[Observation]:
        lag = timedelta(seconds=self.lag_s)
        shown = [export for export in self.exports if export.created_at + lag <= now]
        newest_first = sorted(shown, key=lambda one: one.created_at, reverse=True)
        return [self.record(export, now, tells=not self.tells_after_s) for export in newest_first]

    def one(self, job_id: str, now: datetime) -> Observation | None:
        """None where it fails at the record."""
        (export,) = [export for export in self.exports if export.id == job_id]
        if job_id in self.mute:
            return None
        return self.record(export, now, tells=now >= export.created_at + timedelta(seconds=self.tells_after_s))

    def record_of(self, job_id: str, now: datetime, *, tells: bool) -> Observation:
        (export,) = [export for export in self.exports if export.id == job_id]
        return self.record(export, now, tells=tells)

    def record(self, export: Export, asked_at: datetime, *, tells: bool = True) -> Observation:
        created_at = export.created_at - self.behind
        ended_at = export.ended_at and export.ended_at - self.behind
        return seen(
            export.status, job_id=export.id, asked_at=asked_at, created_at=created_at,
            updated_at=created_at - timedelta(days=1) if self.odd_ends else ended_at,
            ended_at=None if self.odd_ends else ended_at, errors=export.errors,
            facts=facts(export.order if tells else ""),
        )  # fmt: skip

    def reply(self, export: Export, now: datetime) -> Observation:
        told = self.record(export, now)
        return told if self.replies_tell_times else replace(told, created_at=None)


@dataclass(kw_only=True)
class Disk:
    """What a dead process leaves behind. Each write is whole or not at all."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    answers: dict[str, Resubmission] = field(default_factory=dict)
    wishes: dict[str, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def write(
        self, job: JobState, events: tuple[Event, ...], answer: Resubmission | None, before: Resubmission | None
    ) -> None:
        """Raises Conflict when the answer is not `before` any more."""
        if answer and self.answers.get(answer.failed.id) != before:
            raise Conflict
        self.jobs[job.key.id] = job
        self.events += events
        if answer:
            self.answers[answer.failed.id] = answer


Steps = Generator[None, None, None]


class House:
    """Platform, disk and the one process; `now` only moves when a test says so. A crash forgets the step under way."""

    def __init__(self, policy: RetryPolicy | None = None) -> None:
        self.now = T0
        self.platform = Platform()
        self.disk = Disk()
        self.policy = policy or retry_policy()
        self.fate, self.in_line_s, self.effect_after_s = Fate.TAKEN, 0, 0
        self._decides = decision.Policy(watch=watch(path=EXPORT_PATH), retry=self.policy)
        self._under_way: Steps | None = None
        self._unclear: dict[str, datetime] = {}
        self.cut_until = T0  # until then a page behind the first fails, and no look says anything
        self._began = T0
        self.beside_itself: list[str] = []  # failures that were posted though the look found their job at work
        self._position = Position(sandbox="prod", kind="export_job", began_at=T0)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def crash(self) -> None:
        self._under_way = None
        self._unclear = {}
        self._began = self.now

    def poll(self) -> None:
        """Record what the platform shows."""
        position, behind = self._position, self.platform.behind
        rows = self.platform.list(self.now)
        for row in rows:
            news = reading.is_news(row, position, behind)
            made = decision.decide(self.disk.jobs.get(row.key.id), row, self.now, self._decides, is_news=news)
            assert made.state
            known = row.key.id in self.disk.jobs
            state = made.state if known else replace(made.state, missed_at=reading.missed_at(position, row, behind))
            self.disk.write(state, made.events, made.answer, None)
        self._position = reading.advanced(position, rows, self.now, there=self.now - behind)

    def ask(self, job_id: str) -> None:
        """A person wants this failure submitted again, now."""
        before = self.disk.answers.get(job_id)
        if before is None or before.step not in (Step.SCHEDULED, Step.PROPOSED, Step.REFUSED):
            return
        wish = replace(before, step=Step.SCHEDULED, manual=True, reason="", due_at=self.now, since=self.now)
        self.disk.wishes[job_id] = self.disk.wishes.get(job_id, 0) + 1
        self._write(before, wish)

    def cancel(self, job_id: str) -> None:
        """A command asks to end this job, and the platform answers with a 2xx; whether it does it is another matter."""
        job = self.disk.jobs.get(job_id)
        if job and job.is_active:
            self.disk.jobs[job_id] = replace(job, cancel_asked_at=self.now, cancel_at=self.now)

    def step(self) -> None:
        """Go on with what is under way, else begin with an answer that is due."""
        if self._under_way is None:
            due = [one for one in self.open() if one.step is not Step.PROPOSED and one.due_at <= self.now]
            if not due:
                return
            self._under_way = self._advance(min(due, key=lambda one: one.due_at))
        try:
            next(self._under_way)
        except (StopIteration, Conflict):
            self._under_way = None

    def open(self) -> list[Resubmission]:
        return [one for one in self.disk.answers.values() if one.step.is_open]

    def _advance(self, answer: Resubmission) -> Steps:
        failed = self.disk.jobs[answer.failed.id]
        if self.now < self.cut_until:
            return self._look_again(answer, failed)
        if answer.step is Step.POSTING:
            asked_at, listed, doubtful = self._look(failed)
            yield
            return self._settle(answer, failed, listed, doubtful, asked_at)
        itself = self.platform.one(failed.key.id, self.now)
        if not (answer.whole if itself is None else itself.facts.request):
            return self._look_again(answer, failed)
        whole = answer
        if itself:
            told = itself.facts
            whole = replace(answer, request=told.request, fingerprint=told.fingerprint, whole=True)
        admitted = retry.admit(whole, self._surroundings(whole), self.policy, self.now)
        if isinstance(admitted, Refuse):
            return self._write(answer, retry.refused(answer, admitted.reason, self.now))
        if isinstance(admitted, Hold):
            return self._write(answer, replace(answer, due_at=admitted.until))
        _, listed, doubtful = self._look(failed)
        itself = itself or next((row for row in listed if row.key == failed.key), None)
        goes_on = self.platform.goes_on(failed.key.id)
        yield
        assessed = submission.assess(whole, failed, listed, self._claimed(answer), doubtful, itself=itself)
        if isinstance(assessed, Refuse):
            return self._write(answer, retry.refused(answer, assessed.reason, self.now))
        if isinstance(assessed, Found):
            return self._link(answer, whole, Step.ADOPTED, assessed.job)
        if isinstance(assessed, Unclear):
            return self._look_again(answer, failed)
        posting = submission.posting(whole, assessed, self.now, behind=self.platform.behind)
        self._write(answer, posting)
        if goes_on:
            self.beside_itself.append(failed.key.id)
        yield
        yield from self._post(answer, posting)
        return None

    def _settle(
        self, answer: Resubmission, failed: JobState, listed: list[Observation], doubtful: set[str], asked_at: datetime
    ) -> None:
        settled = submission.settle(
            answer, failed, listed, self._claimed(answer), policy=self.policy, now=self.now,
            silence=asked_at - max(self._began, answer.posted_at or answer.since),
            doubtful=doubtful, lag=proof.lag(self.disk.jobs.values(), self._position.began_at or T0),
        )  # fmt: skip
        if isinstance(settled, Found):
            return self._link(answer, answer, Step.SUBMITTED, settled.job)
        if isinstance(settled, Refuse):
            return self._write(answer, retry.refused(answer, settled.reason, self.now))
        return self._write(answer, settled)

    def _look(self, failed: JobState) -> tuple[datetime, list[Observation], set[str]]:
        """What the list shows, and what was known before and lies hidden."""
        listed = {row.key.id: row for row in self.platform.list(self.now)}
        known = {id_: self.platform.record_of(id_, self.now, tells=False) for id_ in self.disk.jobs} | listed
        rows = [self.platform.one(id_, self.now) or row for id_, row in known.items()]
        untold = {row.key.id for row in rows if not row.facts.request} | self.platform.mute
        return self.now, rows, untold - {failed.key.id}

    def _look_again(self, answer: Resubmission, failed: JobState) -> None:
        since = self._unclear.setdefault(failed.key.id, self.now)
        if self.now < since + proof.patience(self.policy.settle_window):
            return self._write(answer, replace(answer, due_at=self.now + timedelta(seconds=5)))
        del self._unclear[failed.key.id]
        return self._write(answer, retry.refused(answer, Refusal.UNDECIDED, self.now))

    def _post(self, before: Resubmission, answer: Resubmission) -> Steps:
        fate, effect_after_s = self.fate, self.effect_after_s
        self.wait(self.in_line_s)  # for the call budget, for a token
        sent_at, new = self.now, None
        wish = (answer.failed.id, self.disk.wishes.get(answer.failed.id, 0))
        order = facts_order(answer.request)
        if fate is Fate.TAKEN:
            new = self.platform.create(order, sent_at, wish)
        elif fate in (Fate.LOST_BUT_TAKEN, Fate.DECLINED_BUT_TAKEN):
            self.platform.create(order, sent_at + timedelta(seconds=effect_after_s), wish)
        reply = new and self.platform.reply(new, sent_at)
        yield
        if reply:
            self._link(answer, answer, Step.SUBMITTED, reply)
        else:
            posted = Posted(how=_HEARD[fate], why=fate.value)
            after = submission.after_post(
                answer, posted, self.policy, self.now, before=before, behind=self.platform.behind
            )
            self._write(answer, after)

    def _write(self, before: Resubmission, after: Resubmission) -> None:
        failed, events = self.disk.jobs[before.failed.id], ()
        if after.step is not before.step:
            failed, events = decision.announce(failed, after, self.policy, self.now)
        self.disk.write(failed, events, after, before)

    def _link(self, before: Resubmission, answer: Resubmission, step: Step, job: Observation) -> None:
        done = replace(answer, step=step, new_id=job.key.id, since=self.now)
        failed, events = decision.announce(self.disk.jobs[before.failed.id], done, self.policy, self.now)
        made = decision.link(self.disk.jobs.get(job.key.id), job, done, self.now, self._decides)
        its_own, chained = self.disk.answers.get(job.key.id), None
        if its_own and its_own.step in (Step.SCHEDULED, Step.PROPOSED):
            chained = replace(its_own, root=done.root, attempt=done.attempt + 1)
        assert made.state
        self.disk.write(failed, events, done, before)
        self.disk.write(made.state, made.events, made.answer or chained, its_own)

    def _claimed(self, answer: Resubmission) -> frozenset[str]:
        others = [one for one in self.disk.answers.values() if one.failed != answer.failed]
        return frozenset(one.new_id for one in others if one.new_id)

    def _surroundings(self, answer: Resubmission) -> retry.Surroundings:
        others = [one for one in self.disk.answers.values() if one.failed != answer.failed]
        day, window = self.now - timedelta(days=1), self.now - self.policy.breaker_window
        active = {job.key.id for job in self.disk.jobs.values() if job.is_active}
        return retry.Surroundings(
            submitted_today=sum(1 for one in others if one.posted_at and one.posted_at > day),
            failing=breaker.failing(self.disk.jobs.values(), window),
            on_trial=any(one.new_id in active for one in others if one.new_id),
            twin_in_flight=next(
                (
                    str(one.failed)
                    for one in others
                    if one.step is Step.POSTING and one.fingerprint == answer.fingerprint
                ),
                "",
            ),
        )


def facts_order(request: str) -> str:
    """Return the order that `builders.facts` made this request of."""
    return request.split('"')[3]
