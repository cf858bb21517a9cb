"""What is submitted again, and after which looks: the submitter on a real store, before a platform made of answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes import FakeClock
from store_builders import answer, at, job, key, order

from segwatch.backoff import Backoff
from segwatch.daemon.bus import Bus
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.submitter import Submitter
from segwatch.daemon.timeline import Timeline
from segwatch.decision import Policy
from segwatch.jobs.model import Facts, Missing, Observation, Status
from segwatch.jobs.order import Order, OrderStep
from segwatch.jobs.reading import Position
from segwatch.jobs.resubmission import Resubmission, Step
from segwatch.jobs.retry import Mode, RetryPolicy
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import Page, Request
from segwatch.kinds.export_job import KIND
from segwatch.store.base import Change, Conflict
from segwatch.store.filters import EventFilter
from segwatch.store.sqlite import SqliteStore
from segwatch.upstream.errors import Fate, RateLimited, Refused, Unauthorized, Unavailable, UpstreamError

ORDER = '{"destination":{"datasetId":"d1"},"fields":"x","filter":"y"}'
WHOLE = Facts(dataset="d1", request=ORDER, fingerprint="f-whole")
SHORT = Facts(dataset="d1", request='{"destination":{"datasetId":"d1"},"fields":"x"}', fingerprint="f-short")
LONGER = Facts(dataset="d1", request=ORDER.replace('"y"', '"y","schema":"z"'), fingerprint="f-longer")
CHANGED = Facts(dataset="d1", request='{"fields":"x","filter":"z"}', fingerprint="f-z")
OTHER_SEGMENTS = replace(CHANGED, segments=("s9",))
ELSEWHERE = Facts(dataset="d2", request='{"destination":{"datasetId":"d2"}}', fingerprint="f-2")
POLICY = RetryPolicy(
    mode=Mode.AUTO, max_attempts=3, backoff=Backoff(first=timedelta(minutes=2), cap=timedelta(hours=1)),
    max_per_day=20, breaker_failures=5, breaker_window=timedelta(minutes=15), settle_window=timedelta(minutes=3),
)  # fmt: skip


def export(job_id: str, *, minute: float, status: Status = Status.PROCESSING, facts: Facts = WHOLE) -> Observation:
    return Observation(
        key=key(job_id), status=status, word=status.value, asked_at=at(10), created_at=at(minute), facts=facts
    )


ITSELF = export("1", minute=-5, status=Status.FAILED)
DEEPER = Request(method="GET", path="/deeper", endpoint="/deeper")
UNREADABLE = Page(rows=(), unreadable=1)
CUT = Page(rows=())


USUALLY_OVER = at(60)
LOST_POST_IS_OVER = at(80)  # more than an hour after it, an equal failure waits no longer for its effect


@dataclass
class Platform:
    """A Source. lists: the answers to the next looks; the exports that exist, newest first, from then on.

    record: what is told of any other job by its id than those of `hidden`, which no list shows, and of `records`, where
    None is a 500. away_until: no list is answered before. behind_first: what is answered about any page but the first.
    asked: set by a submission. answers: set while submissions
    are answered.
    """

    exports: list[Observation] = field(default_factory=lambda: [ITSELF])
    lists: list[Page] = field(default_factory=list)
    record: Observation | Missing = ITSELF
    hidden: list[Observation] = field(default_factory=list)
    records: dict[str, Observation | Missing | UpstreamError | None] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    reply: Observation | None = None
    poison: str = ""
    away_until: datetime | None = None
    behind_first: UpstreamError | None = None
    clock: FakeClock | None = None
    kind = KIND
    sandbox = "prod"
    clock_behind = timedelta()

    def __post_init__(self) -> None:
        self.answers.set()

    async def page(self, request: Request) -> Page:
        if self.away_until and self.clock and self.clock.now() < self.away_until:
            raise Unavailable("away", fate=Fate.ANSWERED, reason="http_503", status=503)
        if self.behind_first and request == DEEPER:
            raise self.behind_first
        deeper = DEEPER if self.behind_first else None
        return (
            self.lists.pop(0) if self.lists else Page(rows=tuple(self.exports[: -1 if deeper else None]), next=deeper)
        )

    async def one(self, job_id: str) -> Observation | Missing:
        if job_id == self.poison:
            raise OverflowError("date value out of range")
        if job_id in self.records:
            record = self.records[job_id]
            if isinstance(record, UpstreamError):
                raise record
            if record is None:
                raise Unavailable("broken", fate=Fate.ANSWERED, reason="http_500", status=500)
            return record
        return next((one for one in self.hidden if one.key.id == job_id), self.record)

    async def submit(self, request: str) -> Observation:
        self.submitted.append(request)
        self.asked.set()
        await self.answers.wait()
        made = export(str(100 + len(self.submitted)), minute=10)
        self.exports.insert(0, made)
        return self.reply or made


@dataclass
class House:
    store: SqliteStore
    clock: FakeClock
    platform: Platform = field(default_factory=Platform)

    def __post_init__(self) -> None:
        self.platform.clock = self.clock

    async def ends(self, before: Resubmission, **policy: object) -> Resubmission:
        """Return what becomes of this answer to a failed export, which is new to the store; see `over`."""
        await self.failed(before)
        return await self.over(**policy)

    async def over(self, job_id: str = "1", *, until: datetime = USUALLY_OVER, **policy: object) -> Resubmission:
        """Return what has become of an answer once it is neither scheduled nor on its way; within fifty minutes."""
        async with self.working(**policy) as task:
            async with asyncio.timeout(30):
                while True:
                    after = await self.store.resubmission(key(job_id))
                    if after and after.step not in (Step.SCHEDULED, Step.POSTING):
                        return after
                    assert not task.done(), task.exception()
                    assert self.clock.now() < until, after
                    await asyncio.sleep(0.002)  # or we would take the threads of the store their time

    async def until(self, condition: Callable[[Resubmission], bool]) -> Resubmission:
        """Return the answer to the failed export once this is true of it, while a submitter works."""
        async with asyncio.timeout(20):
            while True:
                after = await self.store.resubmission(key("1"))
                if after and condition(after):
                    return after
                await asyncio.sleep(0.002)

    @asynccontextmanager
    async def working(self, *, grace_s: float = 10, **policy: object) -> AsyncIterator[asyncio.Task[None]]:
        """Let a submitter work, by a policy with these changes."""
        path = (Status.NEW, Status.PROCESSING)
        watch = Watch(path=path, since=at(-60), overdue_after=timedelta(hours=2))
        recorder = Recorder(
            "prod", self.store, self.clock, Bus(), lambda events, now: (), policies={KIND.name: Policy(watch=watch)},
            remember=timedelta(hours=48),
        )  # fmt: skip
        rules = replace(POLICY, **policy)
        timeline = Timeline(self.clock.now(), self.clock.ran_s())
        submitter = Submitter(
            self.platform, recorder, self.store, self.clock, rules, timeline=timeline, grace_s=grace_s
        )
        task = asyncio.create_task(submitter.run(lambda: None))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def failed(self, before: Resubmission) -> None:
        """Let an export fail that this answers."""
        failed = job("1", status=Status.FAILED, word="FAILED", created_at=at(-5), ended_at=at(0), facts=WHOLE)
        await self.store.commit([Change(job=failed, resubmission=before)])

    @asynccontextmanager
    async def stopped_while_posting(self, *, grace_s: float = 10) -> AsyncIterator[asyncio.Task[None]]:
        """A submitter that was told to stop when the platform had its submission and had not answered."""
        await self.failed(due())
        self.platform.answers.clear()
        async with asyncio.timeout(10), self.working(grace_s=grace_s) as task:
            await self.platform.asked.wait()
            task.cancel()
            for _ in range(5):  # turns of the loop, in which it hears of it
                await asyncio.sleep(0)
            yield task


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = SqliteStore(tmp_path / "segwatch.db")
    await store.open()
    yield House(store, FakeClock(at(10), leaps=True))
    await store.close()


def due(step: Step = Step.SCHEDULED, **fields: object) -> Resubmission:
    request, fingerprint = WHOLE.request, WHOLE.fingerprint
    return answer("1", **({"step": step, "due_at": at(9), "request": request, "fingerprint": fingerprint} | fields))


def posting() -> Resubmission:
    return due(Step.POSTING, posted_at=at(9.9), tries=1)


@pytest.mark.parametrize(
    ("record", "submitted"),
    [
        pytest.param(SHORT, WHOLE, id="a-shorter-one-does-not-widen-the-export"),
        pytest.param(LONGER, LONGER, id="a-longer-one-completes-it"),
    ],
)
async def test_the_fullest_record_is_submitted(house, record, submitted):
    house.platform.record = replace(ITSELF, facts=record)
    assert (await house.ends(due())).step is Step.SUBMITTED
    assert house.platform.submitted == [submitted.request]


REFUSALS = {
    400: Refused("no", fate=Fate.ANSWERED, reason="http_400", status=400),
    403: Unauthorized("no", fate=Fate.ANSWERED, reason="http_403", status=403),
    500: None,
}
GONE = Missing(key=key("1"), asked_at=at(10))
REBORN = replace(ITSELF, created_at=at(9), facts=LONGER)


@pytest.mark.parametrize("record", [GONE, REBORN], ids=["gone", "another-job-has-its-id"])
@pytest.mark.parametrize("manual", [False, True])
async def test_what_only_the_rows_of_a_list_have_told_is_never_submitted(house, record, manual):
    house.platform.record = record
    ended = await house.ends(due(request=SHORT.request, fingerprint=SHORT.fingerprint, manual=manual))
    assert (ended.step, ended.reason) == (Step.REFUSED, "undecided")
    assert house.platform.submitted == []


@pytest.mark.parametrize("manual", [False, True])
@pytest.mark.parametrize("status", [400, 403, 500], ids=["refused", "forbidden", "broken"])
async def test_a_failed_export_whose_own_record_is_never_told_is_refused_and_not_left_waiting(house, status, manual):
    """Only its record: the list, and all else, is well."""
    house.platform.records["1"] = REFUSALS[status]
    after = await house.ends(due(manual=manual))
    assert (after.step, after.reason, house.platform.submitted) == (Step.REFUSED, "undecided", [])
    (told,) = [one.event for one in await house.store.events(EventFilter()) if "refused" in one.event.type.value]
    assert "fails to tell the failed export's own record" in told.details["why"]


async def test_what_a_submission_waits_for_while_the_record_is_not_told_is_on_disk_and_told_again_it_goes_on(house):
    house.platform.records["1"] = None
    await house.failed(due())
    async with house.working():
        await house.until(lambda after: bool(after.waits_for))
        del house.platform.records["1"]
        after = await house.until(lambda after: after.step is Step.SUBMITTED)
    assert after.waits_for == ""


async def test_an_outage_is_no_failure_at_one_record(house):
    house.platform.records["1"] = None
    house.platform.away_until = at(50)
    await house.failed(due())
    async with house.working():
        await house.until(lambda after: house.clock.now() >= at(49))
        del house.platform.records["1"]
        await house.until(lambda after: after.step is Step.SUBMITTED)
    assert len(house.platform.submitted) == 1


BROKEN = Unavailable("broken", fate=Fate.ANSWERED, reason="http_500", status=500)
HANGS = Unavailable("no answer in time", fate=Fate.LOST, reason="timeout")


@pytest.mark.parametrize("error", [REFUSALS[400], BROKEN, HANGS], ids=["refused", "broken", "hangs"])
@pytest.mark.parametrize("step", ["scheduled", "scheduled-by-a-person", "posting"])
async def test_a_failure_before_which_the_list_cannot_be_read_is_refused_and_not_left_waiting(house, step, error):
    """Its first page is there, and all records are."""
    house.platform.records["5"] = export("5", minute=3, facts=CHANGED)
    house.platform.exports.insert(0, house.platform.records["5"])
    house.platform.behind_first = error
    after = await house.ends(posting() if step == "posting" else due(manual="person" in step))
    assert (after.step, after.reason, house.platform.submitted) == (Step.REFUSED, "undecided", [])
    assert timedelta(minutes=10) <= house.clock.now() - at(10) <= timedelta(minutes=30)
    told = [one.event for one in await house.store.events(EventFilter()) if one.event.type.value.startswith("export.")]
    assert [one.type.value for one in told] == ["export.retry_refused"]
    assert told[0].details["why"].startswith("the platform fails at page 2 of its list, though not at the first: ")


async def test_what_a_post_without_a_reply_brought_about_is_recognised_though_a_page_behind_it_fails(house):
    house.platform.exports.insert(0, export("7", minute=10))
    house.platform.behind_first = BROKEN
    after = await house.ends(posting())
    assert (after.step, after.new_id, house.platform.submitted) == (Step.SUBMITTED, "7", [])
    assert house.clock.now() - at(10) < timedelta(minutes=2)


async def test_a_page_that_fails_for_some_minutes_only_postpones_the_submission(house):
    house.platform.exports.insert(0, export("5", minute=3, facts=CHANGED))
    house.platform.behind_first = BROKEN
    await house.failed(due())
    async with house.working():
        await house.until(lambda after: "page 2" in after.waits_for)
        await house.until(lambda after: house.clock.now() >= at(19))
        house.platform.behind_first = None
        await house.until(lambda after: after.step is Step.SUBMITTED)
    assert len(house.platform.submitted) == 1


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unavailable("no way there", fate=Fate.NOT_SENT, reason="connect"), id="no-connection"),
        pytest.param(RateLimited("slow down", retry_after=None, fate=Fate.ANSWERED), id="throttled"),
        pytest.param(Unauthorized("who?", fate=Fate.ANSWERED, reason="http_401", status=401), id="no-credentials"),
    ],
)
async def test_what_stops_us_before_a_page_is_asked_for_is_an_outage_and_told_once_it_lasts(house, error):
    house.platform.exports.insert(0, export("5", minute=3, facts=CHANGED))
    house.platform.behind_first = error
    await house.failed(due())
    async with house.working():
        await house.until(lambda after: house.clock.now() >= at(59))
        house.platform.behind_first = None
        await house.until(lambda after: after.step is Step.SUBMITTED)
    told = [one.event for one in await house.store.events(EventFilter()) if one.event.type.value.startswith("export.")]
    assert [one.type.value for one in told] == ["export.retry_scheduled", "export.retry_submitted"]
    assert told[0].details["why"] == f"it waits: {error}"
    assert timedelta(minutes=13) <= told[0].at - at(10) <= timedelta(minutes=25)


async def test_what_a_record_has_told_whole_is_submitted_though_it_is_not_told_any_more(house):
    house.platform.records["1"] = None
    assert (await house.ends(due(whole=True))).step is Step.SUBMITTED


@pytest.mark.parametrize("told", ["record", "list"])
@pytest.mark.parametrize(
    ("status", "manual", "outcome"),
    [
        pytest.param(Status.PROCESSING, False, (Step.REFUSED, "undecided"), id="runs-again"),
        pytest.param(Status.PROCESSING, True, (Step.REFUSED, "undecided"), id="runs-again-whoever-asks"),
        pytest.param(Status.SUCCEEDED, False, (Step.REFUSED, "superseded"), id="succeeded-in-the-end"),
        pytest.param(Status.SUCCEEDED, True, (Step.SUBMITTED, ""), id="succeeded-and-a-person-wants-another"),
        pytest.param(Status.CANCELLED, False, (Step.REFUSED, "cancelled"), id="cancelled-in-the-end"),
        pytest.param(Status.UNKNOWN, False, (Step.REFUSED, "undecided"), id="nobody-knows"),
        pytest.param(Status.UNKNOWN, True, (Step.SUBMITTED, ""), id="nobody-knows-and-a-person-insists"),
    ],
)
async def test_nothing_is_submitted_beside_a_failed_export_that_the_platform_takes_up_again(
    house, told, status, manual, outcome
):
    again = replace(ITSELF, status=status, word=status.value)
    if told == "record":
        house.platform.record = again
    else:
        house.platform.exports, house.platform.records["1"] = [again], None
    after = await house.ends(due(whole=True, manual=manual, asked_anew=manual))
    assert (after.step, after.reason) == outcome
    assert bool(house.platform.submitted) == (after.step is Step.SUBMITTED)


async def test_one_that_goes_on_and_fails_again_meanwhile_is_submitted(house):
    house.platform.record = replace(ITSELF, status=Status.PROCESSING, word="PROCESSING")
    await house.failed(due())
    async with house.working():
        await house.until(lambda after: "PROCESSING" in after.waits_for)
        house.platform.record = ITSELF
        await house.until(lambda after: after.step is Step.SUBMITTED)
    assert len(house.platform.submitted) == 1


async def test_what_the_whole_record_told_before_it_was_gone_is_submitted(house):
    house.platform.record = GONE
    assert (await house.ends(due(whole=True))).step is Step.SUBMITTED
    assert house.platform.submitted == [WHOLE.request]


async def filtered(house):
    """Let there be another export, whose record tells a filter."""
    await house.store.commit([Change(job=job("50", status=Status.SUCCEEDED, created_at=at(-60), facts=CHANGED))])


async def test_no_export_without_a_filter_is_submitted_where_no_record_tells_one(house):
    house.platform.record = replace(ITSELF, facts=SHORT)
    failed = job("1", status=Status.FAILED, word="FAILED", created_at=at(-5), ended_at=at(0), facts=SHORT)
    short = due(request=SHORT.request, fingerprint=SHORT.fingerprint)
    await house.store.commit([Change(job=failed, resubmission=short)])
    ended = await house.over()
    assert (ended.step, ended.reason) == (Step.REFUSED, "undecided")
    assert house.platform.submitted == []


@pytest.mark.parametrize("tells_in_the_end", [True, False])
async def test_a_record_without_a_filter_is_believed_when_the_job_has_been_known_for_a_while(house, tells_in_the_end):
    """Else an export that failed at once would be repeated as an export of everything."""
    house.clock.time = at(8)
    house.platform.record = replace(ITSELF, facts=SHORT)
    short = due(request=SHORT.request, fingerprint=SHORT.fingerprint, due_at=at(8))
    await filtered(house)
    turns = house.platform.one

    async def one(job_id):
        if tells_in_the_end and house.clock.now() >= at(8.5):
            house.platform.record = ITSELF
        return await turns(job_id)

    house.platform.one = one
    ended = await house.ends(short)
    assert ended.step is Step.SUBMITTED
    assert ended.posted_at >= at(9)
    assert house.platform.submitted == [(WHOLE if tells_in_the_end else SHORT).request]


@pytest.mark.parametrize("bad", [UNREADABLE, CUT], ids=["unreadable", "cut"])
async def test_a_bad_list_only_postpones_the_submission(house, bad):
    house.platform.lists = [bad, bad]
    assert (await house.ends(due(due_at=at(10)))).step is Step.SUBMITTED
    assert len(house.platform.submitted) == 1


async def test_a_clock_that_leaps_between_two_bad_lists_does_not_end_the_wait_for_a_good_one(house):
    house.platform.lists = [CUT, CUT]
    shown = house.platform.page

    async def leaping(request: Request) -> Page:
        if len(house.platform.lists) == 1:
            house.clock.set(house.clock.now() + timedelta(minutes=30))
        return await shown(request)

    house.platform.page = leaping
    assert (await house.ends(due(due_at=at(10)))).step is Step.SUBMITTED


@pytest.mark.parametrize("bad", [UNREADABLE, CUT], ids=["unreadable", "cut"])
async def test_a_bad_list_only_postpones_the_search_for_a_lost_submission(house, bad):
    house.platform.lists = [bad, bad]
    house.platform.exports = [export("7", minute=9.9), ITSELF]
    ended = await house.ends(posting())
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "7")
    assert house.platform.submitted == []


SHORTLY = timedelta(seconds=30)
NEW = export("7", minute=9.9, facts=Facts(dataset="d1"))


def tells_from(house, minute, *, facts=WHOLE):
    """Let the record of the new job tell what was ordered from then on; the list never does."""

    async def one(job_id):
        if job_id != "7":
            return ITSELF
        return replace(NEW, facts=facts) if house.clock.now() >= at(minute) else NEW

    house.platform.one = one
    house.platform.exports = [NEW, ITSELF]


@pytest.mark.parametrize("declined", [True, False])
async def test_a_new_export_that_tells_little_at_first_is_recognised_in_the_end(house, declined):
    tells_from(house, 10.7)
    ended = await house.ends(replace(posting(), declined=declined), settle_window=SHORTLY)
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "7")
    assert house.platform.submitted == []


@pytest.mark.parametrize("declined", [True, False])
async def test_a_new_export_that_never_tells_enough_is_no_ground_for_a_second_submission(house, declined):
    tells_from(house, 9999)
    ended = await house.ends(replace(posting(), declined=declined), settle_window=SHORTLY)
    assert (ended.step, ended.reason) == (Step.REFUSED, "undecided")
    assert house.platform.submitted == []


@pytest.mark.parametrize("facts", [LONGER, CHANGED], ids=["filled-in", "changed"])
@pytest.mark.parametrize("declined", [True, False])
async def test_a_new_export_of_which_the_platform_changed_the_order_is_no_ground_either(house, facts, declined):
    house.platform.exports = [replace(NEW, facts=facts), ITSELF]
    house.platform.record = replace(NEW, facts=facts)
    ended = await house.ends(replace(posting(), declined=declined), settle_window=SHORTLY)
    assert (ended.step, ended.reason) == (Step.REFUSED, "undecided")
    assert house.platform.submitted == []


async def test_what_was_there_before_the_post_is_no_doubt_after_it(house):
    house.platform.exports = [replace(NEW, facts=CHANGED), ITSELF]
    intents = []

    async def decline(request):
        intents.append((await house.store.resubmission(key("1"))).known)
        if len(intents) == 1:
            raise Unavailable("503", fate=Fate.ANSWERED, reason="http_503", status=503)
        return replace(export("101", minute=10), created_at=None)

    house.platform.submit = decline
    assert (await house.ends(due(), settle_window=SHORTLY)).new_id == "101"
    assert intents == [("7",), ("7",)]


async def test_a_list_that_nobody_could_read_was_not_silent(house):
    """Three windows pass in an outage; the list shows the new export two looks after it has come back."""
    back_s, lists = house.clock.ran_s() + 1 + 5 * SHORTLY.total_seconds(), house.platform.page

    async def page(request):
        now_s = house.clock.ran_s()
        if house.platform.submitted and now_s < back_s:
            raise Unavailable("503", fate=Fate.ANSWERED, reason="http_503", status=503)
        if now_s > back_s + SHORTLY.total_seconds() and len(house.platform.exports) == 1:
            house.platform.exports.insert(0, export("7", minute=10))
        return await lists(request)

    async def decline(request):
        house.platform.submitted.append(request)
        raise Unavailable("503", fate=Fate.ANSWERED, reason="http_503", status=503)

    house.platform.page, house.platform.submit = page, decline
    ended = await house.ends(due(), settle_window=SHORTLY)
    assert (ended.step, ended.new_id, len(house.platform.submitted)) == (Step.SUBMITTED, "7", 1)


async def test_a_young_record_is_no_older_when_the_clock_is_set(house):
    """The failed export's record names its filter eleven minutes after segwatch came to know it, not before."""
    await house.failed(due())
    failed = await house.store.job(key("1"))
    young = replace(failed, discovered_at=at(10), facts=SHORT)
    await house.store.commit([Change(job=young, job_before=failed)])
    await filtered(house)
    ripe_s, house.platform.record = house.clock.ran_s() + 80, replace(ITSELF, facts=SHORT)

    async def one(job_id):
        house.clock.set(max(house.clock.now(), at(25)))  # a machine that was asleep sets its clock
        return replace(ITSELF, facts=WHOLE) if house.clock.ran_s() >= ripe_s else replace(ITSELF, facts=SHORT)

    house.platform.one = one
    assert (await house.over(settle_window=SHORTLY)).step is Step.SUBMITTED
    assert house.platform.submitted == [WHOLE.request]


