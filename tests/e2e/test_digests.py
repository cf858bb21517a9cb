"""A day as a channel is told it, by a daemon that is killed around the hour."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from house import House, until


def digest_in(seconds: float) -> dict[str, str]:
    """Return settings whose hour comes so soon, in a zone where it is noon: no day ends while a test runs."""
    now = datetime.now(UTC)
    zone = f"Etc/GMT{now.hour - 12:+d}"
    at = (now + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone))
    return {"at": f"{at:%H:%M:%S}", "zone": zone}


async def until_past(digest: dict[str, str]) -> None:
    """Return once its hour has come."""

    async def past() -> bool:
        return f"{datetime.now(ZoneInfo(digest['zone'])):%H:%M:%S}" > digest["at"]

    await until(past, f"it is past {digest['at']}", within_s=30)


async def failed_and_done(house: House) -> None:
    """Let an export fail and another succeed, both told."""
    (bad,) = await house.platform.place("export_job", ["PROCESSING", 1.0], ["FAILED", 0])
    (good,) = await house.platform.place("export_job", ["PROCESSING", 1.0], ["SUCCEEDED", 0])
    await house.inbox.until("job.failed", job_id=bad, within_s=15)
    await house.inbox.until("job.succeeded", job_id=good, within_s=15)


async def test_the_day_is_told_at_its_hour_once_also_over_a_reload_and_a_kill(house: House) -> None:
    channels = [house.channel("events"), house.channel("team")]
    daemon = await house.daemon(channels=channels, retry={"mode": "off"})
    await house.watching(daemon)
    await failed_and_done(house)
    digest = digest_in(4)
    house.write(channels=[channels[0], channels[1] | {"digest": digest}], retry={"mode": "off"})
    assert (await daemon.reload())[0] == 200
    letter = await house.inbox.until("digest.daily", channel="team", within_s=20)
    assert [letter.data[name] for name in ("runs", "succeeded", "failed", "saved")] == [2, 1, 1, 0]
    assert (letter.data["channel"], letter.data["sandboxes"]) == ("team", ["prod"])
    assert [row["kind"] for row in letter.data["work"]] == ["export_job"]
    await daemon.kill()
    daemon = await house.daemon()
    later = digest_in(3)
    house.write(channels=[channels[0], channels[1] | {"digest": later}], retry={"mode": "off"})
    assert (await daemon.reload())[0] == 200
    await until_past(later)
    await house.swept(daemon)
    assert len(house.inbox.letters("digest.daily", channel="team")) == 1, "the day was told"
    assert house.inbox.letters("digest.daily") == [], "no route leads a digest anywhere"
    assert await daemon.stop() == 0
    found = (await house.command("events", "list", "--type", "digest.daily", "--json")).json
    assert [one["data"]["event_id"] for one in found] == [letter.data["event_id"]]
    replayed = await house.command("notify", "replay", letter.data["event_id"])
    assert replayed.code == 0, replayed.err
    assert (await house.command("db", "check")).code == 0


@pytest.mark.parametrize("number", range(2))
async def test_a_daemon_that_was_killed_over_the_hour_tells_it_late_and_once(house: House, number: int) -> None:
    digest = digest_in(9)
    channels = [house.channel("events"), house.channel("team", digest=digest)]
    daemon = await house.daemon(channels=channels, retry={"mode": "off"})
    await house.watching(daemon)
    (job,) = await house.platform.place("export_job", ["PROCESSING", 600])
    await house.inbox.until("job.discovered", job_id=job)
    await daemon.kill()
    await house.platform.set_status("export_job", job, "SUCCEEDED")
    await until_past(digest)
    daemon = await house.daemon()
    if number:  # about when it is written
        await house.swept(daemon, times=1)
        await daemon.kill()
        daemon = await house.daemon()
    letter = await house.inbox.until("digest.daily", channel="team", within_s=20)
    assert (letter.data["runs"], letter.data["succeeded"]) == (1, 1), "what ended while it was down is in it"
    await daemon.kill()
    daemon = await house.daemon()
    await house.swept(daemon)
    assert len(house.inbox.letters("digest.daily", channel="team")) == 1


async def test_a_digest_is_printed_and_nothing_is_sent(house: House) -> None:
    channels = [house.channel("events"), house.channel("team", digest=digest_in(-3600))]
    daemon = await house.daemon(channels=channels, retry={"mode": "off"})
    await house.watching(daemon)
    await failed_and_done(house)
    shown = await house.command("notify", "digest", "--channel", "team")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert lines[0] == "team"
    assert lines[2].strip().startswith("Daily digest: 2 runs in prod, 1 failed, from ")
    assert "prod: 2 exports, 1 failed; took " in shown.out
    whole = (await house.command("notify", "digest", "--since", "1h", "--json")).json
    assert (whole["type"], whole["data"]["runs"]) == ("digest.daily", 2)
    today = (await house.command("notify", "digest", "--channel", "team", "--day", "today", "--json")).json["data"]
    assert (today["runs"], today["zone"]) == (2, channels[1]["digest"]["zone"])
    before = await house.command("notify", "digest", "--channel", "team", "--day", "yesterday")
    assert (before.code, "nothing can be said of that time: it is watched since " in before.err) == (1, True)
    assert house.inbox.letters("digest.daily", channel="team") == []
    sent = await house.command("notify", "digest", "--channel", "team", "--send")
    assert (sent.code, sent.out.splitlines()[-1]) == (0, "sent to team")
    assert len(house.inbox.letters("digest.daily", channel="team")) == 1
    sample = await house.command("notify", "test", "team", "--event", "digest.daily")
    assert sample.code == 0, sample.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--channel", "nobody"], "no channel is named nobody; configured: events"),
        (["--day", "monday"], '--day is "monday", which is no day. Write today, yesterday, or a date such as'),
        (["--day", "2999-01-01"], "--day is 2999-01-01, which has not begun."),
        (["--day", "today", "--since", "1h"], "write either --day or --since"),
        (["--since", "soon"], '--since is "soon", which is no duration.'),
        (["--send"], "--send needs to know where to: add --channel NAME"),
    ],
)
async def test_what_cannot_be_printed_is_refused(house: House, args: list[str], said: str) -> None:
    house.write()
    assert (await house.command("db", "migrate")).code == 0
    refused = await house.command("notify", "digest", *args)
    assert (refused.code, refused.err.startswith(said)) == (2, True), refused.err
