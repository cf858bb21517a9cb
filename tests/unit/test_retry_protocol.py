"""The promise: no failure is ever answered by two submissions, whatever crashes and whenever."""

from collections import Counter
from datetime import timedelta

import pytest
from builders import ABORTED, CANCELLED, at, facts, retry_policy
from builders import job as a_job
from examples import examples
from hypothesis import event, given, settings
from hypothesis import strategies as st
from platform_model import HOLD_S, NEVER, QUOTA, Fate, House

from segwatch.backoff import Backoff
from segwatch.jobs import proof
from segwatch.jobs.events import EventType
from segwatch.jobs.model import Status
from segwatch.jobs.resubmission import Step
from segwatch.jobs.retry import Action, Rule

ORDERS = ("nl", "be")
BOUND = timedelta(hours=6)  # three attempts of an hour's wait at most, the breaker's window, and change

policies = st.builds(
    retry_policy,
    max_attempts=st.sampled_from([1, 2, 3]),
    max_per_day=st.sampled_from([1, 3, 20, 20]),
    breaker_failures=st.sampled_from([1, 2, 5, 5]),
    backoff=st.sampled_from(
        [
            Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=4)),
            Backoff(first=timedelta(minutes=2), cap=timedelta(hours=1)),
        ]
    ),
    rules=st.just((Rule(code=NEVER.code, action=Action.NEVER),)),
)
ends = st.sampled_from([(Status.FAILED, (ABORTED,))] * 5 + [
    (Status.SUCCEEDED, ()), (Status.CANCELLED, ()), (Status.FAILED, (ABORTED, CANCELLED)), (Status.FAILED, (NEVER,)),
])  # fmt: skip
steps = st.tuples(
    st.sampled_from(["step", "step", "submit"]),
    st.sampled_from(Fate),
    st.sampled_from([0, 0, 30, 200]),  # seconds in line before the POST leaves
    st.integers(0, HOLD_S),  # seconds until the platform acts on it
)
acts = st.one_of(
    steps, steps, steps,
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 20, 60, 130, 600])),
    st.tuples(st.just("poll")),
    st.tuples(st.just("cut"), st.sampled_from([30, 300, 900])),
    st.tuples(st.just("crash")),
    st.tuples(st.just("ask"), st.integers(0, 9)),
    st.tuples(st.just("order"), st.sampled_from(ORDERS)),
    st.tuples(st.sampled_from(["mute", "take up", "take up"]), st.integers(0, 9)),
    st.tuples(st.just("end"), st.integers(0, 9), ends),
    st.tuples(st.sampled_from(["fail and fall due", "cancel in vain"]), st.integers(0, 9)),
    st.tuples(st.just("work"), st.integers(1, 15), st.sampled_from([1, 5])),
)  # fmt: skip
platforms = st.tuples(  # how late its list shows an export, and its record what was ordered, in seconds
    st.sampled_from([0, 0, 0, 20, 200]), st.sampled_from([0, 0, 0, 5, 100])
)
hosts = st.tuples(  # by how many minutes the platform's clock is behind ours; odd ends; replies tell times
    st.sampled_from([0, 0, 0, 20, 180, -40]),
    st.sampled_from([False, False, True]),
    st.sampled_from([True, True, False]),
)
lives = st.lists(acts, min_size=5, max_size=60)


