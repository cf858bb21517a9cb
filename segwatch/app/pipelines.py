"""From the settings to pipelines that run: beside a daemon's other workers."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from segwatch.config import Settings
from segwatch.daemon.abandoned import Abandoned
from segwatch.daemon.clock import Clock
from segwatch.daemon.commands import Commands
from segwatch.daemon.orderer import Orderer, OrderPolicy
from segwatch.daemon.pipeline_acts import PipelineActs
from segwatch.daemon.pipeliner import Pipeline, Pipeliner
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.daemon.timeline import Timeline
from segwatch.jobs import proof
from segwatch.jobs.model import JobState, Observation
from segwatch.store.base import Store
from segwatch.upstream.client import PlatformClient

Poll = Callable[[JobState], None]


def pipelines_of(settings: Settings) -> list[tuple[str, str]]:
    """Return sandbox and name of each configured pipeline."""
    return [(settings.sandbox_of(one), one.name) for one in settings.pipelines]


def orderer_of(
    settings: Settings, sources: Mapping[str, Source], store: Store, clock: Clock, *, grace_s: float,
    record: Callable[[Observation], Awaitable[None]],
) -> Orderer:  # fmt: skip
    """Return what gets a sandbox its ordered jobs."""
    window = settings.retry.settle_window
    policy = OrderPolicy(settle_window=window, believed_after=proof.believed_after(window))
    return Orderer(sources, store, clock, policy, grace_s=grace_s, record=record)


def pipeliner_of(
    settings: Settings, client: PlatformClient, sources: Mapping[str, Source], recorder: Recorder, store: Store,
    clock: Clock, *, polls: Mapping[str, Poll], under_way: Commands, began: datetime, grace_s: float, only: str,
    timeline: Timeline,
) -> Pipeliner:  # fmt: skip
    """Return the worker of one sandbox's pipelines.

    polls: by kind, begins to look at an active job. under_way: the commands that run, also since before a reload.
    only: the id of the one run that it drives; "" for all of them. timeline: tells how long ago an order was left.
    """

    async def record(seen: Observation) -> None:
        await recorder.own(seen.key)
        position = await recorder.position(seen.key.kind, began)
        for job in await recorder.record(seen.key.kind, [seen], position, listed=False):
            if job.is_active:
                polls[seen.key.kind](job)

    orderer = orderer_of(settings, sources, store, clock, grace_s=grace_s, record=record)
    sections = [one for one in settings.pipelines if settings.sandbox_of(one) == recorder.sandbox]
    acts = PipelineActs(
        client, sources, recorder, store, orderer, clock,
        allowance=settings.quota.allowance,
        commands={one.name: one.command for one in sections},
        under_way=under_way,
        record=record,
    )  # fmt: skip
    pipelines = [Pipeline(name=one.name, plan=one.plan, channels=one.channels) for one in sections]
    window = settings.retry.settle_window
    abandoned = Abandoned(recorder.sandbox, orderer, store, clock, age=timeline.surely, window=window)
    return Pipeliner(recorder, store, clock, acts, orderer, abandoned, pipelines, only=only)
