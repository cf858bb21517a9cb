"""Client and kinds against the local platform: both dialects, its oddities, its faults, its tokens."""

import asyncio
from datetime import timedelta

import pytest
from emulator_fixtures import DATASET, EXPORT_JOBS, SEGMENT, SEGMENT_JOBS, an_export
from raw_platform import NOON
from watching import READABLE_QUIRKS, watched

from segwatch.jobs.model import Status
from segwatch.kinds.base import Asked, Request, UnreadableReply
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.kinds.segment_job import KIND as SEGMENT_JOB
from segwatch.upstream.errors import BadReply, Fate, NotFound, RateLimited, Refused, Unavailable, UpstreamError
from segwatch.upstream.wire import Timeouts

ASKED = Asked(sandbox="prod", at=NOON)
EVALUATE = Request(method="POST", path=SEGMENT_JOBS, endpoint=SEGMENT_JOBS, body=[{"segmentId": SEGMENT}])
ORDER = Request(method="POST", path=EXPORT_JOBS, endpoint=EXPORT_JOBS, body=an_export())
SHORT = Timeouts(connect=timedelta(seconds=0.3), read=timedelta(seconds=0.3), total=timedelta(seconds=0.6))


async def pages(client, kind, request):
    found = []
    while request is not None:
        page = kind.parse_page((await client.call(request)).body, asked=ASKED, request=request)
        assert page.unreadable == 0
        found += page.rows
        request = page.next
    return found


async def submissions(platform):
    return (await platform.ledger())["submissions"]


@pytest.mark.parametrize("dialect", ["current", "seed"])
async def test_a_submitted_job_is_read_back_in_every_way(dialect):
    async with watched(dialect=dialect) as (_, client):
        made = SEGMENT_JOB.parse_one((await client.call(EVALUATE)).body, asked=ASKED)
        assert made.status in (Status.NEW, Status.PROCESSING)
        assert made.facts.segments == (SEGMENT,)
        got = SEGMENT_JOB.parse_one((await client.call(SEGMENT_JOB.get(made.key.id))).body, asked=ASKED)
        bulk = SEGMENT_JOB.parse_bulk((await client.call(SEGMENT_JOB.bulk_get([made.key.id, "no"]))).body, asked=ASKED)
        listed = await pages(client, SEGMENT_JOB, SEGMENT_JOB.list_newest(limit=10))
        assert {got.key, *(row.key for row in bulk.rows), *(row.key for row in listed)} == {made.key}
        await client.call(SEGMENT_JOB.cancel(made.key.id))


@pytest.mark.parametrize("dialect", ["current", "seed"])
async def test_an_export_that_is_submitted_again_has_the_same_fingerprint(dialect):
    async with watched(dialect=dialect) as (_, client):
        first = EXPORT.parse_one((await client.call(ORDER)).body, asked=ASKED)
        assert first.facts.dataset == DATASET
        again = EXPORT.parse_one((await client.call(EXPORT.submit(first.facts.request))).body, asked=ASKED)
        assert again.key != first.key
        assert again.facts.fingerprint == first.facts.fingerprint != ""
        rows = await pages(client, EXPORT, EXPORT.list_newest(limit=1))
        assert [row.key for row in rows] == [again.key, first.key]
        assert {row.facts.fingerprint for row in rows} == {first.facts.fingerprint}


@pytest.mark.parametrize("dialect", ["current", "seed"])
@pytest.mark.parametrize("quirk", [None, *READABLE_QUIRKS])
async def test_every_job_is_found_page_by_page(dialect, quirk):
    async with watched(dialect=dialect) as (platform, client):
        if quirk:
            await platform.control("quirks", {quirk: True})
        ended = {"kind": "segment_job", "count": 5, "script": [["SUCCEEDED", 0]]}
        running = {"kind": "segment_job", "count": 4, "script": [["PROCESSING", 600], ["SUCCEEDED", 0]]}
        segments = {str(one) for order in (ended, running) for one in (await platform.control("jobs", order))["ids"]}
        exports = {
            str(one)
            for order in (
                {"kind": "export_job", "count": 3, "script": [["SUCCEEDED", 0]], "body": an_export()},
                {"kind": "export_job", "count": 2, "script": [["FAILED", 0]]},
                {"kind": "export_job", "count": 2, "script": [["PAUSED", 600], ["SUCCEEDED", 0]]},
            )
            for one in (await platform.control("jobs", order))["ids"]
        }
        assert {row.key.id for row in await pages(client, SEGMENT_JOB, SEGMENT_JOB.list_newest(limit=2))} == segments
        assert {row.key.id for row in await pages(client, EXPORT, EXPORT.list_newest(limit=2))} == exports
        active = [row for one in SEGMENT_JOB.list_active(limit=3) for row in await pages(client, SEGMENT_JOB, one)]
        assert {row.status for row in active} == {Status.PROCESSING}
        assert len({row.key for row in active}) == 4


