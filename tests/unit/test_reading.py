"""How every change is learned of with few calls."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from builders import at, job, position, seen
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segwatch.jobs.model import Status
from segwatch.jobs.reading import (
    CREATION_OVERLAP,
    OVERLAP,
    PAGE_LEAST,
    advanced,
    choose_depth,
    in_order_of_change,
    is_news,
    plan_changes,
    plan_newest,
    reaches,
)

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def changed(*minutes):
    """Rows as a page shows them, by the minute of their last change."""
    return [seen(job_id=str(n), updated_at=None if m is None else at(m)) for n, m in enumerate(minutes)]


# plans


@pytest.mark.parametrize(
    ("watermark", "until"),
    [pytest.param(None, at(0) - DAY, id="first-sweep"), pytest.param(at(-3), at(-3) - OVERLAP, id="later-sweeps")],
)
def test_a_sweep_by_change_reads_back_to_the_watermark(watermark, until):
    plan = plan_changes(position(watermark=watermark), [], at(0), lookback=DAY, reread_after=MINUTE, bulk=100, page=100)
    assert (plan.until, plan.at_least, plan.reread) == (until, 1, ())


def test_the_jobs_that_were_not_shown_for_longest_are_asked_for_by_id():
    active = [job(job_id=str(age), minute=-age) for age in (0, 3, 1, 9, 5)]
    plan = plan_changes(position(), active, at(0), lookback=DAY, reread_after=MINUTE, bulk=3, page=100)
    assert plan.reread == ("9", "5", "3")


def test_a_job_that_was_not_there_is_asked_for_again_in_the_next_sweep():
    active = [job(job_id="old", minute=-9), job(job_id="missed", minute=0, misses=1), job(job_id="new", minute=0)]
    plan = plan_changes(position(), active, at(0), lookback=DAY, reread_after=MINUTE, bulk=100, page=100)
    assert plan.reread == ("missed", "old")


def test_a_sweep_by_creation_reads_back_to_the_frontier_and_asks_for_what_lies_deeper():
    created = [at(-minute) for minute in (90, 80, 70, 60, 50, 40, 30, 20, 10)]
    active = [job(job_id="old", created_at=at(-90)), job(job_id="new", created_at=at(-10))]
    plan = plan_newest(position(frontier=at(-10)), active, created, at(0), lookback=DAY, page=2)
    assert (plan.until, plan.at_least) == (at(-10) - CREATION_OVERLAP, 1)
    assert "old" in plan.reread


def test_exports_created_at_one_moment_are_taken_to_lie_at_the_deepest_of_their_places():
    created = [at(-9)] * 4
    active = [job(job_id=str(n), created_at=at(-9)) for n in range(4)]
    assert plan_newest(position(), active, created, at(0), lookback=DAY, page=2).at_least == 2


def newest_of(count, *ranks, page=1000, frontier=0):
    """The plan over `count` exports, one created each minute until 0; those of these ranks are active."""
    created = [at(-minute) for minute in range(count)][::-1]
    active = [job(job_id=str(rank), created_at=at(-rank)) for rank in ranks]
    stand = position(frontier=None if frontier is None else at(frontier))
    return plan_newest(stand, active, created, at(0), lookback=DAY, page=page)


@pytest.mark.parametrize(
    ("count", "ranks", "limit"),
    [
        pytest.param(5, (0, 1), PAGE_LEAST, id="few-exports"),
        pytest.param(900, (0, 3), PAGE_LEAST, id="few-at-the-top"),
        pytest.param(900, (0, 300), 301, id="one-deeper"),
        pytest.param(3000, (0, 1500, 1501), 1000, id="two-pages"),
        pytest.param(3000, (7, 2999), PAGE_LEAST, id="one-that-is-cheaper-asked-for-by-its-id"),
    ],
)
def test_a_page_has_as_many_rows_as_are_needed(count, ranks, limit):
    assert newest_of(count, *ranks).limit == limit


def test_exports_not_heard_of_yet_push_the_others_down():
    created = sorted(at(second=-second) for second in range(2000))  # one each second
    active = [job(job_id="deep", created_at=at(second=-800)), job(job_id="top", created_at=at(second=-1))]
    stand = position(frontier=at(0), swept_at=at(0))
    for wait, limit in ((0, 801), (30, 832), (600, 862)):
        plan = plan_newest(stand, active, created, at(second=wait), lookback=DAY, page=1000)
        assert (plan.at_least, plan.limit) == (1, limit)


def test_the_first_sweep_asks_for_whole_pages():
    assert newest_of(0, frontier=None).limit == 1000


@given(st.integers(0, 300), st.sets(st.integers(0, 299), max_size=30), st.integers(1, 200), st.integers(-5, 0))
def test_one_page_shows_every_job_that_it_is_read_for(count, ranks, page, frontier):
    ranks = {rank for rank in ranks if rank < count}
    plan = newest_of(count, *ranks, page=page, frontier=frontier)
    assert 1 <= plan.limit <= page
    if plan.at_least == 1:
        assert all(rank < plan.limit for rank in ranks if rank < page)
    else:
        assert plan.limit == page


@given(st.lists(st.integers(-1, 400), max_size=40), st.integers(1, 50))
def test_the_depth_costs_the_fewest_calls(ranks, page):
    def calls(depth):
        return depth + sum(max(0, rank) // page + 1 > depth for rank in ranks)

    depth = choose_depth(ranks, page)
    assert depth >= 1
    assert calls(depth) == min(calls(other) for other in range(1, 403))


# pages


@pytest.mark.parametrize(
    ("minutes", "before", "in_order"),
    [
        pytest.param([], None, True, id="nothing"),
        pytest.param([3, 2, 1], None, True, id="newest-first"),
        pytest.param([3, 3, 3], at(3), True, id="ties"),
        pytest.param([1, 2], None, False, id="oldest-first"),
        pytest.param([3, None, 1], None, True, id="a-missing-time-says-nothing"),
        pytest.param([1, None, 3], None, False, id="a-missing-time-hides-nothing"),
        pytest.param([None, None], at(0), True, id="no-times-at-all"),
        pytest.param([2, 1], at(1), False, id="newer-than-the-page-before"),
    ],
)
def test_the_order_of_a_list_is_checked(minutes, before, in_order):
    assert in_order_of_change(changed(*minutes), before) is in_order


@given(st.lists(st.none() | st.integers(0, 5), max_size=8), st.integers(0, 8))
def test_a_list_is_in_order_exactly_when_its_pages_are(minutes, cut):
    rows = changed(*minutes)
    last = next((row.updated_at for row in reversed(rows[:cut]) if row.updated_at), None)
    halves = in_order_of_change(rows[:cut]) and in_order_of_change(rows[cut:], last)
    known = [minute for minute in minutes if minute is not None]
    assert in_order_of_change(rows) is halves is (known == sorted(known, reverse=True))


@pytest.mark.parametrize(
    ("minutes", "enough"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([5, 4], False, id="all-newer"),
        pytest.param([5, 3], False, id="as-old-as-wanted-may-tie-with-the-next-page"),
        pytest.param([5, 2], True, id="older"),
        pytest.param([None], False, id="no-time"),
    ],
)
def test_a_page_reaches_far_enough_when_it_shows_what_is_older(minutes, enough):
    rows = changed(*minutes)
    assert reaches(rows, at(3), by_change=True) is enough
    assert reaches([replace(row, created_at=row.updated_at) for row in rows], at(3), by_change=False) is enough


BEGAN = position(began_at=at(0), swept_at=at(9), watermark=at(9), frontier=at(9))
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("stand", "ended", "news"),
    [
        pytest.param(position(began_at=at(2)), at(1), False, id="first-sweep-before-we-began"),
        pytest.param(position(began_at=at(2)), at(3), True, id="first-sweep-since-we-began"),
        pytest.param(position(began_at=at(2)), None, False, id="first-sweep-nobody-knows-when"),
        pytest.param(position(began_at=at(2), swept_at=at(5)), at(1), False, id="a-sweep-that-showed-nothing"),
        pytest.param(position(began_at=at(2), swept_at=at(5)), at(3), True, id="nothing-shown-but-since-we-began"),
        pytest.param(BEGAN, at(1), True, id="listed-long-after-others-that-ended-later"),
        pytest.param(BEGAN, None, True, id="nobody-knows-when"),
        pytest.param(BEGAN, at(0) - HOUR, True, id="the-platforms-clock-is-behind-ours"),
        pytest.param(BEGAN, at(0) - 3 * HOUR, False, id="deeper-than-the-first-sweep-read"),
    ],
)
def test_news_is_what_had_not_ended_when_we_began(stand, ended, news):
    row = seen(Status.FAILED, minute=10, updated_at=ended, ended_at=ended, created_at=ended and ended - HOUR)
    assert is_news(row, stand) is news


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"ended_at": at(0) - DAY, "updated_at": at(8)}, id="it-ended-before-it-was-created"),
        pytest.param({"ended_at": None, "updated_at": at(0) - DAY}, id="it-changed-before-it-was-created"),
        pytest.param({"ended_at": None, "updated_at": None}, id="nobody-knows-when-it-ended"),
    ],
)
@pytest.mark.parametrize("stand", [BEGAN, position(began_at=at(0)), position(began_at=at(0), swept_at=at(9))])
def test_what_was_created_since_we_began_is_news_whatever_its_other_times_say(stand, times):
    assert is_news(seen(Status.FAILED, minute=10, created_at=at(8), **times), stand)


@pytest.mark.parametrize("apart", [-3, 3], ids=["ahead", "behind"])
@pytest.mark.parametrize(("ended", "news"), [(-1, False), (1, True)])
def test_the_first_sweep_tells_news_from_history_by_the_platforms_clock(apart, ended, news):
    """Whichever way the host's clock is wrong when segwatch is started for the first time, and when it is set right."""
    behind = apart * HOUR
    first = position(began_at=at(0) + behind)
    row = seen(Status.FAILED, created_at=at(-60), updated_at=at(ended), ended_at=at(ended))
    assert is_news(replace(row, asked_at=at(2) + behind), first, behind) is news
    then = advanced(first, [seen(updated_at=at(-9), created_at=at(-9))], at(2) + behind, there=at(2))
    assert (then.began_at, then.listed_at) == (at(0), at(2))
    later = seen(Status.FAILED, created_at=at(3), updated_at=at(4), ended_at=at(4))
    for clock_of_then in (behind, timedelta()):
        assert is_news(replace(later, asked_at=at(5) + clock_of_then), then, clock_of_then)
    assert advanced(then, [], at(5), there=at(5)).began_at == at(0)


