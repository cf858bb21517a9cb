"""What the list says about an order before and after its POST."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import T0

from segwatch.jobs import effect, ordering
from segwatch.jobs.model import Facts, JobKey, Observation, Status
from segwatch.jobs.order import Order, OrderRefusal, OrderStep, evaluation_fingerprint, wanted
from segwatch.jobs.ordering import Adopted, Exists, Go, Ours, Unclear
from segwatch.jobs.submission import Posted

WINDOW = timedelta(seconds=60)


def at(minutes: float):
    return T0 + timedelta(minutes=minutes)


def order(**changes) -> Order:
    made = wanted(
        "o", sandbox="prod", kind="segment_job", owner="command", request="[]", segments=("s1", "s2"), now=T0,
        fingerprint=evaluation_fingerprint(("s2", "s1")), not_before=at(-60),
    )  # fmt: skip
    return replace(made, **changes)


def posted(**changes) -> Order:
    return order(
        **({"step": OrderStep.POSTING, "posted_at": T0, "tries": 1, "known": ("before",), "newest": at(-1)} | changes)
    )


def row(id_="1", *, segments=("s1", "s2"), minute=0.0, status=Status.PROCESSING, **facts) -> Observation:
    return Observation(
        key=JobKey(sandbox="prod", kind="segment_job", id=id_), status=status, word=status.value, asked_at=at(1),
        created_at=None if minute is None else at(minute), facts=Facts(segments=segments, **facts),
    )  # fmt: skip


def assessed(*rows, adopt="never", doubtful=(), claimed=(), of=None):
    return ordering.assess(
        of or order(), rows, frozenset(claimed), adopt=adopt, same=ordering.same_evaluation, serves=ordering.covers,
        doubtful=doubtful, now=at(1),
    )  # fmt: skip


def settled(*rows, silence=timedelta(), of=None, doubtful=(), claimed=(), lag=timedelta(), is_recent=False):
    return ordering.settle(
        of or posted(), rows, frozenset(claimed), same=ordering.same_evaluation, doubtful=doubtful, silence=silence,
        window=WINDOW, lag=lag, now=at(2), is_recent=is_recent,
    )  # fmt: skip


# before the POST


def test_with_nothing_there_it_goes_ahead_and_remembers_what_it_saw():
    other = row("other", segments=("s9",))
    assert assessed(other, row("old", segments=("s8",), minute=-59)) == Go(known=("other",))


@pytest.mark.parametrize(
    ("adopt", "there", "said"),
    [
        ("active", row(), Adopted(job=row())),
        ("active", row(segments=("s1", "s2", "s3")), Adopted(job=row(segments=("s1", "s2", "s3")))),
        ("active", row(segments=("*",), source="scheduler"), Adopted(job=row(segments=("*",), source="scheduler"))),
        ("active", row(segments=("s1",)), Go(known=("1",))),
        ("active", row(status=Status.SUCCEEDED), Go(known=("1",))),
        ("active", row(status=Status.CANCELLING), Go(known=("1",))),
        ("active", row(minute=-61), Go(known=())),
        ("since", row(status=Status.SUCCEEDED), Adopted(job=row(status=Status.SUCCEEDED))),
        ("since", row(status=Status.FAILED), Adopted(job=row(status=Status.FAILED))),
        ("since", row(status=Status.CANCELLED), Go(known=("1",))),
        ("never", row(), Exists(job=row())),
        ("never", row(status=Status.SUCCEEDED), Go(known=("1",))),
        ("never", row(segments=("*",)), Go(known=("1",))),
    ],
)
def test_which_jobs_of_others_answer_it(adopt, there, said):
    assert assessed(there, adopt=adopt) == said


def test_a_person_who_insists_gets_a_job_beside_an_equal_one():
    assert assessed(row(), of=order(forced=True)) == Go(known=("1",))


def test_a_job_that_may_be_the_same_is_a_doubt_while_it_matters():
    sparse = row(segments=())
    assert assessed(sparse, doubtful={"1"}) == Unclear(job=sparse)
    assert assessed(sparse, doubtful={"1"}, of=order(forced=True)) == Go(known=("1",))
    ended = row(segments=(), status=Status.SUCCEEDED)
    assert assessed(ended, doubtful={"1"}) == Go(known=("1",))
    assert assessed(ended, doubtful={"1"}, adopt="since") == Unclear(job=ended)


def test_what_an_earlier_post_has_brought_about_is_found_whatever_became_of_it():
    late = row(minute=1, status=Status.FAILED)
    assert assessed(late, of=order(posted_at=T0, tries=1)) == Ours(job=late)


def test_it_remembers_when_the_youngest_of_all_that_it_saw_was_created():
    said = ordering.assess(
        order(), (), frozenset(), adopt="never", same=ordering.same_evaluation, serves=ordering.covers,
        doubtful=(), now=at(1), newest=at(-3),
    )  # fmt: skip
    assert ordering.intended(order(), said, at(1)).newest == at(-3)


# after the POST


@pytest.mark.parametrize("behind", [20, -40], ids=["ahead", "behind"])
def test_what_it_brought_about_is_known_whatever_our_clock_is_wrong_by(behind):
    """The time of the POST is told by the platform's clock, as its answers have shown it."""
    made = row(minute=0.2)
    of = posted(posted_at=at(behind), behind=timedelta(minutes=behind), declined=True)
    assert settled(made, of=of) == Ours(job=made)
    assert effect.doubt_about(made, of, ordering.same_evaluation) == ""
    assert assessed(made, of=replace(of, step=OrderStep.INTENDED)) == Ours(job=made)


