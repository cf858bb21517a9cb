"""Lists, bulk answers and single jobs: what is read, where it goes on, and what is refused."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.model import Status
from segwatch.kinds.base import Asked, Gap, UnreadableReply, load_kinds
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.kinds.segment_job import KIND as SEGMENT

NOON = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
ASKED = Asked(sandbox="prod", at=NOON)
SEGMENT_REQUEST = SEGMENT.list_active(limit=2)[0]
EXPORT_REQUEST = EXPORT.list_newest(limit=2)


def ms(value):
    return datetime.fromtimestamp(value / 1000, UTC)


def row(job_id="a", status="NEW", **rest):
    return {"id": job_id, "status": status, **rest}


def segment_page(*rows, **rest):
    body = json.dumps({"children": list(rows), **rest}).encode()
    return SEGMENT.parse_page(body, asked=ASKED, request=SEGMENT_REQUEST)


def export_page(*rows, **rest):
    return EXPORT.parse_page(json.dumps({"records": list(rows), **rest}).encode(), asked=ASKED, request=EXPORT_REQUEST)


def one(record, kind=SEGMENT):
    return kind.parse_one(json.dumps(record).encode(), asked=ASKED)


def export(**destination):
    return one(row(24115, destination=destination), EXPORT).facts


@pytest.mark.parametrize(
    "href",
    [
        pytest.param("@/segment/jobs?start=1&limit=2&totalCount=9", id="at-sign"),
        pytest.param("/segment/jobs?start=1&limit=2&totalCount=9", id="relative-to-ups"),
        pytest.param("/segment/jobs/?start=1&limit=2&totalCount=9#x", id="slash-and-fragment"),
        pytest.param("/data/core/ups/segment/jobs?start=1&limit=2&totalCount=9", id="relative-to-host"),
        pytest.param("https://platform.adobe.io:443/data/core/ups/segment/jobs?start=1&limit=2&totalCount=9", id="abs"),
        pytest.param("https://evil.example/steal?start=1&limit=2&totalCount=9", id="foreign-host"),
        pytest.param("//[broken?start=1&limit=2&totalCount=9", id="broken"),
    ],
)
def test_a_link_lends_its_parameters_and_nothing_else(href):
    following = segment_page(row(), _links={"next": {"href": href}}).next
    assert (following.method, following.path) == ("GET", "/data/core/ups/segment/jobs")
    assert dict(following.params) == {"status": "NEW", "start": "1", "limit": "2", "totalCount": "9"}


def test_a_link_replaces_the_position_that_was_asked():
    first = export_page(row(), link={"next": "/export/jobs/?limit=2&offset=1_a"}).next
    body = json.dumps({"records": [row()], "link": {"next": "/export/jobs/?limit=2&offset=2_b"}}).encode()
    second = EXPORT.parse_page(body, asked=ASKED, request=first).next
    assert second.params == (("limit", "2"), ("offset", "2_b"))


def test_a_percent_encoded_token_is_decoded_once():
    following = export_page(row(), link={"next": "/export/jobs/?limit=2&offset=1%5Fa%2Fb"}).next
    assert dict(following.params)["offset"] == "1_a/b"


@pytest.mark.parametrize("end", [{}, "", None, "string", {"href": ""}, {"href": None}, {"href": "string"}, [], 0])
@pytest.mark.parametrize("place", ["_links", "link"])
def test_every_way_to_say_that_there_is_no_more(place, end):
    assert segment_page(row(), **{place: {"next": end}}).next is None
    assert export_page(row(), **{place: {"next": end}}).next is None
    assert export_page(row(), **{place: end}).next is None


@pytest.mark.parametrize("value", ["1", 1, 1.0])
def test_a_page_number_in_place_of_a_link_becomes_start(value):
    following = segment_page(row(), _page={"next": value}, _links={"next": {}}).next
    assert dict(following.params) == {"status": "NEW", "limit": "2", "start": "1"}


@pytest.mark.parametrize("value", ["", None, "string", {}, 0, "0", -1])
def test_a_page_number_that_says_nothing_is_the_end(value):
    assert segment_page(row(), _page={"next": value, "totalCount": 900, "pageSize": 1}).next is None


def test_an_empty_page_is_the_last_one():
    assert segment_page(_links={"next": {"href": "@/segment/jobs?start=9"}}).next is None


def test_a_page_that_names_itself_as_the_next_is_the_last_one():
    assert segment_page(row(), _links={"next": {"href": "@/segment/jobs?limit=2&status=NEW"}}).next is None


@pytest.mark.parametrize(
    "bad",
    [None, 7, "x", [], {}, {"id": "b"}, {"status": "NEW"}, {"id": "b", "status": 403}, {"id": "..", "status": "NEW"}],
)
def test_one_bad_row_does_not_lose_the_page(bad):
    page = segment_page(row("a"), bad, row("c"))
    assert [seen.key.id for seen in page.rows] == ["a", "c"]
    assert page.unreadable == 1


def test_the_place_and_the_age_of_a_bad_row_are_kept():
    created = round(NOON.timestamp() * 1000)
    page = export_page(row(1), {"id": 2, "status": None, "creationTime": created}, row(3), 7)
    assert page.gaps == (
        Gap(after=1, created_at=NOON, why="a row with no status"), Gap(after=2, why="a row with no object in it"),
    )  # fmt: skip


def test_rows_that_cannot_be_decoded_do_not_lose_the_page():
    deep = b'{"id":"d","status":"NEW","x":' + b"[" * 900 + b"]" * 900 + b"}"
    huge = b'{"id":1,"status":"NEW","destination":{"datasetId":"d"},"filter":{"x":' + b"9" * 60 + b"}}"
    text = b'{"id":"\xff","status":"NEW"}'
    body = b'{"records":[' + b",".join([deep, huge, text, b'{"id":"ok","status":"NEW"}']) + b"]}"
    page = EXPORT.parse_page(body, asked=ASKED, request=EXPORT_REQUEST)
    assert "ok" in {seen.key.id for seen in page.rows}
    assert len(page.rows) + page.unreadable == 4


def test_a_row_that_shows_twice_is_taken_once():
    assert [seen.status for seen in segment_page(row("a", "SUCCEEDED"), row("a", "NEW")).rows] == [Status.SUCCEEDED]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("succeeded", Status.SUCCEEDED),
        (" Failed ", Status.FAILED),
        ("PAUSED", Status.UNKNOWN),
        ("vanished", Status.UNKNOWN),
    ],
)
def test_a_status_is_read_in_any_case_and_its_word_is_kept(word, status):
    seen = one(row(status=word))
    assert (seen.status, seen.word) == (status, word.strip())


@pytest.mark.parametrize("value", ["", "x", {}, {"exportJob": ""}, None, 7, []])
def test_a_gateway_job_id_may_be_anything(value):
    assert one(row(computeGatewayJobId=value)).key.id == "a"
    assert one(row(24115, computeGatewayJobId=value), EXPORT).key.id == "24115"


@pytest.mark.parametrize(("kind", "path"), [(SEGMENT, "segment"), (EXPORT, "export")])
def test_a_job_tells_where_the_platform_answers_for_it_whatever_its_own_links_say(kind, path):
    record = row("a b/c", _links={"checkStatus": {"href": "https://evil.example.test/jobs/other"}})
    assert one(record, kind).facts.api_path == f"/data/core/ups/{path}/jobs/a%20b%2Fc"


def test_errors_on_a_success_only_warn():
    seen = one(row(7, "SUCCEEDED", errors=[{"code": "1", "msg": "slow"}]), EXPORT)
    assert (seen.status, len(seen.errors)) == (Status.SUCCEEDED, 1)


def test_the_end_of_a_job_comes_from_its_metrics():
    total = {"startTimeInMs": 1765000000000.0, "endTimeInMs": 1.76500077846e12}
    seen = one(row(status="FAILED", metrics={"totalTime": total}, updateTime=1765000999000))
    assert (seen.ended_at - ms(1765000000000)).total_seconds() == pytest.approx(778.46)
    assert seen.end_is_told


@pytest.mark.parametrize(("kind", "key"), [(SEGMENT, "profileSegmentationTime"), (EXPORT, "profileExportTime")])
@pytest.mark.parametrize(
    ("phase", "started"),
    [
        pytest.param({"startTimeInMs": 1765000649532.0}, 1765000649532, id="begun"),
        pytest.param({}, None, id="not-begun"),
        pytest.param(None, None, id="not-told"),
        pytest.param({"startTimeInMs": 1764000000000}, None, id="before-the-job-was-created"),
    ],
)
def test_a_job_starts_when_its_own_phase_does_and_not_with_the_total_time(kind, key, phase, started):
    metrics = {"totalTime": {"startTimeInMs": 1764999990535}, key: phase}
    seen = one(row(7, status="PROCESSING", metrics=metrics, creationTime=1764999990535), kind)
    assert seen.started_at == (started and ms(started))


@pytest.mark.parametrize("metrics", [None, {}, {"totalTime": {}}, {"totalTime": {"endTimeInMs": 0}}, "x", []])
def test_without_metrics_a_job_ended_when_it_last_changed(metrics):
    seen = one(row(status="FAILED", metrics=metrics, updateTime=1765000999000))
    assert seen.ended_at == seen.updated_at is not None
    assert not seen.end_is_told
    assert one(row(status="PROCESSING", metrics=metrics, updateTime=1765000999000)).ended_at is None


def test_finished_metrics_do_not_end_a_running_job():
    assert one(row(status="PROCESSING", metrics={"totalTime": {"endTimeInMs": 1765000999000}})).ended_at is None


def test_a_time_more_than_a_day_ahead_of_our_clock_is_unknown():
    ahead = round(ASKED.at.timestamp() * 1000) + 86_400_001
    assert one(row(creationTime=ahead)).created_at is None
    assert one(row(creationTime=ahead - 1)).created_at is not None


def test_whole_seconds_stand_in_for_a_missing_update_time():
    assert one(row(updateTime=0, updateEpoch=1765000778)).updated_at == datetime.fromtimestamp(1765000778, tz=UTC)


def test_a_dataset_is_found_in_either_spelling():
    assert export(datasetId="d").dataset == export(dataSetId="@/dataSets/d").dataset == "d"
    assert export(datasetId="", dataSetId="d").dataset == "d"


@pytest.mark.parametrize(
    "destination",
    [
        {"batchId": "b"},
        {"batches": [{"batchId": "b"}]},
        {"batches": {"batchId": "b"}},
        {"batchId": "", "batches": [{"batchId": "b"}, {"batchId": ""}, {"batchId": None}, {}, None]},
        {"batchId": "b", "batches": {"batchId": "b", "status": "exited"}},
    ],
)
def test_batches_are_found_in_every_shape(destination):
    assert export(**destination).batches == ("b",)


@pytest.mark.parametrize("destination", [{}, {"batchId": ""}, {"batches": None}, {"batches": {}}, {"batches": []}])
def test_no_batch_is_no_batch(destination):
    assert export(**destination).batches == ()


def test_counters_may_be_floats_and_junk_among_them_is_left_out():
    counters = {"a": 4195.0, "b": None, "c": "x", "d": -1, "e": 0}
    assert one(row(metrics={"segmentedProfileCounter": counters})).facts.profiles == {"a": 4195, "e": 0}
    assert one(row(7, metrics={"totalExportedProfileCounter": 12.0}), EXPORT).facts.exported == 12


@pytest.mark.parametrize("results", [{"a": row("a"), "b": None}, [row("a"), None], {"a": {"status": "NEW"}}])
def test_a_bulk_answer_is_an_object_or_an_array(results):
    page = SEGMENT.parse_bulk(json.dumps({"results": results}).encode(), asked=ASKED)
    assert [(seen.key.id, seen.status) for seen in page.rows] == [("a", Status.NEW)]
    assert page.unreadable == 0


def test_a_bulk_call_names_its_ids():
    request = SEGMENT.bulk_get(["a", "b"])
    assert (request.method, request.path) == ("POST", "/data/core/ups/segment/jobs/bulk-get")
    assert request.body == {"ids": [{"id": "a"}, {"id": "b"}]}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<html>Bad Gateway</html>", id="html"),
        pytest.param(b'{"children": [{"id"', id="truncated"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe{}", id="not-utf8"),
        pytest.param(b"{}", id="other-shape"),
        pytest.param(b'{"error_code":"429050","message":"Too many requests"}', id="gateway-error"),
        pytest.param(b'{"errors":{"403":[{"code":403,"message":"no"}]},"status":403,"title":"t"}', id="service-error"),
        pytest.param(b'{"children": null, "errorMessage": "no"}', id="error-with-null-rows"),
        pytest.param(b'{"children": {"a": 1}}', id="rows-of-another-shape"),
    ],
)
def test_what_is_no_answer_is_refused_with_the_words_that_came(body):
    for parse in (
        lambda: SEGMENT.parse_page(body, asked=ASKED, request=SEGMENT_REQUEST),
        lambda: SEGMENT.parse_bulk(body, asked=ASKED),
        lambda: SEGMENT.parse_one(body, asked=ASKED),
        lambda: EXPORT.parse_page(body, asked=ASKED, request=EXPORT_REQUEST),
    ):
        with pytest.raises(UnreadableReply) as caught:
            parse()
        assert len(str(caught.value)) < 400


def test_an_error_with_200_is_called_one():
    with pytest.raises(UnreadableReply, match=r"an error in place of a job.*Too many requests"):
        SEGMENT.parse_one(b'{"error_code":"429050","message":"Too many requests"}', asked=ASKED)


def test_an_id_cannot_leave_its_place_in_the_path():
    assert SEGMENT.get("../x?y#z/ä").path == "/data/core/ups/segment/jobs/..%2Fx%3Fy%23z%2F%C3%A4"
    assert EXPORT.cancel("24115").path == "/data/core/ups/export/jobs/24115"


def test_the_active_jobs_are_asked_for_by_each_open_status():
    words = [dict(request.params)["status"] for request in SEGMENT.list_active(limit=100)]
    assert words == ["NEW", "QUEUED", "PROCESSING", "CANCELLING"]
    assert EXPORT.list_active(limit=100) == ()


def test_only_exports_are_submitted_again():
    record = row(7, "FAILED", destination={"datasetId": "d"})
    request = EXPORT.submit(one(record, EXPORT).facts.request)
    assert (request.method, request.path) == ("POST", "/data/core/ups/export/jobs")
    assert request.body == {"destination": {"datasetId": "d"}, "schema": {"name": "_xdm.context.profile"}}
    assert EXPORT.submit("") is None
    assert SEGMENT.submit("{}") is None


@given(st.binary(max_size=200))
def test_no_body_raises_anything_but_unreadable(body):
    for kind in load_kinds().values():
        try:
            kind.parse_page(body, asked=ASKED, request=kind.list_newest(limit=1))
        except UnreadableReply:
            continue
