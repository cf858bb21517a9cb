"""What the look before a submission may conclude from lists that are cut, unreadable, or tell too little."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from fakes import T0 as NOW
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st
from store_builders import answer, job, key, order

from segwatch.daemon.lookout import Inconclusive, Look, Lookout
from segwatch.jobs.model import Facts, JobState, Missing, Observation, Status
from segwatch.jobs.order import OrderStep
from segwatch.jobs.posts import Posts
from segwatch.kinds.base import Gap, Page, Request
from segwatch.kinds.export_job import KIND
from segwatch.upstream.errors import Fate, Unavailable

TO_D1 = '{"destination":{"datasetId":"d1"},"fields":"x"'
WHOLE = Facts(dataset="d1", request=TO_D1 + ',"filter":{"segments":[{"segmentId":"s1"}]}}', fingerprint="f-whole")
TWO = TO_D1 + ',"filter":{"segments":[{"segmentId":"s1"},{"segmentId":"s2"}]}}'
SHORT = Facts(dataset="d1", request=TO_D1 + "}", fingerprint="f-short")
WIDER = replace(WHOLE, request=WHOLE.request.replace("}]", '},{"segmentId":"s2"}]'), fingerprint="f-wider")
NOTHING = Facts(dataset="d1")
OTHER = Facts(dataset="d1", request=TO_D1.replace("x", "z") + "}", fingerprint="f-other")
FAILED = job("10", status=Status.FAILED, created_at=NOW - timedelta(minutes=30), facts=WHOLE)
ANSWER = answer("10", request=WHOLE.request, fingerprint=WHOLE.fingerprint)
AGE = NOW.__sub__  # of a moment, by an honest clock
MORE = Request(method="GET", path="/more", endpoint="/more")


@dataclass
class Answers:
    """A Source that gives these pages and records, and notes which records it was asked for."""

    pages: list[Page]
    records: dict[str, Observation] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    kind = KIND
    sandbox = "prod"

    async def page(self, request: Request) -> Page:
        return self.pages.pop(0)

    async def one(self, job_id: str) -> Observation | Missing:
        self.asked.append(job_id)
        return self.records.get(job_id) or Missing(key=key(job_id), asked_at=NOW)


def row(job_id: str, *, minutes_ago: float | None = 1, facts: Facts = WHOLE) -> Observation:
    created_at = None if minutes_ago is None else NOW - timedelta(minutes=minutes_ago)
    status = Status.PROCESSING
    return Observation(
        key=key(job_id), status=status, word=status.value, asked_at=NOW, created_at=created_at, facts=facts
    )


OLD = row("1", minutes_ago=99)
ITSELF = row("10", minutes_ago=30)


def lookout_of(source: Answers, jobs: Sequence[JobState] = ()) -> Lookout:
    return Lookout(source, FakeClock(NOW), lambda: jobs, age=AGE)


async def look(source: Answers, failed: JobState = FAILED) -> Look:
    return await lookout_of(source).look(ANSWER, failed, lambda: None)


@pytest.mark.parametrize(
    ("failed_at", "posted_min", "created_min", "is_asked_for"),
    [
        pytest.param(-30, -5, None, True, id="no-time-told-and-the-failure-seen-by-a-clock-that-was-ahead"),
        pytest.param(-30, -39, None, True, id="no-time-told-and-perhaps-since"),
        pytest.param(-30, -41, None, False, id="no-time-told-and-long-before"),
        pytest.param(-30, -5, -31, False, id="created-before"),
        pytest.param(None, -5, None, True, id="no-time-told-of-either"),
        pytest.param(None, -5, -5, True, id="no-time-told-of-the-failed-one"),
        pytest.param(None, -24 * 60, None, False, id="no-clock-is-so-wrong"),
    ],
)
async def test_what_we_made_since_the_failure_is_asked_for_though_no_reply_told_when_it_was_created(
    failed_at, posted_min, created_min, is_asked_for
):
    def moment(minutes):
        return None if minutes is None else NOW + timedelta(minutes=minutes)

    failed = replace(FAILED, created_at=moment(failed_at), discovered_at=NOW + timedelta(hours=2))
    made = order(
        "cmd-x", step=OrderStep.PLACED, kind=KIND.name, job_id="99", request=WHOLE.request, fingerprint="f-whole",
        posted_at=moment(posted_min), job_created_at=moment(created_min), tries=1,
    )  # fmt: skip
    source = Answers([Page(rows=(ITSELF, OLD))], records={"99": row("99", facts=WHOLE)})
    seen = await lookout_of(source).look(ANSWER, failed, lambda: None, Posts(orders=(made,)))
    assert ("99" in source.asked, "99" in ids(seen.rows)) == (is_asked_for, is_asked_for)


def ids(rows: Sequence[Observation]) -> set[str]:
    return {row.key.id for row in rows}


@pytest.mark.parametrize(
    ("pages", "shown"),
    [
        pytest.param([Page(rows=(row("11"), ITSELF))], {"11", "10"}, id="to-the-failed-one"),
        pytest.param([Page(rows=(row("11"), OLD))], {"11", "1"}, id="beyond-it"),
        pytest.param([Page(rows=(row("11"),), next=MORE), Page(rows=(OLD,))], {"11", "1"}, id="over-two-pages"),
    ],
)
async def test_a_list_that_goes_back_to_the_failed_export_tells_what_exists_since(pages, shown):
    assert ids((await look(Answers(pages))).rows) == shown


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([Page(rows=())], id="nothing"),
        pytest.param([Page(rows=(row("11"),))], id="cut-before-it"),
        pytest.param([Page(rows=(row("11"),), next=MORE), Page(rows=())], id="cut-after-a-page"),
        pytest.param([Page(rows=(row("11", minutes_ago=None),))], id="rows-without-a-time"),
        pytest.param([Page(rows=(row("11"), ITSELF), unreadable=1)], id="a-row-that-cannot-be-read"),
        pytest.param(
            [Page(rows=(row("11"),), next=MORE)] + [Page(rows=(row("11"),), next=MORE)] * 20, id="going-round"
        ),
    ],
)
async def test_a_list_that_does_not_go_back_to_the_failed_export_proves_nothing(pages):
    with pytest.raises(Inconclusive):
        await look(Answers(pages))


YOUNG, OLDER = row("12", minutes_ago=2), row("2", minutes_ago=100)
DAYS_AGO = NOW - timedelta(days=20)


@pytest.mark.parametrize(
    ("rows", "gaps"),
    [
        pytest.param((row("11"), ITSELF), [Gap(after=2, created_at=DAYS_AGO)], id="its-own-time-says-so"),
        pytest.param((row("11"), ITSELF, OLD), [Gap(after=3)], id="it-stands-below-one-from-before"),
        pytest.param((row("11"), ITSELF, OLD, OLDER), [Gap(after=3), Gap(after=4)], id="between-such-and-below-them"),
        pytest.param((row("11"), ITSELF), [Gap(after=0, created_at=DAYS_AGO)], id="wherever-it-stands"),
    ],
)
async def test_an_old_row_need_not_be_readable(rows, gaps):
    page = Page(rows=rows, unreadable=len(gaps), gaps=tuple(gaps))
    assert ids((await look(Answers([page]))).rows) == ids(rows)


@pytest.mark.parametrize(
    ("rows", "gaps"),
    [
        pytest.param((row("11"), ITSELF), [Gap(after=2)], id="nothing-says-how-old-it-is"),
        pytest.param((row("11"), OLD), [Gap(after=1)], id="it-stands-above-the-first-from-before"),
        pytest.param((row("11"), OLD, YOUNG), [Gap(after=2)], id="the-list-is-in-no-order"),
        pytest.param((row("11"), ITSELF, OLD), [Gap(after=0, created_at=NOW)], id="it-is-young"),
        pytest.param((row("11"), ITSELF, OLD), [Gap(after=3), Gap(after=0)], id="another-one-is-not-old"),
    ],
)
async def test_a_row_that_cannot_be_read_and_may_be_young_proves_nothing(rows, gaps):
    with pytest.raises(Inconclusive):
        await look(Answers([Page(rows=rows, unreadable=len(gaps), gaps=tuple(gaps))]))


@given(st.lists(st.tuples(st.integers(0, 59), st.booleans()), max_size=8), st.booleans())
def test_a_readable_list_is_never_taken_for_whole_where_a_younger_row_is_hidden(others, told):
    """others: minutes since the creation, and whether it can be read, of a list from newest to oldest."""
    others = sorted([*others, (30, True)])
    shown = [row(str(n), minutes_ago=minutes) for n, (minutes, readable) in enumerate(others) if readable]
    gaps, before = [], 0
    for minutes, readable in others:
        before += readable
        if not readable:
            gaps.append(Gap(after=before, created_at=NOW - timedelta(minutes=minutes) if told else None))
    rows = [replace(one, key=ITSELF.key) if one.created_at == ITSELF.created_at else one for one in shown]
    page = Page(rows=tuple(rows), unreadable=len(gaps), gaps=tuple(gaps))
    hidden = any(minutes <= 30 for minutes, readable in others if not readable)
    try:
        asyncio.run(look(Answers([page])))
        concluded = True
    except Inconclusive:
        concluded = False
    assert not (hidden and concluded)


async def test_a_row_of_odd_age_at_the_top_does_not_end_the_list():
    pages = [Page(rows=(OLD, row("11")), next=MORE), Page(rows=(row("12"), ITSELF, OLDER))]
    assert "12" in ids((await look(Answers(pages))).rows)


@pytest.mark.parametrize(
    "created_at",
    [
        pytest.param(None, id="unknown"),
        pytest.param(datetime.min.replace(tzinfo=UTC), id="the-first-moment-there-is"),
        pytest.param(datetime.max.replace(tzinfo=UTC), id="the-last-one"),
        pytest.param(NOW + timedelta(minutes=8), id="by-a-clock-that-is-ahead"),
    ],
)
async def test_an_odd_creation_time_of_the_failed_export_hides_nothing_that_came_after_it(created_at):
    odd = replace(FAILED, created_at=created_at, discovered_at=NOW - timedelta(minutes=30))
    pages = [Page(rows=(row("11", facts=SHORT),), next=MORE), Page(rows=(replace(ITSELF, created_at=created_at), OLD))]
    source = Answers(pages, records={"11": row("11")})
    found = await look(source, odd)
    assert {one.key.id: one.facts for one in found.rows}["11"] == WHOLE


async def test_a_failed_export_of_unknown_age_must_be_in_the_list():
    with pytest.raises(Inconclusive):
        await look(Answers([Page(rows=(row("11"), OLD))]), replace(FAILED, created_at=None))


async def test_a_row_that_tells_too_little_is_completed_by_its_record_and_keeps_its_status():
    short = replace(row("11", facts=SHORT), status=Status.SUCCEEDED)
    source = Answers([Page(rows=(short, ITSELF))], records={"11": row("11")})
    (found,) = [one for one in (await look(source)).rows if one.key.id == "11"]
    assert (found.facts, found.status) == (WHOLE, Status.SUCCEEDED)


async def test_a_record_is_asked_for_once_however_often_we_look():
    source = Answers([Page(rows=(row("11", facts=SHORT), ITSELF))] * 3, records={"11": row("11")})
    lookout = lookout_of(source)
    for _ in range(3):
        found = await lookout.look(ANSWER, FAILED, lambda: None)
        assert [one.facts for one in found.rows] == [WHOLE, WHOLE]
    assert source.asked == ["11"]


async def test_a_record_that_tells_too_little_is_asked_for_again_until_it_tells():
    source = Answers([Page(rows=(row("11", facts=SHORT), ITSELF))] * 3, records={"11": row("11", facts=SHORT)})
    lookout = lookout_of(source)
    assert [(await lookout.look(ANSWER, FAILED, lambda: None)).doubtful for _ in range(2)] == [{"11"}, {"11"}]
    source.records["11"] = row("11")
    found = await lookout.look(ANSWER, FAILED, lambda: None)
    assert (found.doubtful, found.rows[0].facts) == (frozenset(), WHOLE)
    assert source.asked == ["11"] * 3


async def test_a_record_that_told_enough_for_one_answer_is_read_again_for_one_that_needs_more():
    short = replace(ANSWER, request='{"fields":"z"}', fingerprint="f-z")
    source = Answers([Page(rows=(row("11", facts=NOTHING), ITSELF))] * 2, records={"11": row("11", facts=SHORT)})
    lookout = lookout_of(source)
    assert not (await lookout.look(short, FAILED, lambda: None)).doubtful
    assert (await lookout.look(ANSWER, FAILED, lambda: None)).doubtful == {"11"}


@pytest.mark.parametrize(
    ("record", "doubtful"),
    [
        pytest.param(WHOLE, False, id="it-is-equal"),
        pytest.param(SHORT, True, id="it-leaves-out-a-part"),
        pytest.param(NOTHING, True, id="it-tells-nothing"),
        pytest.param(None, True, id="it-is-not-there-yet"),
        pytest.param(OTHER, False, id="it-says-something-else"),
        pytest.param(replace(NOTHING, dataset="d2"), False, id="it-goes-to-another-dataset"),
        pytest.param(replace(SHORT, segments=("s2",)), False, id="it-is-of-other-segments"),
    ],
)
async def test_only_what_a_record_says_tells_an_export_apart(record, doubtful):
    records = {"11": row("11", facts=record)} if record else {}
    source = Answers([Page(rows=(row("11", facts=NOTHING), ITSELF))], records=records)
    assert (await look(source)).doubtful == ({"11"} if doubtful else set())


@pytest.mark.parametrize(("minutes", "doubtful"), [(9, {"11"}), (10, set())])
async def test_a_record_of_a_job_that_has_been_known_for_long_is_taken_at_its_word(minutes, doubtful):
    source = Answers([Page(rows=(row("11", minutes_ago=20, facts=SHORT), ITSELF))], {"11": row("11", facts=SHORT)})
    known = job("11", discovered_at=NOW - timedelta(minutes=minutes), created_at=None, facts=SHORT)
    assert (await lookout_of(source, [known]).look(ANSWER, FAILED, lambda: None)).doubtful == doubtful


@pytest.mark.parametrize(("manual", "doubtful"), [(False, {"11"}), (True, set())])
async def test_a_job_that_may_be_ours_is_not_taken_at_its_word_unless_a_person_asks(manual, doubtful):
    source = Answers([Page(rows=(row("11", facts=SHORT), ITSELF))], {"11": row("11", facts=SHORT)})
    known = job("11", discovered_at=NOW - timedelta(hours=1), created_at=None, facts=SHORT)
    posted = replace(ANSWER, posted_at=NOW, asked_anew=manual)
    assert (await lookout_of(source, [known]).look(posted, FAILED, lambda: None)).doubtful == doubtful


async def test_a_job_that_was_there_before_our_post_is_taken_at_its_word_after_it():
    source = Answers([Page(rows=(row("11", facts=SHORT), ITSELF))], {"11": row("11", facts=SHORT)})
    known = job("11", discovered_at=NOW - timedelta(hours=1), created_at=None, facts=SHORT)
    posted = replace(ANSWER, posted_at=NOW, known=("11",))
    assert not (await lookout_of(source, [known]).look(posted, FAILED, lambda: None)).doubtful


async def test_what_is_known_of_a_job_by_other_ways_is_used():
    known = [
        job("11", facts=WHOLE, created_at=NOW - timedelta(minutes=1)),
        job("12", facts=WHOLE, created_at=NOW - timedelta(minutes=1)),
        job("13", facts=WHOLE, created_at=NOW - timedelta(minutes=99)),
        job("14", facts=WHOLE, created_at=NOW - timedelta(minutes=1), status=Status.VANISHED),
    ]
    source = Answers([Page(rows=(row("11", facts=SHORT), ITSELF))], {"11": row("11", facts=SHORT), "12": row("12")})
    found = await lookout_of(source, known).look(ANSWER, FAILED, lambda: None)
    assert {one.key.id: one.facts for one in found.rows} == {"10": WHOLE, "11": WHOLE, "12": WHOLE}
    assert found.doubtful == frozenset()


@pytest.mark.parametrize(("record", "equal"), [(WHOLE, True), (WIDER, False)])
async def test_a_row_that_looks_equal_may_be_a_cut_one_and_so_its_record_is_read_once(record, equal):
    source = Answers([Page(rows=(row("11"), ITSELF))] * 2, {"11": row("11", facts=record)})
    lookout = lookout_of(source)
    for _ in range(2):
        found = await lookout.look(ANSWER, FAILED, lambda: None)
        assert (found.rows[0].facts == WHOLE, found.doubtful) == (equal, frozenset())
    assert source.asked == ["11"]


@pytest.mark.parametrize("posted_at", [None, NOW], ids=["before-the-post", "after-it"])
async def test_a_record_that_tells_less_than_a_cut_row_leaves_the_doubt(posted_at):
    """It is young, and has no filter yet: what the row tells is no more for that."""
    wanted = replace(ANSWER, request=TWO, fingerprint="f-two", posted_at=posted_at)
    cut = replace(WHOLE, segments=("s1",))
    source = Answers([Page(rows=(row("11", facts=cut), ITSELF))] * 2, {"11": row("11", facts=SHORT)})
    lookout = lookout_of(source)
    assert (await lookout.look(wanted, FAILED, lambda: None)).doubtful == {"11"}
    source.records["11"] = row("11", facts=replace(WHOLE, request=TWO, fingerprint="f-two", segments=("s1", "s2")))
    found = await lookout.look(wanted, FAILED, lambda: None)
    assert (found.rows[0].facts.fingerprint, found.doubtful) == ("f-two", frozenset())


async def test_a_record_at_which_the_platform_fails_is_a_doubt_and_stops_no_other():
    class Failing(Answers):
        async def one(self, job_id):
            raise Unavailable("500", fate=Fate.ANSWERED, reason="http_500", status=500)

    assert (await look(Failing([Page(rows=(row("11", facts=SHORT), row("12"), ITSELF))]))).doubtful == {"11", "12"}


@pytest.mark.parametrize("posted_at", [None, NOW], ids=["before-the-post", "after-it"])
async def test_a_row_that_leaves_out_segments_is_no_other_export_until_its_record_says_so(posted_at):
    wanted = replace(ANSWER, request=TWO, fingerprint="f-two", posted_at=posted_at)
    whole = replace(WHOLE, request=TWO, fingerprint="f-two", segments=("s1", "s2"))
    source = Answers([Page(rows=(row("11", facts=replace(WHOLE, segments=("s1",))), ITSELF))])
    source.records["11"] = row("11", facts=whole)
    found = await lookout_of(source).look(wanted, FAILED, lambda: None)
    assert (found.rows[0].facts, found.doubtful) == (whole, frozenset())


async def test_what_was_known_of_another_job_with_that_id_is_not_used():
    old = job(
        "11",
        status=Status.SUCCEEDED,
        facts=WHOLE,
        created_at=NOW - timedelta(hours=9),
        ended_at=NOW - timedelta(hours=8),
    )
    source = Answers([Page(rows=(row("11", facts=SHORT), ITSELF))], records={"11": row("11", facts=OTHER)})
    found = await lookout_of(source, [old]).look(ANSWER, FAILED, lambda: None)
    assert {one.key.id: one.facts for one in found.rows}["11"] == OTHER


async def test_of_very_many_exports_the_records_are_read_a_hundred_in_each_look():
    rows = tuple(row(str(number), facts=SHORT) for number in range(100, 220))
    records = {one.key.id: row(one.key.id, facts=OTHER) for one in rows}
    source = Answers([Page(rows=(*rows, ITSELF))] * 2, records)
    lookout = lookout_of(source)
    with pytest.raises(Inconclusive, match="120 exports"):
        await lookout.look(ANSWER, FAILED, lambda: None)
    assert len(source.asked) == 100
    assert not (await lookout.look(ANSWER, FAILED, lambda: None)).doubtful
    assert len(source.asked) == 120


async def test_a_long_look_shows_that_it_goes_on():
    rows = tuple(row(str(number), facts=SHORT) for number in range(100, 150))
    beats: list[None] = []
    await lookout_of(Answers([Page(rows=(*rows, ITSELF))])).look(ANSWER, FAILED, lambda: beats.append(None))
    assert len(beats) > len(rows)