async def test_the_lag_that_was_learned_outlives_the_process(house):
    """The list is known to be forty minutes late from before this process began: too late for it to prove anything."""
    missed = job("60", status=Status.SUCCEEDED, created_at=at(-90), missed_at=at(-50), facts=ELSEWHERE)
    position = Position(sandbox="prod", kind=KIND.name, began_at=at(-120))
    await house.store.commit([Change(job=missed), Change(position=position)])
    soon = Backoff(first=timedelta(minutes=2), cap=timedelta(minutes=4))
    ended = await house.ends(replace(posting(), declined=True), settle_window=SHORTLY, backoff=soon)
    assert (ended.step, ended.reason) == (Step.REFUSED, "undecided")


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_clock_that_is_set_makes_no_list_silent_for_longer(house, restarts):
    shows_s, lists = house.clock.ran_s() + 80, house.platform.page

    async def page(request):
        if house.clock.ran_s() >= shows_s and export("7", minute=10) not in house.platform.exports:
            house.platform.exports.insert(0, export("7", minute=10))
        return await lists(request)

    async def decline(request):
        house.platform.submitted.append(request)
        house.clock.set(at(40))
        raise Unavailable("503", fate=Fate.ANSWERED, reason="http_503", status=503)

    house.platform.page, house.platform.submit = page, decline
    if restarts:
        await house.failed(replace(posting(), declined=True))
        house.clock.set(at(40))
        ended = await house.over(settle_window=SHORTLY)
    else:
        ended = await house.ends(due(), settle_window=SHORTLY)
        assert len(house.platform.submitted) == 1
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "7")