def act(house: House, name: str, *how) -> None:
    """Let one thing happen."""
    match name:
        case "step":
            house.fate, house.in_line_s, house.effect_after_s = how
            house.step()
        case "submit":
            house.fate, house.in_line_s, house.effect_after_s = how
            for _ in range(4):  # look, intent, POST, result
                house.step()
        case "work":
            house.fate, house.in_line_s = Fate.TAKEN, 0
            for _ in range(how[0]):
                house.step()
                house.wait(how[1])
        case "wait":
            house.wait(how[0])
        case "poll":
            house.poll()
        case "cut":
            house.cut_until = house.now + timedelta(seconds=how[0])
        case "crash":
            house.crash()
        case "ask":
            failures = sorted(house.disk.answers)
            if failures:
                house.ask(failures[how[0] % len(failures)])
        case "cancel in vain":
            if running := house.platform.running(house.now):
                house.cancel((one := running[how[0] % len(running)]).id)
                house.platform.end(one, Status.FAILED, house.now, (QUOTA,))
        case "mute":
            house.platform.mute.add(house.platform.exports[how[0] % len(house.platform.exports)].id)
        case "take up":
            ended = [one for one in house.platform.exports if one.status is Status.FAILED]
            if ended:
                house.platform.take_up(ended[how[0] % len(ended)])
        case "order":
            house.platform.create(how[0], house.now)
        case "end":
            if running := house.platform.running(house.now):
                house.platform.end(running[how[0] % len(running)], how[1][0], house.now, how[1][1])
        case "fail and fall due":
            if running := house.platform.running(house.now):
                house.platform.end(running[how[0] % len(running)], Status.FAILED, house.now, (ABORTED,))
            house.poll()
            house.now = max([house.now, *(one.due_at for one in house.open())])


def live(policy, life, platform=(0, 0), host=(0, False, True)) -> House:
    """A house in which two exports of one thing failed, and then all this happened."""
    house = House(policy)
    behind_min, house.platform.odd_ends, house.platform.replies_tell_times = host
    house.platform.behind = timedelta(minutes=behind_min)
    for _ in range(2):
        house.platform.end(house.platform.create(ORDERS[0], house.now), Status.FAILED, house.now, (ABORTED,))
        house.wait(10)
    house.poll()
    house.wait(120)
    house.platform.lag_s, house.platform.tells_after_s = platform
    for name, *how in life:
        act(house, name, *how)
    return house


def calm_down(house: House) -> None:
    """Let the faults stop, every job succeed and the process work until nothing is open."""
    house.crash()
    house.fate, house.in_line_s, house.effect_after_s = Fate.TAKEN, 0, 0
    for export in house.platform.running(house.now):
        house.platform.end(export, Status.SUCCEEDED, house.now)
    house.wait(house.platform.lag_s)
    began = house.now
    while True:
        for export in house.platform.running(house.now):
            house.platform.end(export, Status.SUCCEEDED, house.now)
        house.poll()
        if not house.open():
            break
        assert house.now - began < BOUND, house.open()
        house.now = max(house.now, min(one.due_at for one in house.open()))
        for _ in range(5):
            house.step()
        house.wait(1)
    house.wait(HOLD_S + house.platform.lag_s)
    house.poll()


def taken(house: House) -> Counter:
    """Return how many submissions took effect for each (failure, wish)."""
    return Counter(export.wish for export in house.platform.exports if export.wish)


@settings(max_examples=examples(75))
@given(policies, lives, platforms, hosts)
def test_no_failure_is_ever_answered_twice_and_each_one_is_answered(policy, life, platform, host):
    house = live(policy, life, platform, host)
    calm_down(house)
    assert not [wish for wish, times in taken(house).items() if times > 1]
    assert not house.beside_itself
    for job in house.disk.jobs.values():
        if job.status in (Status.FAILED, Status.CANCELLED):
            answer = house.disk.answers[job.key.id]
            event(f"{answer.step} {answer.reason}")
            assert answer.step in (Step.SUBMITTED, Step.ADOPTED, Step.REFUSED)
            assert bool(answer.reason) == (answer.step is Step.REFUSED)
            assert bool(answer.new_id) == (answer.step is not Step.REFUSED)
            assert not (job.cancel_at and taken(house)[job.key.id, 0])
            assert not (job.errors == (QUOTA,) and answer.reason == "cancelled")


@settings(max_examples=examples(40))
@given(policies, lives, platforms, hosts)
def test_a_new_job_answers_at_most_one_failure_and_joins_its_chain(policy, life, platform, host):
    house = live(policy, life, platform, host)
    calm_down(house)
    answers = [one for one in house.disk.answers.values() if one.new_id]
    assert len({one.new_id for one in answers}) == len(answers)
    for one in answers:
        new = house.disk.jobs[one.new_id]
        assert (new.root, new.attempt) == (one.root, one.attempt)
        assert new.facts.fingerprint == one.fingerprint
        if one.failed.id not in house.platform.taken_up:  # that one may have become another's answer since
            assert house.disk.jobs[one.failed.id].attempt == one.attempt - 1
    assert all(one.attempt <= policy.max_attempts or one.manual for one in answers)


