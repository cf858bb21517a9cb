"""Whether a failed export is submitted again, and when."""

from dataclasses import replace

import pytest
from builders import ABORTED, CANCELLED, answer, around, at, failed, job, retry_policy
from builders import facts as facts_of
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.model import JobError, Status
from segwatch.jobs.resubmission import Refusal, Step
from segwatch.jobs.retry import Action, Go, Hold, Mode, NotNow, Propose, Refuse, Rule, admit, judge, ruling, wished

QUOTA = JobError(code="0090000009", text="Quota exceeded for dataset")


# judge: when the job fails


def test_a_failure_is_answered_after_the_first_delay():
    made = judge(failed(), retry_policy(), at(1))
    assert (made.step, made.attempt, made.root, made.reason) == (Step.SCHEDULED, 2, "24116", "")
    assert at(2) <= made.due_at <= at(3)
    assert (made.request, made.fingerprint) == (facts_of().request, facts_of().fingerprint)


def test_the_wait_before_an_attempt_survives_a_restart_unchanged():
    assert judge(failed(), retry_policy(), at(1)) == judge(failed(), retry_policy(), at(1))


@pytest.mark.parametrize(
    ("mode", "step"),
    [
        pytest.param(Mode.AUTO, Step.SCHEDULED, id="auto"),
        pytest.param(Mode.PROPOSE, Step.PROPOSED, id="propose"),
        pytest.param(Mode.OFF, None, id="off"),
    ],
)
def test_the_mode_says_what_is_done_by_itself(mode, step):
    made = judge(failed(), retry_policy(mode=mode), at(1))
    assert (made and made.step) == step


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.PROPOSE])
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        pytest.param(failed(errors=(ABORTED, CANCELLED)), Refusal.CANCELLED, id="its-error-says-cancelled"),
        pytest.param(job(Status.CANCELLED), Refusal.CANCELLED, id="cancelled"),
        pytest.param(failed(errors=(QUOTA,)), Refusal.NEVER, id="a-rule-says-never"),
        pytest.param(failed(attempt=3), Refusal.ATTEMPTS, id="attempts-used-up"),
        pytest.param(failed(attempt=3, errors=(QUOTA,)), Refusal.NEVER, id="never-before-attempts"),
        pytest.param(failed(attempt=3, errors=(CANCELLED,)), Refusal.CANCELLED, id="cancelled-before-all"),
    ],
)
def test_what_must_not_be_repeated_is_refused_at_once(state, reason, mode):
    rules = (Rule(code=QUOTA.code, action=Action.NEVER),)
    made = judge(state, retry_policy(mode=mode, rules=rules), at(1))
    assert (made.step, made.reason) == (Step.REFUSED, reason)


def test_a_rule_that_says_retry_does_not_lift_the_limit_of_attempts():
    rules = (Rule(action=Action.RETRY),)
    assert judge(failed(attempt=3), retry_policy(rules=rules), at(1)).reason == Refusal.ATTEMPTS


@pytest.mark.parametrize(
    ("rules", "errors", "action"),
    [
        pytest.param([], [QUOTA], None, id="no-rule"),
        pytest.param([Rule(code="0090000009", action=Action.NEVER)], [QUOTA], Action.NEVER, id="code"),
        pytest.param([Rule(code="009", action=Action.NEVER)], [QUOTA], None, id="codes-match-whole"),
        pytest.param([Rule(text="quota", action=Action.NEVER)], [QUOTA], Action.NEVER, id="text-in-any-case"),
        pytest.param([Rule(code="1", text="quota", action=Action.NEVER)], [QUOTA], None, id="both-parts-must-fit"),
        pytest.param(
            [Rule(code=QUOTA.code, text="aborted", action=Action.NEVER)], [QUOTA, ABORTED], None, id="by-one-error"
        ),
        pytest.param([Rule(text="aborted", action=Action.NEVER)], [QUOTA, ABORTED], Action.NEVER, id="by-any-error"),
        pytest.param(
            [Rule(text="aborted", action=Action.RETRY), Rule(code=QUOTA.code, action=Action.NEVER)],
            [QUOTA, ABORTED], Action.RETRY, id="the-first-rule-wins-whichever-error-comes-first",
        ),
        pytest.param(
            [Rule(code=QUOTA.code, action=Action.RETRY), Rule(action=Action.NEVER)], [ABORTED], Action.NEVER,
            id="an-empty-rule-matches-the-rest",
        ),
        pytest.param([Rule(action=Action.NEVER)], [], None, id="without-an-error-no-rule-matches"),
    ],
)  # fmt: skip
def test_the_first_matching_rule_wins(rules, errors, action):
    rule = ruling(errors, rules)
    assert (rule and rule.action) == action


# admit: when its time has come

TWIN = Hold(until=at(10, second=15), why="order cmd-1 asks for the same, and is not settled yet")
MANY = "5 different exports failed of late: one at a time is tried"