@pytest.mark.parametrize("facts", [ELSEWHERE, OTHER_SEGMENTS], ids=["dataset", "segments"])
async def test_a_new_export_that_turns_out_to_be_plainly_another_one_is_one(house, facts):
    tells_from(house, 10.7, facts=facts)
    ended = await house.ends(replace(posting(), declined=True), settle_window=SHORTLY)
    assert ended.step is Step.SUBMITTED
    assert len(house.platform.submitted) == 1


@pytest.mark.parametrize(
    ("minute", "step"), [(10.7, Step.ADOPTED), (9999, Step.REFUSED)], ids=["tells-in-the-end", "never-tells"]
)
async def test_a_colleagues_export_that_tells_little_at_first_is_not_doubled(house, minute, step):
    tells_from(house, minute)
    assert (await house.ends(due(), settle_window=SHORTLY)).step is step
    assert house.platform.submitted == []


async def test_an_export_that_still_tells_little_when_it_is_known_for_long_is_another_one(house):
    tells_from(house, 9999)
    known = job("7", created_at=at(9.9), discovered_at=at(10), facts=NEW.facts)
    await house.store.commit([Change(job=known)])
    assert (await house.ends(due(), settle_window=SHORTLY)).step is Step.SUBMITTED
    assert len(house.platform.submitted) == 1
    assert house.clock.now() >= at(20)


