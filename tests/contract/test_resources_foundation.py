"""Datasets, batches, files, profiles and queries of the local platform, in both dialects, and of stranger platforms."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from emulator_fixtures import DATASET, DATASETS, ORG
from raw_platform import client_of, raw_platform, reply
from watching import watched

from segwatch.upstream import batches, datasets, definitions, export_jobs, files, profiles, queries, segment_jobs
from segwatch.upstream.errors import BadReply, Fate, NotFound, NotSendable, Refused, Unavailable, UpstreamError
from segwatch.upstream.export_body import ExportBody
from segwatch.upstream.profiles import Membership
from segwatch.upstream.queries import QueryState

DIALECTS = pytest.mark.parametrize("dialect", ["current", "seed"])
SAM = "sam@example.org"
A_SECOND = timedelta(seconds=1)


@asynccontextmanager
async def answering(*script):
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        yield platform, client


async def all_of(rows):
    return [row async for row in rows]


async def no_sleep(seconds):
    """Wait for nothing: the tests beside this one answer at once."""


# datasets


@DIALECTS
async def test_a_dataset_that_was_made_is_found_by_its_name_and_read_whole(dialect):
    async with watched(dialect=dialect) as (_, client):
        made = await datasets.create(client, "Nightly NL", description="who buys at night")
        got = await datasets.get(client, made)
        assert got == await datasets.find(client, "Nightly NL")
        assert (got.id, got.name, got.description) == (made, "Nightly NL", "who buys at night")
        assert got.holds_profiles
        assert got.schema_content_type == "application/vnd.adobe.xed+json;version=1"
        assert got.table == "nightly_nl"
        assert got.tags["unifiedProfile"] == ("enabled:true",)
        assert got.file_description["containerFormat"] == "parquet"
        assert got.classification == {"dataBehavior": "record", "managedBy": "CUSTOMER"}
        assert got.org_id == ORG
        assert got.created_at == got.updated_at is not None
        assert got.raw["version"] == got.version == "1.0.0"
        assert {one.id for one in await all_of(datasets.list_(client))} == {DATASET, made}


async def test_a_list_of_many_pages_is_read_to_its_end_each_once():
    async with watched() as (_, client):
        made = {await datasets.create(client, f"Number {n}") for n in range(105)}
        assert {one.id for one in await all_of(datasets.list_(client))} == made | {DATASET}
        assert len(await all_of(datasets.list_(client, most=101))) == 101


@DIALECTS
async def test_a_name_is_made_once_however_often_it_is_asked_for(dialect):
    async with watched(dialect=dialect) as (_, client):
        made, is_new = await datasets.find_or_create(client, "Nightly NL")
        assert is_new
        assert await datasets.find_or_create(client, "Nightly NL") == (made, False)
        assert await datasets.find_or_create(client, "Segment Export") == (DATASET, False)


async def test_those_who_ask_for_a_name_at_the_same_time_get_the_same_dataset():
    async with watched() as (_, client):
        found = await asyncio.gather(*(datasets.find_or_create(client, "Nightly NL") for _ in range(4)))
        assert len({made for made, _ in found}) == 1
        assert [is_new for _, is_new in found].count(True) == 1
        assert len([one async for one in datasets.list_(client) if one.name == "Nightly NL"]) == 1


async def test_of_twins_that_another_process_made_meanwhile_the_oldest_is_taken():
    older = {"0": {"name": "N", "schemaRef": {"id": datasets.UNION}, "created": 1}}
    ours = {"1": {"name": "N", "schemaRef": {"id": datasets.UNION}, "created": 2}}
    script = [reply(200, b"{}"), reply(201, b'["@/dataSets/1"]'), reply(200, json.dumps(ours | older).encode())]
    async with answering(*script, reply(200, b"{}")) as (_, client):
        assert await datasets.find_or_create(client, "N") == ("0", False)


@pytest.mark.parametrize("look", [reply(500, b"{}"), reply(429, b""), reply(200, b"garbled")], ids=str)
async def test_a_dataset_that_was_made_is_told_though_the_look_after_it_fails(look):
    async with answering(reply(200, b"{}"), reply(201, b'["@/dataSets/1"]'), look) as (_, client):
        assert await datasets.find_or_create(client, "N") == ("1", True)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: segment_jobs.create(client, "a1b2"),
        lambda client: definitions.bulk_get(client, "a1b2"),
        lambda client: profiles.get(client, "a", fields="person.name"),
        lambda client: profiles.get_many(client, [("email", "a")], fields="person.name"),
        lambda client: export_jobs.create(client, ExportBody(dataset="d", fields="person.name")),
    ],
)
async def test_a_text_in_place_of_several_is_not_sent_letter_by_letter(ask):
    async with answering() as (_, client):
        with pytest.raises(NotSendable, match="letter by letter"):
            await ask(client)


async def test_nobody_has_no_profiles():
    async with answering() as (_, client):
        assert await profiles.get_many(client, []) == {}


async def test_a_look_that_fails_made_nothing():
    async with answering(reply(200, b'{"errors": [{"code": "1"}]}')) as (_, client):
        with pytest.raises(UpstreamError) as caught:
            await datasets.find_or_create(client, "N")
        assert caught.value.fate is not Fate.LOST


@pytest.mark.parametrize("body", [b'{"children": null}', b'{"id": 5, "errors": {}}', b'{"a": {}}'])
async def test_an_answer_without_a_readable_entry_is_no_empty_list(body):
    async with answering(reply(200, body)) as (_, client):
        with pytest.raises(UpstreamError):
            await all_of(datasets.list_(client))


async def test_a_lost_answer_makes_no_second_dataset():
    async with watched() as (platform, client):
        fault = {"method": "POST", "path": f"{DATASETS}*", "fault": {"accept_then_reset": True}, "times": 1}
        await platform.control("faults", fault)
        made, is_new = await datasets.find_or_create(client, "Nightly NL", sleep=no_sleep)
        assert is_new
        assert [one.id for one in await all_of(datasets.list_(client)) if one.name == "Nightly NL"] == [made]


async def test_a_lost_order_that_made_nothing_is_told_and_not_repeated():
    async with watched() as (platform, client):
        await platform.control("faults", {"method": "POST", "path": f"{DATASETS}*", "fault": {"reset": True}})
        with pytest.raises(Unavailable) as caught:
            await datasets.find_or_create(client, "Nightly NL", sleep=no_sleep)
        assert caught.value.fate is Fate.LOST
        assert (await platform.ledger())["requests"][f"POST {DATASETS} 0"] == 1


async def test_a_dataset_of_another_schema_is_not_the_one_to_export_to():
    other = {"name": "Nightly", "schemaRef": {"id": "https://ns.adobe.com/another"}, "created": 1_765_000_000_000}
    late = other | {"schemaRef": {"id": datasets.UNION}, "created": 1_765_000_009_000}
    early = late | {"created": 1_765_000_001_000}
    untold = late | {"created": 0}
    page = {"a": other, "b": late, "c": early, "d": untold, "e": early | {"name": "Nightly 2"}}
    async with answering(reply(body=page), reply(body={})) as (_, client):
        found = await datasets.find(client, "Nightly")
        assert found is not None
        assert found.id == "c"


@pytest.mark.parametrize("reference", ["@/dataSets/65aa", "@/datasets/65aa", "65aa"])
@pytest.mark.parametrize("status", [200, 201])
async def test_the_reference_of_a_new_dataset_is_read_however_it_is_spelt(reference, status):
    async with answering(reply(status, [reference])) as (platform, client):
        assert await datasets.create(client, "Segment Export") == "65aa"
    assert platform.requests[0][2] == (
        b'{"name":"Segment Export","schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile__union",'
        b'"contentType":"application/vnd.adobe.xed+json;version=1"},'
        b'"fileDescription":{"persisted":true,"containerFormat":"parquet","format":"parquet"}}'
    )


@pytest.mark.parametrize("body", [[], {}, {"a": 1}, [""], [None], b""])
async def test_an_answer_without_a_reference_may_have_made_one(body):
    async with answering(reply(201, body)) as (_, client):
        with pytest.raises(BadReply) as caught:
            await datasets.create(client, "Segment Export")
        assert caught.value.fate is Fate.LOST


@pytest.mark.parametrize("id_", ["", ".", "..", "a b"])
async def test_an_id_that_names_another_path_is_never_sent(id_):
    async with answering() as (platform, client):
        with pytest.raises(ValueError, match="write it as the platform shows it"):
            await datasets.get(client, id_)
        assert platform.requests == []


async def test_a_dataset_that_is_unknown_is_not_found_also_where_the_answer_is_empty():
    async with watched() as (_, client):
        with pytest.raises(NotFound):
            await datasets.get(client, "0" * 24)
    async with answering(reply(body={}), reply(body={"a": 1})) as (_, client):
        with pytest.raises(NotFound):
            await datasets.get(client, "a")
        with pytest.raises(BadReply):
            await datasets.get(client, "a")


# batches and files


@DIALECTS
async def test_batches_are_listed_by_what_they_are_and_read_whole(dialect):
    async with watched(dialect=dialect) as (platform, client):
        made = [(await platform.control("batches", {"files": 2, "bytes": 50}))["batch_id"] for _ in range(3)]
        got = await batches.get(client, made[0])
        assert got.is_ready
        assert not got.has_failed
        assert (got.dataset, got.files, got.bytes, got.records_failed, got.errors) == (DATASET, 2, 100, 0, ())
        assert got.created_at is not None
        assert got.ended_at is not None
        assert {one.id for one in await all_of(batches.list_(client, dataset=DATASET))} == set(made)
        assert {one.id for one in await all_of(batches.list_(client, status="success"))} == set(made)
        assert await all_of(batches.list_(client, dataset="0" * 24)) == []
        assert await all_of(batches.list_(client, created_after=got.created_at + timedelta(hours=1))) == []
        assert await all_of(batches.list_(client, created_before=got.created_at - timedelta(hours=1))) == []
        with pytest.raises(NotFound):
            await batches.get(client, "0" * 32)


@pytest.mark.parametrize(
    ("status", "ready", "failed"),
    [("success", True, False), ("SUCCESS", True, False), ("failure", False, True), ("failed", False, True),
     ("processing", False, False), ("staged", False, False), ("", False, False), ("aborted", False, True)],
)  # fmt: skip
async def test_a_batch_is_ready_failed_or_neither(status, ready, failed):
    async with answering(reply(body={"b": {"status": status}})) as (_, client):
        got = await batches.get(client, "b")
        assert (got.is_ready, got.has_failed) == (ready, failed)


async def test_a_batch_tells_its_errors_and_a_sparse_one_nothing():
    told = {
        "errors": [{"code": "106"}, {"code": "0090000009", "description": "No space"}],
        "metrics": {"recordsRead": "5"},
    }
    async with answering(reply(body={"b": told}), reply(body={"b": {}})) as (_, client):
        got = await batches.get(client, "b")
        assert got.errors == ("106", "0090000009: No space")
        assert got.records_read == 5
        assert (await batches.get(client, "b")).raw == {}


@DIALECTS
@pytest.mark.parametrize("quirk", [None, "production_links", "directory_files"])
async def test_the_files_of_a_batch_are_listed_to_their_parts(dialect, quirk):
    async with watched(dialect=dialect) as (platform, client):
        batch = (await platform.control("batches", {"files": 103, "bytes": 50}))["batch_id"]
        if quirk:
            await platform.control("quirks", {quirk: True})
        found = await all_of(files.of_batch(client, batch))
        assert len(found) == (1 if quirk == "directory_files" else 103)
        assert found[0].created_at is not None
        some = found if quirk == "directory_files" else found[:3]
        parts = [part for one in some for part in await all_of(files.parts(client, one.id))]
        assert len(parts) == (103 if quirk == "directory_files" else 3)
        assert parts[0].name == "part-00000.snappy.parquet"
        assert {part.length_bytes for part in parts} == {50}


# profiles


async def evaluated(platform):
    made = (await platform.control("evaluations", {}))["id"]
    await platform.until_status(made, "SUCCEEDED")


@DIALECTS
async def test_a_profile_is_found_by_an_identity_and_tells_its_segments(dialect):
    async with watched(dialect=dialect, speed=1000) as (platform, client):
        await evaluated(platform)
        got = await profiles.get(client, SAM, namespace="email")
        assert got.identities["email"] == (SAM,)
        assert {one.namespace for one in got.memberships} <= {"ups", "aam"}
        assert got.memberships
        assert {one.status for one in got.memberships} <= {Membership.MEMBER, Membership.LEFT}
        assert all(one.qualified_at is not None for one in got.memberships)
        assert (await profiles.get(client, got.xid)).xid == got.xid
        few = await profiles.get(client, SAM, namespace="email", fields=["identityMap"])
        assert set(few.entity) == {"identityMap"}
        assert (await profiles.get(client, SAM, namespace="email", fields=["no.such"])).entity == {}


async def test_several_profiles_are_found_at_once_and_the_unknown_are_absent():
    async with watched() as (_, client):
        (one,) = (await profiles.get_many(client, [("email", SAM), ("email", "nobody@example.org")])).values()
        assert one.identities["email"] == (SAM,)
        (few,) = (await profiles.get_many(client, [("email", SAM)], fields=["identityMap"])).values()
        assert set(few.entity) == {"identityMap"}
        with pytest.raises(NotFound):
            await profiles.get_many(client, [("email", "nobody@example.org")])
        with pytest.raises(ValueError, match="empty"):
            await profiles.get_many(client, [("email", " ")])


async def test_a_profile_that_is_unknown_is_not_found_whichever_way_that_is_said():
    async with watched() as (_, client):
        with pytest.raises(NotFound):
            await profiles.get(client, "nobody@example.org", namespace="email")
    nobody = {"x": {"entityId": "x", "sources": [""], "entity": {}, "lastModifiedAt": "1970-01-01T00:00:00Z"}}
    async with answering(reply(body=nobody), reply(body={}), reply(body=nobody)) as (_, client):
        for fields in ([], [], ["a"]):
            with pytest.raises(NotFound):
                await profiles.get(client, "x", fields=fields)


async def test_memberships_are_read_in_every_dialect():
    held = {
        "UPS": {
            "a": {
                "version": "3",
                "lastQualificationTime": "2018-04-26T15:52:25+00:00",
                "validUntil": "2025-01-01T00:00:00Z",
                "status": "existing",
            },
            "b": {"timestamp": "2018-04-26T15:52:25Z", "status": "Entering"},
            "c": {"status": "exited"},
            "d": {"status": "paused"},
            "e": None,
        },
        "Email": {"f": {"status": "realized"}},
        "broken": 5,
    }  # fmt: skip
    body = {"x": {"entity": {"segmentMembership": held}, "sources": ["1"]}}
    async with answering(reply(body=body)) as (_, client):
        got = await profiles.get(client, "x")
    at = datetime(2018, 4, 26, 15, 52, 25, tzinfo=UTC)
    assert [(one.namespace, one.segment_id, one.status) for one in got.memberships] == [
        ("ups", "a", Membership.MEMBER), ("ups", "b", Membership.MEMBER), ("ups", "c", Membership.LEFT),
        ("ups", "d", Membership.UNKNOWN), ("ups", "e", Membership.UNKNOWN), ("email", "f", Membership.MEMBER),
    ]  # fmt: skip
    assert [one.qualified_at for one in got.memberships[:3]] == [at, at, None]
    assert got.memberships[0].version == "3"
    assert got.memberships[0].valid_until is not None


# queries


@DIALECTS
async def test_a_query_runs_to_its_end_and_counts_its_rows(dialect):
    async with watched(dialect=dialect, speed=1000) as (_, client):
        made = await queries.create(client, "SELECT 1 AS one UNION ALL SELECT 2", name="two rows")
        assert made.database == "prod:all"
        assert made.name == "two rows"
        heard = []
        done = await queries.wait(client, made.id, interval=timedelta(milliseconds=5), heard=heard.append)
        assert done.state is QueryState.SUCCESS
        assert done.row_count == 2
        assert done.sql.startswith("SELECT 1")
        assert heard[-1] == done
        assert done.elapsed is not None
        assert await queries.cancel(client, made.id) is False


async def test_a_query_that_is_wrong_says_why_and_one_that_runs_can_be_ended():
    async with watched() as (_, client):
        wrong = await queries.create(client, "SELECT FROM")
        long = await queries.create(client, "SELECT 1")
        assert await queries.cancel(client, long.id) is True
        done = await queries.wait(client, long.id, interval=timedelta(milliseconds=5))
        assert done.state is QueryState.KILLED
        ended = await queries.wait(client, wrong.id, interval=timedelta(milliseconds=20))
        assert ended.state is QueryState.FAILED
        assert ended.errors[0].type == "USER_ERROR"
        assert ended.errors[0].message
        with pytest.raises(NotFound):
            await queries.get(client, "no-such-query")
        with pytest.raises(ValueError, match="empty"):
            await queries.create(client, " ")


@pytest.mark.parametrize("quirk", [None, "production_links"])
async def test_queries_are_listed_page_by_page(quirk):
    async with watched() as (platform, client):
        if quirk:
            await platform.control("quirks", {quirk: True})
        made = [(await queries.create(client, "SELECT 1")).id for _ in range(5)]
        assert [one.id for one in await all_of(queries.list_(client, limit=2))] == made[::-1]
        assert [one.id for one in await all_of(queries.list_(client, limit=2, most=3))] == made[:1:-1]


async def test_a_look_at_a_query_that_fails_is_repeated_but_not_for_ever():
    done = reply(body={"id": "q", "state": "success", "rowCount": "7"})
    slow = reply(429, {}, Retry_After="3")
    waited = []

    async def note(seconds):
        waited.append(seconds)

    async with answering(reply(503), slow, reply(body={"id": "q", "state": "ODD"}), done) as (_, client):
        got = await queries.wait(client, "q", interval=A_SECOND, sleep=note)
        assert got.row_count == 7
        assert waited == [1, 3, 1]
    async with answering(*[reply(503)] * 5) as (_, client):
        with pytest.raises(Unavailable):
            await queries.wait(client, "q", interval=A_SECOND, sleep=note)
    async with answering(reply(409), reply(400)) as (_, client):
        assert await queries.cancel(client, "q") is False
        with pytest.raises(Refused):
            await queries.cancel(client, "q")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda client: datasets.get(client, "a"), id="dataset"),
        pytest.param(lambda client: all_of(datasets.list_(client)), id="datasets"),
        pytest.param(lambda client: batches.get(client, "a"), id="batch"),
        pytest.param(lambda client: all_of(files.of_batch(client, "a")), id="files"),
        pytest.param(lambda client: all_of(files.parts(client, "a")), id="parts"),
        pytest.param(lambda client: profiles.get(client, "a"), id="profile"),
        pytest.param(lambda client: profiles.get_many(client, [("a", "a")]), id="profiles"),
        pytest.param(lambda client: queries.get(client, "a"), id="query"),
        pytest.param(lambda client: all_of(queries.list_(client)), id="queries"),
    ],
)
@pytest.mark.parametrize("body", [b"[]", b"<html>", b"", {"status": 500, "title": "InternalServerError"}, b'"a"'])
async def test_what_is_no_answer_of_this_api_is_told_as_such(call, body):
    async with answering(reply(body=body)) as (_, client):
        with pytest.raises(UpstreamError):
            await call(client)
