"""One thread for one alert: in Slack, over `kill -9`, until it is over."""

import json
from typing import Any

from house import House, an_export, until
from receiver import Answer, Received, Receiver

_TOKEN = "xoxb-made-up-for-tests"


class Slack:
    """Slack's chat.postMessage: takes every message, and names it by a time of its own."""

    def __init__(self) -> None:
        self.receiver = Receiver(self._take)

    @property
    def posts(self) -> list[dict[str, Any]]:
        return [json.loads(got.body) for got in self.receiver.got]

    def titled(self, words: str) -> list[dict[str, Any]]:
        return [post for post in self.posts if words in post["blocks"][0]["text"]["text"]]

    async def until(self, words: str, within_s: float = 20.0) -> dict[str, Any]:
        """Return the first message whose title has these words."""
        await self.receiver.until(lambda: bool(self.titled(words)), within_s)
        return self.titled(words)[0]

    def _take(self, number: int, request: Received) -> Answer:
        assert request.headers["authorization"] == f"Bearer {_TOKEN}"
        return Answer(body=json.dumps({"ok": True, "channel": "C0123456789", "ts": self.ts_of(number)}).encode())

    @staticmethod
    def ts_of(number: int) -> str:
        return f"17000000{number:02}.000001"


async def test_what_is_told_of_a_failed_export_is_in_one_thread_though_segwatch_is_killed(house: House) -> None:
    slack = Slack()
    async with slack.receiver:
        app = {"name": "chat", "kind": "slack", "token": _TOKEN, "channel_id": "C0123456789"}
        story = ["job.failed", "export.retry_submitted", "export.recovered"]
        daemon = await house.daemon(
            channels=[house.channel("events"), app | {"api_url": slack.receiver.origin}],
            routes=[
                {"match": {}, "channels": ["events"]},
                {"match": {"type": story}, "channels": ["chat"]},
            ],
            retry={"first_delay": "4s", "max_delay": "4s"},
            polling={"names": False},  # else a title has them from some moment on
        )
        await house.watching(daemon)
        (job,) = await house.platform.place("export_job", ["PROCESSING", 1], ["FAILED", 0], body=an_export())
        opened = await slack.until(f"{job} failed")
        assert "thread_ts" not in opened

        async def written() -> bool:
            return all(one["pending"] == 0 for one in (await house.command("notify", "list", "--json")).json)

        await until(written, "that Slack took it is on disk")
        await daemon.kill()
        await house.daemon()
        new = (await house.inbox.until("export.retry_submitted", job_id=job, within_s=20)).data["new_job_id"]
        await house.platform.set_status("export_job", new, "SUCCEEDED")
        over = await slack.until("recovered")
        assert over["reply_broadcast"] is True
        (submitted,) = slack.titled("submitted again")
        assert submitted["reply_broadcast"] is False
        assert {post["thread_ts"] for post in slack.posts[1:]} == {slack.ts_of(0)}
        assert slack.posts == [opened, submitted, over]
