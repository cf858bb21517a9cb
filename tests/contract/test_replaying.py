"""What is sent again: single events where they are told at once, the last message about them everywhere else."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alerting import Faulty, House
from fakes import FakeClock, at

from segwatch.app.channels import routes_of
from segwatch.cli.output import Exit
from segwatch.cli.replaying import named, without_what_is_over
from segwatch.config import load
from segwatch.daemon.lateness import as_of_now
from segwatch.deliveries.marking import marked
from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.model import Late, Stage, promised
from segwatch.jobs.events import EventType, Severity
from segwatch.store.base import StoreUnavailable

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


async def test_a_channel_is_not_told_afterwards_that_it_fails_itself(night):
    house, settings, _, _ = night
    failing = await house.happens(EventType.CHANNEL_FAILING, stream="channel/each", details={"channel": "each"})
    letters = [promised(failing, channel, house.clock.now()) for channel in ("each", "chat")]
    assert await without_what_is_over(house.store, settings, letters) == letters[1:]


async def test_what_comes_late_says_so_and_when_it_was_over(night):
    house, _, (over, open_), ends = night
    now = house.clock.now()

    async def told(event, *, promised_at=now, age=timedelta(minutes=12), stateful=False):
        told = await as_of_now(promised(event, "each", promised_at), house.store, now, age, stateful=stateful)
        return marked(message_of(event), told)

    message = await told(over)
    assert message.title == "Sent late, over by now: Export 1 failed in prod"
    said = f" Sent late: this happened at 03:00:00 UTC, and was over at {ends.at:%H:%M:%S} UTC."
    assert message.summary.endswith(said)
    assert (message.standing, message.severity, message.action) == (Standing.RESOLVED, Severity.INFO, "")
    message = await told(open_)
    assert message.title == "Sent late: Export 2 failed in prod"
    assert message.summary.endswith(" Sent late: this happened at 03:00:00 UTC.")
    assert (message.standing, message.severity) == (Standing.FIRING, Severity.CRITICAL)
    assert (await told(over, stateful=True)).standing is Standing.FIRING, "an incident is opened, and closed behind it"
    assert (await told(ends)).standing is Standing.RESOLVED
    assert (await told(over, promised_at=over.at, age=timedelta(seconds=30))) == message_of(over)
    assert (await told(over, age=timedelta(seconds=30))).title.startswith("Sent late"), "promised again: a replay"
    firing = [one for one in await house.notices() if one.details["channel"] == "chat"]
    assert [(await told(one)).standing for one in firing[:1]] == [Standing.FIRING], "one of its two still is"
    await house.happens(EventType.JOB_SUCCEEDED, "2")
    await house.passes(minutes=10)
    message = await told(firing[0])
    assert (message.standing, message.title) == (Standing.RESOLVED, "Sent late, over by now: 2 exports failed in prod")


async def test_a_store_that_cannot_be_read_holds_up_nothing_that_is_late(night):
    house, _, (over, _), _ = night

    class Away:
        async def alerts(self, wanted):
            raise StoreUnavailable("the disk is full")

    now = house.clock.now()
    told = await as_of_now(promised(over, "each", now), Away(), now, timedelta(hours=1))
    assert told.late == Late(sent_at=now)
