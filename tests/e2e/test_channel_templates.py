"""Templates in the running daemon: a reload changes what Slack is told, and one that fails loses nothing."""

import json
import signal
from typing import Any

from house import House, an_export
from receiver import Received, Receiver

ERRORS = [{"code": "0090000009", "message": "Zürich <output> is closed"}]
ONCALL = {
    "name": "oncall", "channels": ["ops"], "match": {"type": "job.failed"},
    "title": "{{ event.sandbox|upper }} export {{ event.job_id }} is down",
    "summary": "{% for one in event.details.errors %}{{ one.code }}: {{ one.message }}\n{% endfor %}",
    "action": "Call +31 20 555 0100",
    "fields": {"*": "", "Dataset": "{{ event.details.dataset }}"},
}  # fmt: skip
BROKEN = ONCALL | {"title": "{{ event.details.nobody_knows }}"}


def blocks(got: Received) -> list[dict[str, Any]]:
    return json.loads(got.body)["blocks"]


async def test_a_template_changes_what_slack_is_told_from_the_next_reload_on(house: House) -> None:
    async with Receiver() as slack:
        ops = {"name": "ops", "kind": "slack", "url": slack.url, "first_delay": "100ms", "max_delay": "500ms"}
        settings = {
            "channels": [house.channel("events"), ops],
            "routes": [{"match": {}, "channels": ["events"]}, {"match": {"type": "job.failed"}, "channels": ["ops"]}],
            "retry": {"mode": "off"},
            "polling": {"names": False},  # else a title has them from some moment on
        }
        daemon = await house.daemon(**settings)
        await house.watching(daemon)

        async def fails() -> tuple[str, Received]:
            """Let an export fail; return its id, and what Slack gets of that."""
            before = len(slack.got)
            [job] = await house.platform.place("export_job", ["NEW", 1], body=an_export())
            await house.platform.set_status("export_job", job, "FAILED", errors=ERRORS)
            await slack.until(lambda: len(slack.got) > before, 15)
            return job, slack.got[-1]

        job, plain = await fails()
        assert blocks(plain)[0]["text"]["text"] == f"🔴 Export {job} failed in prod"

        house.write(**settings, templates=[ONCALL])
        daemon.process.send(signal.SIGHUP)
        await daemon.process.until_logged("reloaded")
        job, told = await fails()
        header, said, fields = blocks(told)[:3]
        assert header["text"]["text"] == f"🔴 PROD export {job} is down"
        assert said["text"]["text"] == "0090000009: Zürich &lt;output&gt; is closed\nCall +31 20 555 0100"
        assert [one["text"].splitlines()[0] for one in fields["fields"]] == ["Dataset"]
        await daemon.until_metric(0, "segwatch_template_failures_total", channel="ops")

        event_id = (await house.inbox.until("job.failed", job_id=job)).data["event_id"]
        shown = await house.command("notify", "preview", event_id, "--channel", "ops", "--payload", "--json")
        (ops_shown,) = shown.json["channels"]
        assert (shown.code, ops_shown["template"], ops_shown["fault"]) == (0, "oncall", None)
        assert ops_shown["payload"]["body"] == json.loads(told.body)

        house.write(**settings, templates=[ONCALL | {"title": "{{ evnt.sandbox }}"}])
        status, refusal = await daemon.reload()
        assert status != 200
        assert 'names \\"evnt\\"' in refusal or 'names "evnt"' in refusal

        house.write(**settings, templates=[BROKEN])
        assert (await daemon.reload())[0] == 200
        job, plain = await fails()
        assert blocks(plain)[0]["text"]["text"] == f"🔴 Export {job} failed in prod"
        line = await daemon.process.until_logged("template_failed", channel="ops", template="oncall")
        assert (line["part"], line["line"]) == ("title", 1)
        assert line["why"].startswith("event.details.nobody_knows is not there. Write ")
        await daemon.until_metric(1, "segwatch_template_failures_total", channel="ops")
        preview = await house.command("notify", "preview", line["event_id"], "--channel", "ops")
        assert preview.code == 1
        assert "template oncall fails, so these are the standard words: title, line 1: " in preview.out
        count = len(slack.got)
    assert count == 3
