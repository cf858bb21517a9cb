"""docs/reference/events.md lists every event, and its examples are what segwatch sends."""

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from builders import EXPORT_PATH, SEGMENT_PATH, retry_policy

from segwatch.alerts import ending
from segwatch.alerts.book import Book
from segwatch.alerts.effects import subject_of
from segwatch.alerts.grouping import Way
from segwatch.alerts.labels import labels_of
from segwatch.alerts.matching import parse
from segwatch.alerts.notices import FOR_ONE
from segwatch.alerts.silences import Silence
from segwatch.alerts.topics import OF_ALL, TOPICS
from segwatch.cli.samples import sample
from segwatch.decision import Policy, announce, decide
from segwatch.deliveries import digest, digest_times, silence_end
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.health import ChannelHealth, counted, judged
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Accepted, Rejected
from segwatch.jobs import audience, breaker, expiry, firing, flapping, oddness, plausible, reachability, tracker
from segwatch.jobs.audience import Tolerance
from segwatch.jobs.band import Size
from segwatch.jobs.breaker import Failing
from segwatch.jobs.events import Event, EventType, severity_of
from segwatch.jobs.firing import Begun, Timetable, Watched
from segwatch.jobs.flapping import Habit
from segwatch.jobs.model import Facts, JobKey, JobState, Missing, Status
from segwatch.jobs.order import OrderStep, wanted
from segwatch.jobs.resubmission import Refusal, Resubmission, Step
from segwatch.jobs.summary import Past, Tally
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import Asked
from segwatch.kinds.export_job import KIND as EXPORT
from segwatch.kinds.segment_job import KIND as SEGMENT
from segwatch.pipelines import advance
from segwatch.pipelines.chain import Arrived
from segwatch.pipelines.model import Plan, Reason
from segwatch.pipelines.plausibility import BatchSeen, BatchState
from segwatch.pipelines.seen import BatchesStand, DatasetKnown, EvaluationStands, ExportStands, OrderStands

PAGE = (Path(__file__).parents[2] / "docs/reference/events.md").read_text(encoding="utf-8")
PARTS = {part.partition("`")[0]: part for part in re.split(r"^### `", PAGE, flags=re.MULTILINE)[1:]}
BY_CASE = {EventType.RETRY_REFUSED: "by reason", EventType.SILENCE_ENDED: "of the worst that is open"}
BY_CASE |= {EventType.ALERT_RESOLVED: "`info`, or that of the worst event beside"}
BY_CASE |= {
    EventType.ALERT_NOTED: "of the worst of them",
    EventType.ALERT_FIRING: "that of the worst that fires, or of what else the message tells",
}
COMMON = {
    "event_id",
    "sequence",
    "sandbox",
    "kind",
    "job_id",
    "status",
    "previous",
    "severity",
    "reason",
    "late",
    "links",
}


# One night, told by the code that tells it in the daemon


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-05T{clock}+00:00")


def ms(clock: str) -> int:
    return int(at(clock).timestamp() * 1000)


DATASET = "65a1b2c3d4e5f60718293a4b"
BATCH = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
AUDIENCE = "a1b2c3d4-0001-4000-8000-000000000001"
WATCHED = at("01:00:00")
POLICIES = {
    "export_job": Policy(
        watch=Watch(path=EXPORT_PATH, since=WATCHED, overdue_after=timedelta(hours=2)), retry=retry_policy()
    ),
    "segment_job": Policy(watch=Watch(path=SEGMENT_PATH, since=WATCHED, overdue_after=timedelta(hours=2))),
}
EXPORT_RECORD = {
    "id": 24115, "creationTime": ms("02:05:02"), "updateTime": ms("02:05:02"),
    "filter": {"segments": [{"segmentId": AUDIENCE, "segmentNs": "ups", "status": ["realized"]}]},
    "destination": {"datasetId": "65a1b2c3d4e5f60718293a4b", "segmentPerBatch": False},
    "mergePolicy": {"id": "9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd", "version": 1},
    "schema": {"name": "_xdm.context.profile"},
}  # fmt: skip
SEGMENT_RECORD = {
    "id": "6f0c1b52-77aa-4a0e-9d13-0f2b7c6e1a01", "creationTime": ms("02:05:02"), "updateTime": ms("02:05:02"),
    "segments": [{"segmentId": AUDIENCE}],
}  # fmt: skip
TOTAL = {"startTimeInMs": ms("02:05:02"), "endTimeInMs": ms("02:19:48")}
RUN = {"startTimeInMs": ms("02:05:20"), "endTimeInMs": ms("02:19:48")}
EXPORTED = {"totalTime": TOTAL, "profileExportTime": RUN}
ERROR = [{"code": "0090000009", "msg": "Error writing profiles to output path", "callStack": "com.example.Writer"}]


