"""`segwatch export`: audiences written to datasets."""

import asyncio
import re
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from segwatch.cli.cancellation import cancelled
from segwatch.cli.following import follow
from segwatch.cli.options import ConfigFile, Json, Limit
from segwatch.cli.ordering import new_order, ordered
from segwatch.cli.output import Exit, ago, fail, lines, show, show_json, show_one, span, timed
from segwatch.cli.patience import Patience
from segwatch.cli.platform import Calling, InSandbox, calling, left_out
from segwatch.cli.readback import read_back, word_of
from segwatch.cli.session import a_time, ledger
from segwatch.jobs.model import JobKey, Observation, Status
from segwatch.jobs.order import Order
from segwatch.kinds.export_order import order_of
from segwatch.upstream import datasets, export_jobs
from segwatch.upstream.export_body import EventList, ExportBody, SegmentFilter
from segwatch.upstream.export_jobs import ExportJob

app = App(name="export")

_DATASET_ID = re.compile(r"[0-9a-f]{24}")
_BATCH_LOOKS, _BATCH_WAIT_S = 3, 1.0  # an export may end a moment before its record names what it wrote


@app.command
async def create(
    *,
    dataset: str,
    segments: Annotated[list[str] | None, Parameter(name="--segment")] = None,
    all_profiles: bool = False,
    fields: str | None = None,
    merge_policy: str = "",
    qualified_from: str | None = None,
    qualified_until: str | None = None,
    ingested_after: str | None = None,
    empty_profiles: bool = False,
    event_fields: str | None = None,
    events_ingested_after: str | None = None,
    events_ingested_until: str | None = None,
    per_segment: bool = False,
    evaluate_first: bool = False,
    wait: bool = False,
    timeout: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Order an export, once: an equal one that runs is not doubled.

    A lost answer is looked for, never sent again. Times without a zone are UTC.

    Example: `segwatch export create --dataset audience-export --segment a1b2c3d4-0001-4000-8000-000000000001 --wait`

    Parameters
    ----------
    dataset
        The dataset to write to: its id, or its name.
    segments
        A segment whose members are exported, as ID, ID:NAMESPACE or ID:NAMESPACE:STATUS,STATUS; may be repeated.
    all_profiles
        Export every profile; needed when no segment is named.
    fields
        The fields to export, as dot paths with commas between them. Without it all of them.
    merge_policy
        How profiles are merged: ID or ID:VERSION.
    qualified_from
        Only members who entered or left a segment at this time or later.
    qualified_until
        Only members who entered or left a segment before this time.
    ingested_after
        Only profiles that changed after this time.
    empty_profiles
        Also profiles that have events alone.
    event_fields
        The fields of events to export beside profiles, as dot paths with commas between them.
    events_ingested_after
        Only events ingested after this time.
    events_ingested_until
        Only events ingested up to this time.
    per_segment
        Write a batch for each segment.
    evaluate_first
        Let the platform evaluate the segments as a part of the export.
    wait
        Wait until it has ended, with a bar; exit code 1 unless it succeeds.
    timeout
        With --wait: give up after so long, such as 4h. The export goes on.
    force
        Order it though an equal one runs, or may have been taken.
    dry_run
        Print the body that would be sent, and send nothing.
    """
    if bool(segments) == all_profiles:
        fail(Exit.USAGE, "name a --segment, or write --all-profiles to export every profile")
    if not dataset.strip():
        fail(Exit.USAGE, "--dataset is empty: write the dataset's id, or its name")
    if not event_fields and (events_ingested_after or events_ingested_until):
        fail(Exit.USAGE, "--events-ingested-after and --events-ingested-until choose events: write --event-fields too")
    patience = Patience.of(timeout, wait=wait)
    policy, _, version = merge_policy.partition(":")
    if version and not version.isdecimal():
        fail(Exit.USAGE, f'--merge-policy is "{merge_policy}": write ID:VERSION, the version a number')
    events = EventList(
        fields=_listed(event_fields, "--event-fields"),
        ingested_after=a_time(events_ingested_after, "--events-ingested-after"),
        ingested_until=a_time(events_ingested_until, "--events-ingested-until"),
    )
    wanted = ExportBody(
        dataset=dataset, fields=_listed(fields, "--fields"), merge_policy=policy,
        merge_policy_version=int(version) if version else None, segments=_segments(segments or ()),
        qualified_from=a_time(qualified_from, "--qualified-from"),
        qualified_until=a_time(qualified_until, "--qualified-until"),
        ingested_after=a_time(ingested_after, "--ingested-after"), empty_profiles=empty_profiles or None,
        events=events if events != EventList() else None, per_batch=per_segment, evaluate_first=evaluate_first,
    )  # fmt: skip
    async with calling(config, sandbox) as platform:
        wanted = msgspec.structs.replace(wanted, dataset=await _dataset_id(platform, dataset))
        document = wanted.document()
        if dry_run:
            return show_json(document, indent=None if as_json else 2)
        request, fingerprint = order_of(document)
        async with ledger(platform.settings) as store:
            order = new_order(
                platform, "export_job", request=request, fingerprint=fingerprint, dataset=wanted.dataset,
                segments=tuple(one.segment_id for one in wanted.segments), forced=force,
            )  # fmt: skip
            order = await ordered(platform, store, order, adopt="never", serves=_none_serves, patience=patience)
            seen = await follow(platform, "export_job", order.job_id, store=store, patience=patience) if wait else None
        job = await read_back(_settled(platform, order.job_id), order)
    job = job or ExportJob(id=order.job_id, word=word_of(seen), dataset=order.dataset, segments=order.segments)
    record = _record(job)
    show_one(record if as_json else timed(record), as_json=as_json)
    if wait and job.word != Status.SUCCEEDED.value:
        raise SystemExit(int(Exit.FAILED))
    return None


@app.command(name="list")
async def list_(
    *,
    status: Annotated[Status | None, Parameter(name="--status", name_transform=str.upper)] = None,
    limit: Limit = 50,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the exports that the platform knows, the newest first.

    Example: `segwatch export list --status FAILED --limit 5`

    Parameters
    ----------
    status
        Only exports in this status.
    """
    async with calling(config, sandbox) as platform:
        rows = export_jobs.list_(platform.client, status=status, most=limit, on_unreadable=left_out)
        found = [job async for job in rows]
    show([_record(job) if as_json else _row(job) for job in found], as_json=as_json, empty="no exports match")


@app.command(name="show")
async def show_(export: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Show one export as the platform tells it now.

    Example: `segwatch export show 24116`

    Parameters
    ----------
    export
        Its id.
    """
    async with calling(config, sandbox) as platform:
        job = await export_jobs.get(platform.client, export)
    whole = _record(job) | {
        "merge_policy": job.merge_policy, "fields": job.fields, "filter": job.filter,
        "additional_fields": job.additional_fields, "per_segment": job.per_batch, "updated_at": job.updated_at,
        "exported_by_namespace": job.metrics.exported_by_namespace,
    }  # fmt: skip
    show_one(whole if as_json else timed(whole), as_json=as_json)


@app.command
async def cancel(export: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """Ask the platform to cancel an export; segwatch does not submit it again then.

    Example: `segwatch export cancel 24116`

    Parameters
    ----------
    export
        Its id.
    """
    async with calling(config, sandbox) as platform:
        ended = await cancelled(platform, JobKey(sandbox=platform.sandbox.name, kind="export_job", id=export))
    show_it = f"`segwatch export show {shlex.quote(export)}`"
    if ended:
        fail(Exit.FAILED, f"export {export} had ended already: it is {ended}; {show_it} tells more")
    if as_json:
        show_json({"id": export, "asked": True})
    else:
        lines([f"the platform was asked to cancel export {export}; {show_it} tells when it ends"])


def _none_serves(row: Observation, order: Order) -> bool:
    return False


async def _settled(platform: Calling, job_id: str) -> ExportJob:
    """Return the export; one that succeeded with its batches, which its record may tell a moment late."""
    job = await export_jobs.get(platform.client, job_id)
    for _ in range(_BATCH_LOOKS):
        if job.status is not Status.SUCCEEDED or job.batches:
            break
        await asyncio.sleep(_BATCH_WAIT_S)
        job = await export_jobs.get(platform.client, job_id)
    return job


async def _dataset_id(platform: Calling, named: str) -> str:
    if _DATASET_ID.fullmatch(named):
        return named
    found = await datasets.find(platform.client, named)
    if found is None:
        create_it = f"`segwatch datasets create {shlex.quote(named)}` makes one"
        fail(Exit.FAILED, f"{platform.sandbox.name}: no dataset for profiles is named {named}; {create_it}")
    return found.id


def _segments(texts: Sequence[str]) -> tuple[SegmentFilter, ...]:
    found = tuple(map(_segment, texts))
    ids = [one.segment_id for one in found]
    if twice := next((one for one in ids if ids.count(one) > 1), None):
        fail(Exit.USAGE, f"--segment {twice} is written more than once: write each segment once")
    return found


def _segment(text: str) -> SegmentFilter:
    if text.endswith(":"):
        fail(
            Exit.USAGE,
            f'--segment is "{text}", with nothing behind the last colon: write what belongs there, or no colon',
        )
    id_, _, rest = text.partition(":")
    namespace, _, statuses = rest.partition(":")
    return SegmentFilter(segment_id=id_, namespace=namespace, statuses=_listed(statuses or None, "--segment"))


def _listed(text: str | None, option: str) -> tuple[str, ...]:
    """Return the parts between commas; ends the command for an empty text, which would mean everything."""
    if text is None:
        return ()
    if not text.strip():
        fail(Exit.USAGE, f"{option} is empty: name what you want, or leave it out")
    return tuple(part.strip() for part in text.split(","))


def _record(job: ExportJob) -> dict[str, Any]:
    return {
        "id": job.id, "status": job.word, "dataset": job.dataset, "segments": list(job.segments),
        "batches": [one.batch_id for one in job.batches], "exported": job.metrics.exported,
        "created_at": job.created_at, "ended_at": job.ended_at, "took_s": _took_s(job.created_at, job.ended_at),
        "errors": [f"{error.code} {error.text}".strip() for error in job.errors],
    }  # fmt: skip


def _took_s(began: datetime | None, ended: datetime | None) -> float | None:
    return max(0.0, (ended - began).total_seconds()) if began and ended else None


def _row(job: ExportJob) -> dict[str, Any]:
    ended, created = job.ended_at, job.created_at
    return {
        "id": job.id, "status": job.word, "age": ago(created),
        "took": span(ended - created) if ended and created else "",
        "dataset": job.dataset, "batches": [one.batch_id for one in job.batches], "exported": job.metrics.exported,
        "error": job.errors[0].text if job.errors and job.status is Status.FAILED else "",
    }  # fmt: skip