@pytest.mark.parametrize("minute", [-20, 40], ids=["ahead", "behind"])
def test_a_clock_that_is_wrong_unknown_to_us_leads_to_a_doubt_and_to_no_second_post(minute):
    """The platform told no dates; but what is equal and younger than all that we saw before may be ours."""
    made = row(minute=minute)
    of = posted(declined=True, declines=1, newest=at(minute - 1))
    assert settled(made, of=of, silence=3 * WINDOW).step is OrderStep.UNDECIDED
    assert assessed(made, of=replace(of, step=OrderStep.INTENDED, forced=True)) == Unclear(job=made)
    assert effect.doubt_about(made, of, ordering.same_evaluation) == ""
    for other in (row(minute=minute - 1), row("before", minute=minute), row(minute=minute, segments=("s9",))):
        assert settled(other, of=of, silence=3 * WINDOW).step is OrderStep.INTENDED


@pytest.mark.parametrize("declined", [True, False])
@pytest.mark.parametrize("minute", [-20, 40], ids=["ahead", "behind"])
def test_what_came_alone_since_our_own_post_of_just_now_is_its_effect_whatever_its_time_says(minute, declined):
    """Two replicas of the platform show two times: which one told of its clock, and which one of the job?"""
    made, another = row(minute=minute), row("2", minute=minute)
    of, long = posted(declined=declined, newest=at(minute - 1)), {"silence": 3 * WINDOW, "is_recent": True}
    assert settled(made, of=of, **long) == Ours(job=made, odd_time=True)
    assert settled(made, of=of, lag=timedelta(minutes=15), **long) == Ours(
        job=made, odd_time=True
    )  # by the same clocks
    assert settled(made, of=of, silence=2 * WINDOW, is_recent=True).step is OrderStep.POSTING
    assert settled(made, another, of=of, **long).step is OrderStep.UNDECIDED
    assert settled(made, row("3", segments=()), of=of, doubtful={"3"}, **long).step is OrderStep.UNDECIDED


@pytest.mark.parametrize(
    "there",
    [
        row("before"),
        row(segments=("s1",)),
        row(source="scheduler"),
        row(schedule_id="s"),
        row(minute=-11),
        row(minute=121),
        row("claimed"),
    ],
)
def test_what_cannot_be_its_effect_is_not_taken_for_it(there):
    done = settled(there, silence=3 * WINDOW, claimed={"claimed"})
    assert (done.step, done.reason) == (OrderStep.UNDECIDED, OrderRefusal.UNDECIDED)


