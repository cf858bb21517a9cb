"""What a channel may see, by its routes."""

import pytest
from alert_builders import event
from hypothesis import given
from hypothesis import strategies as st

from segwatch.alerts.effects import effects_of
from segwatch.alerts.folding import fold
from segwatch.alerts.matching import Condition, parse
from segwatch.alerts.model import Words
from segwatch.alerts.topics import JOBS, PIPELINES, TOPICS
from segwatch.deliveries.routing import Route, channels_for
from segwatch.deliveries.scope import scope_of
from segwatch.jobs.events import EventType, Severity

SANDBOXES, KINDS = ("prod", "dev"), ("export_job", "segment_job")
PIPES = (("prod", "nightly"), ("dev", "trial"))


def route(*channels, matchers="", **fields):
    condition = Condition(match=fields.pop("match", {}), matchers=parse(matchers) if matchers else ())
    return Route(channels=channels or ("team",), condition=condition, **fields)


def scope(*routes, only=()):
    return scope_of("team", routes, watched=SANDBOXES, kinds=KINDS, pipelines=PIPES, only=only)


def covers(*routes, only=(), sandbox="prod", kind="export_job", **more):
    labels = {"sandbox": (sandbox,), "kind": (kind,), "segment": (), "dataset": (), "job_id": ("1",)}
    return scope(*routes, only=only).covers_job(labels | {name: (value,) for name, value in more.items()})


def alert(type_, **fields):
    opening = event(type_, **fields)
    return fold(None, effects_of(opening)[0], opening, Words(title="something is wrong"))


def about_a_channel(name="ops"):
    of = {"stream": f"channel/{name}", "sandbox": "", "kind": "", "job_id": "", "details": {"channel": name}}
    return alert(EventType.CHANNEL_FAILING, **of)


def run(sandbox="prod", pipeline="nightly", type_=EventType.PIPELINE_FAILED):
    return event(type_, sandbox=sandbox, kind="", job_id="", details={"pipeline": pipeline})


def test_without_a_route_nothing_is_kept_back():
    for one in (scope(), scope(route("others", match={"sandbox": "dev"}))):
        assert one.covers_event(event(EventType.JOB_FAILED))
        assert one.covers_event(run())
        assert one.covers_alert(about_a_channel())
        assert one.covers_silence(parse("channel=ops"))
        assert (one.sandboxes, one.kinds, one.pipelines) == (SANDBOXES, KINDS, PIPES)


@pytest.mark.parametrize(
    ("fields", "of", "expected"),
    [
        pytest.param({"match": {"sandbox": "prod"}}, {}, True, id="its-sandbox"),
        pytest.param({"match": {"sandbox": "prod"}}, {"sandbox": "dev"}, False, id="another-sandbox"),
        pytest.param({"matchers": 'sandbox!~"dev.*"'}, {"sandbox": "dev-2"}, False, id="not-that-one"),
        pytest.param({"match": {"kind": ["segment_job"]}}, {}, False, id="another-kind"),
        pytest.param({"match": {"dataset": "d1"}}, {"dataset": "d1"}, True, id="its-dataset"),
        pytest.param({"match": {"dataset": "d1"}}, {"dataset": "d2"}, False, id="another-dataset"),
        pytest.param({"match": {"segment": "nl"}}, {}, False, id="no-segment-of-its-own"),
        pytest.param({"match": {"type": "job.failed", "status": "FAILED"}}, {}, True, id="when-not-of-what"),
        pytest.param({"min_severity": Severity.CRITICAL, "matchers": "late=true"}, {}, True, id="nor-how-bad"),
        pytest.param(
            {"match": {"type": ["channel.failing", "export.retry_refused"]}}, {}, True, id="one-type-of-a-job"
        ),
    ],
)
def test_a_route_shows_the_jobs_that_it_could_tell_of(fields, of, expected):
    assert covers(route(**fields), **of) is expected


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"match": {"type": ["channel.failing", "credential.expiring"]}}, id="types-of-no-job"),
        pytest.param({"match": {"type": "export.retries_held"}}, id="of-a-sandbox-s-exports"),
        pytest.param({"matchers": 'type=~"(schedule|audience|pipeline).*"'}, id="a-pattern"),
        pytest.param({"match": {"pipeline": "nightly"}}, id="pipeline"),
        pytest.param({"matchers": 'pipeline!=""'}, id="any-pipeline"),
        pytest.param({"match": {"schedule": "s1"}}, id="schedule"),
        pytest.param({"match": {"channel": "ops"}}, id="channel"),
        pytest.param({"match": {"alert": "sandbox/prod"}}, id="alert"),
        pytest.param({"matchers": 'alert=~"work/prod/.*"'}, id="one-alert"),
    ],
)
def test_what_asks_for_what_no_job_has_shows_no_job(fields):
    one = scope(route(**fields))
    assert not covers(route(**fields))
    assert (one.streams, one.kinds) == ((), ())


