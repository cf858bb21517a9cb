"""Who is told of what."""

from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.alerts.labels import LABELS
from segwatch.alerts.matching import Condition, parse
from segwatch.alerts.quiet import QuietHours
from segwatch.deliveries.routing import Route, channels_for, judge, promises, told_at_once
from segwatch.jobs.events import Event, EventType, Severity

NOW = datetime(2026, 1, 5, 3, 12, tzinfo=UTC)
NIGHT = QuietHours(begin=time(22), end=time(7))


def event(**fields):
    base = {
        "type": EventType.JOB_FAILED, "stream": "prod/export_job/24116", "sequence": 3, "at": NOW,
        "severity": Severity.CRITICAL, "sandbox": "prod", "kind": "export_job", "job_id": "24116", "status": "FAILED",
    }  # fmt: skip
    return Event(**(base | fields))


def route(*channels, **match):
    return Route(condition=Condition(match=match), channels=channels)


def test_a_message_about_alerts_follows_no_route_not_even_a_default():
    notice = event(type=EventType.ALERT_FIRING)
    verdicts = judge(notice, [route("ops"), Route(channels=("rest",), default=True)])
    assert [verdict.taken for verdict in verdicts] == [False, False]
    assert {verdict.why for verdict in verdicts} == {"it is made for one channel, and follows no route"}


@pytest.mark.parametrize(
    ("match", "told"),
    [
        pytest.param({}, True, id="empty-matches-everything"),
        pytest.param({"severity": "critical"}, True, id="a-text"),
        pytest.param({"severity": ["warning", "critical"]}, True, id="any-of-a-list"),
        pytest.param({"severity": []}, False, id="an-empty-list-matches-nothing"),
        pytest.param({"severity": "critical", "sandbox": "dev"}, False, id="all-keys-must-match"),
        pytest.param({"type": "job.failed"}, True, id="type"),
        pytest.param({"type": "job"}, False, id="equality-not-prefix"),
        pytest.param({"kind": "export_job", "status": "FAILED"}, True, id="kind-and-status"),
        pytest.param({"job_id": 24116}, True, id="a-number-in-toml"),
        pytest.param({"late": False}, True, id="late-as-boolean"),
        pytest.param({"late": "true"}, False, id="late-as-text"),
        pytest.param({"reason": ""}, True, id="no-reason"),
    ],
)
def test_a_route_takes_what_matches_it(match, told):
    assert channels_for(event(), [route("ops", **match)]) == (("ops",) if told else ())


def test_all_routes_are_tried_and_each_channel_is_told_once_in_order():
    routes = [route("ops", "log", severity="critical"), route("pager", sandbox="dev"), route("events", "ops", "log")]
    assert channels_for(event(), routes) == ("ops", "log", "events")


def test_a_channel_is_told_of_itself_too():
    failing = event(type=EventType.CHANNEL_FAILING, stream="channel/ops", sandbox="", kind="", job_id="")
    assert channels_for(failing, [route("ops", "log")]) == ("ops", "log")


def by(matchers="", channel="ops", *, match=None, **fields):
    condition = Condition(match=match or {}, matchers=parse(matchers) if matchers else ())
    return Route(channels=(channel,), condition=condition, **fields)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"matchers": 'severity=~"warning|critical"'}, True, id="matcher"),
        pytest.param({"matchers": "sandbox!=prod"}, False, id="negation"),
        pytest.param({"matchers": "status=FAILED", "match": {"sandbox": "dev"}}, False, id="matchers-besides-match"),
        pytest.param({"match": {"segment": "be"}}, True, id="one-of-its-segments"),
        pytest.param({"match": {"dataset": "d2"}}, False, id="dataset"),
        pytest.param({"min_severity": Severity.CRITICAL}, True, id="severe-enough"),
    ],
)
def test_a_route_may_ask_for_more(options, told):
    one = event(details={"segments": ["nl", "be"], "dataset": "d1"})
    assert channels_for(one, [by(**options)]) == (("ops",) if told else ())


