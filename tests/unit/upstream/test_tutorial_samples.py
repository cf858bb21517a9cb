"""Every answer and every body that Adobe's two tutorials "Evaluate and access segment results" print.

tests/fixtures/tutorials holds these samples of Adobe's public documentation, byte for byte as they are printed there:
`newer` knows sandboxes and schedules, `older` knows neither.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from answering import Answering

from segwatch.jobs.model import JobError, Status
from segwatch.kinds.base import Asked, Request
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.kinds.segment_job import KIND as SEGMENT_JOB
from segwatch.upstream import datasets, export_jobs, profiles, schedules, segment_jobs
from segwatch.upstream.export_body import EventList, ExportBody, SegmentFilter
from segwatch.upstream.export_jobs import ExportBatch, ExportJob, ExportMetrics
from segwatch.upstream.profiles import Membership, SegmentMembership
from segwatch.upstream.records import Expression, SandboxInfo, Span
from segwatch.upstream.schedules import Schedule
from segwatch.upstream.segment_jobs import SegmentJob, SegmentMetrics, SegmentRef

FOLDER = Path(__file__).parents[2] / "fixtures/tutorials"
SUMS = dict(reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
SAMPLES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*"))
ORG = "{IMS_ORG}"
SCHEMA = "_xdm.context.profile"
BOTH = pytest.mark.parametrize("tutorial", ["newer", "older"])
FIRST, SECOND = "42f49f2d-edb0-474f-b29d-2799d89cd5a6", "54a20f19-9a0w-293a-9b82-409b1p3v0192"


def sample(name):
    """Return a sample by the end of its name."""
    (path,) = FOLDER.glob(f"{name.replace('/', '/*-')}.*")
    return path.read_bytes()


def ms(number):
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=number)


def span(began, ended=None, took=None):
    return Span(
        started_at=ms(began),
        ended_at=ms(ended) if ended else None,
        took=timedelta(milliseconds=took) if took is not None else None,
    )


def test_the_samples_are_the_bytes_that_were_printed():
    assert set(SUMS) == set(SAMPLES)
    assert {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in SAMPLES} == SUMS
    assert len([name for name in SAMPLES if "/response-" in name]) == 9 + 8
    assert len([name for name in SAMPLES if "/request-" in name]) == 6 + 3


# answers


async def test_the_schedule_that_was_made():
    body = sample("newer/schedule-created")
    made = await schedules.create(Answering(body), name="nightly", cron="0 0 1 * * ?")
    assert made == Schedule(
        id="cd585edf-962d-420d-94ad-3be03e619ac2",
        name="{SCHEDULE_NAME}",
        state="inactive",
        type="batch_segmentation",
        cron="0 0 1 * * ?",
        segments=("*",),
        properties={"segments": ["*"]},
        org_id=ORG,
        sandbox=SandboxInfo(id="e7e17720-c5bb-11e9-aafb-87c71c35cac8", name="prod", type="production", is_default=True),
        created_at=ms(1568267948000),
        updated_at=ms(1568267948000),
        raw=json.loads(body),
    )
    assert not made.is_active


@BOTH
async def test_the_evaluation_that_was_ordered(tutorial):
    body = sample(f"{tutorial}/segment-job-created")
    snapshots = {FIRST: "Canadian1", SECOND: "USA3"} if tutorial == "older" else {}
    made = await segment_jobs.create(Answering(body), [FIRST, SECOND])
    assert made == SegmentJob(
        id="b0f99dde-6d3b-4d92-aa92-28072ded71a0",
        status=Status.PROCESSING,
        word="PROCESSING",
        segments=(FIRST, SECOND),
        definitions=tuple(
            SegmentRef(
                id=one,
                version=1,
                expression=Expression(type="PQL", format="pql/text", value='homeAddress.country = "US"'),
                merge_policy_id="mpid1",
                merge_policy_version=1,
                snapshot_name=snapshots.get(one, ""),
                snapshot_days=1 if snapshots else None,
            )
            for one in (FIRST, SECOND)
        ),
        compute_job_id="1",
        org_id=ORG,
        profile_instance_id="ups",
        created_at=ms(1533581808162),
        updated_at=ms(1533581808162),
        raw=json.loads(body),
    )
    assert made.ended_at is None


@BOTH
async def test_the_evaluation_that_has_ended(tutorial):
    body = sample(f"{tutorial}/segment-job-finished")
    counted = {}
    if tutorial == "newer":
        counts = {
            "ca763983-5572-4ea4-809c-b7dff7e0d79b": 4195,
            "251e3a1f-645c-4444-836b-18e6b668bdf8": 0,
            "3da8bad9-29fb-40e0-b39e-f80322e964de": 0,
            "30230300-ccf1-48ad-8012-c5563a007069": 0,
        }
        spaces = {one: {"email": count} if count else {} for one, count in counts.items()}
        counted = {"members": counts, "members_by_namespace": spaces}
    id_ = "80388706-29fa-40d3-81cf-a297d0224ad9"
    found = await segment_jobs.get(Answering(body), id_)
    assert found == SegmentJob(
        id=id_,
        status=Status.SUCCEEDED,
        word="SUCCEEDED",
        segments=("b560a09a-de85-4a1c-8477-2f3da1d9e86b",),
        definitions=(
            SegmentRef(
                id="b560a09a-de85-4a1c-8477-2f3da1d9e86b",
                version=1,
                expression=Expression(type="PQL", format="pql/json", value='homeAddress.country = "US"'),
                merge_policy_id="0bf16e61-90e9-4204-b8fa-ad250360957b",
                merge_policy_version=1,
                snapshot_days=0 if tutorial == "older" else None,
            ),
        ),
        metrics=SegmentMetrics(
            total=span(1547063631503, 1547063731181, 99678),
            segmentation=span(1547063669001, 1547063720887, 51886),
            **counted,
        ),
        compute_job_id="13377",
        compute_ids={"job": "a7c33b77-3aeb-497f-bc88-807915c57b5f"},
        request_id="prgu92v4VNvsGuuXticcsqX96UXGjXtS",
        model_name=SCHEMA,
        org_id=ORG,
        profile_instance_id="ups",
        created_at=ms(1547063631503),
        updated_at=ms(1547063731181),
        raw=json.loads(body),
    )
    assert found.ended_at == ms(1547063731181)


@BOTH
async def test_the_segments_of_a_profile(tutorial):
    entity = json.loads(sample(f"{tutorial}/segment-membership"))  # an attribute of a profile, not a whole answer
    found = await profiles.get(Answering({"xid": {"entityId": "xid", "entity": entity}}), "xid")
    older = tutorial == "older"

    def membership(namespace, segment, word, at, until, version):
        return SegmentMembership(
            namespace=namespace,
            segment_id=segment,
            status=Membership.LEFT if word == "exited" else Membership.MEMBER,
            word=word,
            qualified_at=datetime.fromisoformat(at),
            valid_until=datetime.fromisoformat(until) if older else None,
            version=version if older else "",
        )

    april, september = "2018-04-26T15:52:25+00:00", "2017-09-26T15:52:25+00:00"
    assert found.memberships == (
        membership("ups", "04a81716-43d6-4e7a-a49c-f1d8b3129ba9", "existing", april, "2019-04-26T15:52:25Z", "15"),
        membership("ups", "53cba6b2-a23b-454a-8069-fc41308f1c0f", "realized", april, "2018-04-27T15:52:25Z", "3"),
        membership("email", "abcd@adobe.com", "exited", september, "2017-12-26T15:52:25Z", "1"),
    )


@BOTH
async def test_the_dataset_that_was_made(tutorial):
    answer = Answering(sample(f"{tutorial}/dataset-created"))
    assert await datasets.create(answer, "Segment Export") == "5b020a27e7040801dedba61b"


SEGMENTS = [
    {"segmentId": "4edc8488-2c35-4f6d-b4c6-9075c68d2df4", "segmentNs": "AAM", "status": ["realized"]},
    {"segmentId": "1rfe8422-334d-12f4-3sd4-12cf6g990g51", "segmentNs": "UPS", "status": ["exited"]},
]


def an_export(body, **changes):
    """Return the export that both tutorials follow, with what differs between its samples."""
    usual = {
        "id": "24115",
        "job_type": "BATCH",
        "dataset": "5cf6bcf79ecc7c14530fe436",
        "per_batch": True,
        "batches": (
            ExportBatch(
                batch_id="da5cfb4de32c4b93a09f7e37fa53ad52",
                segment_id="4edc8488-2c35-4f6d-b4c6-9075c68d2df4",
                namespace="AAM",
                statuses=("realized",),
            ),
            ExportBatch(
                batch_id="df4gssdfb93a09f7e37fa53ad52",
                segment_id="1rfe8422-334d-12f4-3sd4-12cf6g990g51",
                namespace="UPS",
                statuses=("exited",),
            ),
        ),
        "segments": tuple(one["segmentId"] for one in SEGMENTS),
        "filter": {"segments": SEGMENTS},
        "merge_policy": {"id": "0bf16e61-90e9-4204-b8fa-ad250360957b", "version": 1},
        "schema": SCHEMA,
        "org_id": ORG,
        "profile_instance_id": "ups",
        "created_at": ms(1559674261657),
        "updated_at": ms(1559674261868),
        "raw": json.loads(body),
    }
    return ExportJob(**usual | changes)


@BOTH
async def test_the_export_that_was_ordered(tutorial):
    body = sample(f"{tutorial}/export-created")
    found = await export_jobs.create(Answering(body), ExportBody(dataset="5b020a27e7040801dedba61b"))
    assert found == an_export(
        body,
        status=Status.NEW,
        word="NEW",
        request_id="IwkVcD4RupdSmX376OBVORvcvTdA4ypN",
        metrics=ExportMetrics(total=span(1559674261657)),
    )
    assert found.ended_at is None


@BOTH
async def test_the_destination_of_an_export_that_writes_one_batch(tutorial):
    """The tutorials print this member alone, which is no JSON document without braces around it."""
    body = b'{"id": 24115,' + sample(f"{tutorial}/export-destination") + b"}"
    found = await export_jobs.get(Answering(body), "24115")
    assert found.dataset == "5cf6bcf79ecc7c14530fe436"
    assert found.batches == (ExportBatch(batch_id="da5cfb4de32c4b93a09f7e37fa53ad52"),)
    assert not found.per_batch


@BOTH
async def test_the_list_of_exports_and_the_way_to_its_next_page(tutorial):
    body = sample(f"{tutorial}/export-list")
    client = Answering(body, {"records": [], "link": {"next": ""}})
    good, bad = [one async for one in export_jobs.list_(client, limit=2)]
    assert client.asked[1].params == (("limit", "2"), ("offset", "1538573416687_722"))
    raw_good, raw_bad = json.loads(body)["records"]
    segment, failed_segment = "52c26d0d-45f2-47a2-ab30-ed06abc981ff", "7a93d2ff-a220-4bae-9a4e-5f3c35032be3"
    assert good == ExportJob(
        id="726",
        status=Status.SUCCEEDED,
        word="SUCCEEDED",
        job_type="BATCH",
        dataset="5b7c86968f7b6501e21ba9df",
        batches=(ExportBatch(batch_id="da5cfb4de32c4b93a09f7e37fa53ad52"),),
        segments=(segment,),
        filter={"segments": [{"segmentId": segment}]},
        merge_policy={"id": "timestampOrdered-none-mp", "version": 1},
        schema=SCHEMA,
        metrics=ExportMetrics(
            total=span(1538615973895, 1538616233239, 259344),
            exporting=span(1538616067445, 1538616139576, 72131),
            writing=span(1538616195172, 1538616195715, 543),
        ),
        compute_ids={
            "exportJob": "f3058161-7349-4ca9-807d-212cee2c2e94",
            "pushJob": "feaeca05-d137-4605-aa4e-21d19d801fc6",
        },
        request_id="d995479c-8a08-4240-903b-af469c67be1f",
        org_id=ORG,
        profile_instance_id="ups",
        created_at=ms(1538615973895),
        updated_at=ms(1538616233239),
        raw=raw_good,
    )
    assert good.ended_at == ms(1538616233239)
    path = "adl://va7devprofilesnapshot.azuredatalakestore.net/snapshot/722"
    assert bad == ExportJob(
        id="722",
        status=Status.FAILED,
        word="FAILED",
        job_type="BATCH",
        dataset="5bb4c46757920712f924a3eb",
        batches=(),
        segments=(failed_segment,),
        filter={"segments": [{"segmentId": failed_segment}]},
        merge_policy={"id": "7972e3d6-96ea-4ece-9627-cbfd62709c5d", "version": 1},
        schema=SCHEMA,
        metrics=ExportMetrics(
            total=span(1538573416687, 1538573922551, 505864), exporting=span(1538573872211, 1538573918809, 46598)
        ),
        errors=(
            JobError(code="0090000009", text=f"Error writing profiles to output path '{path}'"),
            JobError(code="unknown", text="Job aborted."),
        ),
        compute_ids={"exportJob": "15971e0f-317c-4390-9038-1a0498eb356f"},
        request_id="KbOAsV7HXmdg262lc4yZZhoml27UWXPZ",
        org_id=ORG,
        profile_instance_id="test_xdm_latest_profile_20_e2e_1538573005395",
        created_at=ms(1538573416687),
        updated_at=ms(1538573922551),
        raw=raw_bad,
    )


@BOTH
async def test_the_export_that_has_ended(tutorial):
    body = sample(f"{tutorial}/export-finished")
    found = await export_jobs.get(Answering(body), "24115")
    assert found == an_export(
        body,
        status=Status.SUCCEEDED,
        word="SUCCEEDED",
        request_id="YwMt1H8QbVlGT2pzyxgwFHTwzpMbHrTq",
        compute_ids={
            "exportJob": "305a2e5c-2cf3-4746-9b3d-3c5af0437754",
            "pushJob": "963f275e-91a3-4fa1-8417-d2ca00b16a8a",
        },
        metrics=ExportMetrics(
            total=span(1547053539564, 1547054743929, 1204365),
            exporting=span(1547053667591, 1547053778195, 110604),
            writing=span(1547054660416, 1547054698918, 38502),
        ),
    )
    assert found.ended_at == found.updated_at  # its metrics end before it was created


@BOTH
@pytest.mark.parametrize("name", ["segment-job-created", "segment-job-finished", "export-created", "export-finished"])
def test_the_daemon_reads_the_same_of_each_job(tutorial, name):
    kind, module = (EXPORT, export_jobs) if name.startswith("export") else (SEGMENT_JOB, segment_jobs)
    body = sample(f"{tutorial}/{name}")
    seen = kind.parse_one(body, asked=Asked(sandbox="prod", at=datetime(2026, 1, 5, tzinfo=UTC)))
    read = module.read(json.loads(body))
    assert (seen.key.id, seen.status, seen.word) == (read.id, read.status, read.word)
    assert (seen.created_at, seen.updated_at, seen.ended_at) == (read.created_at, read.updated_at, read.ended_at)
    assert (seen.facts.segments, seen.errors) == (read.segments, read.errors)


@BOTH
def test_the_daemon_reads_the_list_of_exports(tutorial):
    request = Request(method="GET", path=export_jobs.PATH, endpoint=export_jobs.PATH)
    asked = Asked(sandbox="prod", at=datetime(2026, 1, 5, tzinfo=UTC))
    page = EXPORT.parse_page(sample(f"{tutorial}/export-list"), asked=asked, request=request)
    assert [(one.key.id, one.status) for one in page.rows] == [("726", Status.SUCCEEDED), ("722", Status.FAILED)]
    assert page.next.params == (("limit", "2"), ("offset", "1538573416687_722"))


# bodies


def printed(name):
    """Return a body as printed, its members in their order."""
    return json.loads(sample(name), object_pairs_hook=ordered)


def ordered(pairs):
    return list(pairs)


def sent(request):
    """Return a request's body in the same form."""
    return json.loads(json.dumps(request.body), object_pairs_hook=ordered)