class Job:
    """One job's way through the heart. Each step gives the events that it leads to."""

    def __init__(self, kind, record, **chain):
        self.kind, self.record, self.chain = kind, record, chain
        self.state = None

    def seen(self, status, clock, **rest):
        body = json.dumps(self.record | {"status": status} | rest).encode()
        return self._decided(self.kind.parse_one(body, asked=Asked(sandbox="prod", at=at(clock))), clock)

    def missing(self, clock):
        return self._decided(Missing(key=self.state.key, asked_at=at(clock)), clock)

    def _decided(self, sighting, clock):
        made = decide(self.state, sighting, at(clock), POLICIES[self.kind.name])
        first = self.state is None
        self.state = replace(made.state, **self.chain) if first else made.state
        return made.events


def export(job_id=24115, **chain):
    return Job(EXPORT, EXPORT_RECORD | {"id": job_id}, **chain)


def running(job):
    job.seen("NEW", "02:05:04.120")
    job.seen("PROCESSING", "02:05:20.120")
    return job


def answered(step, **fields):
    failed = running(export())
    failed.seen("FAILED", "02:20:00.120", metrics=EXPORTED, errors=ERROR)
    answer = Resubmission(
        failed=failed.state.key, root="24115", attempt=2, step=step, fingerprint=failed.state.facts.fingerprint,
        request="{}", due_at=at("02:22:00"), since=at("02:22:00"), **fields,
    )  # fmt: skip
    return failed.state, answer


def jobs():
    yield from export().seen("NEW", "02:05:04.120")
    job = export()
    job.seen("NEW", "02:05:04.120")
    yield from job.seen("PROCESSING", "02:05:20.120")
    yield from job.seen("FAILED", "02:20:00.120", metrics=EXPORTED, errors=ERROR)
    cancelled = [{"code": "unknown", "msg": "Job cancelled by user request."}]
    yield from running(export()).seen("FAILED", "02:20:00.120", metrics=EXPORTED, errors=cancelled)
    gone = running(export())
    for minute in (10, 12, 14):
        yield from gone.missing(f"02:{minute}:00.120")
    yield from running(export()).seen("PROCESSING", "04:05:20.120")
    yield from running(export()).seen("PAUSED", "02:20:00.120")
    ended = export()
    ended.seen("NEW", "02:05:04.120")
    ended.seen("SUCCEEDED", "02:09:10.120", metrics={"totalTime": TOTAL | {"endTimeInMs": ms("02:09:09")}})
    yield from ended.seen("NEW", "02:20:00.120", creationTime=ms("02:19:02"))

    job = Job(SEGMENT, SEGMENT_RECORD)
    job.seen("NEW", "02:05:04.120")
    yield from job.seen("QUEUED", "02:05:20.120")
    run = TOTAL | {"startTimeInMs": ms("02:15:49.532")}
    counted = {"totalTime": TOTAL, "profileSegmentationTime": run, "segmentedProfileCounter": {AUDIENCE: 4195}}
    yield from job.seen("SUCCEEDED", "02:20:00.120", metrics=counted)
    yield from running(Job(SEGMENT, SEGMENT_RECORD)).seen("CANCELLING", "02:20:00.120")


