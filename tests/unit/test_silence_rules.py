"""What is not told for a while, and what is told when that is over."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import at, silence
from hypothesis import given
from hypothesis import strategies as st

from segwatch.alerts.labels import labels_of
from segwatch.alerts.matching import Condition
from segwatch.alerts.silences import (
    SETTLES_WITHIN,
    End,
    SilenceState,
    expired,
    held_back_by,
    must_be_told,
    resolved,
    silenced_by,
)
from segwatch.cli.silence import _row
from segwatch.deliveries.message import message_of
from segwatch.deliveries.routing import Route
from segwatch.deliveries.silence_end import LISTED_MAX, told
from segwatch.jobs.events import Event, EventType, Severity, severity_of

PROD = {"sandbox": ("prod",)}


def opened(job="7", *, sandbox="prod", minute=0, type_=EventType.JOB_FAILED):
    return Event(
        type=type_, stream=f"{sandbox}/export_job/{job}", sequence=2, at=at(minute), severity=severity_of(type_),
        sandbox=sandbox, kind="export_job", job_id=job,
    )  # fmt: skip


def wrong(*events):
    return {f"work/{event.sandbox}/export_job/{event.job_id}": event for event in events}


@pytest.mark.parametrize(
    ("starts", "ends", "state"),
    [
        (-1, None, SilenceState.ACTIVE),
        (0, 1, SilenceState.ACTIVE),
        (1, 2, SilenceState.PENDING),
        (-2, 0, SilenceState.ENDED),
    ],
)
def test_a_silence_is_in_force_between_its_times(starts, ends, state):
    one = silence(starts_at=at(starts), ends_at=None if ends is None else at(ends))
    assert one.state(at(0)) is state
    assert bool(silenced_by(PROD, [one], at(0))) is (state is SilenceState.ACTIVE)


def test_it_is_about_what_all_of_its_matchers_fit():
    both = silence('sandbox=prod,severity=~"warning|info"')
    assert silenced_by(PROD | {"severity": ("warning",)}, [both], at(0)) == (both,)
    assert silenced_by(PROD | {"severity": ("critical",)}, [both], at(0)) == ()


def test_whoever_ends_it_ends_it_now_and_once():
    one = silence(ends_at=at(60))
    ended = expired(one, at(0))
    assert (ended.ends_at, ended.ends_by, ended.state(at(0))) == (at(0), End.EXPIRED, SilenceState.ENDED)
    assert expired(ended, at(5)) is ended
    pending = expired(silence(starts_at=at(30), ends_at=at(60)), at(0))
    assert pending.starts_at <= pending.ends_at


def test_until_resolved_ends_with_the_last_alert_that_it_matches():
    one = silence(until_resolved=True)
    assert resolved(one, {"a": PROD, "b": {"sandbox": ("dev",)}}, at(0)) is one
    ended = resolved(one, {"b": {"sandbox": ("dev",)}}, at(0))
    assert (ended.ends_at, ended.ends_by) == (at(0), End.RESOLVED)
    assert resolved(ended, {}, at(9)) is ended
    assert resolved(silence(), {}, at(0)).ends_at is None, "a silence without it goes on"
    assert resolved(silence(until_resolved=True, starts_at=at(5)), {}, at(0)).ends_at is None, "it has not begun"


def test_its_end_is_told_once_what_was_recorded_under_it_is_on_disk():
    one = silence(ends_at=at(0))
    assert not must_be_told(one, at(0))
    assert must_be_told(one, at(0) + SETTLES_WITHIN)
    assert not must_be_told(silence(), at(0) + timedelta(days=99))


def test_the_end_lists_what_is_still_wrong_the_worst_first():
    events = [opened("1", type_=EventType.JOB_OVERDUE), opened("2", minute=1), opened("3"), opened("4", sandbox="dev")]
    ended, event, _ = told(silence(ends_at=at(5)), wrong(*events), (), (), at(6))
    assert ended.told_at == at(6)
    assert (event.type, event.severity, event.reason) == (EventType.SILENCE_ENDED, Severity.CRITICAL, "time")
    assert (event.sandbox, event.kind, event.stream, event.sequence) == ("prod", "export_job", "silence/s1", 1)
    assert event.details["open"] == 3
    assert [one["job_id"] for one in event.details["alerts"]] == ["3", "2", "1"]
    message = message_of(event)
    assert message.title == "A silence ended: 3 alerts are open"
    said = "A silence ended: 3 alerts are open — sandbox=prod, silenced by sam (known); it ran out at 03:05:00 UTC."
    assert message.summary == said
    assert message.action == "To hear no more of them: segwatch silence add sandbox=prod --for 2h"
    assert "Reason" not in dict(message.fields)
    assert message.items == (
        "Export 3 failed in prod, since 03:00:00 UTC",
        "Export 2 failed in prod, since 03:01:00 UTC",
        "Export 1 is overdue in prod, since 03:00:00 UTC",
    )


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (End.TIME, "it ran out"),
        (End.RESOLVED, "nothing it was about is wrong any more"),
        (End.EXPIRED, "a person ended it"),
    ],
)
def test_the_end_says_why_it_came_in_words_and_so_does_the_list(why, words):
    one = silence(ends_at=at(5), ends_by=why)
    _, event, _ = told(one, {}, (), (), at(6))
    assert message_of(event).summary.endswith(f"; {words} at 03:05:00 UTC.")
    assert _row(one, at(6))["when"].endswith(f"03:05:00 UTC: {words}")


def test_until_its_end_is_told_it_holds_alerts_back_from_their_groups():
    one = silence(ends_at=at(5))
    assert held_back_by(PROD, [one], at(6)) == (one,)
    assert silenced_by(PROD, [one], at(6)) == (), "what happens by then is told at once where it is told at once"
    assert held_back_by(PROD, [replace(one, told_at=at(6))], at(6)) == ()
    assert held_back_by({"sandbox": ("dev",)}, [one], at(4)) == ()
    assert held_back_by(PROD, [silence(starts_at=at(5))], at(4)) == ()


def test_the_end_of_one_that_hides_nothing_is_no_alarm():
    _, event, _ = told(silence(ends_at=at(5)), {}, (), (), at(6))
    assert (event.severity, event.details["open"]) == (Severity.INFO, 0)
    assert message_of(event).title == "A silence ended: nothing is wrong"
    assert message_of(event).action == ""


def test_a_long_list_is_cut_and_counted():
    events = [opened(str(number)) for number in range(LISTED_MAX + 7)]
    _, event, _ = told(silence(ends_at=at(5)), wrong(*events), (), (), at(6))
    assert len(event.details["alerts"]) == LISTED_MAX
    assert (len(event.details["items"]), event.details["items_left"]) == (LISTED_MAX, 7)


def test_whoever_would_have_been_told_of_one_of_them_is_told():
    routes = [
        Route(channels=("failures",), condition=Condition(match={"type": "job.failed"})),
        Route(channels=("dev",), condition=Condition(match={"sandbox": "dev"})),
        Route(channels=("ends", "failures"), condition=Condition(match={"type": "silence.ended"})),
        Route(channels=("grouped",), group_by=()),
    ]  # fmt: skip
    _, _, deliveries = told(silence(ends_at=at(5)), wrong(opened()), (), routes, at(6))
    assert [one.channel for one in deliveries] == ["ends", "failures"]
    assert {one.due_at for one in deliveries} == {at(6)}


def test_what_another_silence_is_about_waits_for_the_end_of_that_one():
    other = silence("job_id=1", id="s2")
    _, event, _ = told(silence(ends_at=at(5)), wrong(opened("1"), opened("2")), (other,), (), at(6))
    assert [one["job_id"] for one in event.details["alerts"]] == ["2"]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from(["prod", "dev"])), max_size=20),
    st.sampled_from(["sandbox=prod", "sandbox!=prod", 'job_id=~"1."']),
)
def test_every_alert_that_a_silence_held_back_is_counted_at_its_end(jobs, matchers):
    events = [opened(str(job), sandbox=sandbox) for job, sandbox in jobs]
    one = silence(matchers)
    _, event, _ = told(expired(one, at(1)), wrong(*events), (), (), at(6))
    held = {event.stream for event in events if silenced_by(labels_of(event), [one], at(0))}
    assert event.details["open"] == len(held)
