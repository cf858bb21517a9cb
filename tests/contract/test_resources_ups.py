"""Schedules, jobs and definitions against the local platform: both dialects, its oddities, its faults."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from emulator_fixtures import DATASET, ORG, OTHER_SEGMENT, SEGMENT, an_export, until
from raw_platform import client_of, raw_platform, reply
from watching import READABLE_QUIRKS, watched

from segwatch.jobs.model import Status
from segwatch.upstream import definitions, export_jobs, schedules, segment_jobs
from segwatch.upstream.errors import BadReply, Fate, NotFound, RateLimited, Refused, Unauthorized, Unavailable
from segwatch.upstream.export_body import EventList, ExportBody, SegmentFilter

DIALECTS = pytest.mark.parametrize("dialect", ["current", "seed"])
FAST = 20_000
DAILY = "0 0 1 * * ?"


async def ids(rows):
    return [one.id async for one in rows]


async def ended(get, client, id_):
    async def final():
        job = await get(client, id_)
        return job if job.status.is_final else None

    return await until(final)


@DIALECTS
async def test_a_schedule_is_made_enabled_moved_disabled_and_deleted(dialect):
    async with watched(dialect=dialect) as (_, client):
        made = await schedules.create(client, name="nightly", cron=DAILY)
        assert (made.name, made.state, made.cron, made.segments) == ("nightly", "inactive", DAILY, ("*",))
        assert (made.type, made.frequency, made.org_id) == ("batch_segmentation", "daily", ORG)
        assert (made.sandbox.name, made.sandbox.is_default) == ("prod", True)
        assert made.created_at == made.updated_at
        assert abs(datetime.now(UTC) - made.created_at) < timedelta(minutes=1)
        await schedules.enable(client, made.id)
        await schedules.set_time(client, made.id, "0 15 10 ? * SUN")
        found = await schedules.get(client, made.id)
        assert (found.is_active, found.cron, found.frequency) == (True, "0 15 10 ? * SUN", "weekly")
        await schedules.disable(client, made.id)
        assert await ids(schedules.list_(client)) == [made.id]
        assert not (await schedules.get(client, made.id)).is_active
        await schedules.delete(client, made.id)
        assert await ids(schedules.list_(client)) == []
        with pytest.raises(NotFound):
            await schedules.get(client, made.id)


@pytest.mark.parametrize("quirk", ["item_offset_start", "absolute_links", "ups_relative_links", "shifting_rows"])
async def test_schedules_are_listed_page_by_page(quirk):
    async with watched() as (platform, client):
        await platform.control("quirks", {"multi_schedules": True, quirk: True})
        made = [(await schedules.create(client, name=f"n{number}", cron=DAILY)).id for number in range(5)]
        assert sorted(await ids(schedules.list_(client, limit=2))) == sorted(made)
        assert sorted(await ids(schedules.list_(client, limit=1, most=3))) == sorted(made[:3])


async def test_a_second_schedule_is_refused_in_the_platforms_words():
    async with watched() as (_, client):
        await schedules.create(client, name="one", cron=DAILY)
        with pytest.raises(Refused, match="A schedule for batch segmentation exists already"):
            await schedules.create(client, name="two", cron=DAILY)


@DIALECTS
async def test_an_evaluation_is_ordered_followed_and_counted(dialect):
    async with watched(dialect=dialect, speed=FAST) as (platform, client):
        made = await segment_jobs.create(client, [SEGMENT, OTHER_SEGMENT])
        assert (made.segments, made.ended_at) == ((SEGMENT, OTHER_SEGMENT), None)
        assert [one.id for one in made.definitions] == [SEGMENT, OTHER_SEGMENT]
        assert made.definitions[0].expression.value == 'homeAddress.country = "NL"'
        assert made.definitions[0].merge_policy_id == "9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd"
        job = await ended(segment_jobs.get, client, made.id)
        assert (job.status, job.errors, job.org_id) == (Status.SUCCEEDED, (), ORG)
        assert job.ended_at > job.created_at
        assert job.metrics.total.took > timedelta()
        assert job.compute_ids.keys() == {"job"}
        assert set(job.metrics.members) == {SEGMENT, OTHER_SEGMENT}
        assert sum(job.metrics.members_by_namespace[SEGMENT].values()) >= job.metrics.members[SEGMENT] > 0
        if dialect == "current":
            assert (job.source, job.metrics.profiles) == ("api", 200)
            assert job.metrics.members_by_status[SEGMENT]["realized"] == job.metrics.members[SEGMENT]
        assert (await segment_jobs.bulk_get(client, [job.id, "no-such-job"])).keys() == {job.id}
        (submission,) = (await platform.ledger())["submissions"]
        assert submission["kind"] == "segment_job"


@DIALECTS
async def test_all_segments_are_evaluated_at_once(dialect):
    async with watched(dialect=dialect, speed=FAST) as (_, client):
        job = await ended(segment_jobs.get, client, (await segment_jobs.create(client, ("*",))).id)
        assert (job.segments, job.definitions) == (("*",), ())
        assert job.metrics.members.keys() == {one async for one in definitions_of(client)}


async def definitions_of(client):
    async for one in definitions.list_(client):
        yield one.id


@DIALECTS
@pytest.mark.parametrize("quirk", [None, *READABLE_QUIRKS])
async def test_jobs_are_listed_page_by_page_and_by_every_filter(dialect, quirk):
    async with watched(dialect=dialect) as (platform, client):
        if quirk:
            await platform.control("quirks", {quirk: True})
        failed = await platform.place("segment_job", ["FAILED", 0], count=3, body=[{"segmentId": SEGMENT}])
        running = await platform.place("segment_job", ["PROCESSING", 600], count=2, body=[{"segmentId": OTHER_SEGMENT}])
        exports = [str(one) for one in await platform.place("export_job", ["SUCCEEDED", 0], count=4, body=an_export())]
        waiting = [str(one) for one in await platform.place("export_job", ["PROCESSING", 600], count=2)]
        assert sorted(await ids(segment_jobs.list_(client, limit=1))) == sorted(failed + running)
        assert sorted(await ids(segment_jobs.list_(client, limit=2, status=Status.FAILED))) == sorted(failed)
        assert sorted(await ids(segment_jobs.list_(client, limit=2, segment=SEGMENT))) == sorted(failed)
        by_status = {"status": "PROCESSING"}
        assert sorted(await ids(segment_jobs.list_(client, limit=1, properties=by_status))) == sorted(running)
        assert await segment_jobs.bulk_get(client, failed) != {}
        assert sorted(await ids(export_jobs.list_(client, limit=1))) == sorted(exports + waiting)
        assert sorted(await ids(export_jobs.list_(client, limit=2, status=Status.SUCCEEDED))) == sorted(exports)
        assert sorted(await ids(export_jobs.list_(client, limit=2, status=Status.PROCESSING))) == sorted(waiting)
        async for job in segment_jobs.list_(client, status=Status.FAILED):
            assert abs(datetime.now(UTC) - job.created_at) < timedelta(minutes=1)
            assert (job.segments, len(job.errors)) == ((SEGMENT,), 1)
        async for job in export_jobs.list_(client, status=Status.SUCCEEDED):
            assert (job.dataset, job.segments, job.per_batch) == (DATASET, (SEGMENT,), False)
            assert len(job.batches) == (0 if quirk == "no_batch_id" else 1)
            assert bool(job.errors) == (quirk == "errors_on_success")


@DIALECTS
@pytest.mark.parametrize("quirk", [None, "object_batches", "extra_fields", "strict_content_type"])
async def test_an_export_with_every_filter_is_ordered_and_followed(dialect, quirk):
    async with watched(dialect=dialect, speed=FAST) as (platform, client):
        await ended(segment_jobs.get, client, (await segment_jobs.create(client, [SEGMENT, OTHER_SEGMENT])).id)
        if quirk:
            await platform.control("quirks", {quirk: True})
        policy = (await definitions.get(client, SEGMENT)).merge_policy_id
        day = datetime(2020, 1, 1, tzinfo=UTC)
        body = ExportBody(
            dataset=DATASET,
            fields=("identityMap", "personalEmail.address"),
            merge_policy=policy,
            merge_policy_version=1,
            segments=(
                SegmentFilter(segment_id=SEGMENT, namespace="ups", statuses=("realized", "existing")),
                SegmentFilter(segment_id=OTHER_SEGMENT, statuses=("realized", "existing")),
            ),
            qualified_from=day,
            qualified_until=day + timedelta(days=36_500),
            ingested_after=day,
            empty_profiles=False,
            events=EventList(fields=("eventType",), ingested_after=day, ingested_until=day + timedelta(days=36_500)),
            per_batch=True,
        )
        made = await export_jobs.create(client, body)
        assert (made.dataset, made.per_batch, made.ended_at) == (DATASET, True, None)
        job = await ended(export_jobs.get, client, made.id)
        assert (job.status, job.errors, job.job_type) == (Status.SUCCEEDED, (), "BATCH")
        assert job.segments == (SEGMENT, OTHER_SEGMENT)
        if quirk != "object_batches":  # an object has room for one of them
            assert [one.segment_id for one in job.batches] == [SEGMENT, OTHER_SEGMENT]
            assert job.batches[0].statuses == ("realized", "existing")
        assert job.metrics.total.ended_at == job.ended_at
        if dialect == "current":
            assert job.metrics.exported > 0
            assert (job.fields, job.merge_policy) == ("identityMap,personalEmail.address", {"id": policy, "version": 1})


@DIALECTS
async def test_jobs_are_cancelled(dialect):
    async with watched(dialect=dialect) as (_, client):
        evaluation = await segment_jobs.create(client, [SEGMENT])
        await segment_jobs.cancel(client, evaluation.id)
        assert (await ended(segment_jobs.get, client, evaluation.id)).status is Status.CANCELLED
        export = await export_jobs.create(client, ExportBody(dataset=DATASET))
        await export_jobs.cancel(client, export.id)
        assert (await ended(export_jobs.get, client, export.id)).status in (Status.FAILED, Status.CANCELLED)


@DIALECTS
async def test_definitions_are_read_in_every_way(dialect):
    async with watched(dialect=dialect) as (platform, client):
        known = [one async for one in definitions.list_(client, limit=3)]
        assert len({one.id for one in known}) == len(known) == 10
        assert await ids(definitions.list_(client, limit=3, batch=False)) == []
        assert len(await ids(definitions.list_(client, limit=4, batch=True, continuous=False))) == 10
        by_name = [one.name async for one in definitions.list_(client, sort="name:asc", limit=1, most=4)]
        assert by_name == sorted(by_name)
        one = await definitions.get(client, SEGMENT)
        assert (one.name, one.expression.value) == ("Lives in the Netherlands", 'homeAddress.country = "NL"')
        assert (one.batch, one.continuous, one.exclude_opt_out) == (True, False, True)
        assert await definitions.bulk_get(client, [SEGMENT, "gone"]) == {SEGMENT: one}
        names = definitions.Names(client, monotonic=asyncio.get_running_loop().time)
        before = sum((await platform.ledger())["requests"].values())
        for _ in range(3):
            told = await names.of([SEGMENT, "*", "gone"])
            assert told == {SEGMENT: one.name, "*": "all segments", "gone": "gone"}
        assert sum((await platform.ledger())["requests"].values()) == before + 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"status": 400}, Refused, id="400"),
        pytest.param({"status": 403}, Unauthorized, id="403"),
        pytest.param({"status": 404}, NotFound, id="404"),
        pytest.param({"status": 429, "headers": {"Retry-After": "7"}}, RateLimited, id="429"),
        pytest.param({"status": 503}, Unavailable, id="503"),
        pytest.param({"garbage": True}, BadReply, id="garbage"),
        pytest.param({"reset": True}, Unavailable, id="reset"),
        pytest.param({"rewrite": {"children": "gone", "segments": "gone", "records": "gone"}}, BadReply, id="no-rows"),
    ],
)
@pytest.mark.parametrize("resource", [schedules, segment_jobs, export_jobs, definitions])
async def test_a_list_that_fails_says_how(resource, fault, error):
    async with watched() as (platform, client):
        await platform.control("faults", {"method": "GET", "path": "/data/*", "fault": fault})
        with pytest.raises(error) as caught:
            await ids(resource.list_(client))
        assert str(caught.value).startswith(f"Sandbox prod: GET {resource.PATH}: ")
        if error is RateLimited:
            assert caught.value.retry_after == timedelta(seconds=7)


async def test_a_token_that_expired_is_renewed_in_the_middle_of_a_list():
    async with watched() as (platform, client):
        await platform.place("export_job", ["SUCCEEDED", 0], count=3)
        expired = {"status": 401, "body": {"error_code": "401013", "message": "Oauth token is not valid"}}
        await platform.control("faults", {"method": "GET", "path": "/data/*", "fault": expired, "times": 1})
        assert len(await ids(export_jobs.list_(client, limit=1))) == 3


@pytest.mark.parametrize(
    ("create", "path"),
    [
        pytest.param(lambda client: segment_jobs.create(client, [SEGMENT]), "segment/jobs", id="evaluation"),
        pytest.param(
            lambda client: export_jobs.create(client, ExportBody(dataset=DATASET)), "export/jobs", id="export"
        ),
    ],
)
async def test_a_job_whose_answer_is_lost_is_sent_once_and_said_to_be_lost(create, path):
    async with watched() as (platform, client):
        order = {"method": "POST", "path": f"/data/core/ups/{path}", "fault": {"accept_then_reset": True}}
        await platform.control("faults", order)
        with pytest.raises(Unavailable) as caught:
            await create(client)
        assert caught.value.fate is Fate.LOST
        assert len((await platform.ledger())["submissions"]) == 1


async def test_a_link_to_another_host_is_not_followed():
    """Nothing but the query of a link is used, so the token stays on the host of the settings."""
    async with raw_platform() as other, raw_platform() as platform, client_of(platform.url) as client:
        link = {"next": {"href": f"{other.url}/data/core/ups/config/schedules?start=1"}}
        platform.script += [
            reply(body={"children": [{"id": "a"}], "_links": link}),
            reply(body={"children": [{"id": "b"}], "_links": {"next": {}}}),
        ]
        assert await ids(schedules.list_(client)) == ["a", "b"]
        assert other.requests == []
        assert len(platform.requests) == 2
