"""What one sweep asks for, and how far it may say that it has read."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from fakes import T0, at
from store_builders import row

from segwatch.daemon.sweep import Sweep
from segwatch.jobs.model import Observation
from segwatch.jobs.reading import Plan, Position, advanced
from segwatch.kinds.base import Page, Request
from segwatch.kinds.segment_job import KIND
from segwatch.upstream.errors import Fate, Unavailable

POSITION = Position(sandbox="prod", kind="segment_job", watermark=T0, swept_at=T0)


def segment_job(job_id: str, *, changed: float) -> Observation:
    """A row of a job that changed in this second."""
    return row(job_id, kind="segment_job", asked_at=at(second=10), updated_at=at(second=changed))


@dataclass
class Answers:
    """A Source that gives these answers, and notes what it was asked."""

    pages: list[Page]
    in_bulk: tuple[Observation, ...] = ()
    asked: list[object] = field(default_factory=list)
    kind = KIND
    sandbox = "prod"
    clock_behind = timedelta()

    async def page(self, request) -> Page:
        self.asked.append(dict(request.params))
        return self.pages.pop(0)

    async def bulk(self, ids) -> Page:
        self.asked.append(list(ids))
        return Page(rows=self.in_bulk)


class Records:
    """A Recorder that forgets everything, and knows only when jobs were created."""

    def __init__(self, *created: datetime) -> None:
        self._created = created

    def created(self, kind: str) -> tuple[datetime, ...]:
        return self._created

    async def record(self, kind, seen, position, **how) -> list:
        return []

    def job(self, key) -> None:
        return None


def sweep_over(source: Answers) -> Sweep:
    return Sweep(source, Records(), POSITION, lambda: None)


async def test_a_job_asked_for_by_its_id_does_not_say_how_far_the_list_was_read():
    """It was asked for later: others may have changed between the list's answer and its change, and were not seen."""
    source = Answers(
        [Page(rows=(segment_job("1", changed=9), segment_job("2", changed=-5)))],
        in_bulk=(segment_job("3", changed=20),),
    )
    sweep = sweep_over(source)
    plan = Plan(until=at(second=-3), at_least=1, limit=100, reread=("2", "3"))
    assert await sweep.newest(plan)
    await sweep.by_id(plan.reread)
    assert set(sweep.rows) == {"1", "2", "3"}
    assert source.asked[1:] == [["3"]]  # the list has shown the other
    assert advanced(POSITION, sweep.listed, at(second=10)).watermark == at(second=9)


async def test_a_job_of_the_lists_by_status_does_not_say_so_either():
    rows = [Page(rows=(segment_job("1", changed=9), segment_job("2", changed=-5)))]
    sweep = sweep_over(Answers(rows + [Page(rows=(segment_job("4", changed=30),))] * 4))
    await sweep.newest(Plan(until=at(second=-3), at_least=1, limit=100, reread=()))
    await sweep.active_lists()
    assert "4" in sweep.rows
    assert advanced(POSITION, sweep.listed, at(second=10)).watermark == at(second=9)


@pytest.mark.parametrize(
    ("limit", "more", "given"),
    [
        pytest.param(100, True, 2, id="fewer-than-asked-for-and-not-all"),
        pytest.param(100, False, None, id="all-there-are"),
        pytest.param(2, True, None, id="as-many-as-asked-for"),
    ],
)
async def test_a_sweep_tells_how_many_rows_the_platform_puts_on_a_page(limit, more, given):
    following = Request(method="GET", path="/", endpoint="/") if more else None
    sweep = sweep_over(
        Answers([Page(rows=(segment_job("1", changed=9), segment_job("2", changed=-5)), next=following)])
    )
    await sweep.newest(Plan(until=at(second=-3), at_least=1, limit=limit, reread=()))
    assert sweep.page_given == given


NEW, OLD = segment_job("1", changed=9), segment_job("2", changed=-5)
MORE = Request(method="GET", path="/", endpoint="/")


@pytest.mark.parametrize(
    ("pages", "known", "complete"),
    [
        pytest.param([Page(rows=(NEW, OLD))], (), True, id="as-far-as-planned"),
        pytest.param([Page(rows=(NEW,), next=MORE), Page(rows=(OLD,))], (), True, id="over-two-pages"),
        pytest.param([Page(rows=(NEW,))], (), True, id="to-its-end"),
        pytest.param(
            [Page(rows=(NEW, segment_job("3", changed=8)))], (), False, id="a-full-page-that-names-no-next-one"
        ),
        pytest.param([Page(rows=())], (), True, id="nothing-where-there-was-nothing"),
        pytest.param([Page(rows=())], (at(second=5),), False, id="nothing-where-there-was-something"),
        pytest.param([Page(rows=(NEW,), next=MORE), Page(rows=(NEW,), next=MORE)], (), False, id="going-round"),
    ],
)
async def test_a_list_that_may_have_lost_its_rest_is_not_taken_for_read(pages, known, complete):
    sweep = Sweep(Answers(pages), Records(*known), POSITION, lambda: None)
    await sweep.newest(Plan(until=at(second=-3), at_least=1, limit=2, reread=()))
    assert sweep.complete is complete


async def test_single_calls_that_all_fail_show_that_the_sweep_goes_on():
    class Down(Answers):
        async def bulk(self, ids) -> None:
            return None

        async def one(self, job_id: str) -> Observation:
            raise Unavailable("no answer", fate=Fate.LOST, reason="timeout")

    beats: list[None] = []
    sweep = Sweep(Down([]), Records(), POSITION, lambda: beats.append(None))
    with pytest.raises(Unavailable):
        await sweep.by_id(["1", "2", "3"])
    assert len(beats) >= 3
