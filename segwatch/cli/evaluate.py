"""`segwatch evaluate`: an evaluation on demand."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from segwatch.cli.options import ConfigFile, Json

if TYPE_CHECKING:
    from segwatch.upstream.segment_jobs import SegmentJob


async def evaluate(
    segments: Annotated[list[str] | None, Parameter(name="SEGMENT")] = None,
    /,
    *,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    wait: bool = False,
    timeout: str | None = None,
    force: bool = False,
    anew: bool = False,
    sandbox: Annotated[
        str, Parameter(name="--sandbox", help="The sandbox; needed only where the settings have several.")
    ] = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Evaluate segments now.

    An evaluation that runs already and covers the segments is followed, not doubled. Few are allowed in a day and a
    year: what is left is counted from the store, and the last one is spent only with --force.

    Example: `segwatch evaluate a1b2c3d4-0001-4000-8000-000000000001 --wait`

    Parameters
    ----------
    segments
        Ids of segments, at most 20, as `segwatch segments list` shows them.
    all_
        Evaluate all segments of the sandbox.
    wait
        Wait until it has ended, with a bar; exit code 1 unless it succeeds.
    timeout
        With --wait: give up after so long, such as 4h. The evaluation goes on.
    force
        Spend the last evaluation, or ask for one though none is left by our count.
    anew
        Ask for a new evaluation though one runs that would do.
    """
    # here, so that `segwatch --help` does not wait for them
    import msgspec

    from segwatch.cli.following import follow
    from segwatch.cli.ordering import new_order, ordered
    from segwatch.cli.output import Exit, fail, show_one, timed
    from segwatch.cli.patience import Patience
    from segwatch.cli.platform import calling
    from segwatch.cli.readback import read_back, word_of
    from segwatch.cli.session import ledger
    from segwatch.daemon.clock import SystemClock
    from segwatch.jobs import quota
    from segwatch.jobs.order import OrderStep, evaluation_fingerprint
    from segwatch.jobs.ordering import covers
    from segwatch.jobs.quota import Spend
    from segwatch.upstream import segment_jobs

    if bool(segments) == all_:
        fail(Exit.USAGE, "name the segments to evaluate, or write --all and none of them")
    wanted = tuple(dict.fromkeys(segments or segment_jobs.ALL))
    patience = Patience.of(timeout, wait=wait)
    async with calling(config, sandbox) as platform, ledger(platform.settings) as store:
        request = msgspec.json.encode(segment_jobs.create_request(wanted).body).decode()
        allowance = platform.settings.quota.allowance
        spend = Spend.at(SystemClock().now(), allowance, force=force)
        order = new_order(
            platform, "segment_job", request=request, fingerprint=evaluation_fingerprint(wanted), segments=wanted,
            forced=anew,
        )  # fmt: skip
        order = await ordered(
            platform, store, order, adopt="never" if anew else "active", serves=covers, patience=patience, spend=spend
        )  # fmt: skip
        seen = await follow(platform, "segment_job", order.job_id, store=store, patience=patience) if wait else None
        job = await read_back(segment_jobs.get(platform.client, order.job_id), order)
        used = await store.used(platform.sandbox.name, day=spend.day, year=spend.year)
    job = job or segment_jobs.SegmentJob(id=order.job_id, word=word_of(seen), segments=order.segments)
    adopted = order.step is OrderStep.ADOPTED
    record = _record(job, adopted=adopted, left=quota.left(used, allowance), ended=wait)
    show_one(record if as_json else timed(record), as_json=as_json)
    if wait and job.word != "SUCCEEDED":
        raise SystemExit(int(Exit.FAILED))


def _record(job: "SegmentJob", *, adopted: bool, left: int, ended: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "id": job.id, "status": job.word, "segments": list(job.segments), "created_at": job.created_at,
        "adopted": adopted, "evaluations_left": left,
    }  # fmt: skip
    if not ended:
        return record
    took = job.ended_at - job.created_at if job.ended_at and job.created_at else timedelta()
    return record | {
        "members": job.metrics.members, "members_by_namespace": job.metrics.members_by_namespace,
        "took_s": took.total_seconds(), "errors": [error.text for error in job.errors],
    }  # fmt: skip
