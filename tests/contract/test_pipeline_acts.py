"""What a run learns from the local platform at its steps."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from emulator_fixtures import DATASET, DATASETS, SEGMENT, emulating
from raw_platform import QUICK, client_of, oauth

from segwatch.daemon.bus import Bus
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.commands import Commands
from segwatch.daemon.orderer import Orderer, OrderPolicy
from segwatch.daemon.pipeline_acts import PipelineActs
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.source import Source
from segwatch.decision import Policy
from segwatch.jobs.quota import Allowance
from segwatch.jobs.tracker import Watch
from segwatch.kinds.base import load_kinds
from segwatch.pipelines.advance import begun, wished
from segwatch.pipelines.model import Plan, Reason, Step, person
from segwatch.pipelines.plausibility import BatchState
from segwatch.pipelines.seen import BatchesStand, CommandEnded, DatasetKnown, Impossible, OrderStands, Pending, Trouble
from segwatch.store.factory import store_of
from segwatch.upstream.budget import Budget
from segwatch.upstream.wire import open_session

PLAN = Plan(segments=(SEGMENT,), dataset=DATASET, adopt_within=timedelta(0))
ANOTHER_SCHEMA = "https://ns.adobe.com/acme/schemas/0123"


class House:
    """A platform, and the acts of one sandbox on it."""

    def __init__(self, platform, acts):
        self.platform = platform
        self.acts = acts

    async def sees(self, step, **fields):
        """Return what a run sees at this step. fields: of its plan, or of itself."""
        plan = {name: value for name, value in fields.items() if name in Plan.__dataclass_fields__}
        more = {name: value for name, value in fields.items() if name not in plan}
        if "dataset" not in more and step is Step.EXPORT:
            more["dataset"] = plan.get("dataset", DATASET)
        wish = wished("nightly", "prod", replace(PLAN, **plan), person("w"), SystemClock().now())
        run = replace(begun(wish, SystemClock().now()).run, step=step, **more)
        return await self.acts.see(run, lambda: None)


@asynccontextmanager
async def a_house(folder):
    clock, places = SystemClock(), asyncio.Semaphore(8)
    share = Budget(requests_per_second=1000, burst=100).share(requests_per_second=1000, burst=100)
    store = store_of(f"sqlite://{folder}/segwatch.db")
    await store.open()
    try:
        async with (
            emulating() as platform,
            open_session() as session,
            client_of(platform.base_url, tokens=oauth(session, platform.base_url), timeouts=QUICK) as client,
        ):
            kinds = load_kinds()
            sources = {
                name: Source(kind, client, share, clock, unreadable=lambda part, count: None, places=places)
                for name, kind in kinds.items()
            }
            watch = Watch(path=(), since=clock.now(), overdue_after=timedelta(hours=2))
            recorder = Recorder(
                "prod", store, clock, Bus(), lambda events, now: (),
                policies={name: Policy(watch=watch) for name in kinds}, remember=timedelta(hours=48),
            )  # fmt: skip
            await recorder.load()
            policy = OrderPolicy(settle_window=timedelta(seconds=1), believed_after=timedelta(seconds=1))

            async def record(seen):
                position = await recorder.position(seen.key.kind, clock.now())
                await recorder.record(seen.key.kind, [seen], position)

            acts = PipelineActs(
                client, sources, recorder, store, Orderer(sources, store, clock, policy, grace_s=1), clock,
                allowance=Allowance(per_day=2, per_year=50), commands={}, under_way=Commands(), record=record,
            )  # fmt: skip
            yield House(platform, acts)
    finally:
        await store.close()


@pytest.fixture
async def house(tmp_path):
    async with a_house(tmp_path) as one:
        yield one


async def test_a_dataset_is_taken_by_its_id_or_found_or_made_by_its_name(house):
    assert await house.sees(Step.DATASET) == DatasetKnown(id=DATASET)
    assert await house.sees(Step.DATASET, dataset="Segment Export") == DatasetKnown(id=DATASET)
    made = await house.sees(Step.DATASET, dataset="Of the night")
    assert made == DatasetKnown(id=made.id, made=True)
    assert await house.sees(Step.DATASET, dataset="Of the night") == DatasetKnown(id=made.id)


async def test_a_dataset_that_no_export_can_write_to_ends_the_run(house):
    body = {"name": "Events", "schemaRef": {"id": ANOTHER_SCHEMA, "contentType": "application/vnd.adobe.xed+json"}}
    made = await house.platform.call("POST", DATASETS, json=body)
    other = made.body[0].rpartition("/")[2]
    seen = await house.sees(Step.DATASET, dataset=other)
    assert seen == Impossible(
        reason=Reason.DATASET, why=f"dataset {other} is not built on the union schema, so no export can write to it"
    )
    seen = await house.sees(Step.DATASET, dataset="f" * 24)
    assert (type(seen), seen.reason) == (Impossible, Reason.DATASET)


async def test_a_platform_that_does_not_answer_is_asked_again(house):
    await house.platform.control("faults", {"path": "/data/*", "fault": {"status": 503}, "times": 10})
    assert isinstance(await house.sees(Step.DATASET), Trouble)


async def test_a_batch_that_the_catalog_does_not_know_yet_is_waited_for(house):
    seen = await house.sees(Step.CHECK, batches=("0" * 32,))
    assert isinstance(seen, BatchesStand)
    assert seen.batches[0].state is BatchState.PENDING


async def test_without_a_dataset_of_ours_only_the_platforms_export_will_do(house):
    waits = await house.sees(Step.EXPORT, dataset="", adopt_export="any", adopt_within=timedelta(seconds=60))
    assert isinstance(waits, Pending)
    seen = await house.sees(Step.EXPORT, dataset="", adopt_export="any")
    assert (type(seen), seen.reason) == (Impossible, Reason.EXPORT)


@pytest.mark.parametrize("step", [Step.EVALUATE, Step.EXPORT])
async def test_nothing_is_spent_where_the_files_would_have_no_place(house, step, tmp_path):
    (tmp_path / "file").touch()
    seen = await house.sees(step, download=str(tmp_path / "file" / "out"))
    assert (type(seen), seen.reason) == (Impossible, Reason.DOWNLOAD)
    assert f"{tmp_path}/file is no folder" in seen.why
    ledger = await house.platform.call("GET", "/_emulator/ledger")
    assert ledger.body["submissions"] == []


async def test_a_folder_is_looked_for_and_leaves_nothing_behind(house, tmp_path):
    (tmp_path / "out").mkdir()
    seen = await house.sees(Step.EVALUATE, download=str(tmp_path / "out" / "deeper"))
    assert isinstance(seen, OrderStands)
    assert list((tmp_path / "out").iterdir()) == []


async def test_a_run_hands_its_result_to_the_command_that_it_began_with(house, tmp_path):
    begun_with = ("/bin/sh", "-c", f"echo old > {tmp_path}/said")
    house.acts._commands = {"nightly": ("/bin/sh", "-c", f"echo new > {tmp_path}/said")}
    assert await house.sees(Step.COMMAND, command=begun_with) == CommandEnded(code=0, tail="")
    assert (tmp_path / "said").read_text() == "old\n"
    # one that an older version began knows only that it has a command
    assert await house.sees(Step.COMMAND, has_command=True) == CommandEnded(code=0, tail="")
    assert (tmp_path / "said").read_text() == "new\n"


async def test_a_command_that_the_settings_name_no_more_is_said(house):
    seen = await house.sees(Step.COMMAND, has_command=True)
    assert (type(seen), seen.reason) == (Impossible, Reason.SETTINGS)


async def test_a_job_that_is_not_shown_yet_is_waited_for(house):
    assert isinstance(await house.sees(Step.EVALUATION, segment_job="nothing"), Pending)
    assert isinstance(await house.sees(Step.EXPORTING, current_export="4711"), Pending)


async def test_no_evaluation_is_spent_where_the_dataset_is_not_there(house):
    seen = await house.sees(Step.EVALUATE, dataset="f" * 24)
    assert (type(seen), seen.reason) == (Impossible, Reason.DATASET)
    ledger = await house.platform.call("GET", "/_emulator/ledger")
    assert ledger.body["submissions"] == []