def test_nothing_below_the_least_severity_is_taken():
    assert channels_for(event(severity=Severity.WARNING), [by(min_severity=Severity.CRITICAL)]) == ()


def test_a_route_that_does_not_continue_ends_the_walk_only_for_what_it_takes():
    routes = [by("sandbox=prod", "prod", continues=False), by(channel="all")]
    assert channels_for(event(), routes) == ("prod",)
    assert channels_for(event(sandbox="dev"), routes) == ("all",)


def test_a_default_takes_what_no_other_does_wherever_it_stands():
    routes = [by(channel="rest", default=True), by("sandbox=prod", "prod")]
    assert channels_for(event(), routes) == ("prod",)
    assert channels_for(event(sandbox="dev"), routes) == ("rest",)
    assert channels_for(event(sandbox="dev"), [by("sandbox=x", default=True)]) == ()


def test_every_route_has_a_reason():
    routes = [
        by("sandbox=dev"), by(match={"status": ["NEW", "QUEUED"]}), by("reason!=\"\""), by(continues=False), by(),
        by(default=True), by(min_severity=Severity.CRITICAL),
    ]  # fmt: skip
    verdicts = judge(event(severity=Severity.WARNING), routes)
    assert [verdict.taken for verdict in verdicts] == [False, False, False, True, False, False, False]
    assert [verdict.why for verdict in verdicts] == [
        "sandbox is prod, which is not sandbox=dev",
        "status is FAILED, not NEW or QUEUED",
        'reason is empty, which is not reason!=""',
        "everything that it asks for fits",
        "routes[3] took it, and has continue = false",
        "it is a default, and another route took it",
        "routes[3] took it, and has continue = false",
    ]


def test_channels_of_a_route_that_groups_are_not_told_of_each_event():
    routes = [by(channel="now"), by(channel="grouped", group_by=()), by(channel="late", quiet_hours=NIGHT)]
    assert channels_for(event(), routes) == ("now", "grouped", "late")
    assert told_at_once(event(), routes) == ("now",)
    assert told_at_once(event(), [by(channel="now"), by(channel="now", group_by=())]) == ("now",)
    assert told_at_once(event(), [by(channel="now", group_by=()), by(channel="now")]) == (), "in one manner"
    assert [one.channel for one in promises([event()], routes, NOW)] == ["now"]


def test_nobody_is_told_of_what_is_silenced():
    def silenced(labels, now):
        return "24116" in labels["job_id"] and now == NOW

    other = event(job_id="24117", sequence=4)
    assert promises([event(), other], [by()], NOW, silenced) == promises([other], [by()], NOW)


ways = st.builds(
    by,
    st.sampled_from(["", "sandbox=prod", "sandbox!=prod", 'severity=~"c.*"', "status=NEW"]),
    st.sampled_from("abc"),
    continues=st.booleans(),
    default=st.booleans(),
    min_severity=st.sampled_from(Severity),
)


@given(st.lists(ways, max_size=6), st.sampled_from(["prod", "dev"]), st.sampled_from(Severity))
def test_a_default_route_and_an_ordinary_one_are_never_both_taken(routes, sandbox, severity):
    one = event(sandbox=sandbox, severity=severity)
    taken = [verdict.route for verdict in judge(one, routes) if verdict.taken]
    assert len({route.default for route in taken}) <= 1
    assert all(route.takes(one) for route in taken)
    if any(route.takes(one) for route in routes):
        assert taken, "nobody was told, though a route would have taken it"
    assert all(verdict.why for verdict in judge(one, routes))


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=f'"severty"; known: {", ".join(LABELS)}'):
        route("ops", severty="critical")


def test_every_event_is_promised_to_each_of_its_channels_due_at_once():
    made = promises([event(), event(sequence=4)], [route("ops", "log")], NOW)
    assert [(d.event.sequence, d.channel, d.due_at, d.attempts) for d in made] == [
        (3, "ops", NOW, 0), (3, "log", NOW, 0), (4, "ops", NOW, 0), (4, "log", NOW, 0),
    ]  # fmt: skip
    assert len({d.id for d in made}) == 4
