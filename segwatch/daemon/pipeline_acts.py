"""What a run of a pipeline looks at or does at each of its steps, and what it learns by that."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, assert_never

import msgspec

from segwatch.daemon import local_command
from segwatch.daemon.clock import Clock
from segwatch.daemon.commands import Commands
from segwatch.daemon.orderer import Orderer
from segwatch.daemon.pipeline_words import export_body, folder_of, is_dataset_id, order_id
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.jobs import ordering
from segwatch.jobs.model import JobKey, JobState, Missing, Observation, Status
from segwatch.jobs.order import Order, evaluation_fingerprint, wanted
from segwatch.jobs.quota import Allowance, Spend
from segwatch.kinds.export_order import order_of
from segwatch.pipelines import adoption, chain, telling, trigger
from segwatch.pipelines.model import Reason, Run, Step
from segwatch.pipelines.plausibility import BatchSeen, BatchState
from segwatch.pipelines.seen import (
    BatchesStand,
    CommandEnded,
    DatasetKnown,
    Downloaded,
    EvaluationStands,
    ExportFound,
    ExportStands,
    Impossible,
    OrderStands,
    Pending,
    Seen,
    Trouble,
)
from segwatch.store.base import Store
from segwatch.upstream import batches, datasets, download, folders, segment_jobs
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import NotFound, RateLimited, Refused, UpstreamError

_SEGMENT_JOB, _EXPORT_JOB = "segment_job", "export_job"
_TIMES_APART = timedelta(seconds=5)  # how far two times of the platform's may lie apart that mean the same moment
_RECENT = timedelta(hours=24)  # an evaluation that still runs is not older
_ANY_DATASET = "any"  # stands in an order that is only compared with others, never sent

Beat = Callable[[], None]


class PipelineActs:
    """The acts of one sandbox.

    commands: by the pipeline's name, for runs that keep none of their own. under_way: those that run, also since
    before a reload. record: writes an observation that no sweep has brought, and sees to it that its job is looked at
    from then on.
    """

    def __init__(
        self, client: PlatformClient, sources: Mapping[str, Source], recorder: Recorder, store: Store,
        orderer: Orderer, clock: Clock, *, allowance: Allowance, commands: Mapping[str, Sequence[str]],
        under_way: Commands, record: Callable[[Observation], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._client = client
        self._sources = sources
        self._recorder = recorder
        self._store = store
        self._orderer = orderer
        self._clock = clock
        self._allowance = allowance
        self._commands = commands
        self._under_way = under_way
        self._record = record

    async def see(self, run: Run, beat: Beat) -> Seen:
        """Look, or act, at the run's step, and return what came of it. Raises StoreError."""
        try:
            match run.step:
                case Step.EVALUATE:
                    return await self._evaluate(run, beat)
                case Step.EVALUATION:
                    return await self._evaluation(run)
                case Step.DATASET:
                    return await self._dataset(run)
                case Step.EXPORT:
                    return await self._export(run, beat)
                case Step.EXPORTING:
                    return await self._exporting(run)
                case Step.CHECK:
                    return await self._check(run)
                case Step.DOWNLOAD:
                    return await self._download(run)
                case Step.COMMAND:
                    return await self._command(run)
                case _:
                    assert_never(run.step)
        except UpstreamError as error:
            return Trouble(why=str(error), retry_after=error.retry_after if isinstance(error, RateLimited) else None)

    async def stop(self, run: Run) -> None:
        """End what an act that was cancelled has left at work."""
        await self._under_way.end(run.id)

    async def _evaluate(self, run: Run, beat: Beat) -> Seen:
        """Order the evaluation; before one is spent, look whether its export will have a dataset and a folder."""
        if await self._store.order(order_id(run, Step.EVALUATE)) is None:
            if lacking := await self._no_folder(run):
                return lacking
            if is_dataset_id(run.plan.dataset):
                dataset = await self._dataset(run)
                if not isinstance(dataset, DatasetKnown):
                    return dataset
        try:
            body = segment_jobs.create_request(run.plan.segments).body
        except ValueError as error:
            return Impossible(reason=Reason.SETTINGS, why=str(error))
        order = self._wanted(
            run, Step.EVALUATE, _SEGMENT_JOB, body, evaluation_fingerprint(run.plan.segments),
            not_before=run.began_at - _RECENT,
        )  # fmt: skip
        force = run.force or run.plan.spend_last_evaluation
        spend = Spend.at(self._clock.now(), self._allowance, force=force)
        placed = await self._orderer.place(order, beat, adopt="active", serves=ordering.covers, spend=spend)
        return OrderStands(order=placed)

    async def _evaluation(self, run: Run) -> Seen:
        job = await self._known(run, _SEGMENT_JOB, run.segment_job)
        if job is None:
            return _not_shown(_SEGMENT_JOB, run.segment_job)
        if job.status is Status.SUCCEEDED and not run.plan.segments and not trigger.evaluated(job):
            seen = await self._sources[_SEGMENT_JOB].one(job.key.id)  # a row of a list may leave the counts out
            if isinstance(seen, Observation):
                job = replace(job, facts=job.facts.joined(seen.facts))
        return EvaluationStands(job=job)

    async def _dataset(self, run: Run) -> Seen:
        name = run.plan.dataset
        try:
            if not is_dataset_id(name):
                found, made = await datasets.find_or_create(
                    self._client, name, description=f"Of pipeline {run.pipeline}"
                )
                return DatasetKnown(id=found, made=made)
            dataset = await datasets.get(self._client, name)
        except (NotFound, Refused) as error:
            return Impossible(reason=Reason.DATASET, why=str(error))
        if not dataset.holds_profiles:
            why = f"dataset {name} is not built on the union schema, so no export can write to it"
            return Impossible(reason=Reason.DATASET, why=why)
        return DatasetKnown(id=dataset.id)

    async def _export(self, run: Run, beat: Beat) -> Seen:
        """Order the export, unless one that the platform has started by itself is there, or may come yet."""
        plan, now = run.plan, self._clock.now()
        try:
            body = export_body(plan, run.dataset or _ANY_DATASET)
            request, fingerprint = order_of(body)
        except ValueError as error:
            return Impossible(reason=Reason.SETTINGS, why=str(error))
        not_before = (run.evaluated_at or run.began_at) - _TIMES_APART
        elsewhere = plan.adopt_export == "any"

        def serves(job: Observation | JobState, _: object = None) -> bool:
            is_since = job.created_at is not None and job.created_at >= not_before
            return is_since and adoption.serves(job.facts, request, elsewhere=elsewhere)

        window_ends = run.since + plan.adopt_within
        if plan.adopt_export != "never" and now < window_ends:
            there = [job for job in self._recorder.known(_EXPORT_JOB) if serves(job)]
            if not there:
                left = min(timedelta(seconds=1), window_ends - now)
                return Pending(why="waiting for an export that the platform may start by itself", after=left)
        if not run.dataset:
            return await self._platforms_own(serves)
        if await self._store.order(order_id(run, Step.EXPORT)) is None and (lacking := await self._no_folder(run)):
            return lacking  # an evaluation that began the run was not ours to spend, but the export is
        order = self._wanted(
            run, Step.EXPORT, _EXPORT_JOB, body, fingerprint, not_before=not_before, dataset=run.dataset,
            forced=plan.adopt_export == "never",
        )  # fmt: skip
        adopt: ordering.Adopt = "never" if plan.adopt_export == "never" else "since"
        return OrderStands(order=await self._orderer.place(order, beat, adopt=adopt, serves=serves))

    async def _platforms_own(self, serves: Callable[[Observation], bool]) -> Seen:
        """Find the export that the platform started: the plan names no dataset, so there is none of ours to order."""
        kind = self._sources[_EXPORT_JOB].kind
        page = await self._sources[_EXPORT_JOB].page(kind.list_newest(limit=kind.page_size))
        found = min((job for job in page.rows if serves(job)), key=_born, default=None)
        if found is None:
            why = "the platform started no export of these segments; write dataset = ... to have one ordered"
            return Impossible(reason=Reason.EXPORT, why=why)
        return ExportFound(job_id=found.key.id)

    async def _no_folder(self, run: Run) -> Impossible | None:
        """Return why the files would have no place; None where they have, or none are wanted."""
        why = await asyncio.to_thread(folders.fault, folder_of(run)) if run.plan.download else ""
        return Impossible(reason=Reason.DOWNLOAD, why=f"{folder_of(run)} {why}") if why else None

    async def _exporting(self, run: Run) -> Seen:
        job = await self._known(run, _EXPORT_JOB, run.current_export)
        if job is None:
            return _not_shown(_EXPORT_JOB, run.current_export)
        at = chain.where(job, await self._store.resubmission(job.key))
        if isinstance(at, chain.Arrived) and not job.facts.batches:
            seen = await self._sources[_EXPORT_JOB].one(job.key.id)  # a row of a list may leave them out
            if isinstance(seen, Observation):
                at = chain.Arrived(job=replace(job, facts=job.facts.joined(seen.facts)))
        return ExportStands(at=at)

    async def _check(self, run: Run) -> Seen:
        return BatchesStand(batches=tuple([await self._batch(one) for one in run.batches]))

    async def _batch(self, batch_id: str) -> BatchSeen:
        try:
            batch = await batches.get(self._client, batch_id)
        except NotFound:
            return BatchSeen(id=batch_id, state=BatchState.PENDING, word="not in the catalog yet")
        state = BatchState.READY if batch.is_ready else BatchState.FAILED if batch.has_failed else BatchState.PENDING
        return BatchSeen(
            id=batch_id,
            state=state,
            word=batch.status or "without a status",
            records_written=batch.records_written,
            records_failed=batch.records_failed,
        )

    async def _download(self, run: Run) -> Seen:
        files = size = 0
        folder = folder_of(run)
        try:
            for batch_id in run.batches:
                into = folder / batch_id if len(run.batches) > 1 else folder
                progress = await download.fetch(self._client, batch_id, into)
                files, size = files + progress.files, size + progress.bytes
        except (download.DownloadError, OSError) as error:
            return Trouble(why=f"{folder}: {error}")
        return Downloaded(files=files, bytes=size)

    async def _command(self, run: Run) -> Seen:
        argv = run.plan.command or self._commands.get(run.pipeline, ())
        if not argv and run.id not in self._under_way:
            why = f"the settings name no command for pipeline {run.pipeline} any more"
            return Impossible(reason=Reason.SETTINGS, why=why)
        result = telling.result(run) | {"began_at": run.began_at, "steps": telling.steps(run)}
        if run.plan.download:
            result |= {"folder": str(folder_of(run))}
        start = partial(
            local_command.run, argv, msgspec.json.encode(result),
            {"SEGWATCH_RUN_ID": run.id, "SEGWATCH_PIPELINE": run.pipeline},
            timeout_s=run.plan.command_timeout.total_seconds(),
        )  # fmt: skip
        ended = await self._under_way.ended(run.id, start)
        match ended:
            case CommandEnded(tail=tail):
                return replace(ended, tail=self._client.redactor(tail))
            case Trouble():
                return ended

    def _wanted(
        self, run: Run, step: Step, kind: str, body: Any, fingerprint: str, *, not_before: datetime,
        dataset: str = "", forced: bool = False,
    ) -> Order:  # fmt: skip
        return wanted(
            order_id(run, step), sandbox=run.sandbox, kind=kind, owner=f"pipeline/{run.pipeline}/{run.id}",
            request=msgspec.json.encode(body, order="sorted").decode(), fingerprint=fingerprint,
            segments=run.plan.segments, dataset=dataset, now=self._clock.now(), not_before=not_before, forced=forced,
        )  # fmt: skip

    async def _known(self, run: Run, kind: str, job_id: str) -> JobState | None:
        """Return the job as it was last seen; one that no sweep has brought yet is asked for."""
        key = JobKey(sandbox=run.sandbox, kind=kind, id=job_id)
        await self._recorder.own(key)
        job = await self._recorder.fresh(key)
        if job is None:
            seen = await self._sources[kind].one(job_id)
            if isinstance(seen, Missing):
                return None
            await self._record(seen)
            job = await self._recorder.fresh(key)
        return job


def _not_shown(kind: str, job_id: str) -> Pending:
    return Pending(why=f"the platform does not show {kind} {job_id} yet", after=timedelta(seconds=2))


def _born(job: Observation) -> datetime:
    assert job.created_at is not None  # only such as were created since a time are looked at
    return job.created_at
