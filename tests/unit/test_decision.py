"""What one observation of one job leads to: its events, and the answer to a failure."""

import pytest
from builders import (
    ABORTED,
    CANCELLED,
    EXPORT_PATH,
    answer,
    at,
    facts,
    failed,
    job,
    key,
    missing,
    policy,
    seen,
    types,
    watch,
)
from hypothesis import given
from hypothesis import strategies as st

from segwatch.decision import Policy, announce, decide, link
from segwatch.jobs.events import Severity, rfc3339
from segwatch.jobs.model import Status
from segwatch.jobs.resubmission import Refusal, Step
from segwatch.jobs.retry import Action, Mode, Rule, refused

NEW_JOB = "24117"
LINKED = answer(Step.SUBMITTED, new_id=NEW_JOB)


def export(status=Status.PROCESSING, **fields):
    return seen(status, facts=facts(), **fields)


def test_a_failed_export_is_told_and_its_answer_scheduled():
    made = decide(job(), export(Status.FAILED, minute=1, errors=(ABORTED,)), at(1), policy())
    assert types(made.events) == ["job.failed", "export.retry_scheduled"]
    assert (made.answer.step, made.answer.failed, made.state.sequence) == (Step.SCHEDULED, key(), 3)
    assert {"attempt": 2, "max_attempts": 3, "mode": "auto"}.items() <= made.events[1].details.items()


@pytest.mark.parametrize(
    ("fields", "state", "status", "told", "reason"),
    [
        pytest.param({"mode": Mode.OFF}, {}, Status.FAILED, ["job.failed"], None, id="off"),
        pytest.param(
            {"mode": Mode.PROPOSE}, {}, Status.FAILED, ["job.failed", "export.retry_scheduled"], "", id="propose"
        ),
        pytest.param(
            {"rules": (Rule(text="aborted", action=Action.NEVER),)}, {}, Status.FAILED,
            ["job.failed", "export.retry_refused"], "never", id="never",
        ),
        pytest.param(
            {}, {"attempt": 3, "root": "1"}, Status.FAILED,
            ["job.failed", "export.retry_refused", "export.retry_exhausted"], "attempts", id="attempts",
        ),
        pytest.param(
            {}, {"errors": (CANCELLED,)}, Status.CANCELLED, ["job.cancelled", "export.retry_refused"], "cancelled",
            id="cancelled",
        ),
        pytest.param({}, {"attempt": 3}, Status.SUCCEEDED, ["job.succeeded", "export.recovered"], None, id="recovered"),
        pytest.param({}, {}, Status.SUCCEEDED, ["job.succeeded"], None, id="succeeded-at-once"),
    ],
)  # fmt: skip
def test_an_end_leads_to(fields, state, status, told, reason):
    made = decide(job(**state), export(status, minute=1, errors=(ABORTED,)), at(1), policy(**fields))
    assert types(made.events) == told
    assert (made.answer and made.answer.reason) == reason
    assert [event.sequence for event in made.events] == list(range(2, len(told) + 2))


def test_a_used_up_chain_is_told_with_its_root_and_wakes_somebody():
    made = decide(job(attempt=3, root="1"), export(Status.FAILED, minute=1), at(1), policy())
    exhausted = made.events[-1]
    assert exhausted.severity is Severity.CRITICAL
    work = {"fingerprint": "f-nl", "dataset": "d1"}
    assert exhausted.details == {"root": "1", "attempts": 3, "last_job_id": "24116"} | work


@pytest.mark.parametrize(
    ("fields", "state", "decided"),
    [
        ({}, {}, {"step": "scheduled", "attempt": 2, "max_attempts": 3}),
        ({"mode": Mode.PROPOSE}, {}, {"step": "proposed", "max_attempts": 3}),
        ({}, {"attempt": 3}, {"step": "refused", "max_attempts": 3, "reason": "attempts"}),
        ({"mode": Mode.OFF}, {}, {"step": "off", "max_attempts": 3}),
    ],
)
def test_that_an_export_failed_says_what_was_decided_about_it(fields, state, decided):
    made = decide(job(**state), export(Status.FAILED, minute=1), at(1), policy(**fields))
    told = dict(made.events[0].details["retry"])
    due_at = rfc3339(made.answer.due_at) if decided["step"] == "scheduled" else None
    assert (told.pop("due_at", None), told) == (due_at, decided)