@settings(max_examples=examples(40))
@given(policies, lives, platforms, hosts)
def test_every_chain_that_ends_well_is_closed_exactly_once(policy, life, platform, host):
    house = live(policy, life, platform, host)
    calm_down(house)
    closed = [one for one in house.disk.events if one.type is EventType.RECOVERED]
    mended = [job for job in house.disk.jobs.values() if job.attempt > 1 and job.status is Status.SUCCEEDED]
    assert sorted(one.job_id for one in closed) == sorted(job.key.id for job in mended)
    assert len({one.details["root"] for one in closed}) == len(closed)
    assert {one.job_id: one.details["root"] for one in closed} == {job.key.id: job.root for job in mended}


@settings(max_examples=examples(50))
@given(policies, lives, platforms, hosts)
def test_the_log_has_no_gaps_and_tells_each_answer_once(policy, life, platform, host):
    house = live(policy, life, platform, host)
    calm_down(house)
    for job in house.disk.jobs.values():
        told = [one for one in house.disk.events if one.job_id == job.key.id]
        assert [one.sequence for one in told] == list(range(1, job.sequence + 1))
        submitted = [one for one in told if one.type in (EventType.RETRY_SUBMITTED, EventType.RETRY_ADOPTED)]
        assert len(submitted) <= 1


@pytest.mark.parametrize("steps_before_the_crash", range(5))
@pytest.mark.parametrize("fate", list(Fate))
def test_a_crash_at_any_step_leaves_at_most_one_submission(fate, steps_before_the_crash):
    house = live(retry_policy(), [])
    house.fate, house.effect_after_s = fate, HOLD_S
    for _ in range(steps_before_the_crash):
        house.step()
    house.crash()
    calm_down(house)
    assert max(taken(house).values(), default=0) <= 1


@pytest.mark.parametrize(
    ("fate", "crash", "step", "reason", "submitted"),
    [
        pytest.param(Fate.TAKEN, False, Step.SUBMITTED, "", 1, id="taken"),
        pytest.param(Fate.TAKEN, True, Step.SUBMITTED, "", 1, id="taken-and-died-before-the-reply-was-written"),
        pytest.param(Fate.LOST_BUT_TAKEN, False, Step.SUBMITTED, "", 1, id="the-lost-answer"),
        pytest.param(Fate.DECLINED_BUT_TAKEN, False, Step.SUBMITTED, "", 1, id="declined-and-done-all-the-same"),
        pytest.param(Fate.LOST, False, Step.REFUSED, "undecided", 0, id="lost-on-the-way"),
        pytest.param(Fate.NOT_SENT, True, Step.REFUSED, "undecided", 0, id="died-before-it-was-sent"),
        pytest.param(Fate.NOT_SENT, False, Step.SUBMITTED, "", 1, id="not-sent-is-tried-again"),
        pytest.param(Fate.DECLINED, False, Step.SUBMITTED, "", 1, id="declined-is-tried-again"),
        pytest.param(Fate.REJECTED, False, Step.REFUSED, "never", 0, id="rejected"),
    ],
)
def test_what_becomes_of_a_post_decides_what_becomes_of_the_failure(fate, crash, step, reason, submitted):
    house = House()
    house.platform.end(house.platform.create("nl", house.now), Status.FAILED, house.now, (ABORTED,))
    house.poll()
    house.wait(120)
    house.fate, house.effect_after_s = fate, HOLD_S - 1
    for _ in range(3 if crash else 4):  # look, intent, POST, result
        house.step()
    calm_down(house)
    answer = house.disk.answers["1"]
    assert (answer.step, answer.reason) == (step, reason)
    assert taken(house) == ({("1", 0): 1} if submitted else {})
    assert answer.fingerprint == facts("nl").fingerprint