def test_the_schedule_is_made_as_printed():
    request = schedules.create_request(name="{SCHEDULE_NAME}", cron="0 0 1 * * ?")
    assert sent(request) == printed("newer/schedule-create")
    assert (request.method, request.path) == ("POST", "/data/core/ups/config/schedules")


def test_the_schedule_is_enabled_and_moved_as_printed():
    enabling = schedules.state_request("cd585edf-962d-420d-94ad-3be03e619ac2", active=True)
    assert sent(enabling) == printed("newer/schedule-enable")
    assert enabling.path == "/data/core/ups/config/schedules/cd585edf-962d-420d-94ad-3be03e619ac2"
    assert enabling.method == "PATCH"  # the samples' curl says POST, the text around them PATCH
    moving = schedules.time_request("cd585edf-962d-420d-94ad-3be03e619ac2", "0 15 10 * * ?")
    assert sent(moving) == printed("newer/schedule-set-time")


@BOTH
def test_two_segments_are_evaluated_as_printed(tutorial):
    assert sent(segment_jobs.create_request([FIRST, SECOND])) == printed(f"{tutorial}/segment-job-create")


@BOTH
def test_the_dataset_is_made_as_printed(tutorial):
    """The older tutorial sends an `aspect` too, which no later document knows."""
    body = printed(f"{tutorial}/dataset-create")
    if tutorial == "older":
        assert body.pop() == ("aspect", "production")
    assert sent(datasets.create_request("Segment Export")) == body


@BOTH
def test_the_export_is_ordered_as_printed(tutorial):
    pacific = datetime.fromisoformat("2018-10-25T13:22:04-07:00")
    body = ExportBody(
        dataset="5b020a27e7040801dedba61b",
        fields=("identities.id", "personalEmail.address"),
        merge_policy="e5bc94de-cd14-4cdf-a2bc-88b6e8cbfac2",
        merge_policy_version=1,
        segments=tuple(
            SegmentFilter(segment_id=one["segmentId"], namespace=one["segmentNs"], statuses=tuple(one["status"]))
            for one in SEGMENTS
        ),
        qualified_from=datetime(2019, 9, 1, tzinfo=UTC),
        qualified_until=datetime(2019, 9, 2, tzinfo=UTC),
        ingested_after=pacific,
        empty_profiles=False if tutorial == "newer" else None,
        events=EventList(
            fields=("environment.browserDetails.name", "environment.browserDetails.version"), ingested_after=pacific
        ),
        per_batch=True,
    )
    assert sent(export_jobs.create_request(body)) == printed(f"{tutorial}/export-create")
