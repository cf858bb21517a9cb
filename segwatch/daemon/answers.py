"""The answers to the failed exports of one sandbox, as they are on disk, and every change of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from segwatch import decision
from segwatch.daemon.clock import Clock
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.unlisted import alike, fingerprints_of, posts_of
from segwatch.jobs import breaker, retry, submission
from segwatch.jobs.model import Facts, JobState, Observation
from segwatch.jobs.order import OrderStep
from segwatch.jobs.posts import Posts
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.retry import Refuse, RetryPolicy
from segwatch.kinds.base import JobKind
from segwatch.store.base import Change, Store

_DAY = timedelta(hours=24)
_LATE_MAX = timedelta(hours=2)  # after it was given up, for what a POST brought about to be listed


class Answers:
    """What is done about the failures of one sandbox and kind. Every call may raise StoreError, every change Conflict.

    held: many different exports fail of late, so that submissions wait. True until somebody has looked, since the last
    process may have told that they do.
    """

    def __init__(
        self, sandbox: str, kind: JobKind, recorder: Recorder, store: Store, clock: Clock, policy: RetryPolicy
    ) -> None:
        self._sandbox = sandbox
        self._job_kind = kind
        self._kind = kind.name
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._policy = policy
        self.held = True

    async def unsettled(self) -> list[Resubmission]:
        """Return those that wait for their time, or for what became of their POST."""
        answers = await self._ours((Step.POSTING, Step.SCHEDULED))
        return [answer for answer in answers if answer.failed.kind == self._kind]

    async def that_led_to(self, failed: JobState, answer: Resubmission) -> Resubmission | None:
        """Return an earlier answer, given up or put off, whose POST brought `failed` about; `answer` is its own one."""
        put_off = (Step.REFUSED, Step.SCHEDULED, Step.PROPOSED)
        others = await self._ours(put_off)
        posts = await self.posts()
        if failed.key.id in posts.claimed(besides=answer.failed) | posts.ordered:
            return None
        return await self._whose(failed, answer.fingerprint, others)

    async def late(self) -> list[tuple[Resubmission, JobState]]:
        """Return answers that were given up after a POST, each with the job that it led to after all."""
        if not (given_up := await self._given_up()):
            return []
        posts = await self.posts()
        claimed = posts.claimed() | posts.ordered
        found = []
        for job in self._recorder.known(self._kind):
            if job.key.id in claimed:
                continue
            if answer := await self._whose(job, job.facts.fingerprint, given_up):
                found.append((answer, job))
                given_up.remove(answer)
        return found

    async def that_brought_about(self, job: Observation) -> Resubmission | None:
        """Return the answer that was given up after a POST, and led to this job, which no other answer claims.

        What no sweep has recorded so far a look may show: it belongs to that POST before anybody adopts it.
        """
        if not (given_up := await self._given_up()) or job.key.id in (await self.posts()).ordered:
            return None
        known = await self._recorder.fresh(job.key) or JobState(
            key=job.key, status=job.status, word=job.word, asked_at=job.asked_at, discovered_at=job.asked_at,
            since=job.asked_at, created_at=job.created_at,
        )  # fmt: skip
        return await self._whose(known, job.facts.fingerprint, given_up)

    async def _given_up(self) -> list[Resubmission]:
        found = await self._ours((Step.REFUSED,), since=self._clock.now() - _LATE_MAX)
        return [one for one in found if one.posted_at]

    async def _ours(self, steps: Sequence[Step], *, since: datetime | None = None) -> list[Resubmission]:
        found = await self._store.resubmissions(self._sandbox, steps=steps, since=since)
        return [one for one in found if self._recorder.concerns(one.failed, one.root)]

    async def _whose(self, job: JobState, fingerprint: str, answers: Iterable[Resubmission]) -> Resubmission | None:
        """Return whose late effect the job is; None also while an equal POST is not settled, to which it may belong."""
        if not fingerprint or not (equal := [one for one in answers if one.fingerprint == fingerprint]):
            return None
        posts = await self.posts()
        if any(self.twin_of(one, posts) for one in equal):
            return None
        first = {one.failed: await self._recorder.fresh(one.failed) for one in equal}
        return submission.led_to(
            [one for one in equal if (failed := first[one.failed]) and submission.is_newer(job, failed)],
            job, fingerprint,
        )  # fmt: skip

    async def posts(self) -> Posts:
        """Return what our POSTs have led to by now."""
        return await posts_of(self._store, self._sandbox, self._kind)

    async def surroundings(self, answer: Resubmission, failing: breaker.Failing) -> retry.Surroundings:
        """Return what else goes on, by which it is decided whether the answer may go ahead."""
        since = self._clock.now() - _DAY
        answers = [
            other for other in await self._store.resubmissions(self._sandbox, since=since)
            if other.failed != answer.failed
        ]  # fmt: skip
        posts = await self.posts()
        running = {job.key.id for job in self._recorder.active(self._kind)}
        return retry.Surroundings(
            submitted_today=sum(1 for other in answers if other.posted_at and other.posted_at > since),
            failing=failing,
            on_trial=breaker.on_trial(answers, running),
            twin_in_flight=self.twin_of(answer, posts),
        )

    def twin_of(self, answer: Resubmission, posts: Posts) -> str:
        """Return the order or resubmission whose POST is not settled and may be for the same; "" for none.

        Also an order that is not equal as it is written: its job may be, as the platform records it.
        """
        for order in posts.orders:
            asked = Facts(dataset=order.dataset, segments=order.segments)
            equal = order.fingerprint in answer.fingerprints
            if order.step is OrderStep.POSTING and (equal or not self._job_kind.is_another(asked, answer.request)):
                return f"order {order.id}"
        return posts.in_flight(
            lambda other: bool(fingerprints_of(other) & answer.fingerprints), besides=str(answer.failed)
        )

    async def undecided_twin(self, answer: Resubmission) -> str:
        """Return an order or another resubmission for the same that got no reply within the last hour; "" for none.

        It was given up, and may have been taken, and show up late. A person who insists passes over it.
        """
        if answer.manual:
            return ""
        fits = alike(self._job_kind, answer.request, answer.fingerprints)
        posts, now = await self.posts(), self._clock.now()
        behind = self._recorder.clock_behind or timedelta()
        return posts.undecided(fits, now, there=now - behind, besides=str(answer.failed))

    async def turn_breaker(self) -> breaker.Failing:
        """Return what fails of late, and tell when that begins or ceases to hold the submissions."""
        now = self._clock.now()
        failing = breaker.failing(self._recorder.known(self._kind), now - self._policy.breaker_window)
        held = failing.exports >= self._policy.breaker_failures

        async def changes() -> Sequence[Change]:
            before = await self._store.subject(breaker.stream_of(self._sandbox))
            turned = breaker.turned(
                before, self._sandbox, self._kind,
                held=held, failing=failing, window=self._policy.breaker_window, now=now,
            )  # fmt: skip
            return [Change(subject=turned[0], subject_before=before, events=(turned[1],))] if turned else []

        await self._recorder.write(changes)
        self.held = held
        return failing

    async def refuse(self, answer: Resubmission, refusal: Refuse) -> None:
        """Write that the answer is given up, and tell why."""
        refused = retry.refused(answer, refusal.reason, self._clock.now())
        await self.move(answer, refused, why=refusal.why)

    async def move(
        self, before: Resubmission, after: Resubmission, *, why: str = "", reckoned: frozenset[str] = frozenset(),
        tell: bool = False,
    ) -> None:  # fmt: skip
        """Write the answer's next step, and tell of it on the failed job's stream. reckoned: as in `Change`.

        tell: also where the step, or all of it, is the same.
        """
        if after == before and not tell:
            return

        async def changes() -> Sequence[Change]:
            now, failed = self._clock.now(), await self._recorder.fresh(before.failed)
            if failed is None or (after.step is before.step and not tell):
                return [Change(resubmission=after, resubmission_before=before)]
            told, events = decision.announce(failed, after, self._policy, now, why=why)
            return [
                Change(
                    job=told, job_before=failed, events=events, resubmission=after, resubmission_before=before,
                    reckoned=reckoned,
                )
            ]  # fmt: skip

        await self._recorder.write(changes)

    async def link(
        self, before: Resubmission, answer: Resubmission, step: Step, job: Observation, *, by: str = ""
    ) -> None:
        """Write that `job` answers the failure, and that it belongs to the chain, in one transaction."""

        async def changes() -> Sequence[Change]:
            now = self._clock.now()
            failed, known = await self._recorder.fresh(before.failed), await self._recorder.fresh(job.key)
            assert failed is not None  # it was read a moment ago, and open resubmissions keep their job
            done = replace(answer, step=step, new_id=job.key.id, new_created_at=job.created_at, since=now)
            told, events = decision.announce(failed, done, self._policy, now, by=by)
            made = decision.link(known, job, done, now, self._recorder.policies[self._kind])
            state = replace(made.state, unlisted=True) if made.state and known is None else made.state
            its_own = await self._store.resubmission(job.key)
            chained = None
            if its_own and its_own.step in (Step.SCHEDULED, Step.PROPOSED):
                # it failed before we knew whose it was, and began a chain of its own
                chained = replace(its_own, root=done.root, attempt=done.attempt + 1)
            return [
                Change(job=told, job_before=failed, events=events, resubmission=done, resubmission_before=before),
                Change(
                    job=state, job_before=known, events=made.events,
                    resubmission=made.answer or chained, resubmission_before=its_own,
                ),
            ]  # fmt: skip

        await self._recorder.write(changes)
