"""One run without a daemon: what it does beside its own steps, which is nothing."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from emulator_fixtures import DATASET, OTHER_SEGMENT, SEGMENT, an_export, emulating, until
from store_builders import answer, delivery, job, key, sandbox_event

from segwatch.app.alone import Alone
from segwatch.config import load
from segwatch.daemon.clock import SystemClock
from segwatch.deliveries.model import Stage
from segwatch.jobs.model import Status
from segwatch.pipelines.advance import begun, wished
from segwatch.pipelines.model import Step, person
from segwatch.store.base import Change
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter, JobFilter

pytestmark = pytest.mark.usefixtures("logging_as_before")

SETTINGS = """
store.url = "sqlite://{folder}/segwatch.db"
platform = {{ base_url = "{platform}", ims_url = "{platform}" }}
polling = {{ interval = "1s", idle_interval = "1s" }}
retry = {{ first_delay = "1s", settle_window = "3s" }}
[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "abc"
client_secret = "hush-hush"
[[channels]]
name = "log"
kind = "log"
[[channels]]
name = "own"
kind = "log"
[[routes]]
match = {{}}
channels = ["log"]
[[pipelines]]
name = "a"
segments = ["{segment}"]
dataset = "{dataset}"
channels = ["own"]
[[pipelines]]
name = "b"
segments = ["{segment}"]
dataset = "{dataset}"
command = ["/bin/true"]
"""


class House:
    """A platform, a store, and a run of the pipeline a, which is at an export of its own."""

    def __init__(self, platform, store, settings):
        self.platform, self.store, self.settings = platform, store, settings

    def run(self, name, **fields):
        now = SystemClock().now()
        plan = next(one.plan for one in self.settings.pipelines if one.name == name)
        wish = wished(name, "prod", plan, person(name), now)
        return replace(begun(wish, now).run, sequence=0, **fields) if fields else wish

    async def export(self, segment, *script):
        """Return the id of an export that goes this way."""
        filter_ = {"segments": [{"segmentId": segment, "segmentNs": "ups", "status": ["realized"]}]}
        (id_,) = await self.platform.place("export_job", *script, body=an_export(filter=filter_))
        return str(id_)

    async def until_ended(self, run):
        async def ended():
            found = await self.store.run(run.id)
            return found if found and not found.state.is_open else None

        return await until(ended, deadline_s=40)


@asynccontextmanager
async def a_house(folder):
    async with emulating(speed=200) as platform:
        file = folder / "config.toml"
        file.write_text(
            SETTINGS.format(folder=folder, platform=platform.base_url, segment=SEGMENT, dataset=DATASET),
        )
        settings = load(file, {})
        store = store_of(settings.store.url)
        await store.open()
        try:
            yield House(platform, store, settings)
        finally:
            await store.close()


@pytest.fixture
async def house(tmp_path):
    async with a_house(tmp_path) as one:
        yield one


async def test_only_the_run_itself_is_driven_told_and_submitted_again(house):
    own = await house.export(SEGMENT, ["PROCESSING", 600.0], ["FAILED", 0])
    strange = await house.export(OTHER_SEGMENT, ["PROCESSING", 600.0], ["FAILED", 0])
    mine = house.run("a", step=Step.EXPORTING, export_job=own, current_export=own)
    other, waiting = house.run("b", step=Step.COMMAND), replace(house.run("b"), id="waits", cause="person/w")
    old = delivery(sandbox_event(1), "log")
    lies = job("1", status=Status.FAILED, word="FAILED", facts=replace(job().facts, request="{}"))
    await house.store.commit([
        Change(run=mine), Change(run=other), Change(run=waiting), Change(events=(old.event,), deliveries=(old,)),
        Change(job=lies, resubmission=answer("1")),
    ])  # fmt: skip
    position = await house.store.position("prod", "export_job")

    async with Alone(house.settings, house.store, mine) as alone:
        ended = await house.until_ended(mine)
        async with asyncio.timeout(10):
            await alone.told()
    assert ended.current_export != own
    assert [await house.store.run(one.id) for one in (other, waiting)] == [other, waiting]

    made = [one["id"] for one in (await house.platform.ledger())["submissions"]]
    assert [str(one) for one in made] == [ended.current_export], "the strangers' exports failed too"
    known = {one.key.id for one in await house.store.jobs(JobFilter(sandbox="prod"))}
    assert known == {"1", own, ended.current_export}
    assert strange not in known
    assert (await house.store.resubmission(key("1"))).step.is_open
    assert await house.store.position("prod", "export_job") == position, "a daemon has all of it before it"

    told = await house.store.deliveries(stages=(Stage.DELIVERED,))
    assert {one.event.stream for one in told} == {mine.stream}
    assert [one.channel for one in told if one.event.type.value.startswith("pipeline.") and one.channel == "own"]
    (left,) = await house.store.deliveries(stages=(Stage.PENDING,))
    assert left.event == old.event
    logged = [one.event.stream for one in await house.store.events(EventFilter())]
    assert set(logged) - {old.event.stream} == {mine.stream, key(own).stream, key(ended.current_export).stream}
