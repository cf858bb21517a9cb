"""Which alerts end because nobody would ever hear of their end, and how that is told."""

from datetime import timedelta

import pytest
from alert_builders import Told, about_sandbox, event, failed, succeeded
from fakes import at

from segwatch.alerts.ending import Reason, Watched, ended, reason_to_end
from segwatch.alerts.grouping import Way
from segwatch.jobs.events import EventType

WATCHED = Watched(
    sandboxes=frozenset({"prod"}), channels=frozenset({"ops"}), pipelines=frozenset({("prod", "nightly")}),
    retention=timedelta(days=90),
)  # fmt: skip
OTHERS = {"sandboxes": frozenset({"dev"}), "channels": frozenset(), "pipelines": frozenset()}
LONG = timedelta(days=91)


def watched(**changes) -> Watched:
    kept = ("sandboxes", "channels", "pipelines", "retention", "schedules", "audiences", "exports")
    return Watched(**({name: getattr(WATCHED, name) for name in kept} | changes))


def of_subject(type_: EventType, stream: str, **fields):
    return event(type_, "", stream=stream, kind="", **fields)


def opened(one):
    house = Told()
    house.take(one)
    (alert,) = house.book.open.values()
    return alert


FAILURE = failed()
VANISHED = event(EventType.JOB_VANISHED)
OVERDUE = event(EventType.JOB_OVERDUE)
DOWN = about_sandbox(EventType.SANDBOX_UNREACHABLE)
DEAF = of_subject(EventType.CHANNEL_FAILING, "channel/ops", sandbox="", details={"channel": "ops"})
NIGHTLY = of_subject(EventType.PIPELINE_FAILED, "pipeline/prod/nightly/1", details={"pipeline": "nightly"})
MISSED = of_subject(EventType.SCHEDULE_MISSED, "schedule/prod/s1", details={"schedule": "s1"})
EMPTY = of_subject(EventType.AUDIENCE_ANOMALY, "audience/prod/nl", details={"segment": "nl"})
WRONG = event(EventType.EXPORT_IMPLAUSIBLE)
ALL = (WRONG, FAILURE, VANISHED, OVERDUE, DOWN, DEAF, NIGHTLY, MISSED, EMPTY)


@pytest.mark.parametrize(
    ("one", "changes", "later", "reason"),
    [
        *(pytest.param(one, {}, timedelta(hours=23), None, id=f"watched-{one.type}") for one in ALL),
        *(
            pytest.param(one, {"sandboxes": frozenset({"dev"})}, timedelta(), "sandbox_removed", id=f"gone-{one.type}")
            for one in ALL
            if one is not DEAF
        ),
        pytest.param(DEAF, {"sandboxes": frozenset()}, timedelta(), None, id="a-channel-is-of-no-sandbox"),
        pytest.param(WRONG, {"exports": False}, timedelta(), "not_looked_for", id="exports-are-not-judged"),
        pytest.param(FAILURE, {"exports": False}, timedelta(), None, id="a-failure-needs-no-judgement"),
        pytest.param(DEAF, {"channels": frozenset({"chat"})}, timedelta(), "channel_removed", id="channel"),
        pytest.param(
            NIGHTLY, {"pipelines": frozenset({("dev", "nightly")})}, timedelta(), "pipeline_removed", id="run"
        ),
        pytest.param(MISSED, {"schedules": False}, timedelta(), "not_looked_for", id="schedules-off"),
        pytest.param(EMPTY, {"audiences": False}, timedelta(), "not_looked_for", id="audiences-off"),
        pytest.param(EMPTY, {"schedules": False}, timedelta(), None, id="another-is-off"),
        pytest.param(VANISHED, {}, timedelta(hours=24), "vanished", id="vanished-for-a-day"),
        pytest.param(FAILURE, {}, LONG, "forgotten", id="an-export-that-nobody-repeats"),
        pytest.param(NIGHTLY, {}, LONG, "forgotten", id="a-pipeline-that-nobody-runs"),
        pytest.param(EMPTY, {}, LONG, "forgotten", id="an-audience-that-nobody-evaluates"),
        *(pytest.param(one, {}, LONG, None, id=f"for-ever-{one.type}") for one in (OVERDUE, DOWN, DEAF, MISSED)),
    ],
)
def test_an_alert_ends_when_nobody_would_hear_of_its_end_and_never_while_somebody_may(one, changes, later, reason):
    assert reason_to_end(opened(one), watched(**changes), at() + later) == reason


def test_a_failure_whose_resubmission_vanished_is_a_failure_still():
    house = Told()
    house.take(FAILURE, event(EventType.JOB_VANISHED, "2", details={"root": "1"}))
    (alert,) = house.book.open.values()
    assert reason_to_end(alert, WATCHED, at() + timedelta(days=2)) is None


def test_it_is_told_to_whoever_was_told_the_opening_and_in_groups_with_the_reason():
    house = Told(ways=(Way(route="r", channel="chat"), Way(route="s", channel="pager", stateful=True)))
    house.take(FAILURE, told=["ops"])
    house.through(at(1))
    (alert,) = house.book.open.values()
    assert house.take(ended(alert, Reason.SANDBOX_REMOVED, at(10))) == ("ops",)
    chat, pager = house.through(at(30), at(10))
    assert {one.type for one in (chat, pager)} == {EventType.ALERT_RESOLVED}
    title = "No longer watched: Export 1 failed"
    assert chat.details["title"] == pager.details["title"] == title
    why = "its sandbox is no longer in the settings"
    assert chat.details["summary"] == f"{title}, since 03:00:00 UTC — {why}."
    assert chat.details["items"] == [f"{title}, since 03:00:00 UTC — {why}"]
    assert chat.details["alerts"][0]["given_up"] == why
    assert not house.book.open


def test_of_a_wave_of_ends_each_line_says_which_it_is():
    house = Told(ways=(Way(route="r", channel="chat"),))
    house.take(failed("1"), failed("2"))
    house.through(at(1))
    house.take(succeeded("1", at(10)), ended(house.book.open["work/prod/export_job/2"], Reason.FORGOTTEN, at(10)))
    (told,) = house.through(at(30), at(10))
    assert told.details["title"] == "Resolved: 2 exports failed in prod"
    assert [line.partition(":")[0] for line in told.details["items"]] == ["Resolved", "No longer watched"]


@pytest.mark.parametrize("is_another", [False, True], ids=["the-same-alert", "another-one"])
def test_what_goes_wrong_again_meanwhile_stays_open(is_another):
    house = Told()
    house.take(FAILURE)
    end = ended(house.book.open["work/prod/export_job/1"], Reason.FORGOTTEN, at(5))
    if is_another:
        house.take(succeeded("1", at(1)))
    house.take(failed("1", at(2)))
    house.take(end)
    assert house.book.open