@pytest.mark.parametrize("in_line_s", [0, 30, 89, 200])
def test_the_wait_for_a_declined_submission_begins_when_it_was_declined(in_line_s):
    """Not when it was intended: it may have stood in line for longer than the settle window."""
    house = House(retry_policy(backoff=Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=4))))
    house.platform.end(house.platform.create("nl", house.now), Status.FAILED, house.now, (ABORTED,))
    house.poll()
    house.wait(2)
    house.fate, house.in_line_s, house.effect_after_s = Fate.DECLINED_BUT_TAKEN, in_line_s, HOLD_S
    for _ in range(4):
        house.step()
    house.fate, house.in_line_s = Fate.TAKEN, 0
    for _ in range(HOLD_S):
        house.step()
        house.wait(1)
    calm_down(house)
    assert taken(house) == {("1", 0): 1}


@pytest.mark.parametrize("tells_after_s", [0, 5, 500])
@pytest.mark.parametrize("lag_s", [0, 1, 60, 150, 209])
@pytest.mark.parametrize("fate", [Fate.DECLINED_BUT_TAKEN, Fate.LOST_BUT_TAKEN])
def test_what_took_effect_and_is_shown_late_or_tells_little_at_first_is_not_repeated(fate, lag_s, tells_after_s):
    """The list may show it for the first time three settle windows after the answer, and tell nothing of it then."""
    house = House(retry_policy(backoff=Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=4))))
    house.platform.end(house.platform.create("nl", house.now), Status.FAILED, house.now, (ABORTED,))
    house.poll()
    house.wait(600)
    house.platform.lag_s, house.platform.tells_after_s = lag_s, tells_after_s
    house.fate, house.effect_after_s = fate, HOLD_S
    for _ in range(4):
        house.step()
    house.fate = Fate.TAKEN
    for _ in range(400):
        house.step()
        house.wait(1)
    calm_down(house)
    assert taken(house) == {("1", 0): 1}


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.SUCCEEDED])
def test_a_colleagues_equal_export_that_tells_little_at_first_is_adopted(status):
    house = House()
    house.platform.end(house.platform.create("nl", house.now), Status.FAILED, house.now, (ABORTED,))
    house.poll()
    house.wait(600)
    house.platform.tells_after_s = 30
    theirs = house.platform.create("nl", house.now)
    if status is Status.SUCCEEDED:
        house.platform.end(theirs, status, house.now)
    house.poll()
    for _ in range(60):
        house.step()
        house.wait(1)
    answer = house.disk.answers["1"]
    assert (answer.step, answer.new_id) == (Step.ADOPTED, theirs.id)
    assert not taken(house)


def test_a_list_that_has_been_seen_to_lag_by_much_is_not_trusted_about_a_declined_submission():
    house = House(retry_policy(backoff=Backoff(first=timedelta(seconds=1), cap=timedelta(seconds=4))))
    house.platform.end(house.platform.create("nl", house.now), Status.FAILED, house.now, (ABORTED,))
    house.platform.lag_s = 900
    house.wait(890)
    house.poll()
    house.wait(10)
    house.poll()
    house.wait(2)
    house.fate, house.effect_after_s = Fate.DECLINED_BUT_TAKEN, 0
    for _ in range(300):
        house.step()
        house.wait(1)
    assert taken(house) == {("1", 0): 1}
    assert (house.disk.answers["1"].step, house.disk.answers["1"].reason) == (Step.REFUSED, "undecided")


@pytest.mark.parametrize(
    ("fields", "lag"),
    [
        pytest.param(
            {"created_at": at(0), "missed_at": at(2), "discovered_at": at(9)}, 2, id="a-sweep-did-not-show-it"
        ),
        pytest.param(
            {"created_at": at(2), "missed_at": at(0), "discovered_at": at(99)}, 0, id="nobody-looked-for-long"
        ),
        pytest.param({"created_at": at(2), "discovered_at": at(99)}, 0, id="nobody-looked-before"),
        pytest.param({"created_at": at(-9), "missed_at": at(2)}, 0, id="created-before-we-watched"),
    ],
)
def test_only_sweeps_that_did_not_show_a_job_tell_how_late_the_list_is(fields, lag):
    """An outage, in which nobody looked, would make every declined submission of later undecided."""
    assert proof.lag([a_job(**fields)], at(-1)) == timedelta(minutes=lag)