def test_what_excludes_things_that_no_job_has_shows_jobs():
    assert covers(route(matchers='pipeline!=nightly,channel="",alert!="sandbox/prod"'))


def test_pipelines_are_seen_by_whom_a_route_tells_of_their_runs():
    nightly = scope(route(match={"pipeline": "nightly"}))
    assert (nightly.covers_event(run()), nightly.covers_event(run("dev", "trial"))) == (True, False)
    assert (nightly.pipelines, nightly.sandboxes) == ((("prod", "nightly"),), ("prod",))
    assert scope(route(match={"sandbox": "dev"})).pipelines == (("dev", "trial"),)
    assert scope(route(match={"kind": "export_job"})).pipelines == ()
    assert scope(route(match={"type": "job.failed"})).pipelines == ()
    assert scope(only=["dev"]).pipelines == (("dev", "trial"),)


def test_alerts_are_seen_by_whom_a_route_could_tell_of_them():
    ours, failure = about_a_channel(), alert(EventType.JOB_FAILED)
    for one, of_channel, of_job in (
        (scope(route()), True, True),
        (scope(route(match={"sandbox": "prod"})), False, True),
        (scope(route(match={"type": "channel.failing"})), True, False),
        (scope(route(match={"type": "job.succeeded"})), False, True),
        (scope(route(match={"alert": "channel/ops"})), True, False),
        (scope(only=["prod"]), False, True),
        (scope(only=["dev"]), False, False),
    ):
        assert (one.covers_alert(ours), one.covers_alert(failure)) == (of_channel, of_job)


@pytest.mark.parametrize(
    ("fields", "silence", "expected"),
    [
        pytest.param({"match": {"sandbox": "prod"}}, "sandbox=prod", True, id="its-sandbox"),
        pytest.param({"match": {"sandbox": "prod"}}, "sandbox=dev", False, id="another-sandbox"),
        pytest.param({"match": {"sandbox": "prod"}}, "kind=export_job", True, id="in-any-sandbox"),
        pytest.param({"match": {"kind": "segment_job"}}, "kind=export_job", False, id="another-kind"),
        pytest.param({"match": {"kind": "segment_job"}}, "pipeline=nightly", False, id="a-pipeline-to-who-sees-jobs"),
        pytest.param({"match": {"type": "channel.failing"}}, "sandbox=prod", False, id="jobs-to-who-sees-channels"),
        pytest.param({"match": {"type": "channel.failing"}}, "channel=ops", True, id="a-channel"),
        pytest.param({"match": {"type": "job.failed"}}, "type=job.overdue", False, id="another-type"),
        pytest.param({"match": {"sandbox": "prod"}}, 'sandbox=~"d.*"', False, id="a-pattern"),
    ],
)
def test_silences_are_seen_by_whom_they_keep_something_from(fields, silence, expected):
    assert scope(route(**fields)).covers_silence(parse(silence)) is expected


