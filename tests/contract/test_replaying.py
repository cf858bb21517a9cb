"""What is sent again: single events where they are told at once, the last message about them everywhere else."""

from dataclasses import replace
from pathlib import Path

import pytest
from alerting import Faulty, House
from fakes import FakeClock, at

from segwatch.app.channels import routes_of
from segwatch.cli.output import Exit
from segwatch.cli.replaying import named, without_what_is_over
from segwatch.config import load
from segwatch.deliveries.model import Stage
from segwatch.jobs.events import EventType

SETTINGS = """
[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "abc"
access_token = "made-up"
[[channels]]
name = "each"
kind = "log"
[[channels]]
name = "chat"
kind = "log"
[[channels]]
name = "pager"
kind = "pagerduty"
routing_key = "made-up"
[[routes]]
match = { type = "job.failed" }
channels = ["each", "pager"]
[[routes]]
match = { type = "job.failed" }
channels = ["chat"]
group_by = ["sandbox"]
"""


@pytest.fixture
async def night(tmp_path: Path):
    """Two failures, of which one is over; what each channel was told lies in the store as given up."""
    (tmp_path / "config.toml").write_text(SETTINGS)
    settings = load(tmp_path / "config.toml", {})
    store = Faulty(tmp_path / "segwatch.db")
    await store.open()
    house = House(store, FakeClock(at(), leaps=True), routes=routes_of(settings))
    failures = [await house.happens(EventType.JOB_FAILED, job) for job in "12"]
    await house.passes(minutes=2)
    ends = await house.happens(EventType.JOB_SUCCEEDED, "1")
    await house.passes(minutes=10)
    yield house, settings, failures, ends
    await store.close()


async def sent(house, settings, name, channel=""):
    found = await named(house.store, settings, name, channel, house.clock.now())
    return [(one.channel, one.event.type.value) for one in found]


async def refused(house, settings, capsys, name, channel="", code=Exit.FAILED):
    with pytest.raises(SystemExit) as caught:
        await named(house.store, settings, name, channel, house.clock.now())
    assert caught.value.code == code
    return capsys.readouterr().err.strip()


async def test_a_channel_that_groups_or_keeps_incidents_gets_the_last_message_about_the_event(night):
    house, settings, (over, open_), ends = night
    assert await sent(house, settings, open_.id) == [
        ("each", "job.failed"), ("pager", "alert.firing"), ("chat", "alert.firing"),
    ]  # fmt: skip
    assert await sent(house, settings, over.id, "pager") == [("pager", "alert.resolved")]
    assert await sent(house, settings, ends.id, "pager") == [("pager", "alert.resolved")]
    assert await sent(house, settings, ends.id, "chat") == [("chat", "job.succeeded")]
    (told,) = await named(house.store, settings, open_.id, "pager", house.clock.now())
    assert told.event.details["alerts"][0]["job_id"] == "2"


async def test_what_no_message_is_about_opens_no_incident_that_nobody_would_close(night, capsys):
    house, settings, _, _ = night
    story = await house.happens(EventType.JOB_QUEUED, "9")
    assert "alone it would open one that nobody closes; `segwatch notify test pager" in await refused(
        house, settings, capsys, story.id, "pager"
    )
    fresh = await house.happens(EventType.JOB_FAILED, "3")  # nobody was told yet
    assert await sent(house, settings, fresh.id) == [("each", "job.failed")]
    assert await sent(house, settings, fresh.id, "chat") == [("chat", "job.failed")]
    house.routes = ()
    assert "no route sends" in await refused(house, settings, capsys, story.id)


async def test_a_message_goes_to_its_own_channel_and_an_incident_that_is_over_is_not_opened_again(night, capsys):
    house, settings, (over, _), _ = night
    firing, resolved = [
        one for one in await house.notices()
        if one.details["channel"] == "pager" and one.details["alerts"][0]["event_id"] == over.id
    ]  # fmt: skip
    assert await sent(house, settings, resolved.id) == [("pager", "alert.resolved")]
    assert "is a message to pager alone, not to chat; leave out --channel" in await refused(
        house, settings, capsys, resolved.id, "chat", Exit.USAGE
    )
    assert await sent(house, settings, firing.id) == [("pager", "alert.firing")], "its end is still to come"
    store = house.store
    letters = {one.event.id: one for one in await store.deliveries(channel="pager", stages=(Stage.PENDING,))}
    both = [letters[firing.id], letters[resolved.id]]
    assert await without_what_is_over(store, settings, both) == both
    assert await without_what_is_over(store, settings, both[:1]) == both[:1], "its end is still to come"
    await store.settle([replace(letters[resolved.id], stage=Stage.DELIVERED)])
    assert await without_what_is_over(store, settings, both[:1]) == []
    assert await without_what_is_over(store, settings, both) == both
    assert f"segwatch notify replay {resolved.id}" in await refused(house, settings, capsys, firing.id)
