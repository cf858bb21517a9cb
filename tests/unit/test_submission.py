"""How a failed export is submitted again, once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import answer, at, failed, retry_policy, seen
from builders import facts as facts_of
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs import proof
from segwatch.jobs.model import Status
from segwatch.jobs.resubmission import Refusal, Step
from segwatch.jobs.retry import Go, Refuse, judge
from segwatch.jobs.submission import Found, Posted, after_post, assess, led_to, posting, settle

NONE: frozenset[str] = frozenset()


def export(job_id="2", status=Status.PROCESSING, *, created=1, **fields):
    """An export equal to the failed one, which ended at minute 0."""
    return seen(status, job_id=job_id, **({"created_at": at(created), "facts": facts_of()} | fields))


# assess: when the list has been read, before the POST


@pytest.mark.parametrize(
    ("rows", "claimed", "expected"),
    [
        pytest.param([], NONE, Go(), id="nothing-there"),
        pytest.param([export("24116", Status.FAILED, created=-5)], NONE, Go(), id="only-itself"),
        pytest.param([export(created=1)], NONE, "2", id="created-since-the-failure-is-adopted"),
        pytest.param([export(created=0)], NONE, "2", id="created-as-it-failed"),
        pytest.param([export(status=Status.SUCCEEDED)], NONE, "2", id="has-succeeded-already"),
        pytest.param([export(created=-1)], NONE, Refusal.SUPERSEDED, id="ran-beside-it"),
        pytest.param(
            [export(status=Status.SUCCEEDED, created=-1)], NONE, Refusal.SUPERSEDED, id="ran-beside-it-and-succeeded"
        ),
        pytest.param([export(created=-6)], NONE, Go(), id="older"),
        pytest.param([export()], frozenset({"2"}), Refusal.SUPERSEDED, id="answers-another-failure-already"),
        pytest.param([export(status=Status.FAILED)], NONE, Go(known=("2",)), id="failed-too"),
        pytest.param([export(status=Status.CANCELLED)], NONE, Go(known=("2",)), id="was-cancelled"),
        pytest.param([export(facts=facts_of("be"))], NONE, Go(known=("2",)), id="another-export"),
        pytest.param([export(status=Status.UNKNOWN, word="PARKED")], NONE, "2", id="an-unknown-status-may-be-running"),
        pytest.param([export("3", Status.FAILED), export("2")], NONE, "2", id="one-failed-one-runs"),
        pytest.param(
            [export("9", Status.FAILED), export("10", Status.FAILED)], NONE, Go(known=("10", "9")), id="known-are-noted"
        ),
        pytest.param([export(created_at=None)], NONE, Refusal.SUPERSEDED, id="nobody-knows-since-when"),
    ],
)
def test_the_list_decides_between_adopting_refusing_and_submitting(rows, claimed, expected):
    assert outcome(assess(answer(), failed(), rows, claimed)) == expected


def outcome(found):
    match found:
        case Found(job=row, ours=False):
            return row.key.id
        case Refuse(reason=reason):
            return reason
        case _:
            return found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([export(status=Status.SUCCEEDED)], Go(known=("2",)), id="they-saw-it-and-want-another"),
        pytest.param([export()], Refusal.SUPERSEDED, id="but-not-beside-one-that-runs"),
    ],
)
def test_a_person_may_repeat_what_succeeded_but_not_what_runs(rows, expected):
    assert outcome(assess(answer(manual=True, asked_anew=True), failed(), rows, NONE)) == expected


def test_a_wish_is_spent_by_its_post():
    """What succeeds after it may be its effect, under whatever name: the person has not seen that."""
    wish = answer(manual=True, asked_anew=True, tries=0)
    posted = posting(wish, Go(known=("2",)), at(0))
    assert (posted.manual, posted.asked_anew) == (True, False)
    not_sent = after_post(posted, Posted(how=Posted.How.NOT_SENT, why=""), retry_policy(), at(1), before=wish)
    assert not_sent.asked_anew
    seen_then, new = export("2", Status.SUCCEEDED), export("3", Status.SUCCEEDED)
    assert isinstance(assess(replace(posted, step=Step.SCHEDULED), failed(), [seen_then], NONE), Go)
    claimed = frozenset({"3"})
    assert outcome(assess(replace(posted, step=Step.SCHEDULED), failed(), [new], claimed)) == Refusal.SUPERSEDED


@pytest.mark.parametrize("manual", [False, True], ids=["by-itself", "a-person-asks"])
@pytest.mark.parametrize("status", [Status.PROCESSING, Status.FAILED, Status.CANCELLED, Status.SUCCEEDED])
@pytest.mark.parametrize("created", [1, None])
def test_an_earlier_submission_that_shows_up_late_is_ours_whatever_became_of_it(created, status, manual):
    made = answer(posted_at=at(0), tries=1, known=("1",), manual=manual)
    late = export(status=status, created_at=created and at(created))
    assert assess(made, failed(), [export("1", Status.FAILED), late], NONE) == Found(job=late, ours=True)


@pytest.mark.parametrize(
    ("fields", "rows", "claimed"),
    [
        pytest.param({}, [export(status=Status.FAILED)], NONE, id="we-never-submitted"),
        pytest.param(
            {"posted_at": at(0), "known": ("2",)}, [export(status=Status.FAILED)], NONE, id="was-there-before"
        ),
        pytest.param(
            {"posted_at": at(0)}, [export(status=Status.FAILED)], frozenset({"2"}), id="answers-another-failure"
        ),
        pytest.param({"posted_at": at(0)}, [export(created=-6)], NONE, id="older-than-the-failure"),
        pytest.param({"posted_at": at(0)}, [export(facts=facts_of("be"))], NONE, id="another-export"),
        pytest.param(
            {"posted_at": at(0), "manual": True, "asked_anew": True},
            [export(status=Status.FAILED, created=24 * 60)],
            NONE,
            id="a-day-later-and-a-person-asks",
        ),
    ],
)
def test_only_what_our_own_submission_can_have_made_is_ours(fields, rows, claimed):
    assert isinstance(assess(answer(**fields), failed(), rows, claimed), Go)


def test_what_somebody_ordered_by_segwatch_may_be_adopted_but_is_no_effect_of_ours():
    made = answer(posted_at=at(0), declined=True)
    found = assess(made, failed(), [export()], NONE, ordered=frozenset({"2"}))
    assert found == Found(job=export(), ours=False)


@pytest.mark.parametrize("created_at", [at(8), at(60 * 24)])
def test_a_failure_whose_creation_lies_ahead_of_our_clock_still_sees_what_came_after_it(created_at):
    made = assess(answer(posted_at=at(1)), failed(created_at=created_at), [export(created=1)], NONE)
    assert made == Found(job=export(created=1), ours=True)


@pytest.mark.parametrize("hours", [1, 30])
def test_what_a_platform_with_a_clock_ahead_made_of_our_submission_is_ours(hours):
    ahead = hours * 60
    ended = failed(created_at=at(ahead - 5), discovered_at=at(-5))
    late = export(created=ahead + 10)
    for asked_anew in (False, True):
        made = answer(posted_at=at(0), manual=asked_anew, asked_anew=asked_anew)
        assert assess(made, ended, [late], NONE) == Found(job=late, ours=True)


@pytest.mark.parametrize("missing", ["request", "fingerprint"])
def test_what_to_submit_must_be_known(missing):
    assert outcome(assess(answer(**{missing: ""}), failed(), [], NONE)) == Refusal.UNDECIDED


def test_without_the_time_of_the_failure_nothing_is_adopted():
    assert outcome(assess(answer(), failed(ended_at=None, updated_at=at(-3)), [export()], NONE)) == Refusal.SUPERSEDED


def test_an_unknown_fingerprint_equals_nothing():
    blank = facts_of(order="")
    assert outcome(assess(answer(fingerprint=""), failed(facts=blank), [export(facts=blank)], NONE)) == "undecided"


# posting, after_post, settle: around the POST


def test_the_intent_notes_what_was_there_before():
    made = posting(answer(tries=1, declined=True), Go(known=("7",)), at(5))
    assert (made.step, made.posted_at, made.known, made.tries) == (Step.POSTING, at(5), ("7",), 2)
    assert not made.declined


@pytest.mark.parametrize(
    ("how", "step", "declined", "reason"),
    [
        pytest.param(Posted.How.NOT_SENT, Step.SCHEDULED, False, "", id="not-sent"),
        pytest.param(Posted.How.LOST, Step.POSTING, False, "", id="lost"),
        pytest.param(Posted.How.DECLINED, Step.POSTING, True, "", id="declined"),
        pytest.param(Posted.How.REJECTED, Step.REFUSED, False, "never", id="rejected"),
    ],
)
def test_how_a_post_ended_decides_the_next_step(how, step, declined, reason):
    made = after_post(answer(Step.POSTING), Posted(how=how, why=""), retry_policy(), at(1), before=answer())
    assert (made.step, made.declined, made.reason) == (step, declined, reason)


def test_a_wait_that_the_platform_asks_for_is_kept():
    posted = Posted(how=Posted.How.NOT_SENT, why="429", retry_after=timedelta(minutes=30))
    assert after_post(answer(Step.POSTING), posted, retry_policy(), at(1), before=answer()).due_at == at(31)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(answer(), id="the-first"),
        pytest.param(answer(posted_at=at(-9), known=("7",), declined=True), id="after-one-that-was-declined"),
    ],
)
def test_a_post_that_was_not_sent_leaves_what_is_known_of_an_earlier_one(before):
    intent = posting(before, Go(known=("7", "8")), at(0))
    made = after_post(intent, Posted(how=Posted.How.NOT_SENT, why="429"), retry_policy(), at(1), before=before)
    assert (made.posted_at, made.known, made.declined) == (before.posted_at, before.known, before.declined)


def settled(rows, *, minute=1.0, claimed=NONE, **fields):
    made = settle(
        answer(Step.POSTING, **fields), failed(minute=-1), rows, claimed,
        policy=retry_policy(), silence=timedelta(minutes=minute), now=at(minute),
    )  # fmt: skip
    match made:
        case Found(job=row):
            return row.key.id
        case Refuse(reason=reason):
            return Step.REFUSED, reason
        case _:
            return made.step, made.reason


@pytest.mark.parametrize(
    ("rows", "fields", "expected"),
    [
        pytest.param([export()], {}, "2", id="a-new-one-is-ours"),
        pytest.param([export(status=Status.FAILED)], {}, "2", id="though-it-failed"),
        pytest.param([export("3", created=2), export("2", created=1)], {}, "2", id="the-oldest-new-one"),
        pytest.param([export()], {"known": ("2",)}, (Step.POSTING, ""), id="it-was-there-before"),
        pytest.param([export()], {"claimed": frozenset({"2"})}, (Step.POSTING, ""), id="it-answers-another-failure"),
        pytest.param([], {}, (Step.POSTING, ""), id="within-the-window-look-again"),
        pytest.param([], {"minute": 1.49}, (Step.POSTING, ""), id="to-its-last-second"),
        pytest.param([], {"minute": 1.5}, (Step.REFUSED, "undecided"), id="after-the-window-undecided"),
        pytest.param([], {"minute": 4.49, "declined": True}, (Step.POSTING, ""), id="declined-and-looked-for-longer"),
        pytest.param([], {"minute": 4.5, "declined": True}, (Step.SCHEDULED, ""), id="declined-and-so-tried-again"),
        pytest.param([export()], {"minute": 99}, "2", id="after-a-long-absence"),
    ],
)
def test_a_post_without_a_reply_is_settled_by_looking(rows, fields, expected):
    assert settled(rows, **fields) == expected


@pytest.mark.parametrize(("declines", "step"), [(9, Step.SCHEDULED), (10, Step.REFUSED)])
def test_what_was_declined_ten_times_is_given_up(declines, step):
    asked = answer(Step.POSTING, tries=9, declines=declines - 1)
    waiting = after_post(asked, Posted(how=Posted.How.DECLINED, why=""), retry_policy(), at(1), before=answer())
    silence = timedelta(hours=1)
    made = settle(waiting, failed(minute=-1), [], NONE, policy=retry_policy(), silence=silence, now=at(61))
    if step is Step.REFUSED:
        assert isinstance(made, Refuse)
        assert "10 submissions" in made.why
    else:
        assert made.step is step


def test_a_list_asked_for_within_the_window_proves_nothing_when_it_arrives_after_it():
    made = settle(
        answer(Step.POSTING), failed(), [], NONE, policy=retry_policy(), silence=timedelta(minutes=1), now=at(9)
    )
    assert made.step is Step.POSTING
    assert at(9) < made.due_at <= at(9.5)


@given(st.integers(0, 89_999))
def test_looks_within_the_window_come_soon_and_end_with_it(milliseconds):
    now = at(second=milliseconds / 1000)
    made = settle(answer(Step.POSTING), failed(), [], NONE, policy=retry_policy(), silence=now - at(0), now=now)
    assert now < made.due_at <= min(now + timedelta(seconds=15), at(1.5))


@given(st.integers(1, 40), st.integers(0, 5))
def test_a_wait_before_an_attempt_never_exceeds_the_longest_delay(attempt, tries):
    policy = retry_policy(max_attempts=99)
    first = judge(failed(attempt=attempt), policy, at(0))
    not_sent = Posted(how=Posted.How.NOT_SENT, why="")
    again = after_post(answer(Step.POSTING, tries=tries), not_sent, policy, at(0), before=answer())
    for made in (first, again):
        assert at(1) <= made.due_at <= at(60)


@pytest.mark.parametrize(
    ("minute", "joins"),
    [
        pytest.param(15, True, id="shortly-after-its-post"),
        pytest.param(-30, False, id="before-its-post"),
        pytest.param(24 * 60, False, id="in-the-next-night"),
    ],
)
def test_an_export_belongs_to_an_undecided_post_only_if_it_came_soon_after(minute, joins):
    undecided = answer(Step.REFUSED, job_id="1", reason="undecided", posted_at=at(10))
    late = failed(job_id="2", minute=minute + 5, created_at=at(minute))
    assert (led_to([undecided], late, facts_of().fingerprint) == undecided) is joins


@pytest.mark.parametrize("behind", [20, -40, 180], ids="{}-min".format)
def test_what_a_post_led_to_is_told_by_the_platforms_clock_however_wrong_ours_is(behind):
    """Both the job that its answer names, and the one that shows up long after it was given up."""
    apart = timedelta(minutes=behind)
    lost = answer(Step.REFUSED, job_id="1", reason="undecided", posted_at=at(10), behind=apart)
    created = at(10.1) - apart
    reply, late = replace(export(), created_at=created), failed(job_id="2", minute=15, created_at=created)
    assert proof.doubt_about(reply, lost, None) == ""
    assert proof.doubt_about(replace(reply, created_at=created - 2 * proof.CLOCKS_APART), lost, None)
    assert led_to([lost], late, facts_of().fingerprint) == lost
    assert led_to([lost], replace(late, created_at=created + 2 * proof.REACH), facts_of().fingerprint) is None
