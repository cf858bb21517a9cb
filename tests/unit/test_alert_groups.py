"""When a group tells its channel, of what, and when it keeps quiet."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from alert_builders import Told, about_sandbox, event, failed, never, succeeded
from fakes import at

from segwatch.alerts.effects import effects_of
from segwatch.alerts.folding import fold
from segwatch.alerts.grouping import Way
from segwatch.alerts.model import Words
from segwatch.alerts.quiet import QuietHours
from segwatch.alerts.rerouting import Leads
from segwatch.deliveries.knowledge import NOTHING
from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.retold import retold
from segwatch.jobs.events import EventType, Severity

OPS = Way(route="r", channel="ops")
WORK = {"fingerprint": "f"}
PAGER = Way(route="r", channel="pager", stateful=True)


def opening(job):
    one = failed(job, details=WORK)
    return effects_of(one)[0], one


def said(messages):
    return [(one.type.value, one.details["firing"], one.details["resolved"]) for one in messages]


def test_what_fails_within_the_wait_becomes_one_message_that_counts_and_lists_it():
    house = Told()
    house.take(*(failed(str(number), at(second=number / 10)) for number in range(200)))
    assert house.through(at(second=25)) == []
    (message,) = house.tick(at(second=30))
    assert message.details["title"] == "200 exports failed in prod"
    assert message.details["summary"] == ("200 exports failed in prod — Internal error (500), since 03:00:00 UTC.")
    assert len(message.details["items"]) == len(message.details["alerts"]) == 50
    assert message.details["items"][0] == "Export 0 failed, since 03:00:00 UTC", "what all share is in the summary"
    assert message.details["items_left"] == 150
    assert message.details["listed_by"] == (
        "segwatch events list --type job.failed --sandbox prod --since 1h --limit 1000"
    )
    assert (message.severity, message.sandbox, message.kind) == (Severity.CRITICAL, "prod", "export_job")
    assert house.through(at(60), at(1)) == []


def test_what_comes_later_waits_for_the_interval_and_joins_the_same_stream():
    house = Told()
    house.take(failed("1"))
    (first,) = house.tick(at(second=30))
    house.take(failed("2", at(1)))
    assert house.through(at(5), at(1)) == []
    (second,) = house.tick(at(5, second=30))
    assert (second.stream, second.sequence) == (first.stream, first.sequence + 1)
    assert said([first, second]) == [("alert.firing", 1, 0), ("alert.firing", 2, 0)]


def test_an_error_that_speaks_of_a_cancellation_ends_no_alert_and_what_somebody_asked_for_does():
    house, work = Told(ways=(OPS, PAGER)), {"fingerprint": "f"}
    house.take(failed("1", details=work))
    house.tick(at(second=30))
    said_so = event(EventType.JOB_CANCELLED, "2", when=at(1), details=work | {"only_said": True})
    house.take(said_so)
    assert [alert.jobs for alert in house.book.open.values()] == [("1", "2")]
    assert message_of(said_so).standing is Standing.STORY
    asked_for = event(EventType.JOB_CANCELLED, "3", when=at(2), details=work)
    house.take(asked_for)
    assert not house.book.open
    assert message_of(asked_for).standing is Standing.RESOLVED


def test_a_wave_of_recoveries_is_told_once_it_is_over():
    house = Told()
    house.take(*(failed(str(number)) for number in range(3)))
    house.tick(at(second=30))
    house.take(succeeded("0", at(6)))
    assert house.through(at(9), at(6)) == []
    house.take(succeeded("1", at(9)))
    assert house.through(at(10), at(9)) == []
    house.take(succeeded("2", at(10)))
    assert house.through(at(10, second=25), at(10)) == []
    (over,) = house.tick(at(10, second=30))
    assert said([over]) == [("alert.resolved", 0, 3)]
    assert over.details["title"] == "Resolved: 3 exports failed in prod"
    assert over.severity is Severity.INFO
    assert not house.book.groups


def test_recoveries_that_stop_half_way_are_told_with_what_still_fires():
    house = Told()
    house.take(failed("1"), failed("2"))
    house.tick(at(second=30))
    house.take(succeeded("1", at(6)))
    assert said(house.through(at(12), at(6))) == [("alert.firing", 1, 1)]


def test_what_still_fires_is_repeated_and_says_so():
    house = Told()
    house.take(failed("1"))
    house.tick(at(second=30))
    (again,) = house.through(at(4 * 60 + 1), at(1))
    assert again.details["repeat"] is True
    assert again.details["title"] == "Still: Export 1 failed"


def test_an_alert_that_was_over_before_anybody_was_told_is_told_as_resolved():
    house = Told()
    house.take(failed("1"), succeeded("1", at(second=10)))
    assert said(house.through(at(2))) == [("alert.resolved", 0, 1)]


def test_only_what_is_new_about_an_alert_is_told_again():
    house = Told()
    refused = event(EventType.RETRY_REFUSED, when=at(6), severity=Severity.WARNING)
    house.take(failed("1"))
    house.tick(at(second=30))
    house.take(failed("1", at(6)), event(EventType.RETRY_SCHEDULED, when=at(6)))
    assert house.through(at(20), at(6)) == []
    house.take(replace(refused, at=at(20)))
    assert said(house.through(at(30), at(20))) == [("alert.firing", 1, 0)]


def test_a_story_is_told_as_notes_once_the_wait_is_over():
    house = Told()
    house.take(*(event(EventType.JOB_QUEUED, str(number)) for number in range(60)))
    (noted,) = house.through(at(2))
    assert (noted.type, noted.details["notes"]) == (EventType.ALERT_NOTED, 60)
    assert len(noted.details["items"]) == 50
    assert noted.details["items_left"] == 10
    assert noted.details["listed_by"] == "segwatch events list --since 1h --limit 1000"


def test_groups_are_apart_by_their_labels():
    house = Told(ways=[replace(OPS, group_by=("sandbox",))])
    house.take(failed("1"), failed("2", sandbox="stage"), failed("3"))
    messages = house.tick(at(second=30))
    assert sorted((one.sandbox, one.details["firing"]) for one in messages) == [("prod", 2), ("stage", 1)]
    assert len({one.stream for one in messages}) == 2


def test_work_that_fails_anew_is_told_again_by_the_new_failure_and_counted():
    house = Told(ways=(OPS, replace(PAGER, group_by=("alert",), group_wait=timedelta(), group_interval=timedelta())))
    house.take(failed("1", details=WORK))
    house.through(at(second=30))
    house.take(failed("2", at(1), details=WORK))
    told = [one for one in house.through(at(20), at(1)) if one.details["channel"] == "ops"]
    pages = [one for channel, one in house.messages if channel == "pager"]
    assert said(told) == [("alert.firing", 1, 0)]
    assert said(pages) == [("alert.firing", 1, 0)] * 2
    assert pages[0].stream == pages[1].stream
    assert told[0].details["title"] == pages[1].details["title"] == "Again: Export 2 failed"
    tail = "Internal error (500), at 03:01:00 UTC, the 2nd failure since 03:00:00 UTC"
    assert told[0].details["summary"] == f"Again: Export 2 failed — {tail}."
    (row,) = told[0].details["alerts"]
    assert (row["failures"], row["job_id"]) == (2, "2")


def test_title_and_cause_are_of_the_same_failure():
    alert = fold(None, *opening("1"), Words(title="One", facts=" after 1 m", cause="disk full", code="E17"))
    again = fold(alert, *opening("2"), Words(title="Two"))
    assert (again.title, again.facts, again.cause, again.code, again.recurrences) == ("Two", "", "", "", 1)
    assert again.titled_by == again.loud_id != alert.titled_by


def test_further_attempts_of_a_chain_are_no_new_failures_and_each_chain_counts_once():
    house, chain = Told(), WORK | {"root": "1"}
    submitted = event(EventType.RETRY_SUBMITTED, "1", details=chain | {"new_job_id": "2"})
    house.take(failed("1", details=chain), submitted, failed("2", details=chain), failed("2", details=WORK))
    house.take(event(EventType.RETRY_EXHAUSTED, "2", details=chain))
    (alert,) = house.book.open.values()
    assert alert.recurrences == 0
    house.take(failed("8", at(1), details=WORK), failed("8", at(2), details=WORK), failed("2", at(3), details=chain))
    (alert,) = house.book.open.values()
    assert (alert.recurrences, alert.title) == (1, "Export 8 failed")


def test_what_comes_of_a_new_failure_is_told_as_of_the_first():
    house = Told()
    for job, minute in (("1", 0), ("2", 10)):
        house.take(failed(job, at(minute), details=WORK))
        house.through(at(minute + 5), at(minute))
        house.take(event(EventType.RETRY_EXHAUSTED, job, when=at(minute + 6), details=WORK))
        (told,) = house.through(at(minute + 9), at(minute + 6))
        assert told.details["title"].endswith(f"Export {job} retry_exhausted")


def test_each_run_of_a_pipeline_that_fails_is_told_and_explained_by_its_own_evaluation():
    house = Told()
    for run, minute in (("r1", 0), ("r2", 6)):
        waits = {"pipeline": "nightly", "run": run, "segment_job": f"seg-{run}"}
        house.take(
            event(EventType.PIPELINE_FAILED, "", kind="", stream=f"pipeline/prod/{run}", when=at(minute), details=waits)
        )
    (alert,) = house.book.open.values()
    assert (alert.recurrences, alert.awaits) == (1, "seg-r2")


def test_the_end_of_what_failed_several_times_says_how_often():
    house = Told()
    house.take(failed("1", details=WORK), failed("2", at(1), details=WORK), succeeded("3", at(2), details=WORK))
    (over,) = house.tick(at(3))
    assert over.details["summary"] == (
        "Resolved: Export 2 failed — Internal error (500), 2 failures, from 03:00:00 to 03:02:00 UTC."
    )


def test_a_storm_of_new_failures_is_bounded_by_the_interval():
    house = Told()
    for minute in range(60):
        house.take(failed(str(minute), at(minute), details=WORK))
        house.through(at(minute, second=55), at(minute))
    assert len(house.messages) == 12


def test_of_many_what_failed_again_comes_first_and_is_counted():
    house = Told()
    house.take(*(failed(str(number)) for number in range(60)), failed("a", details=WORK))
    house.tick(at(second=30))
    house.take(failed("b", at(6), details=WORK))
    (told,) = house.tick(at(7))
    assert told.details["summary"].endswith(", since 03:00:00 UTC; 1 failed again.")
    assert told.details["items"][0] == "Export b failed, at 03:06:00 UTC, the 2nd failure since 03:00:00 UTC"


# channels that keep incidents of their own


def test_a_pager_hears_one_trigger_and_one_resolve_whatever_happens_between():
    house = Told(ways=[PAGER])
    house.take(failed("1"))
    messages = house.tick(at(second=30))
    house.take(failed("2", at(7)), event(EventType.JOB_QUEUED, "9", when=at(7)), succeeded("1", at(8)))
    messages += house.through(at(700), at(7))
    house.take(succeeded("2", at(701)))
    messages += house.through(at(720), at(701))
    assert said(messages) == [("alert.firing", 1, 0), ("alert.resolved", 0, 1)]
    assert len({one.stream for one in messages}) == 1
    assert not house.book.groups


def test_a_pager_hears_when_it_gets_worse():
    house = Told(ways=[PAGER])
    house.take(event(EventType.JOB_OVERDUE))
    messages = house.tick(at(second=30))
    house.take(failed("2", at(7)))
    messages += house.through(at(20), at(7))
    assert [one.severity for one in messages] == [Severity.WARNING, Severity.CRITICAL]


def test_a_pager_is_not_called_for_what_was_over_before():
    house = Told(ways=[PAGER])
    house.take(failed("1"), succeeded("1", at(second=10)))
    assert house.through(at(20)) == []
    assert not house.book.groups


@pytest.mark.parametrize("ending", [EventType.JOB_SUCCEEDED, EventType.RECOVERED])
def test_an_export_that_cannot_be_right_is_made_good_by_one_that_was_looked_at_and_by_no_mere_success(ending):
    house = Told(ways=[PAGER])
    house.take(event(EventType.EXPORT_IMPLAUSIBLE, "1"), told=["ops"])
    assert said(house.through(at(1))) == [("alert.firing", 1, 0)]
    assert house.take(event(ending, "1", when=at(2))) == ()
    house.take(event(EventType.EXPORT_IMPLAUSIBLE, "1", when=at(3)), told=["ops"])
    assert house.through(at(20), at(2)) == []
    assert house.take(event(EventType.EXPORT_PLAUSIBLE, "1", when=at(21))) == ("ops",)
    assert said(house.through(at(30), at(21))) == [("alert.resolved", 0, 1)]


# inhibition and silences


def test_overdue_jobs_of_a_sandbox_that_does_not_answer_wait_until_it_does():
    house = Told()
    house.take(about_sandbox(EventType.SANDBOX_UNREACHABLE), event(EventType.JOB_OVERDUE, "1"))
    (down,) = house.through(at(20))
    assert down.details["firing"] == 1
    house.take(about_sandbox(EventType.SANDBOX_RECOVERED, at(30)))
    told = house.through(at(40), at(30))
    assert said(told) == [("alert.firing", 1, 1)]
    assert told[0].details["title"] == "Export 1 overdue"


def test_what_a_channel_is_not_told_of_explains_nothing_to_it():
    house = Told()
    house.ways = ()
    house.take(about_sandbox(EventType.SANDBOX_UNREACHABLE))
    house.ways = (OPS,)
    house.take(event(EventType.JOB_OVERDUE, "1"))
    assert said(house.through(at(1))) == [("alert.firing", 1, 0)]


def test_a_failed_evaluation_explains_the_pipeline_that_waited_for_it():
    house = Told()
    segments = {"segments": ["s1"]}
    house.take(failed("seg-1", kind="segment_job", details=segments))
    waits = {"pipeline": "nightly", "segment_job": "seg-1"}
    house.take(event(EventType.PIPELINE_FAILED, "", kind="", stream="pipeline/prod/r1", details=waits))
    (told,) = house.through(at(3))
    assert told.details["firing"] == 1


def test_whoever_is_told_at_once_hears_of_overdue_jobs_when_their_sandbox_answers_again():
    house = Told(ways=())
    house.take(about_sandbox(EventType.SANDBOX_UNREACHABLE), told=["ops"])
    overdue = [event(EventType.JOB_OVERDUE, job) for job in ("1", "2")]
    assert house.take(overdue[0], at_once=["ops", "others"]) == ("others",)
    assert house.take(overdue[1], at_once=["ops"]) == ()
    assert house.book.released(at(1), never) == ()
    assert house.take(succeeded("2", at(2))) == ()  # nobody need hear that it was overdue, or that it is over
    house.take(about_sandbox(EventType.SANDBOX_RECOVERED, at(3)), told=["ops"])
    assert house.book.released(at(3), never) == (("ops", overdue[0].id),)
    assert house.book.released(at(4), never) == ()
    assert house.take(succeeded("1", at(5))) == ("others", "ops")


def test_what_waits_for_its_explanation_goes_where_the_routes_lead_by_then():
    house = Told(ways=())
    house.take(down := about_sandbox(EventType.SANDBOX_UNREACHABLE), told=["ops", "chat"])
    house.take(overdue := event(EventType.JOB_OVERDUE), at_once=["ops", "chat"])

    def lead(alert):
        return Leads(at_once=dict.fromkeys(("chat", "new"), alert.event_id))

    assert house.book.adopt((), lead, at(1)) == (("new", down.id),)
    assert house.book.adopt((), lead, at(1)) == ()  # nor by a restart
    house.take(about_sandbox(EventType.SANDBOX_RECOVERED, at(3)), told=["ops", "chat", "new"])
    assert house.book.released(at(3), never) == (("chat", overdue.id), ("new", overdue.id))


def test_what_was_inhibited_and_is_silenced_by_then_is_told_by_the_end_of_the_silence():
    house = Told(ways=())
    house.take(about_sandbox(EventType.SANDBOX_UNREACHABLE), told=["ops"])
    house.take(event(EventType.JOB_OVERDUE), at_once=["ops"])
    house.take(about_sandbox(EventType.SANDBOX_RECOVERED, at(3)), told=["ops"])
    assert house.book.released(at(3), lambda labels, now: True) == ()
    house.tick(at(4))
    assert house.take(succeeded("1", at(5))) == ("ops",)


def test_a_pipeline_whose_evaluation_was_made_good_meanwhile_says_so():
    house = Told(ways=())
    segments = {"segments": ["s1"]}
    house.take(failed("seg-1", kind="segment_job", details=segments), told=["ops"])
    waits = {"pipeline": "nightly", "segment_job": "seg-1"}
    run = event(EventType.PIPELINE_FAILED, "", kind="", stream="pipeline/prod/r1", details=waits)
    assert house.take(run, at_once=["ops"]) == ()
    house.take(succeeded("seg-2", at(1), kind="segment_job", details=segments), told=["ops"])
    assert house.book.released(at(1), never) == (("ops", run.id),)
    (alert,) = house.book.open.values()
    told = retold(alert, run, run, None, NOTHING, at(1))
    assert told.cause == "Internal error (500); made good since by seg-2"
    assert told.action == "Only what follows the evaluation is missing: segwatch pipeline run nightly"
    house.take(replace(run, sequence=98, details={"pipeline": "nightly", "why": "no evaluation is left"}))
    (alert,) = house.book.open.values()
    assert (alert.awaits, alert.mended_by) == ("", "")
    again = replace(run, sequence=99, details=waits | {"segment_job": "seg-3"})
    house.take(failed("seg-3", kind="segment_job", details=segments), told=["ops"])
    assert house.take(again, at_once=["ops"]) == ()
    (alert,) = [one for one in house.book.open.values() if one.awaits]
    assert (alert.awaits, alert.mended_by) == ("seg-3", "")


def test_refusals_while_resubmissions_are_held_are_told_when_they_are_not():
    house = Told()
    held = event(EventType.RETRIES_HELD, "", stream="retries/prod")
    house.take(failed("1"), held)
    house.tick(at(second=30))
    house.take(event(EventType.RETRY_REFUSED, "1", when=at(6)))
    assert house.through(at(20), at(6)) == []
    house.take(event(EventType.RETRIES_RELEASED, "", stream="retries/prod", when=at(21)))
    assert said(house.through(at(30), at(21))) == [("alert.firing", 1, 1)]


def test_the_end_of_a_silence_tells_what_is_still_wrong_and_nothing_else():
    house = Told(silenced=lambda labels, now: now < at(60))
    house.take(failed("1"), failed("2"), succeeded("2", at(1)))
    assert house.through(at(59)) == []
    assert said(house.through(at(62), at(60))) == [("alert.firing", 1, 0)]


def test_whoever_was_told_before_a_silence_is_told_of_the_end_within_it():
    house = Told()
    house.take(failed("1"))
    house.tick(at(second=30))
    house.silenced = lambda labels, now: True
    house.take(succeeded("1", at(10)))
    assert said(house.through(at(20), at(10))) == [("alert.resolved", 0, 1)]


def test_whoever_hears_of_it_only_at_the_end_of_a_silence_hears_that_it_is_over():
    house = Told(ways=(), silenced=lambda labels, now: now < at(5))
    house.take(failed("1"), failed("2"), withheld=["chat"])
    house.tick(at(1))
    assert house.take(succeeded("1", at(2))) == ()
    house.tick(at(5))
    assert house.take(succeeded("2", at(7))) == ("chat",)


# closings beside immediate routes


def test_whoever_was_promised_the_opening_is_promised_the_closing():
    house = Told(ways=())
    assert house.take(failed("1"), told=["ops", "pager"]) == ()
    assert house.take(succeeded("1", at(1)), told=["ops"]) == ("pager",)
    assert house.take(succeeded("1", at(2)), told=[]) == ()


def test_whoever_is_told_the_end_of_one_alert_by_what_begins_another_is_told_the_end_of_that_too():
    house = Told(ways=())
    house.take(event(EventType.JOB_OVERDUE), told=["ops"])
    assert house.take(failed("1", at(1))) == ("ops",)
    assert house.take(succeeded("1", at(2))) == ("ops",)


def test_the_success_of_a_later_attempt_leaves_the_closing_to_what_tells_of_the_chain():
    house = Told(ways=())
    house.take(failed("1", details={"root": "1", "fingerprint": "f"}), told=["ops"])
    assert house.take(succeeded("2", details={"root": "1", "attempt": 2, "fingerprint": "f"})) == ()
    chain = {"root": "1", "fingerprint": "f", "attempts": 2}
    assert house.take(event(EventType.RECOVERED, "2", details=chain)) == ("ops",)


# settings that change


def test_a_group_whose_route_is_gone_closes_what_it_opened_and_repeats_nothing():
    house = Told()
    house.take(failed("1"))
    house.tick(at(second=30))
    house.book.adopt((), lambda alert: Leads(), at(1))
    assert house.through(at(600), at(1)) == []
    house.ways = ()
    house.take(succeeded("1", at(601)))
    assert said(house.through(at(603), at(601))) == [("alert.resolved", 0, 1)]


def test_a_group_goes_by_the_waits_that_are_set_now():
    house = Told()
    house.take(failed("1"))
    slower = replace(OPS, group_wait=timedelta(minutes=2))
    house.book.adopt([slower], lambda alert: Leads(ways=((slower, alert.labels),)), at())
    assert house.through(at(1, second=55)) == []
    assert len(house.tick(at(2))) == 1


def test_a_clock_that_was_set_back_holds_up_no_message():
    house = Told()
    house.take(failed("1", at(600)))
    assert len(house.tick(at(0))) == 1


# quiet hours


@pytest.mark.parametrize(
    ("clock", "severity", "held"),
    [("21:59", "warning", False), ("22:00", "warning", True), ("06:59", "info", True), ("07:00", "info", False),
     ("03:00", "critical", False)],
)  # fmt: skip
def test_quiet_hours_hold_what_is_below_their_severity(clock, severity, held):
    quiet = QuietHours(begin=time(22), end=time(7), zone="Europe/Amsterdam")
    hour, minute = map(int, clock.split(":"))
    now = at().replace(hour=hour, minute=minute) - timedelta(hours=1)  # Amsterdam is an hour ahead in winter
    assert quiet.hold(Severity(severity), now) is held


def test_what_is_held_is_told_in_the_morning():
    quiet = QuietHours(begin=time(1), end=time(4))
    house = Told(ways=[replace(OPS, quiet=quiet)])
    house.take(event(EventType.JOB_OVERDUE, "1"), event(EventType.JOB_OVERDUE, "2", when=at(10)))
    assert house.through(at(59)) == []
    assert said(house.tick(at(60))) == [("alert.firing", 2, 0)]


def test_a_warning_without_an_alert_keeps_its_severity_in_quiet_hours_and_in_its_message():
    quiet = QuietHours(begin=time(1), end=time(4), below=Severity.WARNING)
    house = Told(ways=[replace(OPS, quiet=quiet)])
    house.take(event(EventType.JOB_QUEUED, "1"))
    assert house.through(at(1)) == []
    house.take(event(EventType.UNKNOWN_REPLY, "", stream="reply/prod/x", when=at(2)))
    (told,) = house.through(at(3), at(2))
    assert (told.type, told.severity) == (EventType.ALERT_NOTED, Severity.WARNING)
    assert told.details["title"] == "2 events"
    assert told.details["items"][0] == "Export  unknown_reply — Internal error (500)", "the worst first"


def test_a_night_of_stories_crowds_out_no_warning():
    house = Told()
    house.take(*(event(EventType.JOB_QUEUED, str(number)) for number in range(200)))
    house.take(event(EventType.SCHEDULE_CHANGED, "", stream="schedule/prod/s1", severity=Severity.WARNING))
    (told,) = house.tick(at(second=30))
    assert "changed" in told.details["items"][0]
    assert (told.severity, told.details["notes"], told.details["items_left"]) == (Severity.WARNING, 201, 151)


def test_stories_that_wait_for_the_morning_keep_no_critical_alert_from_being_recalled():
    house = Told(ways=[replace(OPS, quiet=QuietHours(begin=time(1), end=time(12)), repeat_interval=timedelta(hours=1))])
    house.take(failed("1"))
    house.tick(at(second=30))
    house.take(event(EventType.JOB_QUEUED, "2", when=at(10)))
    assert said(house.through(at(59), at(10))) == []
    assert said(house.through(at(61), at(60))) == [("alert.firing", 1, 0)]


@pytest.mark.parametrize("reason", ["cron", "disabled", "deleted"])
def test_a_schedule_that_somebody_changed_has_not_recovered(reason):
    house = Told()
    stream = "schedule/prod/s1"
    house.take(event(EventType.SCHEDULE_MISSED, "", stream=stream))
    house.tick(at(second=30))
    house.take(event(EventType.SCHEDULE_RECOVERED, "", stream=stream, when=at(6), reason=reason))
    (told,) = house.through(at(12), at(6))
    assert told.details["title"].startswith("No longer expected: ")
    assert told.details["summary"].endswith(", and what was due has not run.")
    assert told.details["items"][0].startswith("No longer expected: ")


def test_a_time_of_another_day_is_told_with_its_date():
    house = Told()
    house.take(failed("1"))
    house.tick(at(second=30))
    (again,) = house.tick(at(24 * 60))
    assert again.details["summary"].endswith(f", since {at():%Y-%m-%d} 03:00:00 UTC.")
