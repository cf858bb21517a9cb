"""Submits failed exports again: a look, an intent on disk, one POST, the result on disk. Never twice."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import structlog

from segwatch.daemon.answers import Answers
from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, TooLittle
from segwatch.daemon.lookout import Lookout, seen_of
from segwatch.daemon.posting import finished, posted, wish
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.records import Records
from segwatch.daemon.setbacks import Setbacks
from segwatch.daemon.silence import Silences
from segwatch.daemon.source import Source
from segwatch.daemon.timeline import Timeline
from segwatch.jobs import breaker, proof, retry, submission
from segwatch.jobs.model import JobState, Observation
from segwatch.jobs.resubmission import Refusal, Resubmission, Step
from segwatch.jobs.retry import Go, Hold, Propose, Refuse, RetryPolicy
from segwatch.jobs.submission import Found, Posted, Unclear
from segwatch.store.base import Conflict, Store, StoreError, StoreUnavailable
from segwatch.upstream.errors import UpstreamError

log = structlog.get_logger()

_TURN_S = 1.0  # how soon a wish written by a command beside us is noticed
_PAUSE = timedelta(seconds=5)  # after a call that failed and had no effect
_DAY = timedelta(hours=24)
_MAY_SHOW_UP = timedelta(minutes=1)  # from look to look for what somebody else's lost POST may have done
_SETBACKS_MAX = 5
_CONFLICTS_TOLD = 5  # what somebody else changes again and again keeps an answer waiting: that is told


class Submitter:
    """The worker that answers the failed exports of one sandbox, one at a time."""

    def __init__(
        self, source: Source, recorder: Recorder, store: Store, clock: Clock, policy: RetryPolicy,
        *, timeline: Timeline, grace_s: float,
    ) -> None:  # fmt: skip
        self._source = source
        self._kind = source.kind
        self._lookout = Lookout(
            source, clock, lambda: recorder.known(source.kind.name),
            age=timeline.surely, believed_after=proof.believed_after(policy.settle_window),
        )  # fmt: skip
        self._records = Records(source, recorder, clock, timeline=timeline, window=policy.settle_window)
        self._silences = Silences(clock, window=policy.settle_window)
        self._answers = Answers(source.sandbox, source.kind, recorder, store, clock, policy)
        self._recorder = recorder
        self._store = store
        self._clock = clock
        self._timeline = timeline
        self._policy = policy
        self._grace_s = grace_s
        self._doubted_for = proof.believed_after(policy.settle_window) + policy.settle_window
        self._setbacks = Setbacks(clock)

    async def run(self, beat: Callable[[], None]) -> None:
        """Answer what falls due, for ever. Whatever the last process left half-done is settled first, by looking."""
        await self._recorder.load()
        while True:
            beat()
            self._timeline.look(self._clock.now(), self._clock.ran_s())
            try:
                await self._close_given_up()
                for answer in await self._due():
                    beat()
                    await self._guarded(answer, beat)
                if self._answers.held:  # nothing may fall due for long, and people wait to hear that it is over
                    await self._answers.turn_breaker()
            except StoreError as error:
                log.warning("resubmissions_wait", sandbox=self._source.sandbox, error=str(error))
            await self._clock.sleep(_TURN_S)

    async def _due(self) -> list[Resubmission]:
        now, answers = self._clock.now(), await self._answers.unsettled()
        self._setbacks.heed({one.failed: one.since for one in answers if one.manual and one.step is Step.SCHEDULED})
        paused = self._setbacks.paused()
        self._silences.keep({answer.failed for answer in answers if answer.step is Step.POSTING})
        due = [one for one in answers if one.is_due(now, max_delay=self._policy.backoff.cap)]
        return [one for one in due if one.failed not in paused]

    async def _guarded(self, answer: Resubmission, beat: Callable[[], None]) -> None:
        """Advance one answer. One that we did not expect is put aside and at last given up: the others must go on."""
        try:
            await self._advance(answer, beat)
        except StoreError:
            raise
        except Exception as error:
            count = self._setbacks.error(answer.failed)
            log.exception("resubmission_failed", job=str(answer.failed), setbacks=count)
            if count >= _SETBACKS_MAX:
                why = f"segwatch fails on it ({type(error).__name__}); its log tells where"
                await self._answers.refuse(answer, Refuse(reason=Refusal.UNDECIDED, why=why))
        else:
            self._setbacks.no_error(answer.failed)

    async def _advance(self, answer: Resubmission, beat: Callable[[], None]) -> None:
        """Take one answer one step further. What fails before its POST changes nothing and is tried again soon."""
        try:
            failed = await self._recorder.fresh(answer.failed)
            if failed is None:
                self._setbacks.pause(answer.failed, _DAY)
                log.error("resubmission_without_job", job=str(answer.failed), hint="run segwatch db check")
            elif answer.step is Step.POSTING:
                await self._settle(answer, failed, beat)
            else:
                await self._submit(answer, failed, beat)
            self._setbacks.went_on(answer.failed)
        except UpstreamError as error:
            self._setbacks.outage(answer.failed, wish(error) or _PAUSE)
            log.warning("resubmission_waits", job=str(answer.failed), error=str(error))
            await self._waits_for(answer, str(error))
        except Inconclusive as error:
            await self._look_again(answer, error)
        except StoreUnavailable as error:
            self._setbacks.pause(answer.failed)
            log.warning("resubmission_not_recorded", job=str(answer.failed), error=str(error))
        except Conflict as error:
            await self._give_way(answer, error)

    async def _look_again(self, answer: Resubmission, error: Inconclusive) -> None:
        """Wait for a look that tells more: one bad page may pass. After a while refuse what no look can tell."""
        # what tells too little is taken at its word in the end, and then decides nothing any more
        within = self._doubted_for if isinstance(error, TooLittle) else self._policy.settle_window
        if self._setbacks.unclear(answer.failed, within):
            await self._answers.refuse(answer, Refuse(reason=Refusal.UNDECIDED, why=str(error)))
        else:
            await self._waits_for(answer, str(error))

    async def _waits_for(self, answer: Resubmission, why: str, *, tell: bool = False) -> None:
        """Write what a submission that is due waits for, unless somebody has changed the answer meanwhile.

        Tell it too where it has waited for as long as doubts last, for whatever.
        """
        tell = self._setbacks.lasts(answer.failed, self._doubted_for) or tell
        if answer.step is Step.SCHEDULED and answer == await self._store.resubmission(answer.failed):
            with suppress(Conflict):
                waits = replace(answer, waits_for=why)
                await self._answers.move(answer, waits, why=f"it waits: {why}", tell=tell)

    async def _give_way(self, answer: Resubmission, error: Conflict) -> None:
        """Look anew, less and less soon, at what somebody else has changed meanwhile; say so where it goes on."""
        count = self._setbacks.conflict(answer.failed)
        say = log.info if count < _CONFLICTS_TOLD else log.warning
        say("resubmission_changed_meanwhile", job=str(answer.failed), times=count, error=str(error))
        if count == _CONFLICTS_TOLD:
            await self._waits_for(answer, str(error), tell=True)

    async def _submit(self, answer: Resubmission, failed: JobState, beat: Callable[[], None]) -> None:
        """Answer a failure that is due: refuse, wait, adopt, or post."""
        if await self._joins_a_chain(answer, failed):
            return None
        failing = await self._answers.turn_breaker()
        admitted = await self._admitted(answer, failing)
        if isinstance(admitted, Refuse):
            return await self._answers.refuse(answer, admitted)
        if isinstance(admitted, Hold):
            return await self._answers.move(answer, replace(answer, due_at=admitted.until, waits_for=admitted.why))
        if isinstance(admitted, Propose):
            return await self._answers.move(answer, replace(answer, step=Step.PROPOSED, since=self._clock.now()))
        # only now: what is held would spend the call budget on its record, again and again
        aliases = (await self._answers.posts()).aliases(answer.failed)
        record = await self._records.of(answer, failed)
        whole = self._records.completed(answer, failed, record)
        if isinstance(whole, Refuse):
            return await self._answers.refuse(answer, whole)
        if not whole.whole:
            return await self._answers.move(answer, whole)
        whole = replace(whole, aliases=aliases, waits_for="")
        if whole.fingerprints != answer.fingerprints:  # what was compared by the old one is compared anew
            if isinstance(twin := await self._admitted(whole, failing), Hold):
                return await self._answers.move(answer, replace(whole, due_at=twin.until, waits_for=twin.why))
            if await self._joins_a_chain(whole, failed):
                return None
        return await self._look_and_post(answer, whole, failed, record, beat)

    async def _look_and_post(
        self, answer: Resubmission, whole: Resubmission, failed: JobState, record: Observation | None,
        beat: Callable[[], None],
    ) -> None:  # fmt: skip
        """Read the list, and refuse, adopt, or post. whole: the answer with what must be submitted."""
        reckoned = await self._answers.posts()
        look = await self._lookout.look(whole, failed, beat, reckoned)
        claimed, ordered = await self._owners(whole)
        itself = record or look.itself
        match submission.assess(whole, failed, look.rows, claimed, look.doubtful, ordered, look.equal, itself):
            case Unclear(why=why):
                raise TooLittle(why)
            case Refuse() as refusal:
                await self._answers.refuse(answer, refusal)
            case Found(job=job, ours=False) if late := await self._answers.that_brought_about(job):
                await self._answers.link(late, late, Step.SUBMITTED, job, by="look")  # no sweep has shown it so far
            case Found(job=job, ours=ours):
                await self._answers.link(
                    answer, whole, Step.SUBMITTED if ours else Step.ADOPTED, job, by="look" if ours else ""
                )
            case Go() if twin := await self._answers.undecided_twin(whole):
                why = f"{twin} asks for the same and got no reply, so the platform may have taken it"
                waits = replace(whole, due_at=self._clock.now() + _MAY_SHOW_UP, waits_for=why)
                await self._answers.move(answer, waits, why=f"it waits: {why}", tell=answer.waits_for != why)
            case Go() as go:
                posting = submission.posting(whole, go, self._clock.now(), behind=self._source.clock_behind)
                post = self._intend_and_post(answer, posting, reckoned.names)
                await finished(post, grace_s=self._grace_s, name=f"post:{self._source.sandbox}")

    async def _close_given_up(self) -> None:
        """Link what shows up late to the answer whose POST was given up; what failed has an answer of its own."""
        for answer, job in await self._answers.late():
            await self._answers.link(answer, answer, Step.SUBMITTED, seen_of(job), by="look")

    async def _joins_a_chain(self, answer: Resubmission, failed: JobState) -> bool:
        """Link the failed job to an earlier answer that was given up or put off, if it was that one's late effect.

        Its own answer then counts on in that chain, and the next turn decides on it.
        """
        earlier = await self._answers.that_led_to(failed, answer)
        if earlier:
            await self._answers.link(earlier, earlier, Step.SUBMITTED, seen_of(failed), by="look")
        return earlier is not None

    async def _admitted(self, answer: Resubmission, failing: breaker.Failing) -> Go | Hold | Refuse | Propose:
        around = await self._answers.surroundings(answer, failing)
        return retry.admit(answer, around, self._policy, self._clock.now())

    async def _owners(self, answer: Resubmission) -> tuple[frozenset[str], frozenset[str]]:
        """Return the ids of the jobs that answer other failures, and of those that orders have led to, after a look.

        Somebody may have ordered one of the jobs that it saw since. Raises Conflict while that cannot be known.
        """
        posts = await self._answers.posts()
        if twin := self._answers.twin_of(answer, posts):
            raise Conflict(f"{twin} asks for the same, and is not settled yet")
        return posts.claimed(besides=answer.failed), posts.ordered

    async def _intend_and_post(self, before: Resubmission, posting: Resubmission, reckoned: frozenset[str]) -> None:
        await self._answers.move(before, posting, reckoned=reckoned)
        await self._post(before, posting)

    async def _post(self, before: Resubmission, answer: Resubmission) -> None:
        """Make the one POST of an answer that is on disk as POSTING, and write how it ended. before: the POST."""
        log.info("resubmission_posted", job=str(answer.failed), attempt=answer.attempt)
        try:
            job = await self._source.submit(answer.request)
        except UpstreamError as error:
            lost = posted(error)
            log.warning("resubmission_unanswered", job=str(answer.failed), how=lost.how.value, error=str(error))
            await self._unanswered(before, answer, lost)
        else:
            doubt = proof.doubt_about(job, answer, await self._recorder.fresh(job.key))
            if not doubt and self._kind.is_another(job.facts, answer.request):
                doubt = "it has another dataset or other segments"
            if not doubt:
                return await self._answers.link(answer, answer, Step.SUBMITTED, job)
            why = f"the platform answered with export {job.key.id}, but {doubt}"
            log.warning("resubmission_unanswered", job=str(answer.failed), how=Posted.How.LOST.value, error=why)
            lost = Posted(how=Posted.How.LOST, why=why)
            await self._unanswered(before, answer, lost)

    async def _unanswered(self, before: Resubmission, answer: Resubmission, how: Posted) -> None:
        after = submission.after_post(
            answer, how, self._policy, self._clock.now(), before=before, behind=self._source.clock_behind
        )
        self._silences.of(after.failed, after.posted_at)  # it begins now
        await self._answers.move(answer, after, why=how.why)

    async def _settle(self, answer: Resubmission, failed: JobState, beat: Callable[[], None]) -> None:
        """Find out by looking what became of a POST whose reply we do not have."""
        silence = self._silences.of(answer.failed, answer.posted_at)
        look = await self._lookout.look(answer, failed, beat, await self._answers.posts(), may_be_cut=True)
        if not look.cut:
            self._silences.looked(answer.failed)
        claimed, ordered = await self._owners(answer)
        settled = submission.settle(
            answer, failed, look.rows, claimed, policy=self._policy, silence=silence, now=self._clock.now(),
            doubtful=look.doubtful, ordered=ordered, lag=await self._lag(),
        )  # fmt: skip
        match settled:
            case Found(job=job):
                await self._answers.link(answer, answer, Step.SUBMITTED, job, by="look")
            case _ if look.cut:
                raise look.cut
            case Refuse() as refusal:
                await self._answers.refuse(answer, refusal)
            case _:
                await self._answers.move(answer, settled)

    async def _lag(self) -> timedelta:
        """Return how late the list has been seen to be since segwatch first watched the sandbox."""
        since = self._recorder.policies[self._kind.name].watch.since
        watched = await self._recorder.position(self._kind.name, since)
        jobs = self._recorder.known(self._kind.name)
        return proof.lag(jobs, watched.began_at or since)
