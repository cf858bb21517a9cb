"""A night: hundreds of exports fail for one cause, segwatch is killed in the middle, in the morning all is well."""

import asyncio
from collections import Counter

from house import Daemon, House, Json, an_export, until
from inbox import Letter

FAILING = 200
WELL = 300
CAUSE = [{"code": "500", "msg": "Profile store is not available"}]
CHATS = ("ops", "team")
ROUTING_KEY = "0123456789abcdef0123456789abcdef"

_TIMING = {"group_wait": "3s", "group_interval": "20s", "repeat_interval": "4h"}
_NIGHT_S = 150.0


def body(number: int) -> Json:
    """An export that is equal to no other one."""
    return an_export(fields=f"person.field{number}")


def settings(house: House) -> Json:
    pager = {"name": "pager", "kind": "pagerduty", "routing_key": ROUTING_KEY, "base_url": house.inbox.pager_url}
    return {
        "channels": [*(house.channel(name) for name in ("events", *CHATS)), pager],
        "routes": [
            {"match": {"severity": "critical"}, "channels": ["ops", "pager"], "group_by": ["sandbox"]} | _TIMING,
            {"match": {"type": "job.failed"}, "channels": ["team"], "group_by": []} | _TIMING,
            {"match": {}, "channels": ["events"]},
        ],
        "retry": {"first_delay": "1s", "max_delay": "1s", "settle_window": "3s", "max_per_day": 1000},
        "polling": {"interval": "1s", "idle_interval": "1s"},
    }


async def falls(house: House) -> None:
    """Let 500 jobs run, of which 200 exports fail within seconds."""
    await house.platform.place("segment_job", ["PROCESSING", 3], ["SUCCEEDED", 0], count=WELL // 2)
    await house.platform.place("export_job", ["PROCESSING", 3], ["SUCCEEDED", 0], count=WELL // 2)
    for number in range(FAILING):
        script = (["PROCESSING", 2 + number / 50], ["FAILED", 0])
        await house.platform.place("export_job", *script, body=body(number), errors=CAUSE)


async def morning(house: House) -> None:
    """Let every export that is submitted again succeed, until all chains have recovered."""
    done: set[str] = set()

    async def recovered() -> bool:
        for one in await house.platform.submissions():
            if str(one["id"]) not in done:
                done.add(str(one["id"]))
                await house.platform.set_status("export_job", str(one["id"]), "SUCCEEDED")
        return len(house.inbox.letters("export.recovered")) >= FAILING

    await until(recovered, f"{FAILING} recoveries", within_s=_NIGHT_S, every_s=0.5)


async def quiet(house: House, channel: str) -> list[Letter]:
    """Return what the channel was told, once it was told that all is over."""
    await house.inbox.until("alert.resolved", channel=channel, within_s=60)
    return house.inbox.letters(channel=channel)


async def test_a_night_of_one_cause_is_a_few_messages_though_segwatch_is_killed_in_it(house: House) -> None:
    daemon: Daemon = await house.daemon(**settings(house))
    await house.watching(daemon)
    await falls(house)
    await asyncio.gather(*(house.inbox.until("alert.firing", channel=chat, within_s=30) for chat in CHATS))
    await house.inbox.until("export.retries_held", within_s=30)
    await daemon.kill()
    daemon = await house.daemon()
    await morning(house)

    for chat in CHATS:
        told = await quiet(house, chat)
        assert 2 <= len(told) <= 4, Counter(letter.type for letter in told)
        assert [letter.type for letter in told[:-1]] == ["alert.firing"] * (len(told) - 1)
        assert len({letter.data["group"] for letter in told}) == 1
        assert [letter.data["sequence"] for letter in told] == list(range(1, len(told) + 1))
        # each failure is told as over once: with others that go on, or with the end
        assert sum(letter.data["resolved"] for letter in told) in (FAILING, FAILING + 1)
        assert max(letter.data["firing"] for letter in told) >= FAILING // 2
        assert "Profile store is not available (500)" in told[0].data["summary"]
    await house.inbox.until_true(lambda: len(house.inbox.pages) >= 2, "the pager's resolve")
    trigger, resolve = house.inbox.pages
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert (trigger["payload"]["severity"], trigger["routing_key"]) == ("critical", ROUTING_KEY)
    assert len(house.inbox.letters("export.retries_held")) == 1
    assert len(house.inbox.letters("job.failed")) == FAILING
    assert len(await house.platform.submissions()) == FAILING
    assert (await house.command("db", "check")).code == 0
