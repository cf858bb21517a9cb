"""How channels are told of alerts, by the settings of their routes."""

from dataclasses import replace
from datetime import timedelta

from alert_builders import event, failed

from segwatch.alerts.grouping import GROUP_INTERVAL, GROUP_WAIT, REPEAT_INTERVAL
from segwatch.alerts.matching import Condition
from segwatch.deliveries.routing import Route, channels_for, told_at_once
from segwatch.deliveries.ways import way_of, ways_for, ways_of
from segwatch.jobs.events import EventType

CRITICAL = Route(condition=Condition(match={"severity": "critical"}), channels=("ops", "pager"))
GROUPED = replace(CRITICAL, group_by=("sandbox",))


def test_a_route_without_settings_of_groups_tells_of_each_event():
    assert way_of(CRITICAL, "ops") is None
    assert told_at_once(failed(), [CRITICAL]) == ("ops", "pager")


def test_any_of_the_settings_makes_a_route_gather_and_the_others_have_their_usual_values():
    way = way_of(replace(CRITICAL, group_wait=timedelta()), "ops")
    assert (way.group_by, way.group_wait) == ((), timedelta())
    assert (way.group_interval, way.repeat_interval) == (GROUP_INTERVAL, REPEAT_INTERVAL)
    assert way_of(GROUPED, "ops").group_wait == GROUP_WAIT
    assert told_at_once(failed(), [GROUPED]) == ()


def test_a_channel_with_incidents_has_one_for_each_alert_unless_the_route_gathers():
    stateful = frozenset({"pager"})
    each = way_of(replace(CRITICAL, stateful=stateful), "pager")
    assert (each.group_by, each.group_wait, each.stateful) == (("alert",), timedelta(), True)
    assert told_at_once(failed(), [replace(CRITICAL, stateful=stateful)]) == ("ops",)
    assert way_of(replace(GROUPED, stateful=stateful), "pager").group_by == ("sandbox",)


def test_the_first_route_to_a_channel_says_how_it_is_told():
    routes = [CRITICAL, replace(GROUPED, condition=Condition(), channels=("ops", "chat"))]
    assert told_at_once(failed(), routes) == ("ops", "pager")
    assert [way.channel for way in ways_for(failed(), routes)] == ["chat"]
    assert [way.channel for way in ways_for(event(EventType.JOB_QUEUED), routes)] == ["ops", "chat"]
    assert channels_for(failed(), routes) == ("ops", "pager", "chat")
    assert [way.channel for way in ways_of(routes)] == ["ops", "chat"]


def test_what_tells_of_alerts_follows_no_route():
    everything = [replace(CRITICAL, condition=Condition()), replace(GROUPED, condition=Condition())]
    for type_ in (EventType.ALERT_FIRING, EventType.ALERT_RESOLVED, EventType.ALERT_NOTED):
        one = event(type_)
        assert (channels_for(one, everything), told_at_once(one, everything), ways_for(one, everything)) == ((), (), ())


def test_a_group_is_found_again_while_its_route_takes_the_same_and_groups_by_the_same():
    way = way_of(GROUPED, "ops")
    same = replace(GROUPED, channels=("chat", "ops"), group_wait=timedelta(1), repeat_interval=timedelta(2))
    assert way_of(same, "ops").route == way.route
    for other in (replace(GROUPED, condition=Condition()), replace(GROUPED, group_by=("kind",))):
        assert way_of(other, "ops").route != way.route