async def test_a_list_that_stays_bad_is_no_ground_for_a_submission(house):
    house.platform.lists = [CUT] * 1000
    ended = await house.ends(due(due_at=at(10)))
    assert (ended.step, ended.reason) == (Step.REFUSED, "undecided")
    assert house.platform.submitted == []


@pytest.mark.parametrize("status", [Status.PROCESSING, Status.FAILED, Status.SUCCEEDED])
async def test_a_person_who_retries_what_was_undecided_gets_the_late_submission_and_no_second_one(house, status):
    house.platform.lists = [Page(rows=(ITSELF,))] * 1000
    undecided = await house.ends(posting())
    assert (undecided.step, undecided.reason) == (Step.REFUSED, "undecided")
    house.platform.lists = []
    house.platform.exports = [export("7", minute=9.9, status=status), ITSELF]
    wish = replace(undecided, step=Step.SCHEDULED, reason="", manual=True, due_at=house.clock.now())
    await house.store.commit([Change(resubmission=wish, resubmission_before=undecided)])
    ended = await house.over()
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "7")
    assert house.platform.submitted == []


async def test_what_was_scheduled_waits_for_a_person_once_the_mode_is_propose(house):
    assert (await house.ends(due(), mode=Mode.PROPOSE)).step is Step.PROPOSED
    assert house.platform.submitted == []