def test_the_earliest_of_several_that_may_be_its_effect_is_it():
    first, second = row("9", minute=0.1), row("2", minute=0.2)
    assert settled(second, first) == Ours(job=first)


def test_it_looks_again_less_and_less_often_until_the_window_is_over():
    waits = [settled(silence=timedelta(seconds=s)).due_at - at(2) for s in (0, 4, 16, 59)]
    assert waits[0] <= timedelta(seconds=1)
    assert waits[1] < waits[2] <= timedelta(seconds=15)
    assert waits[3] <= timedelta(seconds=1)


def test_without_a_reply_it_is_undecided_and_never_posted_again():
    assert settled(silence=timedelta(days=1)).step is OrderStep.UNDECIDED


def test_what_was_declined_is_tried_anew_after_three_windows_five_times_at_most():
    declined = posted(declined=True, declines=1)
    assert settled(of=declined, silence=WINDOW).step is OrderStep.POSTING
    again = settled(of=declined, silence=3 * WINDOW)
    assert (again.step, again.posted_at) == (OrderStep.INTENDED, T0)
    assert again.due_at > at(2)
    assert settled(of=replace(declined, declines=5), silence=3 * WINDOW).step is OrderStep.UNDECIDED


def test_a_list_that_comes_late_lengthens_the_silence_that_proves_something():
    declined, lag = posted(declined=True, declines=1), timedelta(minutes=10)
    assert settled(of=declined, silence=3 * WINDOW, lag=lag).step is OrderStep.POSTING
    assert settled(of=declined, silence=2 * lag, lag=lag).step is OrderStep.INTENDED
    assert settled(of=declined, silence=timedelta(hours=1), lag=timedelta(hours=1)).step is OrderStep.UNDECIDED


def test_a_doubt_that_lasts_is_undecided():
    sparse = row(segments=())
    assert settled(sparse, doubtful={"1"}, silence=WINDOW).step is OrderStep.POSTING
    assert settled(sparse, doubtful={"1"}, silence=3 * WINDOW).step is OrderStep.UNDECIDED


@pytest.mark.parametrize(
    ("how", "step", "posted_at"),
    [
        (Posted.How.NOT_SENT, OrderStep.INTENDED, None),
        (Posted.How.DECLINED, OrderStep.POSTING, at(2)),
        (Posted.How.LOST, OrderStep.POSTING, at(2)),
        (Posted.How.REJECTED, OrderStep.REFUSED, T0),
    ],
)
def test_what_became_of_the_post_decides_the_next_step(how, step, posted_at):
    after = ordering.after_post(posted(), Posted(how=how, why="said so"), at(2), before=order())
    assert (after.step, after.posted_at, after.why) == (step, posted_at, "said so")


def test_a_wish_of_the_platform_to_wait_is_granted():
    throttled = Posted(how=Posted.How.NOT_SENT, why="slow", retry_after=timedelta(minutes=7))
    assert ordering.after_post(posted(), throttled, T0, before=order()).due_at == at(7)


@pytest.mark.parametrize(
    ("reply", "doubt"),
    [
        (row(), ""),
        (row("before"), "there before"),
        (row(minute=-11), "created before"),
        (row(segments=("x",)), "another"),
    ],
)
def test_a_reply_with_a_job_that_cannot_be_ours_is_a_doubt(reply, doubt):
    assert doubt in effect.doubt_about(reply, posted(), ordering.same_evaluation)
    assert bool(doubt) == bool(effect.doubt_about(reply, posted(), ordering.same_evaluation))


def test_an_order_is_due_again_when_the_clock_that_put_it_off_was_wrong():
    assert not order(due_at=at(59)).is_due(T0)
    assert order(due_at=at(61)).is_due(T0)