def test_a_kind_without_a_retry_policy_is_never_answered():
    made = decide(job(), export(Status.FAILED, minute=1), at(1), Policy(watch=watch()))
    assert (types(made.events), made.answer) == (["job.failed"], None)


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, Status.SUCCEEDED])
def test_what_ended_before_the_first_start_is_neither_told_nor_resubmitted(status):
    made = decide(None, export(status, errors=(ABORTED,)), at(0), policy(), is_news=False)
    assert (made.events, made.answer, made.state.status) == ((), None, status)
    again = decide(made.state, export(status, minute=1, errors=(ABORTED,)), at(1), policy())
    assert (again.events, again.answer) == ((), None)


def test_an_unknown_job_that_is_not_there_leaves_no_trace():
    made = decide(None, missing(), at(0), policy())
    assert (made.state, made.events, made.answer) == (None, (), None)


def test_a_vanished_export_is_not_resubmitted_until_it_shows_that_it_failed():
    made = decide(job(misses=2), missing(minute=1), at(1), policy())
    assert (types(made.events), made.answer) == (["job.vanished"], None)
    made = decide(made.state, export(Status.FAILED, minute=2), at(2), policy())
    assert types(made.events) == ["job.failed", "export.retry_scheduled"]


def test_every_event_of_a_job_links_to_it_on_the_platform_also_those_of_its_resubmission():
    path = "/data/core/ups/export/jobs/24116"
    told = decide(job(), seen(Status.FAILED, facts=facts(api_path=path)), at(1), policy()).events
    assert types(told) == ["job.failed", "export.retry_scheduled"]
    assert [event.payload()["data"]["links"] for event in told] == [{"platform": path}] * 2


def test_an_event_without_an_address_has_links_all_the_same():
    (event,) = decide(job(), seen(Status.SUCCEEDED), at(1), policy()).events
    assert event.payload()["data"]["links"] == {}


@pytest.mark.parametrize(
    ("reason", "severity"),
    [
        pytest.param(Refusal.CANCELLED, Severity.INFO, id="a-person-decided"),
        pytest.param(Refusal.SUPERSEDED, Severity.INFO, id="it-is-done"),
        pytest.param(Refusal.ATTEMPTS, Severity.INFO, id="exhausted-tells-it-louder"),
        pytest.param(Refusal.BUDGET, Severity.CRITICAL, id="budget"),
        pytest.param(Refusal.NEVER, Severity.WARNING, id="never"),
        pytest.param(Refusal.UNDECIDED, Severity.CRITICAL, id="somebody-must-look"),
    ],
)
def test_a_refusal_is_as_loud_as_it_is_surprising(reason, severity):
    _, events = announce(failed(), refused(answer(), reason, at(3)), policy().retry, at(3), why="because")
    assert (events[0].reason, events[0].severity, events[0].details["why"]) == (reason, severity, "because")


@pytest.mark.parametrize(
    ("step", "told"),
    [
        pytest.param(Step.SCHEDULED, ["export.retry_scheduled"], id="scheduled"),
        pytest.param(Step.POSTING, [], id="an-intent-is-no-news"),
        pytest.param(Step.SUBMITTED, ["export.retry_submitted"], id="submitted"),
        pytest.param(Step.ADOPTED, ["export.retry_adopted"], id="adopted"),
    ],
)
def test_each_step_is_told_on_the_failed_jobs_stream(step, told):
    state, events = announce(failed(), answer(step, new_id=NEW_JOB), policy().retry, at(3), by="look")
    assert types(events) == told
    assert state.sequence == 1 + len(told)
    for event in events:
        assert (event.job_id, event.details["new_job_id"], event.details["settled_by"]) == ("24116", NEW_JOB, "look")


