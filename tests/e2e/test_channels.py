"""Receivers that fail in every way: each event arrives, under one id, signed at each attempt; or is kept as dead."""

from collections import defaultdict

from house import House, an_export
from inbox import Letter
from receiver import HANG, RESET, Answer

_BUSY = Answer(status=429, headers={"Retry-After": "1"})


async def test_every_event_reaches_a_flaky_receiver_and_a_dead_one_delays_nothing(house: House) -> None:
    daemon = await house.daemon(
        channels=[
            house.channel("events", timeout="1s"),
            house.channel("steady"),
            house.channel("dead", url="http://127.0.0.1:9/nobody-listens"),
        ],
        routes=[{"match": {}, "channels": ["dead", "events", "steady"]}],
    )
    await house.watching(daemon)
    house.inbox.answer("events", *[Answer(status=500), HANG, RESET, _BUSY] * 3)
    script = (["NEW", 1.2], ["PROCESSING", 1.2], ["SUCCEEDED", 0])
    jobs = await house.platform.place("segment_job", *script, count=3)
    jobs += await house.platform.place("export_job", *script, body=an_export())
    await house.inbox.until_each("job.succeeded", jobs, within_s=25)

    attempts: dict[str, list[Letter]] = defaultdict(list)
    for letter in house.inbox.got:
        if letter.channel == "events":
            attempts[letter.data["event_id"]].append(letter)
    assert sum(len(tries) > 1 for tries in attempts.values()) >= 3
    for tries in attempts.values():
        assert len({letter.webhook_id for letter in tries}) == 1
        assert sum(letter.accepted for letter in tries) == 1
    in_time = {letter.data["event_id"]: letter for letter in house.inbox.letters(channel="steady")}
    assert attempts.keys() <= in_time.keys() | {tries[0].data["event_id"] for tries in attempts.values()}
    for job in jobs:
        assert house.inbox.types(channel="steady", job_id=job) == house.inbox.types(job_id=job)
    assert max(letter.at for letter in in_time.values()) < max(letter.at for letter in house.inbox.letters())
    assert await daemon.metric("segwatch_deliveries_total", channel="dead") == 0
    assert await daemon.metric("segwatch_outbox_pending", channel="dead") > 0
    assert await daemon.metric("segwatch_outbox_oldest_timestamp_seconds", channel="dead") > 0
    for reason in ("http_500", "timeout", "http_429"):
        assert await daemon.metric("segwatch_deliveries_failed_total", channel="events", reason=reason) >= 3, reason
    await house.inbox.until("channel.failing", channel="steady")


async def test_what_a_receiver_refuses_is_kept_and_can_be_sent_again_under_its_id(house: House) -> None:
    daemon = await house.daemon(
        channels=[house.channel("events"), house.channel("picky")],
        routes=[{"match": {}, "channels": ["events"]}, {"match": {"type": "job.succeeded"}, "channels": ["picky"]}],
    )
    await house.watching(daemon)
    house.inbox.answer("picky", then=Answer(status=410))
    (job,) = await house.platform.place("segment_job", ["PROCESSING", 1], ["SUCCEEDED", 0])
    await house.inbox.until("channel.failing")
    await daemon.until_metric(1, "segwatch_dead_letters", channel="picky")
    (refused,) = [letter for letter in house.inbox.got if letter.channel == "picky"]
    (dead,) = (await house.command("notify", "dead", "--json")).json
    assert (dead["id"], dead["job"], dead["attempts"]) == (refused.webhook_id, job, 1)

    house.inbox.answer("picky")
    replayed = await house.command("notify", "replay", "--dead", "--json")
    assert replayed.code == 0
    again = await house.inbox.until("job.succeeded", channel="picky")
    assert again.webhook_id == refused.webhook_id
    await house.inbox.until("channel.recovered")
    assert (await house.command("notify", "dead", "--json")).json == []
    await daemon.until_metric(0, "segwatch_dead_letters", channel="picky")
