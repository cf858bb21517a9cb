"""What an order's look knows of jobs that segwatch itself has made, whatever the platform's list shows and tells."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from store_builders import answer, at, job, key, order

from segwatch.daemon.orderer import Orderer, OrderPolicy
from segwatch.jobs.model import Facts, Missing, Observation, Status
from segwatch.jobs.order import ODD_TIME, Order, OrderStep
from segwatch.jobs.resubmission import Step
from segwatch.kinds.base import Page, Request
from segwatch.kinds.export_job import KIND
from segwatch.store.base import Change
from segwatch.store.sqlite import SqliteStore
from segwatch.upstream.errors import Fate, Refused, Unavailable

REQUEST = '{"destination":{"datasetId":"d1"},"filter":{"segments":[{"segmentId":"s1"}]},"mergePolicy":{"id":"mp"}}'
ASKED = Facts(dataset="d1", segments=("s1",), request=REQUEST, fingerprint="asked")
FILLED = Facts(
    dataset="d1", segments=("s1",), request=REQUEST.replace('"mp"', '"mp","version":1'), fingerprint="filled"
)  # fmt: skip


def export(id_: str, facts: Facts = FILLED, *, minute: float = 8, status: Status = Status.PROCESSING) -> Observation:
    return Observation(
        key=key(id_), status=status, word=status.value, asked_at=at(10), created_at=at(minute), facts=facts
    )


DEEPER = Request(method="GET", path="/deeper", endpoint="/deeper")


@dataclass
class Platform:
    """A Source. rows: what its list shows. hidden: by id, what only its records show; None is a 500.

    is_cut: it fails at every page of its list but the first. made: what a POST makes, though its answer is a 500.
    """

    rows: list[Observation] = field(default_factory=list)
    hidden: dict[str, Observation | None] = field(default_factory=dict)
    posts: int = 0
    is_cut: bool = False
    made: Observation | None = None
    kind = KIND
    sandbox = "prod"
    clock_behind = timedelta()

    async def page(self, request: Request) -> Page:
        if request == DEEPER:
            raise Refused("too deep", fate=Fate.ANSWERED, reason="http_400", status=400)
        return Page(rows=tuple(self.rows), next=DEEPER if self.is_cut else None)

    async def one(self, job_id: str) -> Observation | Missing:
        found = {row.key.id: row for row in self.rows} | self.hidden  # a record may tell more than the row
        if (row := found.get(job_id)) or job_id not in found:
            return row or Missing(key=key(job_id), asked_at=at(10))
        raise Unavailable("broken", fate=Fate.ANSWERED, reason="http_500", status=500)

    async def post(self, request, *, before_send):
        await before_send()
        self.posts += 1
        if self.made:
            self.rows.insert(0, self.made)
            raise Unavailable("broken", fate=Fate.ANSWERED, reason="http_500", status=500)
        return export("99", minute=10)


@dataclass
class House:
    store: SqliteStore
    platform: Platform = field(default_factory=Platform)
    clock: FakeClock = field(default_factory=lambda: FakeClock(at(10)))

    def __post_init__(self) -> None:
        policy = OrderPolicy(settle_window=timedelta(minutes=1), believed_after=timedelta(minutes=10))
        self.orderer = Orderer({KIND.name: self.platform}, self.store, self.clock, policy, grace_s=1)

    async def placed(self, **fields: object) -> Order:
        order = ordered(str(fields.pop("id", "cmd-new")), **fields)
        return await self.orderer.place(order, lambda: None, adopt="never", serves=lambda row, order: False)

    async def settled(self, **fields: object) -> Order:
        """Return what has become of an order whose POST got no reply just now; see `ended`."""
        posting = ordered("cmd-new", OrderStep.POSTING, **({"posted_at": self.clock.now(), "tries": 1} | fields))
        await self.store.commit([Change(order=posting)])
        return await self.ended()

    async def ended(self) -> Order:
        """Return what has become of an order within half an hour."""
        for _ in range(1800):
            after = await self.placed()
            if not after.step.is_open:
                return after
            await self.clock.advance(seconds=1)
        raise AssertionError(after)


def ordered(id_: str, step: OrderStep = OrderStep.INTENDED, **fields: object) -> Order:
    base = {"posted_at": at(8), "job_created_at": at(8), "tries": 1} if step is OrderStep.PLACED else {}
    base |= {"since": at(10), "due_at": at(10), "not_before": at(-300), "dataset": "d1", "segments": ("s1",)}
    base |= {"request": REQUEST, "fingerprint": "asked"}
    return order(id_, kind=KIND.name, step=step, **(base | fields))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    yield House(store)
    await store.close()


@pytest.mark.parametrize("is_listed", [True, False], ids=["listed", "not-listed-yet"])
async def test_the_job_of_an_equal_order_is_equal_whatever_the_platform_filled_in(house, is_listed):
    if is_listed:
        house.platform.rows = [export("5")]
    else:
        house.platform.hidden = {"5": export("5")}
    await house.store.commit([Change(order=ordered("cmd-1", OrderStep.PLACED, job_id="5"))])
    done = await house.placed()
    assert (done.reason, done.job_id, house.platform.posts) == ("exists", "5", 0)


async def test_what_was_submitted_for_the_failed_job_of_an_equal_order_is_equal_too(house):
    failed = job("5", status=Status.FAILED, word="FAILED", created_at=at(5))
    made = answer(
        "5", step=Step.SUBMITTED, new_id="6", fingerprint="filled", aliases=("asked",), posted_at=at(8),
        new_created_at=at(8), tries=1,
    )  # fmt: skip
    await house.store.commit([
        Change(order=ordered("cmd-1", OrderStep.PLACED, job_id="5", job_created_at=at(5))),
        Change(job=failed, resubmission=made),
    ])  # fmt: skip
    house.platform.rows = [export("5", minute=5, status=Status.FAILED)]
    house.platform.hidden = {"6": export("6")}
    done = await house.placed()
    assert (done.reason, done.job_id, house.platform.posts) == ("exists", "6", 0)


@pytest.mark.parametrize("hidden", [{}, {"5": None}], ids=["404", "500"])
async def test_a_job_of_ours_of_which_the_platform_tells_nothing_stands_in_the_way(house, hidden):
    house.platform.hidden = hidden
    await house.store.commit([Change(order=ordered("cmd-1", OrderStep.PLACED, job_id="5"))])
    waits = await house.placed()
    assert (waits.step, waits.reason, house.platform.posts) == (OrderStep.INTENDED, "unclear", 0)
    assert waits.why == "job 5 was made by an order of segwatch, and the platform does not tell of it"


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        pytest.param({"posted_at": at(-1)}, False, id="it-was-made-long-ago"),
        pytest.param({}, True, id="it-was-seen-to-end"),
        pytest.param({"job_created_at": at(-400)}, False, id="it-was-made-before-the-order-looks-back"),
    ],
)
async def test_a_job_of_ours_that_is_gone_does_not(house, fields, ended):
    await house.store.commit([Change(order=ordered("cmd-1", OrderStep.PLACED, job_id="5", **fields))])
    if ended:
        await house.store.commit([Change(job=job("5", status=Status.SUCCEEDED, word="SUCCEEDED"))])
    assert (await house.placed()).step is OrderStep.PLACED
    assert house.platform.posts == 1


async def test_what_was_posted_between_look_and_mark_lets_the_order_look_again(house):
    before_send = house.platform.post

    async def post(request, *, before_send: object, first=before_send):
        if await house.store.order("cmd-1") is None:
            house.platform.hidden = {"5": export("5")}
            await house.store.commit([Change(order=ordered("cmd-1", OrderStep.PLACED, job_id="5", posted_at=at(-90)))])
        return await first(request, before_send=before_send)

    house.platform.post = post
    waits = await house.placed()
    assert (waits.step, waits.reason, house.platform.posts) == (OrderStep.INTENDED, "twin", 0)
    house.clock.set(at(11))
    done = await house.placed()
    assert (done.reason, done.job_id, house.platform.posts) == ("exists", "5", 0)


NO_POLICY = REQUEST.partition(',"mergePolicy"')[0] + "}"


@pytest.mark.parametrize("asked", [REQUEST, NO_POLICY], ids=["the-version", "the-policy"])
async def test_an_export_that_runs_and_differs_in_what_the_platform_filled_in_is_not_doubled(house, asked):
    house.platform.rows = [export("5", FILLED)]
    done = await house.placed(request=asked)
    assert (done.reason, done.job_id, house.platform.posts) == ("exists", "5", 0)
    assert done.why == "job 5 differs in nothing but what the platform fills in and is PROCESSING"
    assert (await house.placed(request=asked, id="cmd-2", forced=True)).step is OrderStep.PLACED


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(export("5", FILLED, status=Status.SUCCEEDED), id="it-has-ended"),
        pytest.param(export("5", replace(FILLED, request=FILLED.request.replace("mp", "mq"))), id="another-policy"),
        pytest.param(
            export(
                "5", replace(FILLED, request=FILLED.request.replace('"filter":{', '"filter":{"emptyProfiles":true,'))
            ),
            id="something-else-differs",
        ),
    ],
)
async def test_one_that_differs_in_more_or_has_ended_does_not_stand_in_the_way(house, row):
    house.platform.rows = [row]
    assert (await house.placed()).step is OrderStep.PLACED


async def test_a_row_that_looks_filled_in_may_be_a_cut_one_and_so_its_record_has_the_word(house):
    whole = replace(FILLED, request=FILLED.request.replace('"filter":{', '"filter":{"emptyProfiles":true,'))
    house.platform.rows, house.platform.hidden = [export("5", FILLED)], {"5": export("5", whole)}
    assert (await house.placed()).step is OrderStep.PLACED


@pytest.mark.parametrize("fingerprint", ["asked", "filled"])
async def test_an_order_waits_for_a_resubmission_that_may_be_for_the_same(house, fingerprint):
    """The failed job's record may tell what the platform filled in, and so be repeated in other words."""
    under_way = answer(
        "5", step=Step.POSTING, request=FILLED.request, fingerprint=fingerprint, posted_at=at(9), tries=1
    )
    await house.store.commit([Change(job=job("5", status=Status.FAILED, word="FAILED"), resubmission=under_way)])
    waits = await house.placed()
    assert (waits.step, waits.reason, house.platform.posts) == (OrderStep.INTENDED, "twin", 0)
    assert waits.why == "the resubmission of 5 asks for the same, and is not settled yet"


