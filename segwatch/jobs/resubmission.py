"""The answer to one failed export: a durable intent, and the steps that it goes through."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from segwatch.jobs.model import JobKey


class Step(StrEnum):
    """How far the answer has come. Each step is on disk before the next one begins.

    PROPOSED waits for a person (mode "propose"). SCHEDULED waits for its time. POSTING was written just before the
    POST: whoever finds it cannot know whether the platform took it, and must look. The other three are ends.
    """

    PROPOSED = "proposed"
    SCHEDULED = "scheduled"
    POSTING = "posting"
    SUBMITTED = "submitted"
    ADOPTED = "adopted"
    REFUSED = "refused"

    @property
    def is_open(self) -> bool:
        """True while something may still be submitted."""
        return self in (Step.PROPOSED, Step.SCHEDULED, Step.POSTING)


_FARTHEST = timedelta(hours=1)  # the longest wait that the platform may ask for, and longer than any look is put off


class Refusal(StrEnum):
    """Why a failed export is not submitted again."""

    NEVER = "never"  # a rule says so, or the platform refused the submission itself
    SUPERSEDED = "superseded"  # a newer export of the same thing runs or succeeded
    CANCELLED = "cancelled"  # somebody ended it on purpose
    ATTEMPTS = "attempts"  # the chain is used up
    BUDGET = "budget"  # the day's budget is used up
    UNDECIDED = "undecided"  # it cannot be known whether a submission went through, what to submit, or who ended it

    @property
    def words(self) -> str:
        """The same in words, to follow on "it is not submitted again:"."""
        return _WORDS[self]


_WORDS = {
    Refusal.NEVER: "a rule, or the platform itself, says never",
    Refusal.SUPERSEDED: "an equal export runs or succeeded",
    Refusal.CANCELLED: "somebody ended it on purpose",
    Refusal.ATTEMPTS: "all attempts are used up",
    Refusal.BUDGET: "the day's budget is used up",
    Refusal.UNDECIDED: "whether a submission went through cannot be known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resubmission:
    """What is done about one failed export. There is at most one for each failed job, whatever happens.

    failed: the job that it answers. attempt: the number in the chain `root` that the new job will have.
    request, fingerprint: as in `Facts`. whole: the failed job's own record has told them, not just a row of a list.
    due_at: not before. tries: POSTs so far.
    posted_at: when POSTING was written, or later, when the POST was known to be over; what it did shows soon after.
    behind: by how much the platform's clock was behind ours then, as far as it was known.
    known: ids of the exports since the failure that the look before the POST saw; one that is not among them is new.
    declined: the platform answered the POST with an error, so its silence afterwards is believed.
    declines: how many POSTs ended so, since a person last asked.
    new_id: the job that answers. new_created_at: when the platform says that it was created.
    manual: a person asked, so policy limits do not apply. asked_anew: they asked since the last POST, which they know
    of.
    aliases: fingerprints under which segwatch itself asked for the failed job, by an order or an earlier resubmission:
    the platform may have filled in or changed what its record tells since.
    waits_for: what an answer that is due waits for, in words; "" for its time alone.
    """

    failed: JobKey
    root: str
    attempt: int
    fingerprint: str
    request: str
    step: Step
    due_at: datetime
    since: datetime
    tries: int = 0
    posted_at: datetime | None = None
    behind: timedelta = timedelta()
    known: tuple[str, ...] = ()
    declined: bool = False
    declines: int = 0
    whole: bool = False
    new_id: str = ""
    new_created_at: datetime | None = None
    reason: str = ""
    manual: bool = False
    asked_anew: bool = False
    aliases: tuple[str, ...] = ()
    waits_for: str = ""

    @property
    def fingerprints(self) -> frozenset[str]:
        """All by which an equal job may be known."""
        return frozenset(filter(None, (self.fingerprint, *self.aliases)))

    @property
    def post(self) -> str:
        """A name for its last POST that may have had an effect, another for each; "" when there was none."""
        return f"{self.failed}#{self.tries}" if self.posted_at else ""

    @property
    def posted_there(self) -> datetime | None:
        """When it was posted, by the platform's clock: comparable with when jobs were created, whatever ours shows."""
        return self.posted_at and self.posted_at - self.behind

    def is_due(self, now: datetime, *, max_delay: timedelta) -> bool:
        """True when its next step may be taken.

        Nothing is ever put off for longer than `max_delay` or an hour: what is due later than that was put off by a
        clock that was wrong, and is due now.
        """
        return self.due_at <= now or self.due_at - now > max(max_delay, _FARTHEST)
