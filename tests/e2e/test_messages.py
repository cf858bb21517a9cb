"""A failed export's message in Slack: what it was, why it failed, how that compares, what follows, where to go on."""

import json
from typing import Any

from house import DATASET, SEGMENT, House, an_export, until
from receiver import Answer, Receiver

ERRORS = [{"code": "0090000009", "msg": "Error writing profiles to output path 'adl://x'", "callStack": "com.example"}]
LINKS = [
    {"name": "Logs", "url": "https://logs.example.test/{sandbox}?q={job_id}", "match": {"type": "job.failed"}},
    {"name": "Nothing", "url": "https://logs.example.test/{reason}"},
]
CODES = [{"code": "00900*", "runbook": "https://wiki.example.test/writing"}]


def _sections(post: dict[str, Any]) -> dict[str, str]:
    texts = [field["text"] for block in post["blocks"] for field in block.get("fields", ())]
    return dict(text.split("\n", 1) for text in texts)


async def test_a_failed_export_says_all_that_is_known_in_one_message(house: House) -> None:
    slack = Receiver(Answer(body=b"ok"))
    async with slack:
        daemon = await house.daemon(
            channels=[house.channel("events"), {"name": "chat", "kind": "slack", "url": slack.url}],
            routes=[{"match": {}, "channels": ["events"]}, {"match": {"type": "job.failed"}, "channels": ["chat"]}],
            retry={"mode": "auto", "first_delay": "60s", "max_delay": "60s"},
            links=LINKS, error_codes=CODES,
        )  # fmt: skip
        await house.watching(daemon)
        done = await house.platform.place("export_job", ["PROCESSING", 1], ["SUCCEEDED", 0], body=an_export(), count=8)
        await house.inbox.until_each("job.succeeded", done, within_s=30)

        async def named() -> bool:
            listed = (await house.command("jobs", "list", "--json")).json
            return all({SEGMENT, DATASET} <= job["names"].keys() for job in listed)

        await until(named, "the names are learned", within_s=30)
        (job,) = await house.platform.place(
            "export_job", ["PROCESSING", 1], ["FAILED", 0], body=an_export(), errors=ERRORS
        )
        told = await house.inbox.until("job.failed", job_id=job, within_s=20)
        await slack.until(lambda: bool(slack.got))
        (post,) = [json.loads(got.body) for got in slack.got]

    title = f'Export {job} of "Lives in the Netherlands" to "Segment Export" failed in prod'
    assert post["blocks"][0]["text"]["text"] == f"🔴 {title}"
    happened, means, follows = post["blocks"][1]["text"]["text"].split("\n")
    assert happened.startswith(f"{title} after ")
    assert ", usually " in happened
    assert happened.endswith("— Error writing profiles to output path 'adl://x' (0090000009).")
    assert means.startswith("The platform could not write the exported profiles to its own storage.")
    assert follows.startswith("This was attempt 1 of 3; attempt 2 follows at ")
    fields = _sections(post)
    assert fields["Timeline"].startswith("created ")
    assert fields["Dataset"] == f"Segment Export ({DATASET})"
    assert fields["Audiences"] == f"Lives in the Netherlands ({SEGMENT})"
    links = [element["text"] for element in post["blocks"][-2]["elements"]]
    assert links == ["<https://wiki.example.test/writing|Runbook>", f"<https://logs.example.test/prod?q={job}|Logs>"]

    assert told.data["runs"] == 8
    assert told.data["usual_s"] <= told.data["p95_s"]
    assert told.data["retry"]["step"] == "scheduled"
    shown = await house.command("jobs", "explain", str(job))
    assert f"Segment Export ({DATASET})" in shown.out
    assert "The platform could not write" in shown.out
    await daemon.stop()
    listed = await house.command("events", "list", "--job", str(job))
    assert title in listed.out