@pytest.mark.parametrize(
    ("made", "surroundings", "fields", "expected"),
    [
        pytest.param({}, {}, {}, Go(), id="nothing-against-it"),
        pytest.param({}, {"submitted_today": 19}, {}, Go(), id="budget-left"),
        pytest.param({}, {"submitted_today": 20}, {}, Refusal.BUDGET, id="budget-used-up"),
        pytest.param({"attempt": 3}, {}, {}, Go(), id="the-last-attempt"),
        pytest.param({"attempt": 4}, {}, {}, Refusal.ATTEMPTS, id="joined-a-chain-that-is-used-up"),
        pytest.param({}, {}, {"mode": Mode.OFF}, Refusal.NEVER, id="switched-off-meanwhile"),
        pytest.param({}, {}, {"mode": Mode.PROPOSE}, Propose(), id="scheduled-before-the-mode-became-propose"),
        pytest.param({"manual": True}, {}, {"mode": Mode.PROPOSE}, Go(), id="a-person-has-asked-for-it"),
        pytest.param({}, {"twin_in_flight": "order cmd-1"}, {}, TWIN, id="a-twin-is-not-settled"),
        pytest.param({}, {"failing": 4, "failed_at": at(10)}, {}, Go(), id="few-exports-fail"),
        pytest.param(
            {}, {"failing": 5, "failed_at": at(9)}, {}, Hold(until=at(11), why=MANY), id="many-fail-so-hold"
        ),
        pytest.param({}, {"failing": 5, "failed_at": at(8)}, {}, Go(), id="after-a-pause-try-one"),
        pytest.param(
            {}, {"failing": 5, "failed_at": at(8), "on_trial": True}, {}, Hold(until=at(10, second=15), why=MANY),
            id="one-is-on-trial-so-hold",
        ),
        pytest.param(
            {"manual": True, "attempt": 9}, {"submitted_today": 99, "failing": 9, "failed_at": at(10)},
            {"mode": Mode.OFF}, Go(), id="a-persons-wish-passes-all-limits",
        ),
        pytest.param(
            {"manual": True}, {"twin_in_flight": "order cmd-1"}, {}, TWIN, id="but-not-a-twin"
        ),
    ],
)  # fmt: skip
def test_a_due_answer_goes_ahead_waits_or_is_refused(made, surroundings, fields, expected):
    admitted = admit(answer(**made), around(**surroundings), retry_policy(**fields), at(10))
    assert (admitted.reason if isinstance(admitted, Refuse) else admitted) == expected


@given(st.integers(0, 12), st.integers(-60, 5), st.booleans(), st.booleans())
def test_a_hold_ends_soon_and_in_the_future(failing, failed_minute, on_trial, twin):
    surroundings = around(
        failing=failing, failed_at=at(failed_minute), on_trial=on_trial, twin_in_flight="order c" * twin
    )
    admitted = admit(answer(), surroundings, retry_policy(), at(0))
    if isinstance(admitted, Hold):
        assert at(0) < admitted.until <= at(max(0, failed_minute) + 2)


# wished: what a person may ask for


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_a_person_may_have_submitted_what_the_policy_would_not(status):
    made = wished(replace(failed(attempt=9), status=status), None, at(1))
    assert (made.step, made.attempt, made.root, made.due_at, made.manual) == (Step.SCHEDULED, 10, "24116", at(1), True)
    assert (made.request, made.fingerprint) == (facts_of().request, facts_of().fingerprint)


@pytest.mark.parametrize("step", [Step.SCHEDULED, Step.PROPOSED, Step.REFUSED])
def test_a_wish_takes_the_place_of_an_answer_that_is_still_open_or_was_refused(step):
    before = answer(step, reason="budget" if step is Step.REFUSED else "", tries=1, posted_at=at(0))
    made = wished(failed(), before, at(5))
    assert made == replace(
        before, step=Step.SCHEDULED, reason="", due_at=at(5), since=at(5), manual=True, asked_anew=True
    )
    assert (made.tries, made.posted_at) == (1, at(0)), "what may have been submitted is not forgotten"


@pytest.mark.parametrize("status", [one for one in Status if one not in (Status.FAILED, Status.CANCELLED)])
def test_what_has_not_failed_is_not_submitted_again(status):
    assert wished(job(status), None, at(1)) == NotNow(
        why=f"is {job(status).word}: only a failed or cancelled export can be submitted again"
    )


@pytest.mark.parametrize(
    ("step", "fields", "why"),
    [
        (Step.SUBMITTED, {"new_id": "2"}, "is answered by job 2; retry that one if it failed too"),
        (Step.ADOPTED, {"new_id": "2"}, "is answered by job 2; retry that one if it failed too"),
        (Step.POSTING, {}, "is being submitted; `segwatch jobs explain 24116` shows how it ends"),
    ],
)
def test_what_is_answered_or_on_its_way_is_not_submitted_beside_it(step, fields, why):
    assert wished(failed(), answer(step, **fields), at(1)) == NotNow(why=why)


def test_what_is_answered_by_a_job_that_vanished_may_be_submitted_again():
    before = answer(Step.SUBMITTED, new_id="2", posted_at=at(0), known=("7",))
    vanished = replace(job(Status.VANISHED), key=replace(failed().key, id="2"))
    made = wished(failed(), before, at(1), answering=vanished)
    assert (made.step, made.new_id, made.manual, made.posted_at) == (Step.SCHEDULED, "", True, at(0))
    assert made.known == ("7",), "should it show up after all, it is ours"


@pytest.mark.parametrize("force", [False, True])
def test_what_is_answered_by_a_job_in_an_unknown_status_is_submitted_again_where_a_person_insists(force):
    unknown = replace(job(Status.UNKNOWN), word="ABORTED", key=replace(failed().key, id="2"))
    made = wished(failed(), answer(Step.ADOPTED, new_id="2"), at(1), answering=unknown, force=force)
    if force:
        assert (made.step, made.new_id, made.known) == (Step.SCHEDULED, "", ("2",)), "it is neither ours nor in the way"
    else:
        assert "whose status ABORTED segwatch does not know" in made.why
        assert "--force" in made.why