def resubmissions():
    for step, fields, said in [
        (Step.SUBMITTED, {"new_id": "24119"}, {}),
        (Step.ADOPTED, {"new_id": "24119"}, {}),
        (
            Step.REFUSED,
            {"reason": Refusal.UNDECIDED.value},
            {"why": "no reply came to the submission, and the platform lists no new export"},
        ),
    ]:
        state, answer = answered(step, **fields)
        yield from announce(state, answer, retry_policy(), at("02:22:00.120"), **said)[1]
    last = running(export(24131, root="24115", attempt=3))
    yield from last.seen("FAILED", "02:20:00.120", metrics=EXPORTED, errors=ERROR)
    yield from running(export(24119, root="24115", attempt=2)).seen("SUCCEEDED", "02:40:00.120", metrics=EXPORTED)
    state = None
    for exports, clock in ((5, "02:20:00.120"), (0, "02:36:00.120")):
        state, event = breaker.turned(
            state, "prod", "export_job", held=exports > 0, failing=Failing(exports=exports, last_at=None),
            window=timedelta(minutes=15), now=at(clock),
        )  # fmt: skip
        yield event


def sandboxes():
    call = "Sandbox prod: GET /data/core/ups/export/jobs:"
    hint = "Check org_id, and that the credential's product profile covers this organization."
    down = (reachability.SandboxCondition.UNREACHABLE, f"{call} 503 Service Unavailable [request 4f2a]")
    out = (reachability.SandboxCondition.UNAUTHORIZED, f"{call} 403 403025 Profile is not valid [request 4f2a]. {hint}")
    for trouble in (down, out):
        state = None
        for (condition, why), clock in (
            (trouble, "02:20:00.120"),
            ((reachability.SandboxCondition.OK, ""), "02:41:07.480"),
        ):
            state, event = reachability.turned(
                state, "prod", condition, why=why, failing_since=at("02:19:22.007"), now=at(clock)
            )
            yield event


def channels():
    health = ChannelHealth(channel="ops")
    for outcome, clock in ((Rejected(reason="http_404: no_service"), "02:20:00"), (Accepted(), "02:41:07")):
        health, events = judged(counted(health, outcome, at(f"{clock}.003")), at(f"{clock}.120"))
        yield from events


def pipelines():
    """One run that succeeds, and one that fails at its check."""
    evaluation = Job(SEGMENT, SEGMENT_RECORD)
    evaluation.seen("NEW", "02:05:04.120")
    evaluation.seen(
        "SUCCEEDED", "02:20:00.120", metrics={"totalTime": TOTAL, "segmentedProfileCounter": {AUDIENCE: 4195}}
    )
    export = Job(EXPORT, EXPORT_RECORD | {"destination": {"datasetId": DATASET, "batchId": BATCH}})
    export.seen("NEW", "02:20:02.120")
    export.seen("SUCCEEDED", "02:41:07.120", metrics={"totalTime": TOTAL, "totalExportedProfileCounter": 4195})
    order = wanted(
        "3f1c/export", sandbox="prod", kind="export_job", owner="pipeline/nightly/3f1c", request="{}", fingerprint="f",
        now=at("02:20:02.120"), not_before=at("02:19:43"),
    )  # fmt: skip
    plan = Plan(after="schedule", segments=(AUDIENCE,), dataset=DATASET)
    for word in ("success", "aborted"):
        turn = advance.triggered("nightly", "prod", plan, evaluation.state, at("02:05:05.120"))
        yield from turn.events
        batch = BatchSeen(
            id=BATCH, word=word, state=BatchState.READY if word == "success" else BatchState.FAILED
        )  # fmt: skip
        for seen, clock in (
            (EvaluationStands(job=evaluation.state), "02:20:01.120"),
            (DatasetKnown(id=DATASET), "02:20:01.320"),
            (OrderStands(order=replace(order, step=OrderStep.PLACED, job_id="24115")), "02:20:02.120"),
            (ExportStands(at=Arrived(job=export.state)), "02:41:08.120"),
            (BatchesStand(batches=(batch,)), "02:41:08.320"),
        ):
            turn = advance.advance(turn.run, seen, at(clock))
            yield from turn.events