async def test_a_submission_under_way_is_finished_and_written_when_it_is_told_to_stop(house):
    async with house.stopped_while_posting() as task:
        assert not task.done()
        house.platform.answers.set()
        await asyncio.wait([task])
    ended = await house.store.resubmission(key("1"))
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "101")
    assert len(house.platform.submitted) == 1


async def test_a_submission_that_outlasts_the_grace_is_found_by_the_next_start(house):
    async with house.stopped_while_posting(grace_s=0.01) as task:
        await asyncio.wait([task])
    assert (await house.store.resubmission(key("1"))).step is Step.POSTING
    house.platform.exports.insert(0, export("101", minute=10))
    ended = await house.over()
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "101")
    assert len(house.platform.submitted) == 1


async def test_an_answer_on_which_we_fail_does_not_stop_the_others_and_is_given_up_at_last(house):
    failure = {"status": Status.FAILED, "word": "FAILED", "created_at": at(-5), "ended_at": at(0), "facts": ELSEWHERE}
    poisoned = replace(due(due_at=at(8)), failed=key("3"), root="3", fingerprint="f-other")
    await house.store.commit([Change(job=job("3", **failure), resubmission=poisoned)])
    house.platform.poison = "3"
    assert (await house.ends(due())).step is Step.SUBMITTED
    given_up = await house.over("3")
    assert (given_up.step, given_up.reason) == (Step.REFUSED, "undecided")
    assert len(house.platform.submitted) == 1


async def two_failures(house, **fields):
    """Let the job that an undecided answer may have led to fail too, with an answer of its own."""
    given_up = due(Step.REFUSED, reason="undecided", posted_at=at(2), tries=1, **fields)
    first = job("1", status=Status.FAILED, word="FAILED", created_at=at(-5), ended_at=at(0), facts=WHOLE)
    late = job(
        "7", status=Status.FAILED, word="FAILED", created_at=at(2), discovered_at=at(4), ended_at=at(5), facts=WHOLE
    )
    its_own = replace(due(), failed=key("7"), root="7", attempt=2)
    await house.store.commit([Change(job=first, resubmission=given_up)])
    await house.store.commit([Change(job=late, resubmission=its_own)])
    house.platform.record = export("7", minute=2, status=Status.FAILED)
    house.platform.exports.insert(0, house.platform.record)