async def test_a_list_without_links_ends_after_its_first_page():
    async with watched() as (platform, client):
        await platform.control("quirks", {"no_links": True})
        await platform.control("jobs", {"kind": "export_job", "count": 3})
        assert len(await pages(client, EXPORT, EXPORT.list_newest(limit=2))) == 2


async def test_an_error_in_the_clothes_of_a_success_is_no_job():
    async with watched() as (platform, client):
        await platform.control("quirks", {"error_envelope_200": True})
        with pytest.raises((BadReply, UnreadableReply)):
            SEGMENT_JOB.parse_page(
                (await client.call(SEGMENT_JOB.list_newest(limit=2))).body,
                asked=ASKED,
                request=SEGMENT_JOB.list_newest(limit=2),
            )


@pytest.mark.parametrize(
    ("fault", "kind", "fate", "taken"),
    [
        pytest.param({"reset": True}, Unavailable, Fate.LOST, 0, id="reset"),
        pytest.param({"accept_then_reset": True}, Unavailable, Fate.LOST, 1, id="accept-then-reset"),
        pytest.param({"truncate": 100}, UpstreamError, Fate.LOST, 1, id="truncate"),
        pytest.param({"garbage": True}, UpstreamError, Fate.LOST, None, id="garbage"),
        pytest.param({"slow_bytes_per_s": 1}, Unavailable, Fate.LOST, 1, id="slow"),
        pytest.param({"delay_s": 30}, Unavailable, Fate.LOST, None, id="delay"),
        pytest.param({"status": 503}, Unavailable, Fate.ANSWERED, 0, id="503"),
        pytest.param({"status": 504}, Unavailable, Fate.LOST, 0, id="504"),
        pytest.param({"status": 400}, Refused, Fate.ANSWERED, 0, id="400"),
        pytest.param({"status": 429}, RateLimited, Fate.ANSWERED, 0, id="429"),
    ],
)
async def test_a_submission_that_fails_is_sent_once_and_says_what_became_of_it(fault, kind, fate, taken):
    async with watched(timeouts=SHORT) as (platform, client):
        await platform.control("faults", {"method": "POST", "path": f"{EXPORT_JOBS}*", "fault": fault})
        with pytest.raises(kind) as caught:
            await client.call(ORDER)
        assert caught.value.fate is fate
        async with asyncio.timeout(10):
            # whoever gave up first on a busy machine did so before the platform had come to it
            while taken and not await submissions(platform):  # noqa: ASYNC110 - nobody sets an event for it
                await asyncio.sleep(0.01)
        made = await submissions(platform)
        assert len(made) <= 1
        if taken is not None:
            assert len(made) == taken


async def test_a_vanished_job_is_not_found():
    async with watched() as (_, client):
        with pytest.raises(NotFound) as caught:
            await client.call(SEGMENT_JOB.get("no-such-job"))
        assert caught.value.fate is Fate.ANSWERED


async def test_expired_tokens_are_renewed_without_anybody_noticing():
    async with watched() as (platform, client):
        await client.call(EXPORT.list_newest(limit=2))
        await platform.control("tokens/expire")
        await asyncio.gather(*(client.call(EXPORT.list_newest(limit=2)) for _ in range(10)))
        await client.call(ORDER)
        assert len(await submissions(platform)) == 1


async def test_a_storm_of_rejections_costs_few_tokens():
    async with watched() as (platform, client):
        await client.call(EXPORT.list_newest(limit=2))
        before = (await platform.ledger())["tokens_issued"]
        await platform.control("faults", {"path": f"{EXPORT_JOBS}*", "fault": {"status": 401}})
        outcomes = await asyncio.gather(
            *(client.call(EXPORT.list_newest(limit=2)) for _ in range(30)), return_exceptions=True
        )
        assert all(isinstance(one, UpstreamError) for one in outcomes)
        assert (await platform.ledger())["tokens_issued"] - before <= 2


async def test_wrong_credentials_are_told_without_showing_them():
    async with watched(client_id="another", client_secret="another") as (_, client):
        with pytest.raises(UpstreamError) as caught:
            await client.call(EXPORT.list_newest(limit=2))
        assert "Check client_id" in str(caught.value)
        assert caught.value.fate is Fate.NOT_SENT
        assert "0001" not in str(caught.value)
