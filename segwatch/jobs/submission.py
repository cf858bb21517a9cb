"""How a failed export is submitted again so that it never is twice.

`assess` when the platform's list has been read, `posting` before the POST leaves, `settle` when its reply is missing
and the list has been read again. What happened to a POST is the edge's to report: `after_post`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.backoff import Backoff, spread
from segwatch.jobs import proof
from segwatch.jobs.model import JobState, Observation, Status
from segwatch.jobs.resubmission import Refusal, Resubmission, Step
from segwatch.jobs.retry import Go, Refuse, RetryPolicy, refused

_LOOK = Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=15))
DECLINES_MAX = 10  # POSTs of one answer: with the default delays they outlast an outage of some hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """This job answers the failure already. ours: our own submission put it there, though its answer was lost."""

    job: Observation
    ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """This job cannot be told apart from the one that we want, or have posted: nothing can be decided meanwhile.

    goes_on: it is the failed one itself, which does not look failed any more.
    """

    job: Observation
    goes_on: bool = False

    @property
    def why(self) -> str:
        """The same in words."""
        if self.goes_on:
            return f"the platform told that it had failed, and tells {self.job.word} now: it may go on by itself"
        if not self.job.word:
            return f"export {self.job.key.id} was made by an order of segwatch, and the platform does not tell of it"
        return f"what the platform tells of export {self.job.key.id} leaves open whether it is the same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """How the one POST ended, as the edge saw it.

    NOT_SENT: surely no effect. DECLINED: answered with a server error. LOST: no answer. REJECTED: answered with a 4xx.
    """

    class How(StrEnum):
        """The ways in which it can end without a new job."""

        NOT_SENT = "not_sent"
        DECLINED = "declined"
        LOST = "lost"
        REJECTED = "rejected"

    how: How
    why: str
    retry_after: timedelta | None = None


def assess(
    answer: Resubmission, failed: JobState, listed: Iterable[Observation], claimed: frozenset[str],
    doubtful: Collection[str] = (), ordered: frozenset[str] = frozenset(), equal: Collection[str] = (),
    itself: Observation | None = None,
) -> Go | Refuse | Found | Unclear:  # fmt: skip
    """Return what the platform's list says about a SCHEDULED answer, before its POST.

    listed: every export created since the failed one, the failed one included or not. claimed: ids of jobs that answer
    some other failure already. doubtful: ids of jobs that may be equal, for all that is told of them, or that an
    earlier POST of this answer may have made. ordered: ids of jobs that somebody ordered by segwatch: they may be
    adopted, and are no effect of this answer's POST. equal: ids of those that segwatch itself has asked for under a
    fingerprint of this answer, whatever their records tell. itself: what the platform tells of the failed job now; None
    where it tells nothing.
    """
    listed = tuple(listed)
    certain = [row for row in listed if row.key.id not in doubtful]
    if ours := _ours(answer, failed, certain, claimed | ordered):
        return ours
    for row in certain:
        same = row.key.id in equal or _equals(row, answer)
        if not same or row.key.id == failed.key.id or not is_newer(row, failed):
            continue
        if _leaves_room(row, answer):
            continue
        running = row.status is not Status.SUCCEEDED
        if row.key.id not in claimed and not answer.manual and _follows(row, failed):
            return Found(job=row, ours=False)
        what = "already runs" if running else "already succeeded"
        return Refuse(reason=Refusal.SUPERSEDED, why=f"the equal export {row.key.id} {what}")
    if itself and (said := _taken_up(itself, answer)):
        return said
    if not answer.request or not answer.fingerprint:
        return Refuse(reason=Refusal.UNDECIDED, why="the platform's record does not tell what to submit")
    unknown = [row for row in listed if row.key.id in doubtful]
    for row in unknown:
        if not _leaves_room(row, answer) or (answer.posted_at and _is_free(row, answer, claimed)):
            return Unclear(job=row)
    # whatever is there before the POST cannot be its effect, however alike it may look later
    there = {row.key.id for row in listed if row.key != failed.key and is_newer(row, failed)}
    return Go(known=tuple(sorted(there | {*answer.known})))


def _taken_up(itself: Observation, answer: Resubmission) -> Refuse | Unclear | None:
    """Return what forbids a POST where the failed job does not look failed any more; None while it does.

    A final status stays final (ADR 2), so nobody follows a job that the platform takes up again. Nothing is posted
    beside it all the same: by the time that it has ended, or is given up, its record has the last word. One that ended
    well is enough, unless a person wants another.
    """
    match itself.status:
        case Status.FAILED | Status.VANISHED:
            return None
        case Status.SUCCEEDED | Status.CANCELLED if answer.manual:
            return None
        case Status.SUCCEEDED:
            return Refuse(reason=Refusal.SUPERSEDED, why="the platform went on with it by itself, and it succeeded")
        case Status.CANCELLED:
            return Refuse(reason=Refusal.CANCELLED, why="somebody cancelled it: the platform tells CANCELLED now")
        case Status.UNKNOWN if answer.asked_anew:  # the person has seen it, and insists
            return None
        case _:
            return Unclear(job=itself, goes_on=True)


def settle(
    answer: Resubmission, failed: JobState, listed: Iterable[Observation], claimed: frozenset[str], *,
    policy: RetryPolicy, silence: timedelta, now: datetime,
    doubtful: Collection[str] = (), ordered: frozenset[str] = frozenset(), lag: timedelta = timedelta(),
) -> Found | Resubmission | Refuse:  # fmt: skip
    """Return what the list says about a POSTING answer whose reply we do not have: the job, or the answer's next step.

    silence: from when we began to wait for the POST's effect until the first page of `listed` was asked for, by a clock
    that is never set: a time of day that jumps would make it longer. lag: how late the list has been seen to be.
    We look again within the settle window, and for longer where a job tells too little, or where the platform itself
    declined the POST: that one is tried anew once the silence has lasted long enough. Without any reply it is refused,
    since it cannot be decided.
    """
    listed = tuple(listed)
    certain = [row for row in listed if row.key.id not in doubtful]
    if ours := _ours(answer, failed, certain, claimed | ordered):
        return ours
    unknown = [row for row in listed if row.key.id in doubtful and _is_free(row, answer, claimed | ordered)]
    longest = max(proof.patience(policy.settle_window), policy.backoff.cap)
    wanted = proof.patience(policy.settle_window, lag)
    window = min(wanted, longest) if answer.declined or unknown else policy.settle_window
    if silence < window:
        looks = max(1, int(silence / _LOOK.first)).bit_length()
        wait = _LOOK.delay(looks, spread(str(answer.failed)))
        return replace(answer, due_at=now + min(wait, window - silence))
    if unknown:
        return Refuse(reason=Refusal.UNDECIDED, why=Unclear(job=unknown[0]).why)
    if not answer.declined:
        why = "no reply came to the submission, and the platform lists no new export"
        return Refuse(reason=Refusal.UNDECIDED, why=why)
    if wanted > longest:
        why = f"the platform answered with an error, and its list comes up to {lag.total_seconds():.0f} s late"
        return Refuse(reason=Refusal.UNDECIDED, why=why)
    if answer.declines >= DECLINES_MAX:
        why = f"the platform answered {answer.declines} submissions with an error, and lists no new export"
        return Refuse(reason=Refusal.UNDECIDED, why=why)
    return _again(answer, policy, now)


def led_to(answers: Iterable[Resubmission], failed: JobState, fingerprint: str) -> Resubmission | None:
    """Return the answer whose POST brought `failed` about, though its reply never came and the list was silent.

    fingerprint: of `failed`, as its own answer has it.
    """
    if not fingerprint:
        return None
    fit = [
        one for one in answers
        if one.posted_at is not None and one.step not in (Step.POSTING, Step.SUBMITTED, Step.ADOPTED)
        and (one.reason != Refusal.NEVER or one.declined)  # else the platform refused that POST itself
        and one.fingerprint == fingerprint and one.failed != failed.key and failed.key.id not in one.known
        and proof.is_since(failed, one.posted_at, one.posted_at - one.behind)
    ]  # fmt: skip
    return max(fit, key=lambda one: (one.posted_at or one.since, one.failed), default=None)


def _ours(
    answer: Resubmission, failed: JobState, listed: Iterable[Observation], claimed: frozenset[str]
) -> Found | None:
    """Return the job that an earlier POST of this answer brought about, whatever has become of it since.

    A POST that was lost, or declined, may have taken effect long after we ceased to look for it. Only where a person
    asks long after it an equal export that came much later, too, is taken for somebody else's.
    """
    if answer.posted_at is None:
        return None
    fresh = [
        row for row in listed
        if _equals(row, answer) and is_newer(row, failed) and _is_free(row, answer, claimed)
        and (not answer.asked_anew or proof.is_soon_after(row, answer.posted_at - answer.behind, failed))
    ]  # fmt: skip
    if not fresh:
        return None
    return Found(job=min(fresh, key=lambda row: (row.created_at or row.asked_at, row.key.id)), ours=True)


def after_post(
    answer: Resubmission, posted: Posted, policy: RetryPolicy, now: datetime, *, before: Resubmission,
    behind: timedelta = timedelta(),
) -> Resubmission:  # fmt: skip
    """Return the POSTING answer after a POST that brought no job.

    before: the same answer without this POST. One that was not sent leaves of the earlier ones what was known of them.
    behind: as in `Resubmission`.
    The settle window begins anew, now: the POST may have stood in line for long before it left.
    """
    match posted.how:
        case Posted.How.REJECTED:
            return refused(answer, Refusal.NEVER, now)
        case Posted.How.NOT_SENT:
            waiting = _again(answer, policy, now)
            due_at = max(waiting.due_at, now + (posted.retry_after or timedelta()))
            return replace(  # so it does not count against the day's budget
                waiting,
                due_at=due_at,
                posted_at=before.posted_at,
                behind=before.behind,
                known=before.known,
                declined=before.declined,
                asked_anew=before.asked_anew,
            )
        case Posted.How.DECLINED | Posted.How.LOST:
            declined = posted.how is Posted.How.DECLINED
            look_at = now + _LOOK.delay(1, spread(str(answer.failed)))
            declines = answer.declines + declined
            return replace(answer, declined=declined, declines=declines, posted_at=now, behind=behind, due_at=look_at)


def posting(answer: Resubmission, go: Go, now: datetime, *, behind: timedelta = timedelta()) -> Resubmission:
    """Return the answer as it must be on disk before the POST leaves. behind: as in `Resubmission`."""
    return replace(
        answer, step=Step.POSTING, known=go.known, posted_at=now, behind=behind, since=now,
        tries=answer.tries + 1, declined=False, asked_anew=False, waits_for="", due_at=now + _LOOK.first,
    )  # fmt: skip


def _again(answer: Resubmission, policy: RetryPolicy, now: datetime) -> Resubmission:
    wait = policy.backoff.delay(max(1, answer.tries), spread(f"{answer.failed}#{answer.tries}"))
    return replace(answer, step=Step.SCHEDULED, due_at=now + wait, since=now)


def _equals(row: Observation, answer: Resubmission) -> bool:
    return row.facts.fingerprint in answer.fingerprints and row.key.id != answer.failed.id


def _is_free(row: Observation, answer: Resubmission, claimed: frozenset[str]) -> bool:
    """True unless the job was there before our POST, or answers another failure: then it is not ours."""
    return row.key.id not in claimed and row.key.id not in answer.known


def _leaves_room(row: Observation, answer: Resubmission) -> bool:
    """True for an equal job beside which another one may be submitted."""
    if row.status in (Status.FAILED, Status.CANCELLING, Status.CANCELLED):
        return True  # it has, or will have, a failure and an answer of its own
    if not answer.manual:
        return False
    has_seen_it = row.key.id in answer.known  # the person has, and wants another
    match row.status:
        case Status.SUCCEEDED:
            return answer.asked_anew or has_seen_it
        case Status.UNKNOWN:  # it answered the failure, and they insisted
            return has_seen_it
        case _:
            return False


def is_newer(row: Observation | JobState, failed: JobState) -> bool:
    """Return whether a job was created since the failed one was, as far as that can be told."""
    return row.created_at is None or (since := proof.earliest(failed)) is None or row.created_at >= since


def _follows(row: Observation, failed: JobState) -> bool:
    return row.created_at is not None and failed.ended_at is not None and row.created_at >= failed.ended_at