async def test_the_late_effect_of_an_undecided_submission_counts_as_an_attempt_of_its_chain(house):
    await two_failures(house)
    ended = await house.over("7", max_attempts=2)
    assert (ended.step, ended.reason, ended.root, ended.attempt) == (Step.REFUSED, "attempts", "1", 3)
    first = await house.store.resubmission(key("1"))
    assert (first.step, first.new_id) == (Step.SUBMITTED, "7")
    assert house.platform.submitted == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"fingerprint": "f-other", "request": ELSEWHERE.request}, id="of-another-order"),
        pytest.param({"known": ("7",)}, id="it-was-there-before"),
        pytest.param({"posted_at": at(13)}, id="it-was-created-before"),
        pytest.param({"reason": "never"}, id="it-was-refused-by-the-platform"),
    ],
)
async def test_a_failed_export_that_no_submission_can_have_made_is_answered_by_itself(house, fields):
    await two_failures(house)
    given_up = await house.store.resubmission(key("1"))
    await house.store.commit([Change(resubmission=replace(given_up, **fields), resubmission_before=given_up)])
    ended = await house.over("7", until=LOST_POST_IS_OVER, max_attempts=2)
    assert (ended.step, ended.root) == (Step.SUBMITTED, "7")


async def test_what_shows_up_late_closes_the_failure_that_was_given_up(house):
    given_up = due(Step.REFUSED, reason="undecided", posted_at=at(9), since=at(9.5), tries=1)
    late = job("7", status=Status.SUCCEEDED, word="SUCCEEDED", created_at=at(9), discovered_at=at(9.8), facts=WHOLE)
    await house.failed(given_up)
    await house.store.commit([Change(job=late)])
    async with asyncio.timeout(30), house.working():
        while (ended := await house.store.resubmission(key("1"))) == given_up:
            await house.clock.sleep(1)
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "7")
    told = [(one.event.job_id, one.event.type.value) for one in await house.store.events(EventFilter())]
    assert told == [("1", "export.retry_submitted"), ("7", "export.recovered")]


async def test_what_shows_up_late_belongs_to_the_post_that_was_given_up_before_anybody_adopts_it(house):
    """No sweep has recorded it so far: the look for another failure is the first to show it."""
    given_up = due(Step.REFUSED, reason="undecided", posted_at=at(9), since=at(9.5), tries=1)
    await house.failed(given_up)
    failed = job("8", status=Status.FAILED, word="FAILED", created_at=at(-5), ended_at=at(0), facts=WHOLE)
    await house.store.commit([Change(job=failed, resubmission=replace(due(), failed=key("8"), root="8"))])
    house.platform.exports = [export("7", minute=9), replace(ITSELF, key=key("8")), ITSELF]
    other = await house.over("8")
    assert (other.step, other.reason, house.platform.submitted) == (Step.REFUSED, "superseded", [])
    closed = await house.store.resubmission(key("1"))
    assert (closed.step, closed.new_id) == (Step.SUBMITTED, "7")


@pytest.mark.parametrize(
    ("created", "others"),
    [
        pytest.param(-6, (), id="it-is-older-than-the-failed-one"),
        pytest.param(9, (Step.POSTING,), id="an-equal-post-is-not-settled-yet"),
    ],
)
async def test_what_may_not_be_its_effect_closes_no_failure(house, created, others):
    given_up = due(Step.REFUSED, reason="undecided", posted_at=at(0), since=at(9.5), tries=1)
    ended = {"status": Status.SUCCEEDED, "word": "SUCCEEDED", "discovered_at": at(9.8), "facts": WHOLE}
    late = job("7", created_at=at(created), **ended)
    await house.failed(given_up)
    await house.store.commit([Change(job=late)])
    for step in others:
        failed = job("8", status=Status.FAILED, word="FAILED", created_at=at(-5), ended_at=at(0), facts=WHOLE)
        open_ = replace(posting(), failed=key("8"), root="8", step=step, due_at=at(500))
        await house.store.commit([Change(job=failed, resubmission=open_, reckoned=frozenset({given_up.post}))])
    async with asyncio.timeout(30), house.working():
        while house.clock.now() < at(11):
            await house.clock.sleep(1)
    assert await house.store.resubmission(key("1")) == given_up


OLDER = export("50", minute=-60, status=Status.SUCCEEDED)


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(ITSELF, id="the-failed-one"),
        pytest.param(OLDER, id="an-older-one"),
        pytest.param(replace(OLDER, created_at=None), id="one-that-was-known-before"),
        pytest.param(export("60", minute=-6), id="one-created-before"),
        pytest.param(export("60", minute=10, facts=OTHER_SEGMENTS), id="one-of-other-segments"),
        pytest.param(export("60", minute=10, facts=ELSEWHERE), id="one-into-another-dataset"),
    ],
)
async def test_an_answer_that_names_a_job_which_cannot_be_ours_counts_as_lost(house, reply):
    await house.store.commit([Change(job=job("50", status=Status.SUCCEEDED, created_at=at(-60)))])
    house.platform.reply = reply
    ended = await house.ends(due())
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "101")
    assert len(house.platform.submitted) == 1


@pytest.mark.parametrize(
    ("posted", "outcome"),
    [
        pytest.param({"posted_at": at(10) - timedelta(hours=23)}, (Step.REFUSED, "budget"), id="used-up"),
        pytest.param({"posted_at": at(10) - timedelta(hours=25)}, (Step.SUBMITTED, ""), id="of-yesterday"),
        pytest.param({}, (Step.SUBMITTED, ""), id="never-posted"),
    ],
)
async def test_the_submissions_of_a_day_count_against_its_budget(house, posted, outcome):
    other = answer("9", step=Step.REFUSED, reason="undecided", since=at(9), **posted)
    await house.store.commit([Change(job=job("9", status=Status.FAILED, word="FAILED"), resubmission=other)])
    ended = await house.ends(due(), max_per_day=1)
    assert (ended.step, ended.reason) == outcome


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(export("60", minute=10), id="all-of-it"),
        pytest.param(export("60", minute=1, facts=Facts()), id="little-and-by-a-slow-clock"),
        pytest.param(export("60", minute=10, facts=LONGER), id="with-what-was-left-to-the-platform"),
        pytest.param(export("60", minute=10, facts=CHANGED), id="with-what-the-platform-changed"),
        pytest.param(replace(export("60", minute=10), created_at=None), id="without-a-time"),
    ],
)
async def test_an_answer_that_names_a_job_which_can_be_ours_is_believed(house, reply):
    house.platform.reply = reply
    ended = await house.ends(due())
    assert (ended.step, ended.new_id) == (Step.SUBMITTED, "60")


