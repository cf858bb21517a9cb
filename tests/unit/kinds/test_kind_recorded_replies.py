"""The kinds against the replies that the tutorials and the documentation print."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from segwatch.jobs.model import JobError, Status
from segwatch.kinds.base import Asked, load_kinds
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.kinds.segment_job import KIND as SEGMENT

FIXTURES = Path(__file__).parents[2] / "fixtures" / "kinds"
NOON = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
ASKED = Asked(sandbox="prod", at=NOON)


def recorded(name):
    return (FIXTURES / f"{name}.json").read_bytes()


def ms(value):
    return datetime.fromtimestamp(value / 1000, tz=UTC)


def test_every_kind_has_recorded_replies():
    assert {kind.name for kind in FIXTURES.iterdir()} == set(load_kinds())


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*/*.json")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_no_row_of_a_recorded_reply_is_lost(path):
    kind = load_kinds()[path.parent.name]
    body = path.read_bytes()
    if "list" in path.stem:
        page = kind.parse_page(body, asked=ASKED, request=kind.list_newest(limit=10))
    elif path.stem == "bulk":
        page = kind.parse_bulk(body, asked=ASKED)
    else:
        rows = (kind.parse_one(body, asked=ASKED),)
        assert rows[0].status is not Status.UNKNOWN
        return
    assert page.unreadable == 0
    assert page.rows
    assert all(row.status is not Status.UNKNOWN and row.key.sandbox == "prod" for row in page.rows)


@pytest.mark.parametrize("name", ["tutorial-created", "older-tutorial-created"])
def test_a_created_segment_job(name):
    seen = SEGMENT.parse_one(recorded(f"segment_job/{name}"), asked=ASKED)
    assert seen.key.id == "b0f99dde-6d3b-4d92-aa92-28072ded71a0"
    assert (seen.status, seen.word, seen.asked_at) == (Status.PROCESSING, "PROCESSING", NOON)
    assert seen.created_at == seen.updated_at == ms(1533581808162)
    assert seen.started_at is seen.ended_at is None
    assert seen.errors == ()
    assert seen.facts.segments == ("42f49f2d-edb0-474f-b29d-2799d89cd5a6", "54a20f19-9a0w-293a-9b82-409b1p3v0192")
    assert seen.facts.profiles == {}


def test_a_finished_segment_job_counts_segments_that_it_does_not_name():
    seen = SEGMENT.parse_one(recorded("segment_job/tutorial-finished"), asked=ASKED)
    assert seen.status is Status.SUCCEEDED
    assert (seen.started_at, seen.ended_at) == (ms(1547063669001), ms(1547063731181))
    assert seen.facts.profiles["ca763983-5572-4ea4-809c-b7dff7e0d79b"] == 4195
    assert len(seen.facts.profiles) == 4
    assert seen.facts.segments == ("b560a09a-de85-4a1c-8477-2f3da1d9e86b",)


def test_a_scheduled_segment_job_names_its_schedule_and_its_batch():
    facts = SEGMENT.parse_one(recorded("segment_job/scheduled-finished"), asked=ASKED).facts
    assert facts.source == "scheduler"
    assert facts.schedule_id == "77e0b0a2-5c55-4b7f-9a3e-2f6f0b8c1d20"
    assert facts.batches == ("5d2f9a10-3b64-4c58-9f0a-6f3f51c2ab77",)
    assert facts.profiles == {"a1b2c3d4-0001-4000-8000-000000000001": 4195}
    assert (facts.request, facts.fingerprint) == ("", "")


def test_a_segment_list_follows_its_link():
    request = SEGMENT.list_newest(limit=2)
    page = SEGMENT.parse_page(recorded("segment_job/list-more-to-come"), asked=ASKED, request=request)
    assert page.next.path == "/data/core/ups/segment/jobs"
    assert dict(page.next.params) == {"sort": "updateTime:desc", "start": "1", "limit": "2", "totalCount": "111"}
    last = SEGMENT.parse_page(recorded("segment_job/list-last-page"), asked=ASKED, request=request)
    assert last.next is None
    assert last.rows[0].facts.segments == ("*",)


@pytest.mark.parametrize("name", ["tutorial-created", "older-tutorial-created"])
def test_a_created_export_with_a_batch_for_each_segment(name):
    seen = EXPORT.parse_one(recorded(f"export_job/{name}"), asked=ASKED)
    assert (seen.key.id, seen.status) == ("24115", Status.NEW)
    assert seen.facts.dataset == "5cf6bcf79ecc7c14530fe436"
    assert seen.facts.batches == ("da5cfb4de32c4b93a09f7e37fa53ad52", "df4gssdfb93a09f7e37fa53ad52")
    assert seen.facts.segments == ("4edc8488-2c35-4f6d-b4c6-9075c68d2df4", "1rfe8422-334d-12f4-3sd4-12cf6g990g51")
    assert seen.facts.fingerprint


def test_a_created_export_with_one_batch():
    facts = EXPORT.parse_one(recorded("export_job/tutorial-created-one-batch"), asked=ASKED).facts
    assert facts.batches == ("da5cfb4de32c4b93a09f7e37fa53ad52",)


@pytest.mark.parametrize("name", ["tutorial-list", "older-tutorial-list"])
def test_an_export_list_with_a_failed_job(name):
    page = EXPORT.parse_page(recorded(f"export_job/{name}"), asked=ASKED, request=EXPORT.list_newest(limit=2))
    good, failed = page.rows
    assert (good.key.id, good.status, good.facts.batches) == (
        "726",
        Status.SUCCEEDED,
        ("da5cfb4de32c4b93a09f7e37fa53ad52",),
    )
    assert (failed.key.id, failed.status, failed.facts.batches) == ("722", Status.FAILED, ())
    assert failed.errors[0].code == "0090000009"
    assert failed.errors[1] == JobError(code="unknown", text="Job aborted.")
    assert failed.ended_at == ms(1538573922551)
    assert failed.facts.fingerprint != good.facts.fingerprint
    assert page.next.path == "/data/core/ups/export/jobs"
    assert dict(page.next.params) == {"limit": "2", "offset": "1538573416687_722"}


def test_an_export_whose_metrics_end_before_it_was_created_ended_when_it_was_last_changed():
    seen = EXPORT.parse_one(recorded("export_job/tutorial-finished"), asked=ASKED)
    assert seen.created_at < seen.ended_at == seen.updated_at


def test_an_end_and_a_last_change_before_the_creation_tell_no_end():
    told = msgspec.json.decode(recorded("export_job/tutorial-finished"))
    record = msgspec.json.encode(told | {"updateTime": told["creationTime"] - 1})
    assert EXPORT.parse_one(record, asked=ASKED).ended_at is None


def test_a_created_and_a_finished_export_of_the_same_order_share_a_fingerprint():
    created = EXPORT.parse_one(recorded("export_job/tutorial-created"), asked=ASKED)
    finished = EXPORT.parse_one(recorded("export_job/tutorial-finished"), asked=ASKED)
    assert created.facts.fingerprint == finished.facts.fingerprint
    assert created.facts.request == finished.facts.request