def silences():
    """One that ends while something that it was about is still wrong."""
    failed = next(event for event in jobs() if event.type is EventType.JOB_FAILED)
    silence = Silence(
        id="5f0c1d2e", matchers=parse("dataset=65a1b2c3d4e5f60718293a4b"), starts_at=at("01:30:00"),
        ends_at=at("03:30:00"), owner="sam", reason="the reader is being moved", created_at=at("01:30:00"),
    )  # fmt: skip
    yield silence_end.told(silence, {subject_of(failed): failed}, (), (), at("03:30:05.120"))[1]


def alerts():
    """Two exports fail and recover; then something is told that is neither."""

    def of(job_id, audience=AUDIENCE, **chain):
        segments = {"segments": [{"segmentId": audience, "segmentNs": "ups", "status": ["realized"]}]}
        return Job(EXPORT, EXPORT_RECORD | {"id": job_id, "filter": segments}, **chain)

    way = Way(route="r", channel="ops", group_by=("sandbox",))
    book, other = Book((), ()), AUDIENCE.replace("-0001-", "-0002-")
    failed, well = [], []
    for job_id, members_of, second in ((24115, AUDIENCE, 0), (24116, other, 12)):
        failed += running(of(job_id, members_of)).seen(
            "FAILED", f"02:20:{second:02}.120", metrics=EXPORTED, errors=ERROR
        )
        again = running(of(job_id + 4, members_of, root=str(job_id), attempt=2))
        well += again.seen("SUCCEEDED", f"02:40:{second:02}.120", metrics=EXPORTED)
    found = of(24130).seen("NEW", "02:50:00.120")
    for events, clock in ((failed, "02:20:30.120"), (well, "02:40:45.120"), (found, "02:50:30.120")):
        for event in events:
            if event.type is not EventType.JOB_SUCCEEDED:
                book.take(event, words=words_of(event), ways=[way])
        if events is failed:
            yield ending.ended(book.open[subject_of(failed[-1])], ending.Reason.SANDBOX_REMOVED, at("02:30:00.120"))
        yield from (one.event() for one in book.tick(at(clock), lambda labels, now: False))