async def test_what_is_held_asks_the_platform_nothing(house):
    others = [job(f"8{n}", status=Status.FAILED, word="FAILED", ended_at=at(10), facts=WHOLE) for n in range(2)]
    for number, other in enumerate(others):
        other = replace(other, facts=replace(other.facts, fingerprint=f"f-{number}"))
        await house.store.commit([Change(job=other)])
    read = []

    async def one(job_id):
        read.append(house.clock.now())
        return ITSELF

    house.platform.one = one
    assert (await house.ends(due(), breaker_failures=2)).step is Step.SUBMITTED
    assert min(read) >= at(10) + POLICY.backoff.first


async def passes(house: House, minute: float) -> None:
    """Let the submitter work until then."""
    async with asyncio.timeout(10):
        while house.clock.now() < at(minute):  # noqa: ASYNC110 - the clock moves when the submitter sleeps
            await asyncio.sleep(0.002)


# what our own orders have led to


ORDERED = export("9", minute=9)


def ordered(step: OrderStep = OrderStep.PLACED, **fields: object) -> Order:
    """An order that asked for the same as the failed export was asked for."""
    base = {"fingerprint": WHOLE.fingerprint, "posted_at": at(9), "job_id": "9", "job_created_at": at(9)}
    base |= {"tries": 1, "dataset": "d1"}
    return order(kind="export_job", step=step, segments=(), **(base | fields))


@pytest.mark.parametrize("posted", [-30, 9.8, 700])
@pytest.mark.parametrize("fingerprint", [WHOLE.fingerprint, "f-as-somebody-spelled-it"])
async def test_an_order_whose_post_is_not_settled_is_waited_for(house, posted, fingerprint):
    under_way = ordered(OrderStep.POSTING, posted_at=at(posted), job_id="", fingerprint=fingerprint)
    await house.store.commit([Change(order=under_way)])
    await house.failed(due())
    async with house.working():
        await passes(house, 10.5)
        assert house.platform.submitted == []
        waits = await house.store.resubmission(key("1"))
        assert (waits.step, waits.waits_for) == (
            Step.SCHEDULED, "order cmd-1 asks for the same, and is not settled yet"
        )  # fmt: skip
        over = replace(under_way, step=OrderStep.REFUSED, posted_at=None)
        await house.store.commit([Change(order=over, order_before=under_way)])
    done = await house.over()
    assert (done.step, done.waits_for) == (Step.SUBMITTED, "")


FILLED = replace(
    WHOLE, request=ORDER.replace('"fields"', '"mergePolicy":{"version":1},"fields"'), fingerprint="f-filled"
)


@pytest.mark.parametrize("asked", [WHOLE, FILLED], ids=["in-the-same-words", "with-what-was-filled-in"])
async def test_an_equal_order_that_got_no_reply_may_have_been_taken_and_its_job_shows_up_late(house, asked):
    """It is left to a person, whom we keep from ordering another; and so we make none ourselves."""
    lost = {"fingerprint": asked.fingerprint, "request": asked.request, "job_id": "", "posted_at": at(9)}
    await house.store.commit([Change(order=ordered(OrderStep.UNDECIDED, **lost))])
    await house.failed(due())
    async with house.working():
        await passes(house, 30)
        waits = await house.store.resubmission(key("1"))
        assert (waits.step, house.platform.submitted) == (Step.SCHEDULED, [])
        assert waits.waits_for == (
            "order cmd-1 asks for the same and got no reply, so the platform may have taken it"
        )  # fmt: skip
        house.platform.exports.insert(0, export("9", minute=9))
        done = await house.until(lambda after: after.step is not Step.SCHEDULED)
    assert (done.step, done.new_id) == (Step.ADOPTED, "9")
    told = [one.event for one in await house.store.events(EventFilter()) if "scheduled" in one.event.type.value]
    assert [event.details["why"] for event in told] == [f"it waits: {waits.waits_for}"]


async def answered_in_vain(house, **fields) -> None:
    """Let another equal export have failed, whose resubmission got no reply and was given up."""
    lost = {"root": "2", "reason": "undecided", "posted_at": at(9), "since": at(9.5), "tries": 1}
    given_up = replace(due(Step.REFUSED, **(lost | fields)), failed=key("2"))
    failed = job("2", status=Status.FAILED, word="FAILED", created_at=at(-5), ended_at=at(0), facts=WHOLE)
    await house.store.commit([Change(job=failed, resubmission=given_up)])


@pytest.mark.parametrize("asked", [WHOLE, FILLED], ids=["in-the-same-words", "with-what-was-filled-in"])
async def test_an_equal_resubmission_that_got_no_reply_may_have_been_taken_as_well(house, asked):
    await answered_in_vain(house, fingerprint=asked.fingerprint, request=asked.request)
    await house.failed(due())
    async with house.working():
        await passes(house, 30)
        waits = await house.store.resubmission(key("1"))
        assert waits.waits_for == (
            "resubmission of 2 asks for the same and got no reply, so the platform may have taken it"
        )  # fmt: skip
        house.platform.exports.insert(0, export("9", minute=9))
        done = await house.until(lambda after: after.step is not Step.SCHEDULED)
        other = await house.store.resubmission(key("2"))
    # as far as its words tell, it is the effect of that POST, and not somebody else's
    is_its_effect = asked == WHOLE
    assert (done.step, other.step) == (
        (Step.REFUSED, Step.SUBMITTED) if is_its_effect else (Step.ADOPTED, Step.REFUSED)
    )
    assert ((other if is_its_effect else done).new_id, house.platform.submitted) == ("9", [])


@pytest.mark.parametrize(
    ("fields", "manual"),
    [
        pytest.param({"posted_at": at(-51)}, False, id="an-hour-ago"),
        pytest.param({"posted_at": None, "tries": 0}, False, id="it-was-never-sent"),
        pytest.param({}, True, id="but-a-person-insists"),
        pytest.param({"fingerprint": "f-else", "request": ELSEWHERE.request}, False, id="of-something-else"),
    ],
)
async def test_a_resubmission_that_got_no_reply_is_no_obstacle_for_ever(house, fields, manual):
    await answered_in_vain(house, **fields)
    await house.failed(due(manual=manual))
    async with house.working():
        await house.until(lambda after: after.step is Step.SUBMITTED)
        assert house.clock.now() < at(12)