def test_what_is_not_listed_for_long_is_news_all_the_same():
    late = seen(Status.FAILED, minute=600, created_at=at(1), updated_at=at(2), ended_at=at(2))
    assert is_news(late, position(began_at=at(0), swept_at=at(599), watermark=at(599), frontier=at(598)))


FORGOTTEN = position(
    began_at=at(0), swept_at=at(9000), watermark=at(8999), frontier=at(8999), forgotten_before=at(5000)
)


@pytest.mark.parametrize(
    ("ended", "news"),
    [
        pytest.param(at(4999), False, id="deleted-from-the-store"),
        pytest.param(at(5020), False, id="perhaps-deleted-as-two-clocks-differ"),
        pytest.param(at(5031), True, id="still-in-the-store-had-it-been-seen"),
    ],
)
def test_what_was_deleted_from_the_store_is_no_news_when_a_list_shows_it_again(ended, news):
    row = seen(Status.FAILED, minute=9001, created_at=at(1), updated_at=ended, ended_at=ended)
    assert is_news(row, FORGOTTEN) is news


def test_what_ended_while_we_were_away_is_news_however_long_that_was():
    away = position(began_at=at(0), swept_at=at(100), watermark=at(99), frontier=at(99), forgotten_before=at(90_000))
    row = seen(Status.FAILED, minute=99_999, created_at=at(101), updated_at=at(102), ended_at=at(102))
    assert is_news(row, away)


