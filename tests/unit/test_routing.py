"""Who is told of what."""

from datetime import UTC, datetime

import pytest

from segwatch.deliveries.routing import MATCH_KEYS, Route, channels_for, promises
from segwatch.jobs.events import Event, EventType, Severity

NOW = datetime(2026, 1, 5, 3, 12, tzinfo=UTC)


def event(**fields):
    base = {
        "type": EventType.JOB_FAILED, "stream": "prod/export_job/24116", "sequence": 3, "at": NOW,
        "severity": Severity.CRITICAL, "sandbox": "prod", "kind": "export_job", "job_id": "24116", "status": "FAILED",
    }  # fmt: skip
    return Event(**(base | fields))


def route(*channels, **match):
    return Route(match=match, channels=channels)


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


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=f'"severty"; known: {", ".join(MATCH_KEYS)}'):
        route("ops", severty="critical")


def test_every_event_is_promised_to_each_of_its_channels_due_at_once():
    made = promises([event(), event(sequence=4)], [route("ops", "log")], NOW)
    assert [(d.event.sequence, d.channel, d.due_at, d.attempts) for d in made] == [
        (3, "ops", NOW, 0), (3, "log", NOW, 0), (4, "ops", NOW, 0), (4, "log", NOW, 0),
    ]  # fmt: skip
    assert len({d.id for d in made}) == 4