def test_what_another_route_takes_for_itself_is_not_seen():
    first = route("others", match={"sandbox": "prod"}, continues=False)
    assert not covers(first, route())
    assert covers(first, route(), sandbox="dev")
    assert scope(first, route()).sandboxes == ("dev",)
    assert not scope(first, route()).covers_silence(parse("sandbox=prod"))
    some = route("others", match={"sandbox": "prod", "type": "job.failed"}, continues=False)
    assert covers(some, route()), "it takes the failures only"
    assert not covers(some, route(match={"type": "job.failed"})), "and leaves nothing of these"


def test_what_several_routes_take_kind_by_kind_leaves_nothing_of_a_sandbox():
    taken = [route("others", match={"sandbox": "prod", "kind": kind}, continues=False) for kind in KINDS]
    pipelines = route("others", match={"type": [one.value for one in EventType if one.value in PIPELINES.types]},
                      continues=False)  # fmt: skip
    assert scope(*taken, route()).streams == (("dev", "export_job"), ("dev", "segment_job"))
    assert scope(*taken, pipelines, route()).sandboxes == ("dev",)


def test_a_default_route_shows_what_no_other_route_takes():
    default = route(default=True)
    assert not covers(route("others", match={"sandbox": "prod"}), default)
    assert covers(route("others", match={"sandbox": "prod"}), default, sandbox="dev")
    assert scope(route("others", match={"sandbox": "prod"}), default).sandboxes == ("dev",)
    assert covers(route("others", match={"sandbox": "prod"}, min_severity=Severity.CRITICAL), default)


def test_sandboxes_narrow_what_routes_show():
    assert covers(route(), only=["prod"])
    assert not covers(route(), only=["dev"])
    assert not covers(only=["dev"])
    assert scope(route(match={"sandbox": ["prod", "dev"]}), only=["dev"]).sandboxes == ("dev",)
    assert scope(route(match={"sandbox": "prod", "kind": "export_job"})).sandboxes == ("prod",)


def test_the_kinds_that_can_be_told_of():
    exports = scope(route(match={"sandbox": "prod", "kind": "export_job", "dataset": "d1"}))
    assert (exports.kinds, exports.streams) == (("export_job",), (("prod", "export_job"),))


conditions = st.fixed_dictionaries({}, optional={
    "sandbox": st.sampled_from(["prod", "dev"]), "kind": st.sampled_from(KINDS), "pipeline": st.just("nightly"),
    "type": st.lists(st.sampled_from(["job.failed", "job.overdue", "pipeline.failed", "channel.failing"]), min_size=1),
    "severity": st.sampled_from(["critical", "info"]), "channel": st.just("ops"), "job_id": st.sampled_from("12"),
})  # fmt: skip
routes = st.builds(
    lambda match, channel, **fields: route(channel, match=match, **fields), conditions,
    st.sampled_from(["team", "others"]), continues=st.booleans(), default=st.booleans(),
    min_severity=st.sampled_from(Severity),
)  # fmt: skip
events = st.builds(
    lambda type_, number, **fields: event(type_, number, **fields),
    st.sampled_from([EventType.JOB_FAILED, EventType.JOB_OVERDUE, EventType.JOB_QUEUED]), st.sampled_from("12"),
    sandbox=st.sampled_from(SANDBOXES), kind=st.sampled_from(KINDS), severity=st.sampled_from(Severity),
) | st.builds(run, st.just("prod"), st.sampled_from(["nightly", "weekly"]))  # fmt: skip


@given(st.lists(routes, max_size=5), events)
def test_whatever_a_channel_is_told_of_it_may_see(several, one):
    if "team" in channels_for(one, several):
        assert scope(*several).covers_event(one)
        assert one.details.get("pipeline") == "weekly" or one.sandbox in scope(*several).sandboxes


def test_every_type_that_is_about_a_thing_has_one_topic():
    told = [type_ for topic in TOPICS for type_ in topic.types]
    assert len(told) == len(set(told))
    about_others = {one.value for one in EventType} - set(told)
    assert about_others == {
        "alert.firing", "alert.resolved", "alert.noted", "silence.ended", "watch.ended", "digest.daily",
    }  # fmt: skip
    assert EventType.RETRY_EXHAUSTED in JOBS.types
