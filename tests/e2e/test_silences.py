"""A silence by hand beside a running daemon: nobody is told, until it ends and what is still wrong is told."""

import json

from house import House, until


async def test_a_silence_keeps_what_it_is_about_from_everybody_until_it_ends(house: House) -> None:
    daemon = await house.daemon(
        channels=[house.channel("events"), house.channel("failures"), house.channel("rest")],
        routes=[
            {"match": {"kind": "export_job"}, "channels": ["events"]},
            {"matchers": ['type=~"job.failed|job.vanished"', "severity=critical"], "channels": ["failures"]},
            {"default": True, "min_severity": "warning", "channels": ["rest"]},
        ],
        retry={"mode": "off"},
    )
    await house.watching(daemon)
    (noisy,) = await house.platform.place("segment_job", ["PROCESSING", 600])
    (loud,) = await house.platform.place("export_job", ["PROCESSING", 600])
    await house.inbox.until("job.discovered", job_id=loud)
    added = await house.command(
        "silence", "add", "kind=segment_job", "--for", "2h", "--reason", "a known fault", "--json"
    )
    silence = added.json["id"]
    assert (added.code, added.json["state"], added.json["open_alerts"]) == (0, "active", 0)
    listed = await house.command("silence", "list")
    assert (listed.code, silence in listed.out, "kind=segment_job" in listed.out) == (0, True, True)

    assert [one["id"] for one in await daemon.json("GET", "/api/v1/silences")] == [silence]  # in force from here on
    dry = (await house.command("notify", "route", "job.failed", "--label", "kind=segment_job", "--json")).json
    assert (dry["channels"], dry["silenced_by"]) == ([], [silence])
    assert [row["taken"] for row in dry["routes"]] == [False, True, False]
    await house.platform.set_status("segment_job", noisy, "FAILED")
    await house.platform.set_status("export_job", loud, "FAILED")
    await house.inbox.until("job.failed", channel="failures", job_id=loud)

    async def recorded() -> bool:
        events = (await house.command("events", "list", "--type", "job.failed", "--job", noisy, "--json")).json
        return bool(events)

    await until(recorded, "the silenced failure is in the log", within_s=20)
    await daemon.kill()
    daemon = await house.daemon()
    assert house.inbox.letters(channel="failures", job_id=noisy) == []
    gone = json.loads((await daemon.call("DELETE", f"/api/v1/silences/{silence}"))[1])
    assert (gone["state"], gone["ended_by"]) == ("ended", "expired")
    told = await house.inbox.until("silence.ended", channel="failures", within_s=20)
    assert (told.data["reason"], told.data["open"], told.data["severity"]) == ("expired", 1, "critical")
    assert [one["job_id"] for one in told.data["alerts"]] == [noisy]
    rest = await house.inbox.until("silence.ended", channel="rest")
    assert rest.data == told.data
    assert house.inbox.letters("silence.ended") == [], "this channel hears of exports only"
    assert (await house.command("silence", "list", "--json")).json == []
    ended = (await house.command("silence", "list", "--ended", "--json")).json
    assert [one["ended_by"] for one in ended] == ["expired"]
    (failure,) = (await house.command("events", "list", "--type", "job.failed", "--job", noisy, "--json")).json
    route = (await house.command("notify", "route", failure["data"]["event_id"], "--json")).json
    assert (route["channels"], route["silenced_by"], route["was_silenced_by"]) == (["failures"], [], [silence])
    shown = await house.command("notify", "route", failure["data"]["event_id"])
    assert f"when it was recorded, it was silenced by silence {silence} (kind=segment_job, by " in shown.out


async def test_silences_that_cannot_be_are_refused(house: House) -> None:
    await house.daemon()
    nothing = await house.command("silence", "add", "sandbox=prod", "--until-resolved")
    assert (nothing.code, nothing.out) == (1, "")
    assert nothing.lines == ["nothing that sandbox=prod matches is wrong, so it would end at once; write --for 2h"]
    unknown = await house.command("silence", "expire", "deadbeef")
    assert (unknown.code, "segwatch silence list" in unknown.err) == (1, True)
    route = await house.command("notify", "route", "evt_none")
    assert (route.code, "events list" in route.err) == (1, True)


async def test_a_list_of_silences_shows_the_newest_within_its_limit(house: House) -> None:
    house.write()
    assert (await house.command("db", "migrate")).code == 0
    ids = [
        (await house.command("silence", "add", f"sandbox={name}", "--for", "2h", "--json")).json["id"]
        for name in ("dev", "stage", "prod")
    ]
    newest = await house.command("silence", "list", "--limit", "2", "--json")
    assert [one["id"] for one in newest.json] == ids[1:]
    assert (await house.command("silence", "list", "--limit", "0")).code == 2
