"""What is said of an alert when it is told again: what is so by then."""

from dataclasses import replace

import pytest
from alert_builders import event, failed
from builders import answer
from fakes import at

from segwatch.alerts.effects import effects_of
from segwatch.alerts.folding import fold
from segwatch.deliveries.alert_words import words_of
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.names import NameKey, Resource
from segwatch.deliveries.retold import retold
from segwatch.jobs.events import EventType, rfc3339
from segwatch.jobs.resubmission import Step

RETRY = {"step": "scheduled", "attempt": 2, "max_attempts": 3, "due_at": rfc3339(at(2))}
FAILED = failed("24116", details={"attempt": 1, "retry": RETRY, "segments": ["g-1"], "dataset": "d-1"})
SCHEDULED = event(EventType.RETRY_SCHEDULED, "24116", details={"attempt": 2, "due_at": rfc3339(at(2)), "why": "again"})
BY_HAND = "segwatch jobs retry 24116"


def alert_of(*events):
    alert = None
    for one in events:
        alert = fold(alert, effects_of(one)[0], one, words_of(one))
    return alert


def action(acted, row, now):
    return retold(alert_of(FAILED, acted), FAILED, acted, row, NOTHING, now).action


def test_what_holds_still_is_said_as_it_was():
    assert action(SCHEDULED, answer(), at(1)) == "Resubmitting at 03:02:00 UTC."
    assert action(FAILED, answer(), at(1)) == "This was attempt 1 of 3; attempt 2 follows at 03:02:00 UTC."


@pytest.mark.parametrize("acted", [FAILED, SCHEDULED], ids=["failed", "scheduled"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        (answer(), "Resubmitting now, as attempt 2."),
        (answer(due_at=at(30)), "Resubmitting at 03:30:00 UTC, as attempt 2."),
        (answer(due_at=at(30), waits_for="24117 asks for the same"), "Attempt 2 waits: 24117 asks for the same."),
        (answer(Step.POSTING), "Resubmitting now, as attempt 2."),
        (answer(Step.SUBMITTED, new_id="24120"), "Submitted again as 24120, attempt 2. Watching the new job."),
        (answer(Step.ADOPTED, new_id="24120"), "24120 does the same work and counts as attempt 2. Watching that job."),
        (answer(Step.PROPOSED), f"Nothing happens until a person says so: {BY_HAND}"),
        (
            answer(Step.REFUSED, reason="budget"),
            f"It is not submitted again: the day's budget is used up. If it is wanted all the same: {BY_HAND}",
        ),
        (
            answer(Step.REFUSED, reason="odd"),
            f"It is not submitted again: odd. If it is wanted all the same: {BY_HAND}",
        ),
    ],
)
def test_what_has_become_of_a_failure_is_said_in_place_of_what_was_to_come(acted, row, said):
    assert action(acted, row, at(20)) == said


def test_without_a_trace_of_the_resubmission_no_time_is_told_that_is_past():
    assert action(SCHEDULED, None, at(20)) == ""
    assert action(FAILED, None, at(20)) == "This was attempt 1 of 3."


@pytest.mark.parametrize(
    ("acted", "row"),
    [
        (event(EventType.RETRY_SUBMITTED, details={"new_job_id": "24120"}), answer(Step.SUBMITTED, new_id="24120")),
        (event(EventType.RETRY_ADOPTED, details={"new_job_id": "24120"}), answer(Step.ADOPTED, new_id="24120")),
        (failed(details={"retry": {"step": "proposed"}}), answer(Step.PROPOSED)),
        (event(EventType.RETRY_SCHEDULED, details={"mode": "propose"}), answer(Step.PROPOSED)),
        (failed(details={"retry": {"step": "refused", "reason": "never"}}), answer(Step.REFUSED, reason="never")),
        (event(EventType.RETRY_EXHAUSTED, details={"attempts": 3}), answer(Step.REFUSED, reason="attempts")),
    ],
)
def test_what_an_event_told_of_itself_keeps_its_words(acted, row):
    assert action(acted, row, at(20)) == words_of(acted).action


def test_what_was_expected_of_schedules_and_long_jobs_is_not_expected_again():
    missed = event(EventType.SCHEDULE_MISSED, details={"schedule": "s1", "next": rfc3339(at(10))})
    long = event(EventType.JOB_OVERDUE, details={"eta_s": 600, "runs": 40})
    again = "If it must not wait: segwatch evaluate"
    for one, before, after in (
        (missed, f"It should fire next at 03:10:00 UTC. {again}", again),
        (
            long,
            "Still watching it. ETA 03:10:00 UTC: those that took longer went on for about 10 m more.",
            "Still watching it. None of the last 40 took so long.",
        ),
    ):
        alert = alert_of(one)
        assert retold(alert, one, one, None, NOTHING, at(9)).action == before
        assert retold(alert, one, one, None, NOTHING, at(10)).action == after


def test_names_that_were_learned_since_are_in_the_title():
    key = NameKey(sandbox="prod", resource=Resource.SEGMENT, id="g-1")
    told = retold(alert_of(FAILED), FAILED, FAILED, None, Knowledge(names={key: "Gold members"}), at(20))
    assert told.title == 'Export 24116 of "Gold members" failed in prod'


def test_the_title_stays_that_of_the_first_failure_of_a_chain():
    alert = alert_of(FAILED, failed("24120", details={"root": "24116"}), SCHEDULED)
    assert (alert.titled_by, alert.acted_by) == (FAILED.id, SCHEDULED.id)


def test_what_is_forgotten_leaves_the_words_that_were_kept():
    alert = replace(alert_of(FAILED), title="Kept", action="Kept too.")
    assert retold(alert, None, None, None, NOTHING, at(20)) == alert
