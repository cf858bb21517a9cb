"""Orders against the local platform over real sockets: never two jobs, whatever happens to the POST and to us."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from emulator_fixtures import DATASET, EXPORT_JOBS, OTHER_SEGMENT, SEGMENT, SEGMENT_JOBS, an_export, emulating, until
from raw_platform import QUICK, client_of, oauth

from segwatch.daemon.abandoned import Abandoned
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.orderer import Orderer, OrderPolicy
from segwatch.daemon.source import Source
from segwatch.daemon.timeline import Timeline
from segwatch.jobs.order import Order, OrderStep, evaluation_fingerprint, wanted
from segwatch.jobs.ordering import covers
from segwatch.jobs.quota import Allowance, Spend
from segwatch.kinds.base import load_kinds
from segwatch.kinds.export_order import order_of
from segwatch.store.base import Change, StoreUnavailable
from segwatch.store.factory import store_of
from segwatch.upstream.budget import Budget
from segwatch.upstream.errors import Unavailable
from segwatch.upstream.wire import open_session

POLICY = OrderPolicy(settle_window=timedelta(seconds=0.4), believed_after=timedelta(seconds=1))
LOST_AFTER_ALL = {"accept_then_reset": True}
DECLINED = {"status": 500, "body": '{"status":500,"title":"Internal"}'}


class Killed(BaseException):
    """The process ends here: no clean-up of ours that matters has run."""


@dataclass
class House:
    """A platform, and the things of which a process that orders is made."""

    platform: Any
    client: Any
    path: Any

    @asynccontextmanager
    async def process(self):
        """Yield an orderer and its store, as a command beside others has them."""
        async with emulator_process(self) as (orderer, store, _):
            yield orderer, store

    async def jobs(self, kind):
        made = (await self.platform.ledger())["submissions"]
        return [one for one in made if one["kind"] == kind]

    async def fault(self, fault, path, times=1, **rest):
        await self.platform.control("faults", {"method": "POST", "path": path, "fault": fault, "times": times, **rest})


@asynccontextmanager
async def emulator_process(house, *, source_of=Source):
    store = store_of(f"sqlite://{house.path}/segwatch.db", exclusive=False)
    await store.open()
    clock, places = SystemClock(), asyncio.Semaphore(8)
    share = Budget(requests_per_second=1000, burst=100).share(requests_per_second=1000, burst=100)
    sources = {
        name: source_of(kind, house.client, share, clock, unreadable=lambda part, count: None, places=places)
        for name, kind in load_kinds().items()
    }
    try:
        yield Orderer(sources, store, clock, POLICY, grace_s=5), store, sources
    finally:
        await store.close()


@asynccontextmanager
async def a_house(tmp_path, **settings):
    async with emulating(**{"evaluations_per_day": 50} | settings) as platform, open_session() as session:
        tokens = oauth(session, platform.base_url)
        async with client_of(platform.base_url, tokens=tokens, timeouts=QUICK) as client:
            daemon = store_of(f"sqlite://{tmp_path}/segwatch.db")
            await daemon.open()
            yield House(platform, client, tmp_path)
            assert await daemon.check() == []
            await daemon.close()


@pytest.fixture(params=["current", "seed"])
async def house(request, tmp_path):
    async with a_house(tmp_path, dialect=request.param) as made:
        yield made


def export(id_="cmd-1", **changes) -> Order:
    now = SystemClock().now()
    body = an_export()
    _, fingerprint = order_of(body)
    return replace(
        wanted(
            id_, sandbox="prod", kind="export_job", owner="command", request=json.dumps(body), fingerprint=fingerprint,
            segments=(SEGMENT,), dataset=DATASET, now=now, not_before=now - timedelta(hours=1),
        ),
        **changes,
    )  # fmt: skip


def evaluation(id_="cmd-1", segments=(SEGMENT,), **changes) -> Order:
    now = SystemClock().now()
    return replace(
        wanted(
            id_, sandbox="prod", kind="segment_job", owner="command", segments=tuple(segments),
            request=json.dumps([{"segmentId": one} for one in segments]), now=now,
            fingerprint=evaluation_fingerprint(segments), not_before=now - timedelta(hours=1),
        ),
        **changes,
    )  # fmt: skip


def nothing_else_serves(row, order):
    return False


async def placed(orderer, order, *, adopt="never", serves=nothing_else_serves, spend=None, deadline_s=60.0):
    """Return the order as it ended."""
    async with asyncio.timeout(deadline_s):
        while True:
            order = await orderer.place(order, lambda: None, adopt=adopt, serves=serves, spend=spend)
            if not order.step.is_open:
                return order
            await asyncio.sleep(max(0.0, (order.due_at - SystemClock().now()).total_seconds()))


@pytest.mark.parametrize(("order", "kind"), [(export, "export_job"), (evaluation, "segment_job")])
async def test_an_order_is_posted_once_and_its_job_is_on_disk(house, order, kind):
    async with house.process() as (orderer, store):
        done = await placed(orderer, order())
        (made,) = await house.jobs(kind)
        assert (done.step, done.job_id) == (OrderStep.PLACED, str(made["id"]))
        assert await store.order("cmd-1") == done
        assert await placed(orderer, order()) == done  # whoever asks again gets the same
    assert len(await house.jobs(kind)) == 1


@pytest.mark.parametrize(
    ("order", "path", "kind"), [(export, EXPORT_JOBS, "export_job"), (evaluation, SEGMENT_JOBS, "segment_job")]
)
async def test_a_job_whose_answer_was_lost_is_found_by_looking(house, order, path, kind):
    await house.fault(LOST_AFTER_ALL, path)
    async with house.process() as (orderer, _):
        done = await placed(orderer, order())
    (made,) = await house.jobs(kind)
    assert (done.step, done.job_id, done.tries) == (OrderStep.PLACED, str(made["id"]), 1)


@pytest.mark.parametrize("fault", [{"reset": True}, {"garbage": True}, {"status": 502, "body": "gateway"}], ids=str)
async def test_a_post_of_which_nothing_shows_is_undecided_and_never_sent_again(house, fault):
    await house.fault(fault, EXPORT_JOBS)
    async with house.process() as (orderer, _):
        done = await placed(orderer, export())
        made = await house.jobs("export_job")
        if fault == {"garbage": True}:  # the platform did take it, and it was found
            assert (done.step, len(made)) == (OrderStep.PLACED, 1)
        else:
            assert (done.step, done.reason, made) == (OrderStep.UNDECIDED, "undecided", [])
        assert await placed(orderer, export()) == done


async def test_an_equal_order_does_not_follow_on_an_undecided_one_unless_a_person_insists(house):
    await house.fault({"reset": True}, EXPORT_JOBS)
    async with house.process() as (orderer, _):
        assert (await placed(orderer, export())).step is OrderStep.UNDECIDED
        second = await placed(orderer, export("cmd-2"))
        assert (second.step, second.reason) == (OrderStep.REFUSED, "exists")
        assert "cmd-1" in second.why
        assert (await placed(orderer, export("cmd-3", forced=True))).step is OrderStep.PLACED
    assert len(await house.jobs("export_job")) == 1


async def test_what_the_platform_declines_is_tried_anew_after_a_long_silence(tmp_path, monkeypatch):
    monkeypatch.setattr("segwatch.jobs.ordering._pause", lambda order: timedelta())
    async with a_house(tmp_path) as house:
        await house.fault(DECLINED, EXPORT_JOBS)
        async with house.process() as (orderer, _):
            done = await placed(orderer, export())
        assert (done.step, done.tries, done.declines) == (OrderStep.PLACED, 2, 1)
        assert len(await house.jobs("export_job")) == 1


async def test_what_the_platform_refuses_is_not_sent_again(house):
    await house.fault({"status": 400, "body": '{"status":400,"title":"No such dataset"}'}, EXPORT_JOBS)
    async with house.process() as (orderer, _):
        done = await placed(orderer, export())
    assert (done.step, done.reason) == (OrderStep.REFUSED, "rejected")
    assert "No such dataset" in done.why
    assert await house.jobs("export_job") == []


async def test_a_throttled_post_has_not_been_sent_and_says_so(house):
    await house.fault({"status": 429, "body": "{}", "headers": {"Retry-After": "7"}}, SEGMENT_JOBS)
    async with house.process() as (orderer, store):
        waits = await orderer.place(evaluation(), lambda: None, adopt="never", serves=covers)
        assert (waits.step, waits.reason, waits.posted_at) == (OrderStep.INTENDED, "http_429", None)
        assert waits.due_at - SystemClock().now() > timedelta(seconds=2)
        assert await store.order("cmd-1") == waits


async def test_a_new_token_in_the_middle_makes_no_second_post(house):
    async with house.process() as (orderer, _):
        assert (await placed(orderer, export())).step is OrderStep.PLACED  # a token is there, and is accepted
        rejected = {"status": 401, "body": '{"error_code":"401013","message":"Oauth token is not valid"}'}
        await house.fault(rejected, EXPORT_JOBS)
        done = await placed(orderer, export("cmd-2", forced=True))
        assert (done.step, done.tries) == (OrderStep.PLACED, 1)
    assert len(await house.jobs("export_job")) == 2


async def test_while_the_platform_is_away_nothing_is_sent_and_nothing_raised(house, monkeypatch):
    monkeypatch.setattr("segwatch.daemon.orderer._PAUSE", timedelta(milliseconds=100))
    await house.platform.control("faults", {"path": "/data/*", "fault": {"status": 503}, "times": 9})
    async with house.process() as (orderer, store):
        waits = await orderer.place(export(), lambda: None, adopt="never", serves=nothing_else_serves)
        assert (waits.step, waits.reason) == (OrderStep.INTENDED, "http_503")
        assert isinstance(orderer.trouble, Unavailable)
        assert await store.order("cmd-1") is None
        await house.platform.control("faults", method="DELETE")
        assert (await placed(orderer, waits)).step is OrderStep.PLACED
        assert orderer.trouble is None


# the process dies


def dying(source_of, where):
    """Return a Source whose process dies at this moment of a POST."""

    class Dying(source_of):
        async def post(self, request, *, before_send=None):
            async def mark():
                if where == "before the mark":
                    raise Killed
                await before_send()
                if where == "between mark and bytes":
                    raise Killed

            made = await super().post(request, before_send=mark)
            assert where == "before the result", made
            raise Killed

    return Dying


@pytest.mark.parametrize(
    ("where", "step", "jobs"),
    [
        ("before the mark", OrderStep.PLACED, 1),
        ("between mark and bytes", OrderStep.UNDECIDED, 0),
        ("before the result", OrderStep.PLACED, 1),
    ],
)
@pytest.mark.parametrize(
    ("order", "kind"), [(export, "export_job"), (evaluation, "segment_job")], ids=["export", "evaluation"]
)
async def test_whenever_the_process_dies_the_next_one_makes_no_second_job(house, order, kind, where, step, jobs):
    async with emulator_process(house, source_of=dying(Source, where)) as (orderer, _, _):
        with pytest.raises(Killed):
            await orderer.place(order(), lambda: None, adopt="never", serves=nothing_else_serves)
    async with house.process() as (orderer, _):
        done = await placed(orderer, order())
    made = await house.jobs(kind)
    assert (done.step, len(made)) == (step, jobs)
    assert done.job_id == (str(made[0]["id"]) if made else "")


@pytest.mark.parametrize("status", ["PROCESSING", "SUCCEEDED"])
async def test_the_order_of_a_dead_command_is_settled_by_the_next_equal_one_which_takes_its_job(house, status):
    async with emulator_process(house, source_of=dying(Source, "before the result")) as (orderer, _, _):
        with pytest.raises(Killed):
            await orderer.place(export(), lambda: None, adopt="never", serves=nothing_else_serves)
    (made,) = await house.jobs("export_job")
    await house.platform.control(f"jobs/export_job/{made['id']}/status", {"status": status})
    async with house.process() as (orderer, store):
        second = await placed(orderer, export("cmd-2"))
        first = await store.order("cmd-1")
    assert len(await house.jobs("export_job")) == 1
    assert (first.step, first.job_id) == (OrderStep.PLACED, str(made["id"]))
    assert (second.step, second.job_id) == (OrderStep.ADOPTED, str(made["id"]))
    assert "cmd-1" in second.why


async def test_whoever_insists_gets_another_job_beside_that_of_a_dead_command(house):
    async with emulator_process(house, source_of=dying(Source, "before the result")) as (orderer, _, _):
        with pytest.raises(Killed):
            await orderer.place(export(), lambda: None, adopt="never", serves=nothing_else_serves)
    async with house.process() as (orderer, store):
        second = await placed(orderer, export("cmd-2", forced=True))
        first = await store.order("cmd-1")
    assert (first.step, second.step) == (OrderStep.PLACED, OrderStep.PLACED)
    assert first.job_id != second.job_id


def abandoned(orderer, store, age=lambda since: timedelta(hours=2)) -> Abandoned:
    return Abandoned("prod", orderer, store, SystemClock(), age=age, window=POLICY.settle_window)


async def test_the_orders_of_dead_commands_are_settled_by_the_daemon(house):
    for id_, where in (("cmd-1", "before the result"), ("cmd-2", "before the mark")):
        async with emulator_process(house, source_of=dying(Source, where)) as (orderer, store, _):
            order = export(id_) if id_ == "cmd-1" else evaluation(id_)
            with pytest.raises(Killed):
                await orderer.place(order, lambda: None, adopt="never", serves=nothing_else_serves)
    async with house.process() as (orderer, store):
        await abandoned(orderer, store).settle(lambda: None)
        assert (await store.order("cmd-1")).step is OrderStep.PLACED
        gone = await store.order("cmd-2")
        assert (gone.step, gone.reason) == (OrderStep.REFUSED, "withdrawn")
    assert len(await house.jobs("export_job")) == 1
    assert await house.jobs("segment_job") == []


async def test_a_clock_that_was_set_back_keeps_no_dead_commands_order_unsettled(house):
    """How long ago it was left is told by how long the daemon has run since, not by a time that is yet to come."""
    async with emulator_process(house, source_of=dying(Source, "before the result")) as (orderer, store, _):
        with pytest.raises(Killed):
            await orderer.place(export(), lambda: None, adopt="never", serves=nothing_else_serves)
        left = await store.order("cmd-1")
        ahead = replace(left, since=left.since + timedelta(hours=2))
        await store.commit([Change(order=ahead, order_before=left)])
    async with house.process() as (orderer, store):
        timeline = Timeline(SystemClock().now(), 0.0)
        await abandoned(orderer, store, timeline.surely).settle(lambda: None)
        assert (await store.order("cmd-1")).step is OrderStep.POSTING
        timeline.look(SystemClock().now(), 2.0)
        await abandoned(orderer, store, timeline.surely).settle(lambda: None)
        assert (await store.order("cmd-1")).step is OrderStep.PLACED


async def test_an_order_of_a_dead_command_is_looked_for_until_its_silence_proves_something(house):
    """However seldom the daemon begins to look: it goes on at the pace that counts."""
    async with emulator_process(house) as (orderer, store, _):
        await house.fault({"reset": True}, "/data/core/ups/export/jobs")
        left = await orderer.place(export(), lambda: None, adopt="never", serves=nothing_else_serves)
        assert left.step is OrderStep.POSTING
    async with house.process() as (orderer, store):
        looks, left_behind = 0, abandoned(orderer, store)
        while (again := await left_behind.settle(lambda: None)) is not None:
            looks += 1
            assert again <= timedelta(seconds=15) < timedelta(seconds=60)
            await asyncio.sleep(again.total_seconds())
        assert looks > 0
        assert (await store.order(left.id)).step is OrderStep.UNDECIDED


async def test_a_disk_that_fails_at_the_mark_lets_nothing_leave(house):
    async with emulator_process(house) as (orderer, store, _):
        commit = store.commit

        async def failing(changes):
            if changes[0].order.step is OrderStep.POSTING:
                raise StoreUnavailable("disk full")
            await commit(changes)

        store.commit = failing
        with pytest.raises(StoreUnavailable):
            await orderer.place(export(), lambda: None, adopt="never", serves=nothing_else_serves)
        store.commit = commit
        assert await house.jobs("export_job") == []
        assert (await placed(orderer, export())).step is OrderStep.PLACED
    assert len(await house.jobs("export_job")) == 1


# several at once


@pytest.mark.parametrize("order", [export, evaluation])
async def test_equal_commands_at_the_same_time_lead_to_one_job(house, order):
    async def command(number):
        async with house.process() as (orderer, _):
            return await placed(orderer, order(f"cmd-{number}"))

    ended = await asyncio.gather(*(command(number) for number in range(4)))
    made = await house.jobs(ended[0].kind)
    assert len(made) == 1
    assert [one.step.value for one in ended].count("placed") == 1
    # which of them a later one gets depends on whether it found the job before the first one's answer came
    assert {one.step.value for one in ended} <= {"placed", "refused", "adopted"}
    assert {one.job_id for one in ended} == {str(made[0]["id"])}


async def test_equal_commands_that_may_adopt_follow_the_same_job(house):
    async def command(number):
        async with house.process() as (orderer, _):
            return await placed(orderer, evaluation(f"cmd-{number}"), adopt="active", serves=covers)

    ended = await asyncio.gather(*(command(number) for number in range(4)))
    assert sorted(one.step.value for one in ended) == ["adopted", "adopted", "adopted", "placed"]
    assert len({one.job_id for one in ended}) == 1
    assert len(await house.jobs("segment_job")) == 1


async def test_another_process_that_settles_an_order_does_not_take_its_job_away(house):
    await house.fault({"delay_s": 1.2}, EXPORT_JOBS)
    async with house.process() as (first, store), house.process() as (second, _):
        post = asyncio.create_task(placed(first, export()))
        await until(lambda: store.orders(steps=(OrderStep.POSTING,)))
        twin = await placed(second, export("cmd-2"))
        done = await post
    assert done.step is OrderStep.PLACED
    assert twin.step in (OrderStep.ADOPTED, OrderStep.REFUSED)
    assert twin.job_id == done.job_id
    assert len(await house.jobs("export_job")) == 1


# what is there already


async def test_an_active_evaluation_that_covers_the_segments_is_adopted(house):
    theirs = await house.platform.place("segment_job", ["PROCESSING", 600], body=[{"segmentId": SEGMENT}])
    narrow = evaluation(segments=(SEGMENT, OTHER_SEGMENT))
    async with house.process() as (orderer, _):
        adopted = await placed(orderer, evaluation(), adopt="active", serves=covers, spend=quota(per_day=0))
        assert (adopted.step, adopted.job_id) == (OrderStep.ADOPTED, str(theirs[0]))
        mine = await placed(orderer, replace(narrow, id="cmd-2"), adopt="active", serves=covers)
        assert mine.step is OrderStep.PLACED


async def test_an_ended_export_is_adopted_only_where_anything_since_will_do(house):
    theirs = (await house.platform.call("POST", EXPORT_JOBS, json=an_export())).body["id"]
    await house.platform.control(f"jobs/export_job/{theirs}/status", {"status": "SUCCEEDED"})
    async with house.process() as (orderer, _):
        adopted = await placed(orderer, export(), adopt="since")
        assert (adopted.step, adopted.job_id) == (OrderStep.ADOPTED, str(theirs))
        assert (await placed(orderer, export("cmd-2"), adopt="active")).step is OrderStep.PLACED
        late = export("cmd-3", not_before=SystemClock().now() + timedelta(seconds=5))
        assert (await placed(orderer, replace(late, forced=True), adopt="since")).step is OrderStep.PLACED


async def test_an_equal_export_that_runs_is_not_doubled_unless_a_person_insists(house):
    theirs = (await house.platform.call("POST", EXPORT_JOBS, json=an_export())).body["id"]
    async with house.process() as (orderer, _):
        refused = await placed(orderer, export())
        assert (refused.step, refused.reason, refused.job_id) == (OrderStep.REFUSED, "exists", str(theirs))
        assert (await placed(orderer, export("cmd-2", forced=True))).step is OrderStep.PLACED


# the allowance


def quota(*, per_day=2, force=False):
    return Spend.at(SystemClock().now(), Allowance(per_day=per_day, per_year=50), force=force)


async def test_the_last_evaluation_is_refused_before_anything_is_sent(house):
    async with house.process() as (orderer, _):
        assert (await placed(orderer, evaluation(), spend=quota())).step is OrderStep.PLACED
        other = evaluation("cmd-2", segments=(OTHER_SEGMENT,))
        refused = await placed(orderer, other, spend=quota())
        assert (refused.step, refused.reason) == (OrderStep.REFUSED, "quota")
        assert refused.why == "prod: 1 of 2 evaluations is left today (resets at 00:00 UTC)"
        forced = await placed(orderer, replace(other, id="cmd-3"), spend=quota(force=True))
        assert forced.step is OrderStep.PLACED
    assert len(await house.jobs("segment_job")) == 2