def detections():
    """What is noticed beside the jobs: in schedules, sizes, what exports wrote, tokens, habits and replies."""
    table = Timetable(id="s1", name="nightly", kind="segment_job", cron="0 0 2 * * ?", is_active=True)
    begun = [Begun(at=at("02:00:04"), schedule_id="s1")]
    state = None
    for seen, clock, jobs_begun in (
        (table, "01:00:00", []), (table, "02:45:07.120", []), (table, "02:51:07.480", begun),
        (replace(table, cron="0 0 4 * * ?"), "03:05:07.480", begun),
    ):  # fmt: skip
        watched = Watched(begun=jobs_begun, since=at("00:00:00"), until=at(clock))
        turned = firing.turned(state, "prod", seen, watched, at(clock), grace=timedelta(minutes=45))
        state = turned.state
        yield from turned.events
    usual = [Size(at=at("02:19:48") - timedelta(days=30 - n), size=4195 + 10 * (n % 5)) for n in range(30)]
    state = None
    for members, clock in ((1200, "02:20:00.120"), (4201, "03:20:00.120")):
        size = Size(at=at(clock), size=members)
        verdict = audience.judge(usual, size, Tolerance())
        job_id = SEGMENT_RECORD["id"]
        turned = audience.turned(state, "prod", AUDIENCE, size, verdict, at(clock), job_id=job_id)
        state = turned.state
        yield from turned.events
    done = running(export())
    done.seen("SUCCEEDED", "02:20:00.120", metrics=EXPORTED | {"totalExportedProfileCounter": 0})
    doubt = plausible.doubt(
        replace(done.state.facts, batches=(BATCH,)), 4195, [], least_change=0.35, least_members=10
    )  # fmt: skip
    yield from tracker.implausible(done.state, at("02:20:05.120"), doubt)[1]
    yield from tracker.plausible(done.state, at("02:20:05.120"))[1]
    state = None
    for ends, clock in ((at("04:00:00"), "02:20:00.120"), (at("23:00:00"), "02:41:00.120")):
        turned = expiry.turned(state, "prod", ends, at(clock), warn_before=timedelta(hours=2))
        state = turned.state
        yield from turned.events
    yield from oddness.reply(None, "prod", "export_job_row", "a row with no status", at("02:20:00.120")).events
    state, habit, subject = None, Habit(times=2, window=timedelta(days=7)), "work/prod/export_job/62cf31e0ab09dd6c"
    for fails, clock in ((True, "01:00:00"), (False, "01:10:00"), (True, "02:00:00"), (False, "02:20:00.120")):
        of = {"sandbox": "prod", "kind": "export_job", "last_job_id": "24115"}
        turned = flapping.heard(state, subject, at(clock), habit, fails=fails, **of)
        state = turned.state
        yield from turned.events
    yield from flapping.reviewed(state, at("02:20:01.120") + timedelta(days=7), habit).events


def digests():
    """What a channel is told the next morning."""
    past = Past()
    past.take(
        JobState(
            key=JobKey(sandbox="prod", kind="segment_job", id=f"before-{n}"), status=Status.SUCCEEDED, word="SUCCEEDED",
            asked_at=at("00:00:00"), discovered_at=at("00:00:00"), since=at("00:00:00"),
            facts=Facts(segments=(AUDIENCE,), profiles={AUDIENCE: 3470 + n}),
        )
        for n in range(3)
    )  # fmt: skip
    tally = Tally(past)
    usual = {"usual_s": 360.0, "p95_s": 420.0, "runs": 9}
    told = (
        replace(one, details=one.details | usual) if one.type is EventType.JOB_SUCCEEDED and one.kind == "segment_job"
        else one
        for one in (*jobs(), *resubmissions(), *pipelines())
    )  # fmt: skip
    tally.take(told)
    now = {
        "active": 1, "overdue": 0, "open_alerts": 0, "alerts": [], "silences": 1,
        "silenced": [{"id": "5f0c1d2e", "matchers": "sandbox=dev", "until": "2026-01-05T18:00:00.000Z"}],
        "dead_letters": 0,
    }  # fmt: skip
    counted = {"sandboxes": ["prod", "dev"], "silent": ["dev"], **tally.figures(), **now}
    yield digest.event_of(
        digest_times.stream_of("team"), 1, "team", counted, since=at("07:00:00") - timedelta(days=1),
        until=at("07:00:00.120"), zone="Europe/Amsterdam", now=at("07:00:00.120"), slot=at("07:00:00"),
    )  # fmt: skip


def produced() -> dict[EventType, Event]:
    """Return the first event of each type; of refusals the one that wakes somebody."""
    first: dict[EventType, Event] = {}
    for story in (jobs, resubmissions, sandboxes, channels, pipelines, alerts, silences, detections, digests):
        for event in story():
            if event.type is not EventType.RETRY_REFUSED or event.reason == Refusal.UNDECIDED:
                first.setdefault(event.type, event)
    return first


def example(type_):
    (block,) = re.findall(r"```json\n(.+)\n```", PARTS[type_.value])
    return json.loads(block)


def test_the_page_lists_every_type_once_and_no_other():
    assert sorted(re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)) == sorted(type_.value for type_ in EventType)


