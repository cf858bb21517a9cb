"""Every metric, declared once, and fed from events. Names and labels are public; no job id is ever a label."""

import asyncio
import gzip
import platform
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from segwatch import __version__
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.model import JobState, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_TRANSITIONS = {
    EventType.JOB_QUEUED,
    EventType.JOB_PROCESSING,
    EventType.JOB_SUCCEEDED,
    EventType.JOB_FAILED,
    EventType.JOB_CANCELLING,
    EventType.JOB_CANCELLED,
    EventType.JOB_VANISHED,
    EventType.JOB_UNKNOWN_STATUS,
}
_RETRY_RESULTS = {
    EventType.RETRY_SUBMITTED: "submitted",
    EventType.RETRY_ADOPTED: "adopted",
    EventType.RETRY_REFUSED: "refused",
}
_RUN_OUTCOMES = {EventType.PIPELINE_SUCCEEDED: "succeeded", EventType.PIPELINE_FAILED: "failed"}
_RENDERED_FOR_S = 1.0
_JOB_SECONDS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 5400, 7200, 9000, 14400, 28800)
_LAG_SECONDS = (0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 900, 3600)
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)


class Metrics:
    """The registry of one process."""

    def __init__(self) -> None:
        # "_created" is a second series for each counter and histogram, which nobody reads
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"segwatch_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"segwatch_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"segwatch_{name}", text, labels, registry=registry, buckets=buckets)

        stream = ("sandbox", "kind")
        self.up = gauge("up", "1 while the last call of every kind in this sandbox was answered.", "sandbox")
        self.jobs = gauge("jobs", "Jobs known of late, by their present status.", *stream, "status")
        self.transitions = counter("job_transitions_total", "Changes of status that were recorded.", *stream, "status")
        self.duration = histogram(
            "job_duration_seconds", "From creation to end, by the platform's clock.", _JOB_SECONDS, *stream, "outcome"
        )
        self.phase = histogram(
            "job_phase_duration_seconds", "Time waiting and time running.", _JOB_SECONDS, *stream, "phase"
        )
        self.oldest_active = gauge(
            "job_oldest_active_timestamp_seconds", "Creation of the oldest active job; 0 when none is.", *stream
        )
        self.last_success = gauge(
            "last_success_timestamp_seconds", "End of the last job that succeeded; 0 when none did.", *stream
        )
        self.segment_profiles = gauge(
            "segment_profiles", "Members of a segment, as the last evaluation counted them.", "sandbox", "segment"
        )
        self._segments: frozenset[str] = frozenset()
        self._sizes: dict[tuple[str, str], datetime] = {}  # which sizes are shown, and of when
        self.export_profiles = gauge(
            "export_profiles", "Profiles written by the last export that succeeded.", "sandbox"
        )
        self.retries = counter("export_retries_total", "What became of failed exports.", "sandbox", "result")
        self.retries_pending = gauge("export_retries_pending", "Failed exports still to be answered.", "sandbox")
        self.evaluations_left = gauge(
            "evaluations_left", "Evaluations on demand that are left: in this day or this year, the fewer.", "sandbox"
        )
        run_of = ("sandbox", "pipeline")
        self.runs = counter("pipeline_runs_total", "Runs of pipelines that have ended.", *run_of, "outcome")
        self.run_success = gauge(
            "pipeline_last_success_timestamp_seconds", "End of the last run that succeeded; 0 when none did.", *run_of
        )
        self.calls = counter("api_requests_total", "Calls of the platform.", "sandbox", "endpoint", "code")
        self.call_seconds = histogram(
            "api_request_duration_seconds", "How long calls took.", _CALL_SECONDS, "sandbox", "endpoint"
        )
        self.budget = gauge("api_budget_requests_per_second", "Calls that the budget allows at present.", "sandbox")
        self.last_poll = gauge("last_poll_timestamp_seconds", "The last complete look at this stream.", *stream)
        self.lag = histogram(
            "detection_lag_seconds", "From a change at the platform to its record here.", _LAG_SECONDS, *stream
        )
        self.deliveries = counter("deliveries_total", "Notifications that were accepted.", "channel")
        self.deliveries_failed = counter(
            "deliveries_failed_total", "Attempts to notify that failed.", "channel", "reason"
        )
        self.delivery_seconds = histogram(
            "delivery_duration_seconds", "How long an attempt to notify took.", _CALL_SECONDS, "channel"
        )
        self.template_failures = counter(
            "template_failures_total", "Messages in the standard words, since a template failed.", "channel"
        )
        self.outbox_pending = gauge("outbox_pending", "Notifications not yet accepted.", "channel")
        self.outbox_oldest = gauge(
            "outbox_oldest_timestamp_seconds", "When the oldest of these was promised; 0 when none waits.", "channel"
        )
        self.dead_letters = gauge("dead_letters", "Notifications that were given up.", "channel")
        self.token_expiry = gauge("token_expiry_timestamp_seconds", "When the access token expires.", "sandbox")
        self.commit_seconds = histogram(
            "store_commit_duration_seconds", "How long the store took to make a commit durable.", _COMMIT_SECONDS
        )
        self.loop_lag = gauge("event_loop_lag_seconds", "How late the event loop woke a sleeper, last time.")
        self.restarts = counter("worker_restarts_total", "Workers that failed and were started again.", "worker")
        self.parse_errors = counter("parse_errors_total", "Replies and rows that could not be read.", "part")
        self.reload_ok = gauge("config_last_reload_successful", "1 when the last reload of the settings succeeded.")
        self.build = Info("segwatch_build", "This version.", registry=registry)
        self.build.info({"version": __version__, "python": platform.python_version()})
        self.reload_ok.set(1)

    def expect(
        self, sandboxes: Mapping[str, tuple[str, ...]], channels: tuple[str, ...], segments: Iterable[str] = ()
    ) -> None:
        """Start the known label values at zero, so that `rate()` sees the first failure. sandboxes: name -> kinds.

        segments: ids of those whose size is shown, of no others.
        """
        self._segments = frozenset(segments)
        for shown in [one for one in self._sizes if one[1] not in self._segments]:
            del self._sizes[shown]
            self.segment_profiles.remove(*shown)
        for sandbox, kinds in sandboxes.items():
            for result in ("submitted", "adopted", "refused", "failed"):
                self.retries.labels(sandbox, result)
            self.retries_pending.labels(sandbox)
            for kind in kinds:
                for status in Status:
                    self.transitions.labels(sandbox, kind, status.value)
                    self.jobs.labels(sandbox, kind, status.value)
                self.oldest_active.labels(sandbox, kind)
                self.last_success.labels(sandbox, kind)
                self.last_poll.labels(sandbox, kind)
                self.lag.labels(sandbox, kind)
                for part in (kind, f"{kind}_row"):
                    self.parse_errors.labels(part)
        for channel in channels:
            self.deliveries.labels(channel)
            self.delivery_seconds.labels(channel)
            self.template_failures.labels(channel)
            self.outbox_pending.labels(channel)
            self.outbox_oldest.labels(channel)
            self.dead_letters.labels(channel)

    def on_event(self, event: Event, job: JobState | None) -> None:
        """Count what happened. `job` is its state behind the event."""
        if outcome := _RUN_OUTCOMES.get(event.type):
            self.runs.labels(event.sandbox, str(event.details.get("pipeline", "")), outcome).inc()
        if result := _RETRY_RESULTS.get(event.type):
            self.retries.labels(event.sandbox, result).inc()
        if job is None:
            return
        if event.type in _TRANSITIONS:
            # a word that we do not know is no label value: the set must stay small
            self.transitions.labels(event.sandbox, event.kind, job.status.value).inc()
            self._time(event, job)
        if event.type is EventType.JOB_FAILED and job.attempt > 1:
            self.retries.labels(event.sandbox, "failed").inc()

    def expect_runs(self, pipelines: Iterable[tuple[str, str]]) -> None:
        """Start these pipelines' counts at zero, as `expect` does. pipelines: sandbox and name of each."""
        for one in pipelines:
            for outcome in _RUN_OUTCOMES.values():
                self.runs.labels(*one, outcome)
            self.run_success.labels(*one)

    def _time(self, event: Event, job: JobState) -> None:
        stream = (event.sandbox, event.kind)
        changed_at = job.ended_at or job.updated_at
        if changed_at and not event.late:
            self.lag.labels(*stream).observe(_seconds(event.at - changed_at))
        if job.ended_at is None:
            return
        self.duration.labels(*stream, job.status.value).observe(_seconds(job.ended_at - job.born_at))
        if job.started_at:
            if job.created_at:
                self.phase.labels(*stream, "waiting").observe(_seconds(job.started_at - job.created_at))
            self.phase.labels(*stream, "running").observe(_seconds(job.ended_at - job.started_at))

    def set_jobs(self, sandbox: str, kind: str, jobs: Iterable[JobState]) -> None:
        """Set what the known jobs of a stream amount to: how many are in each status, and since when.

        The last success, and what it counted, is read from here, not from events: jobs that ended before we started
        count too.
        """
        counts: Tally[Status] = Tally()
        oldest: datetime | None = None
        best: JobState | None = None
        for job in jobs:
            counts[job.status] += 1
            if job.is_active and (oldest is None or job.born_at < oldest):
                oldest = job.born_at
            if job.status is Status.SUCCEEDED:
                self._set_sizes(sandbox, job)
                if best is None or job.over_at > best.over_at:
                    best = job
        for status in Status:
            self.jobs.labels(sandbox, kind, status.value).set(counts[status])
        self.oldest_active.labels(sandbox, kind).set(oldest.timestamp() if oldest else 0)
        if best is not None:  # else the one that was told last is still the last, though forgotten
            self.last_success.labels(sandbox, kind).set(best.over_at.timestamp())
            if best.facts.exported is not None:
                self.export_profiles.labels(sandbox).set(best.facts.exported)

    def _set_sizes(self, sandbox: str, job: JobState) -> None:
        for segment in self._segments & job.facts.profiles.keys():
            shown = self._sizes.get((sandbox, segment))
            if shown is None or shown <= job.over_at:  # else a newer one has counted it, though it may be forgotten
                self._sizes[sandbox, segment] = job.over_at
                self.segment_profiles.labels(sandbox, segment).set(job.facts.profiles[segment])


class Exposition:
    """The metrics as text, rendered in a thread and once a second at most: many series would hold up the loop.

    refresh: called before rendering, to set the gauges that are measured on demand.
    """

    def __init__(self, metrics: Metrics, refresh: Callable[[], Awaitable[None]]) -> None:
        self._metrics = metrics
        self._refresh = refresh
        self._rendered: tuple[bytes, bytes] = (b"", b"")
        self._rendered_at = float("-inf")
        self._turn = asyncio.Lock()

    async def text(self, *, gzipped: bool) -> bytes:
        """Return the exposition, at most a second old."""
        now = asyncio.get_running_loop().time()
        async with self._turn:
            if now - self._rendered_at >= _RENDERED_FOR_S:
                await self._refresh()
                self._rendered = await asyncio.to_thread(self._render)
                self._rendered_at = now
        return self._rendered[gzipped]

    def _render(self) -> tuple[bytes, bytes]:
        plain = generate_latest(self._metrics.registry)
        return plain, gzip.compress(plain, compresslevel=1)


def _seconds(span: timedelta) -> float:
    """Return a span in seconds; never negative, whatever two clocks say of each other."""
    return max(0.0, span.total_seconds())