@pytest.mark.parametrize("began", [at(0), at(9_999)], ids=["before", "while-the-clock-was-ahead"])
def test_what_ended_while_nobody_looked_is_news_though_the_clock_was_set_back_meanwhile(began):
    stand = position(began_at=began, frontier=at(0), watermark=at(0), swept_at=at(180))
    fresh = seen(Status.FAILED, minute=9, created_at=at(1), updated_at=at(5), ended_at=at(5))
    assert is_news(fresh, stand)


# positions

moments = st.none() | st.integers(-2000, 30).map(at)
rows = st.lists(st.builds(lambda u, c: seen(updated_at=u, created_at=c), moments, moments), max_size=8)


@given(st.lists(st.tuples(st.integers(0, 9), rows), max_size=6))
def test_a_position_never_goes_back_and_ignores_times_that_cannot_be(sweeps):
    now, stand = at(-30), position()
    for wait, shown in sweeps:
        now += wait * MINUTE
        before, stand = stand, advanced(stand, shown, now)
        assert stand.swept_at == now
        for name, times in (
            ("watermark", [row.updated_at for row in shown]),
            ("frontier", [row.created_at for row in shown]),
        ):
            old, new = getattr(before, name), getattr(stand, name)
            credible = [time for time in times if time and time <= now] + [old] * (old is not None)
            assert new == max(credible, default=None)
            assert old is None or new >= old