# link: a new job turns out to answer a failure


def test_a_new_job_is_discovered_as_part_of_its_chain():
    made = link(None, export(Status.NEW, minute=3, job_id=NEW_JOB), LINKED, at(3), policy())
    assert types(made.events) == ["job.discovered"]
    assert (made.state.root, made.state.attempt) == ("24116", 2)
    assert (made.events[0].details["root"], made.events[0].details["attempt"]) == ("24116", 2)


@pytest.mark.parametrize("looked", [1, 9], ids=["before-the-reply", "after-the-reply"])
def test_a_known_job_that_failed_meanwhile_is_not_answered_twice(looked):
    known = decide(None, export(Status.FAILED, minute=looked, job_id=NEW_JOB), at(looked), policy()).state
    made = link(known, export(Status.PROCESSING, minute=3, job_id=NEW_JOB), LINKED, at(9), policy())
    assert (made.events, made.answer, made.state.status) == ((), None, Status.FAILED)


def test_a_new_job_that_failed_at_once_is_judged_by_its_place_in_the_chain():
    third = answer(Step.SUBMITTED, attempt=3, new_id=NEW_JOB)
    made = link(None, export(Status.FAILED, minute=3, job_id=NEW_JOB), third, at(3), policy())
    assert types(made.events)[-2:] == ["export.retry_refused", "export.retry_exhausted"]
    assert (made.answer.attempt, made.answer.root) == (4, "24116")


def test_an_adopted_job_of_the_time_before_the_first_start_still_closes_the_chain():
    known = decide(None, export(Status.SUCCEEDED, job_id=NEW_JOB), at(0), policy(), is_news=False).state
    made = link(known, export(Status.SUCCEEDED, minute=3, job_id=NEW_JOB), LINKED, at(3), policy())
    assert types(made.events) == ["export.recovered"]
    assert made.events[0].sequence == 1


statuses = st.sampled_from([Status.NEW, Status.PROCESSING, Status.UNKNOWN])
ends = st.sampled_from([Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
walks = st.tuples(st.lists(statuses, max_size=4), ends).map(lambda walk: [*walk[0], walk[1]])


@given(walks, st.integers(0, 5), st.integers(0, 4), st.booleans())
def test_when_the_link_comes_changes_neither_the_chain_nor_how_often_it_is_closed(walk, place, age, is_news):
    """place: how many looks come before the link. age: how many looks ago its own sighting was made."""
    state, told = None, []
    looks = [("look", status, minute) for minute, status in enumerate(walk)]
    place = min(place, len(looks))
    sighted = max(0, min(place, len(looks) - 1) - age)
    looks.insert(place, ("link", walk[sighted], sighted))
    for what, status, minute in looks:
        sighting = export(status, minute=minute, job_id=NEW_JOB)
        if what == "link":
            made = link(state, sighting, LINKED, at(9), policy())
        else:
            made = decide(state, sighting, at(9), policy(), is_news=is_news)
        state = made.state
        told += made.events
    assert (state.root, state.attempt) == ("24116", 2)
    assert [event.sequence for event in told] == list(range(1, state.sequence + 1))
    assert types(told).count("export.recovered") == (walk[-1] is Status.SUCCEEDED)
    for event in told:
        if event.type.value == "export.recovered":
            chain = {"root": "24116", "last_job_id": NEW_JOB, "attempts": 2}
            assert event.details == chain | {"fingerprint": state.facts.fingerprint, "dataset": state.facts.dataset}


@given(walks, st.booleans())
def test_every_event_after_the_link_names_the_chain(walk, is_known):
    state = job(Status.NEW, job_id=NEW_JOB) if is_known else None
    for minute, status in enumerate(walk):
        sighting = export(status, minute=minute, job_id=NEW_JOB)
        made = decide(state, sighting, at(9), policy()) if minute else link(state, sighting, LINKED, at(9), policy())
        state = made.state
        for event in made.events:
            assert event.details["root"] == "24116"


def test_the_watch_of_an_export_has_no_queue():
    assert policy().watch.path == EXPORT_PATH