@pytest.mark.parametrize("type_", EventType)
def test_the_changelog_names_every_type_or_its_family(type_):
    changes = (Path(__file__).parents[2] / "CHANGELOG.md").read_text(encoding="utf-8")
    assert any(f"`{name}`" in changes for name in (type_.value, f"{type_.value.partition('.')[0]}.*"))


@pytest.mark.parametrize("type_", EventType)
def test_an_example_has_the_public_form(type_):
    body = example(type_)
    data = body["data"]
    assert list(body) == ["type", "timestamp", "data"]
    assert body["type"] == type_.value
    assert data.keys() >= COMMON
    assert isinstance(data["links"], dict)
    told = re.search(r"^Severity (.+?)\. ", PARTS[type_.value], re.MULTILINE)[1]
    assert told == BY_CASE.get(type_, f"`{severity_of(type_).value}`")
    if type_ not in BY_CASE:
        assert data["severity"] == severity_of(type_).value


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: min(topic.types))
def test_what_is_about_a_thing_has_the_labels_of_its_topic_and_no_other(topic):
    told = [labels_of(event) for event in produced().values() if event.type in topic.types]
    assert {label for labels in told for label, values in labels.items() if values} - OF_ALL == topic.labels


@pytest.mark.parametrize("type_", EventType)
def test_an_example_is_what_really_happens(type_):
    event = produced()[type_]
    payload = event.payload()
    assert example(type_) == payload, f"write: {json.dumps(payload)}"
    message = message_of(event)
    assert message.summary.endswith(".")
    assert "None" not in message.line


def test_the_samples_of_notify_test_are_these_examples():
    shipped = files("segwatch.cli") / "examples.json"
    wanted = {type_.value: {"stream": event.stream} | event.payload() for type_, event in produced().items()}
    if os.environ.get("SEGWATCH_GOLDEN") == "write":
        Path(str(shipped)).write_text(json.dumps(dict(sorted(wanted.items())), indent=1) + "\n", encoding="utf-8")
    assert json.loads(shipped.read_text(encoding="utf-8")) == wanted, "write it with SEGWATCH_GOLDEN=write"


def timeless(line):
    return re.sub(r"(\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d(\.\d{3}Z)?", "then", re.sub(r"\bprod\b", "sample", line))


@pytest.mark.parametrize("type_", EventType)
def test_a_sample_says_what_the_example_says_as_of_now(type_):
    now = datetime(2027, 3, 4, 17, 30, tzinfo=UTC)
    event, then = sample(type_, now), produced()[type_]
    assert (event.type, event.at, event.severity, event.sandbox) == (
        type_,
        now,
        then.severity,
        then.sandbox and "sample",
    )
    whose = {"channel"} if type_ in FOR_ONE else set()  # it is for whichever channel it is tried on
    assert event.details.keys() == then.details.keys() - whose
    said = json.dumps(event.payload() | {"stream": event.stream, "message": message_of(event).line})
    assert not re.search(r"\bprod\b|2026-01-0", said)
    if type_ is not EventType.DIGEST_DAILY:  # whose days have other names by then
        assert timeless(message_of(event).line) == timeless(message_of(then).line)
    assert sample(type_, now).id != event.id


def test_the_fields_of_every_example_are_explained():
    for type_ in EventType:
        for name in example(type_)["data"]:
            assert f"`{name}`" in PAGE or f"`data.{name}`" in PAGE, f"{type_}: {name}"


def test_every_reason_of_a_failed_run_is_explained():
    for reason in Reason:
        assert f"`{reason.value}`" in PARTS["pipeline.failed"]


def test_every_reason_of_a_refusal_is_explained():
    retry = (Path(__file__).parents[2] / "docs/reference/retry.md").read_text(encoding="utf-8")
    for reason in Refusal:
        assert f"| `{reason.value}` |" in retry
        assert f"`{reason.value}`" in PARTS["export.retry_refused"]
