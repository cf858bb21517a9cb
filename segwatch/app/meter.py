"""Feeds the metrics from what goes on in the house."""

from collections.abc import Iterable, Mapping

import structlog

from segwatch.daemon.bus import News
from segwatch.daemon.recorder import Recorder
from segwatch.deliveries.templates.rewriting import Fault
from segwatch.jobs import quota
from segwatch.jobs.events import Event
from segwatch.jobs.quota import Spend
from segwatch.jobs.resubmission import Step
from segwatch.pipelines.model import RunState
from segwatch.store.base import Store, StoreError
from segwatch.store.filters import RunFilter
from segwatch.telemetry.metrics import Metrics
from segwatch.upstream.budget import Share
from segwatch.upstream.client import Call
from segwatch.upstream.tokens import TokenSource

log = structlog.get_logger()

_RUNS_READ = 50  # of one pipeline: behind so many that failed, the last success is one that was measured before


class Meter:
    """Counts what it is told, and measures the rest when somebody reads the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def heard(self, news: News) -> None:
        """Count an event that is on disk."""
        self.metrics.on_event(news.event, news.job)

    def called(self, call: Call) -> None:
        """Count a call of the platform."""
        self.metrics.calls.labels(call.sandbox, call.endpoint, call.code).inc()
        self.metrics.call_seconds.labels(call.sandbox, call.endpoint).observe(call.seconds)

    def unreadable(self, part: str, count: int) -> None:
        """Count replies or rows that could not be read."""
        self.metrics.parse_errors.labels(part).inc(count)

    def committed(self, seconds: float) -> None:
        """Time one commit of the store."""
        self.metrics.commit_seconds.observe(seconds)

    def delivered(self, channel: str, seconds: float) -> None:
        """Count an accepted delivery; see DeliveryObserver."""
        self.metrics.deliveries.labels(channel).inc()
        self.metrics.delivery_seconds.labels(channel).observe(seconds)

    def failed(self, channel: str, reason: str) -> None:
        """Count a failed attempt; see DeliveryObserver."""
        self.metrics.deliveries_failed.labels(channel, reason).inc()

    def unworded(self, channel: str, event: Event, fault: Fault) -> None:
        """Count a message that a template could not word, and say why; see Wording."""
        log.warning(
            "template_failed", channel=channel, template=fault.template, part=fault.part, line=fault.line,
            why=fault.why, event_id=event.id, type=event.type.value,
            hint=f"sent in the standard words; try: segwatch notify preview {event.id} --channel {channel}",
        )  # fmt: skip
        self.metrics.template_failures.labels(channel).inc()

    def kept(self, worker: str) -> None:
        """Start the count of this worker's restarts at zero, so that `rate()` sees the first."""
        self.metrics.restarts.labels(_family(worker))

    def restarted(self, worker: str) -> None:
        """Count a worker that failed and was started again."""
        self.metrics.restarts.labels(_family(worker)).inc()

    def measure_jobs(self, recorder: Recorder, kinds: Iterable[str]) -> None:
        """Set how many jobs a sandbox has in each status."""
        for kind in kinds:
            self.metrics.set_jobs(recorder.sandbox, kind, recorder.known(kind))

    def measure_access(self, budgets: Mapping[str, Share], tokens: Mapping[str, TokenSource]) -> None:
        """Set each sandbox's call budget and the end of its token."""
        for sandbox, budget in budgets.items():
            self.metrics.budget.labels(sandbox).set(budget.rate)
        for sandbox, source in tokens.items():
            if source.expires_at:
                self.metrics.token_expiry.labels(sandbox).set(source.expires_at.timestamp())

    async def measure_store(
        self, store: Store, channels: Iterable[str], sandboxes: Iterable[str], pipelines: Iterable[tuple[str, str]],
        spend: Spend,
    ) -> None:  # fmt: skip
        """Set what waits in the store, and what is left to spend; the last values stay while it cannot be read."""
        try:
            depths = {depth.channel: depth for depth in await store.outbox_depth()}
            for name in {*channels, *depths}:
                depth = depths.get(name)
                oldest = depth.oldest if depth else None
                self.metrics.outbox_pending.labels(name).set(depth.pending if depth else 0)
                self.metrics.dead_letters.labels(name).set(depth.dead if depth else 0)
                self.metrics.outbox_oldest.labels(name).set(oldest.timestamp() if oldest else 0)
            for sandbox in sandboxes:
                waiting = await store.resubmissions(sandbox, steps=(Step.PROPOSED, Step.SCHEDULED, Step.POSTING))
                self.metrics.retries_pending.labels(sandbox).set(len(waiting))
                used = await store.used(sandbox, day=spend.day, year=spend.year)
                self.metrics.evaluations_left.labels(sandbox).set(quota.left(used, spend.allowance))
            for sandbox, name in pipelines:
                runs = await store.runs(RunFilter(sandbox=sandbox, pipeline=name), limit=_RUNS_READ)
                ends = [run.ended_at.timestamp() for run in runs if run.ended_at and run.state is RunState.SUCCEEDED]
                if ends:  # else the one that was told last is still the last
                    self.metrics.run_success.labels(sandbox, name).set(max(ends))
        except StoreError as error:
            log.warning("gauges_not_measured", error=str(error))


def _family(worker: str) -> str:
    """Return the worker's name without ids: a label's values must stay few."""
    return "/".join(worker.split("/")[:2])