async def test_an_order_does_not_follow_on_a_resubmission_that_got_no_reply_unless_a_person_insists(house):
    lost = answer(
        "5",
        step=Step.REFUSED,
        reason="undecided",
        request=FILLED.request,
        fingerprint="filled",
        posted_at=at(9),
        tries=1,
    )
    await house.store.commit([Change(job=job("5", status=Status.FAILED, word="FAILED"), resubmission=lost)])
    refused = await house.placed()
    assert (refused.step, refused.reason, house.platform.posts) == (OrderStep.REFUSED, "exists", 0)
    assert refused.why == "the equal resubmission of 5 got no reply, so the platform may have taken it"
    assert (await house.placed(id="cmd-2", forced=True)).step is OrderStep.PLACED


async def test_nothing_is_ordered_beside_pages_that_the_platform_fails_at(house):
    house.platform.rows, house.platform.is_cut = [export("5")], True
    waits = await house.placed()
    assert (waits.step, waits.reason, house.platform.posts) == (OrderStep.INTENDED, "unread", 0)
    assert waits.why == "the platform fails at page 2 of its list, though not at the first: too deep"


@pytest.mark.parametrize(("declined", "came"), [(False, "no reply came"), (True, "an error was the reply")])
async def test_an_order_without_a_reply_is_undecided_once_such_a_page_has_failed_for_ten_minutes(house, declined, came):
    house.platform.rows, house.platform.is_cut = [export("5")], True
    gone = await house.settled(declined=declined, known=("5",))
    assert (gone.step, house.platform.posts) == (OrderStep.UNDECIDED, 0)
    assert gone.why.startswith(f"{came} to the POST, and the platform fails at page 2 of its list")
    assert at(21) <= house.clock.now() <= at(22)


@pytest.mark.parametrize("by", ["us", "another-process"])
async def test_a_job_that_came_alone_since_our_own_post_is_its_effect_and_keeps_equal_orders_away(house, by):
    """Another process cannot know what came in the time in which nobody looked."""
    house.platform.made = export("99", ASKED, minute=-10)
    assert (await house.placed()).step is OrderStep.POSTING
    if by != "us":
        house.__post_init__()
    done = await house.ended()
    if by != "us":
        assert (done.step, house.platform.posts) == (OrderStep.UNDECIDED, 1)
        return
    assert (done.step, done.job_id, done.reason) == (OrderStep.PLACED, "99", ODD_TIME)
    house.platform.rows = [export("99", ASKED, minute=-10, status=Status.SUCCEEDED)]
    assert (await house.placed(id="cmd-next")).reason == "exists"
    await house.clock.advance(hours=1)
    assert (await house.placed(id="cmd-later", due_at=house.clock.now())).step is OrderStep.POSTING
    assert house.platform.posts == 2