# The whole: sweeps over a list by change miss no end


@dataclass
class Listed:
    """A platform whose times are whole seconds, and whose rows show up to two seconds after they changed."""

    now: float = 0.5
    changes: list = field(default_factory=list)  # (when visible, when changed, job, status)

    def change(self, job_id, status, lag_s):
        self.changes.append((self.now + lag_s, self.now, job_id, status))

    def page(self, number, size, tie_break):
        latest = {}
        for visible, when, job_id, status in self.changes:
            if visible <= self.now:
                latest[job_id] = (int(when), status)
        order = sorted(latest, key=lambda job_id: (-latest[job_id][0], tie_break * int(job_id)))
        return [
            seen(latest[one][1], job_id=one, updated_at=at(second=latest[one][0]), asked_at=at(second=self.now))
            for one in order[number * size : (number + 1) * size]
        ]


WALK = (Status.NEW, Status.QUEUED, Status.PROCESSING, Status.SUCCEEDED)
waits = st.sampled_from([0.0, 0.1, 0.4, 1.0, 2.5, 7.0])
lags = st.sampled_from([0.0, 0.0, 1.0, 2.0])
scripts = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.lists(st.integers(0, 11), max_size=4), lags, waits),
        st.tuples(st.just("sweep"), st.sampled_from([1, -1]), st.lists(st.integers(0, 11), max_size=2), waits),
    ),
    max_size=60,
)


@settings(max_examples=examples(100))
@given(scripts, st.integers(2, 4))
@example(  # job 2 changes first and is listed last, between others that changed in the same second
    [("change", [2], 2.0, 0.0), ("change", [1, 3, 4], 0.0, 1.9), ("change", [5], 0.0, 0.0), ("sweep", 1, [], 0.0)], 2
).via("two seconds of lag")
def test_sweeps_by_change_see_every_end(script, size):
    platform, steps, known = Listed(), dict.fromkeys(map(str, range(12)), 0), {}
    stand = position(swept_at=at(0))

    def change(number, lag_s):
        job_id = str(number)
        if steps[job_id] < len(WALK):
            platform.change(job_id, WALK[steps[job_id]], lag_s)
            steps[job_id] += 1

    def sweep(tie_break, meanwhile):
        nonlocal stand
        started, shown, number = at(second=platform.now), {}, 0
        plan = plan_changes(stand, known.values(), started, lookback=DAY, reread_after=DAY, bulk=0, page=100)
        assert plan.reread == ()
        while page := platform.page(number, size, tie_break):
            shown |= {row.key.id: row for row in page if row.key.id not in shown}
            number += 1
            if number >= plan.at_least and reaches(page, plan.until, by_change=True):
                break
            for one in meanwhile[number - 1 : number]:  # the list shifts under the reader
                change(one, 0.0)
        known.update({one: job(row.status, job_id=one) for one, row in shown.items()})
        stand = advanced(stand, shown.values(), started)

    for what, first, second, wait in script:
        if what == "change":
            for number in first:
                change(number, second)
        else:
            sweep(first, second)
        platform.now += wait
    platform.now += 2
    sweep(1, [])
    assert {one: known[one].status for one in known} == {one: WALK[n - 1] for one, n in steps.items() if n}
