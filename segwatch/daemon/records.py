"""What must be submitted for a failed export: what it was ordered to do, as its own record on the platform tells."""

from dataclasses import replace
from datetime import timedelta

from segwatch.daemon.clock import Clock
from segwatch.daemon.listing import Inconclusive, TooLittle, told_of
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.daemon.timeline import Timeline
from segwatch.jobs import proof, tracker
from segwatch.jobs.model import Facts, JobState, Missing, Observation
from segwatch.jobs.resubmission import Refusal, Resubmission
from segwatch.jobs.retry import Refuse

_NO_FILTERS = (
    "its record names no filter, nor does that of any other export here, so the platform may not tell filters:"
    " to submit it could export everything"
)


class Records:
    """Reads the records of the failed jobs of one sandbox. window: `settle_window`."""

    def __init__(
        self, source: Source, recorder: Recorder, clock: Clock, *, timeline: Timeline, window: timedelta
    ) -> None:
        self._source = source
        self._kind = source.kind
        self._recorder = recorder
        self._clock = clock
        self._timeline = timeline
        self._window = window

    async def of(self, answer: Resubmission, failed: JobState) -> Observation | None:
        """Return the failed job's own record; None where it is gone, or is not needed any more.

        Raises TooLittle where the platform fails at this record alone, and UpstreamError in an outage.
        """
        record = await told_of(self._source, failed.key.id)
        if record is None:
            await self._source.page(self._kind.list_newest(limit=1))  # raises in an outage
            if not answer.whole:
                raise TooLittle("the platform fails to tell the failed export's own record, though it answers else")
            return None
        return None if isinstance(record, Missing) or tracker.is_another(failed, record) else record

    def completed(self, answer: Resubmission, failed: JobState, record: Observation | None) -> Resubmission | Refuse:
        """Return the answer with what must be submitted; one that is not `whole` yet is due when it may be.

        A list row may leave out the filter (AEP contract 13, no. 29), and an export without one exports everything:
        what only rows have told is never submitted, and a young record that names no limits is not believed yet.
        record: from `of`. Raises Inconclusive.
        """
        if record:
            answer = self._as_told(answer, record.facts, self._timeline.surely(failed.discovered_at))
        elif not answer.whole:
            raise Inconclusive("the failed export's own record is not there to tell what to submit")
        if answer.whole and self._is_broad(answer) and not self._tells_limits():
            return Refuse(reason=Refusal.UNDECIDED, why=_NO_FILTERS)
        return answer

    def _as_told(self, answer: Resubmission, facts: Facts, known_for: timedelta) -> Resubmission:
        """Return the answer with what a record tells, if an earlier one or the list did not tell more."""
        if len(facts.request) >= len(answer.request):
            answer = replace(answer, request=facts.request, fingerprint=facts.fingerprint)
        ripens_in = proof.ripens_in(known_for, self._window)
        if self._is_broad(answer) and ripens_in > timedelta():
            return replace(answer, whole=False, due_at=self._clock.now() + ripens_in)
        return replace(answer, whole=True)

    def _is_broad(self, answer: Resubmission) -> bool:
        return self._kind.is_broad(answer.request or "{}")

    def _tells_limits(self) -> bool:
        """True when some known export's order is limited: then a record without limits belongs to one without."""
        requests = (job.facts.request for job in self._recorder.known(self._kind.name))
        return any(request and not self._kind.is_broad(request) for request in requests)