@pytest.mark.parametrize(
    ("fields", "manual"),
    [
        pytest.param({"posted_at": at(-51)}, False, id="an-hour-ago"),
        pytest.param({"posted_at": at(9)}, True, id="but-a-person-insists"),
        pytest.param({"posted_at": at(9), "request": ELSEWHERE.request}, False, id="of-something-else"),
    ],
)
async def test_an_order_that_got_no_reply_is_no_obstacle_for_ever(house, fields, manual):
    lost = {"fingerprint": "f-else", "request": WHOLE.request, "job_id": ""} | fields
    await house.store.commit([Change(order=ordered(OrderStep.UNDECIDED, **lost))])
    await house.failed(due(manual=manual))
    async with house.working():
        await house.until(lambda after: after.step is Step.SUBMITTED)
        assert house.clock.now() < at(12)


@pytest.mark.parametrize("posted", [-700, 9, 700])  # our clock may have been set since
@pytest.mark.parametrize("told", [WHOLE, CHANGED], ids=["as-ordered", "as-the-platform-changed-it"])
async def test_the_job_of_an_equal_order_that_the_list_does_not_show_is_asked_for_and_answers(house, posted, told):
    house.platform.hidden = [replace(ORDERED, facts=told)]
    await house.store.commit([Change(order=ordered(posted_at=at(posted)))])
    done = await house.ends(due())
    assert (done.step, done.new_id, house.platform.submitted) == (Step.ADOPTED, "9", [])


async def test_a_failed_job_of_an_order_is_equal_to_what_was_asked_for_since_in_the_same_words(house):
    """The platform filled in what the order had left out, so the records have another fingerprint than the orders."""
    asked = {"fingerprint": "f-asked"}
    first = ordered(**asked, job_id="1", job_created_at=at(-5), posted_at=at(-5))
    second = ordered(**asked, id_="cmd-2")
    house.platform.hidden = [replace(ORDERED, facts=CHANGED)]
    await house.store.commit([Change(order=first), Change(order=second)])
    done = await house.ends(due())
    assert (done.step, done.new_id, done.aliases, house.platform.submitted) == (Step.ADOPTED, "9", ("f-asked",), [])


@pytest.mark.parametrize(
    ("job_id", "gone"),
    [
        pytest.param("unknown", Missing(key=key("unknown"), asked_at=at(10)), id="404"),
        pytest.param("broken", None, id="500"),
    ],
)
async def test_the_job_of_an_equal_order_of_which_the_platform_tells_nothing_is_a_doubt(house, job_id, gone):
    house.platform.records[job_id] = gone
    await house.store.commit([Change(order=ordered(job_id=job_id))])
    await house.failed(due())
    async with house.working():
        await passes(house, 18)
        assert house.platform.submitted == []
    done = await house.over()
    if gone:  # so long after its POST it is no longer late, but gone
        assert (done.step, house.clock.now() > at(27)) == (Step.SUBMITTED, True)
    else:
        assert (done.step, done.reason) == (Step.REFUSED, "undecided")


async def test_the_failed_job_of_an_order_is_submitted_again_without_delay_however_young_the_order_is(house):
    await house.store.commit([Change(order=ordered(job_id="1", job_created_at=at(-5), posted_at=at(10)))])
    assert (await house.ends(due())).step is Step.SUBMITTED
    assert house.clock.now() < at(10.2)


async def test_an_order_of_another_time_or_place_is_not_asked_for(house):
    for number, changes in enumerate((
        {"job_created_at": at(-6)}, {"dataset": "d2", "fingerprint": "f-2"}, {"job_id": "1", "job_created_at": at(-5)},
    )):  # fmt: skip
        house.platform.records[f"n{number}"] = None
        made = {"job_id": f"n{number}", "id_": f"cmd-{number}"} | changes
        await house.store.commit([Change(order=ordered(**made))])
    assert (await house.ends(due())).step is Step.SUBMITTED


async def test_a_persons_own_order_that_fails_is_no_late_effect_of_a_submission_that_was_given_up(house):
    await two_failures(house)
    await house.store.commit([Change(order=ordered(job_id="7", job_created_at=at(9)))])
    ended = await house.over("7", until=LOST_POST_IS_OVER, max_attempts=2)
    assert (ended.step, ended.root) == (Step.SUBMITTED, "7")
    assert (await house.store.resubmission(key("1"))).step is Step.REFUSED


@pytest.mark.parametrize("answered_late", [False, True])
async def test_what_is_ordered_while_we_look_is_not_taken_for_our_own_effect(house, answered_late):
    """The reply to the order's POST may come after its job is in the list."""
    declined = due(posted_at=at(9), tries=1, declined=True, since=at(9.5))
    await house.failed(declined)
    page = house.platform.page
    house.platform.exports.insert(0, replace(ORDERED, created_at=at(9.5)))
    under_way = ordered(OrderStep.POSTING, job_id="", fingerprint="f-as-somebody-spelled-it")

    async def while_looking(request):
        if await house.store.order("cmd-1") is None:
            made = under_way if answered_late else ordered()
            await house.store.commit([Change(order=made, reckoned=frozenset({declined.post}))])
        return await page(request)

    house.platform.page = while_looking
    if answered_late:
        async with house.working():
            await passes(house, 11)
        assert (await house.store.resubmission(key("1"))).step is Step.SCHEDULED
        await house.store.commit([Change(order=ordered(fingerprint=under_way.fingerprint), order_before=under_way)])
    done = await house.over()
    assert (done.step, done.new_id, house.platform.submitted) == (Step.ADOPTED, "9", [])


async def test_what_somebody_changes_again_and_again_is_told_and_looked_at_less_and_less_often(house, monkeypatch):
    looks = 0

    async def changed(self, *args, **kwargs):
        nonlocal looks
        looks += 1
        raise Conflict("the equal order cmd-1 was posted since the last look")

    monkeypatch.setattr("segwatch.daemon.submitter.Submitter._intend_and_post", changed)
    await house.failed(due())
    async with house.working():
        await passes(house, 15)
    assert looks < 20
    (told,) = [one.event for one in await house.store.events(EventFilter()) if "why" in one.event.details]
    assert told.type.value == "export.retry_scheduled"
    assert "cmd-1" in told.details["why"]
    assert "cmd-1" in (await house.store.resubmission(key("1"))).waits_for
