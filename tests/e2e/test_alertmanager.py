"""The real Alertmanager is told of a job that fails and recovers, beside what a real Prometheus tells it."""

import json
from pathlib import Path

import pytest
from house import House, an_export, until
from real_alertmanager import Alertmanager, alertmanager
from real_prometheus import prometheus
from receiver import Receiver

pytestmark = pytest.mark.needs("prometheus", "prometheus-alertmanager")

_RULES = """\
groups:
  - name: segwatch
    rules:
      - alert: ExportsFail
        expr: sum by (sandbox) (segwatch_job_transitions_total{kind="export_job", status="FAILED"}) > 0
        labels:
          severity: warning
"""


def channel(name: str, real: Alertmanager) -> dict[str, object]:
    return {
        "name": name, "kind": "alertmanager", "urls": [real.url], "labels": {"team": "data"},
        "first_delay": "100ms", "max_delay": "500ms", "timeout": "2s",
    }  # fmt: skip


def told(hook: Receiver, alertname: str) -> list[str]:
    """Return what Alertmanager notified of this alert, which it does one by one."""
    bodies = [json.loads(got.body) for got in hook.got]
    return [body["status"] for body in bodies if body["commonLabels"]["alertname"] == alertname]


async def test_a_failure_fires_and_its_recovery_resolves_beside_the_alerts_of_prometheus(house: House, tmp_path: Path):
    async with Receiver() as hook, alertmanager(house.session, tmp_path, hook.url) as real:
        daemon = await house.daemon(
            channels=[house.channel("events"), channel("am", real)],
            routes=[{"match": {}, "channels": ["events"]}, {"match": {"kind": "export_job"}, "channels": ["am"]}],
            retry={"mode": "propose"},
        )
        await house.watching(daemon)
        target, told_at = daemon.url.removeprefix("http://"), real.url.removeprefix("http://")
        async with prometheus(house.session, tmp_path, target, alertmanager=told_at, rules=_RULES):
            script = (["NEW", 1], ["PROCESSING", 1], ["FAILED", 0])
            [failed] = await house.platform.place("export_job", *script, body=an_export())
            [ours] = await real.until_fires(1, alertname="SegwatchJobFailed", severity="critical", team="data")
            [theirs] = await real.until_fires(1, alertname="ExportsFail")
            assert ours["labels"]["sandbox"] == theirs["labels"]["sandbox"] == "prod"
            assert failed in ours["annotations"]["summary"]
            await hook.until(lambda: told(hook, "SegwatchJobFailed") == ["firing"])

            assert (await house.command("jobs", "retry", failed)).code == 0
            submitted = await house.inbox.until("export.retry_submitted")
            await house.platform.set_status("export_job", submitted.data["new_job_id"], "SUCCEEDED")
            await house.inbox.until("export.recovered")
            await real.until_fires(0, alertname="SegwatchJobFailed")
            await hook.until(lambda: told(hook, "SegwatchJobFailed") == ["firing", "resolved"])
            await real.until_fires(1, alertname="ExportsFail")  # a count that stays: no affair of ours
        assert await daemon.metric("segwatch_dead_letters", channel="am") == 0
        assert await daemon.stop() == 0


async def test_one_that_was_restarted_with_us_learns_again_what_fires_and_nothing_new_is_told(
    house: House, tmp_path: Path
):
    async with Receiver() as hook, alertmanager(house.session, tmp_path, hook.url) as real:
        daemon = await house.daemon(
            channels=[house.channel("events"), channel("am", real)],
            routes=[{"match": {}, "channels": ["events", "am"]}],
            retry={"mode": "off"},
        )
        await house.watching(daemon)
        [failed] = await house.platform.place("export_job", ["NEW", 1], ["FAILED", 0], body=an_export())
        await house.inbox.until("job.failed", job_id=failed)
        await real.until_fires(1, alertname="SegwatchJobFailed")
        await daemon.until_metric(1, "segwatch_deliveries_total", channel="am")
        await daemon.kill()
        await real.kill()
        await real.start()
        assert await real.alerts() == []

        daemon = await house.daemon()
        [again] = await real.until_fires(1, alertname="SegwatchJobFailed")
        assert failed in again["annotations"]["summary"]
        assert await daemon.metric("segwatch_deliveries_total", channel="am") == 0

        async def logged() -> list[object]:
            return (await house.command("events", "list", "--type", "alert.firing", "--json")).json

        assert len(await until(logged, "the notice in the log")) == 1
        assert await daemon.stop() == 0


async def test_a_sample_fires_and_is_resolved(house: House, tmp_path: Path):
    async with Receiver() as hook, alertmanager(house.session, tmp_path, hook.url) as real:
        house.write(channels=[channel("am", real)], routes=[])
        assert (await house.command("notify", "test", "am", "--event", "alert.firing")).code == 0
        await real.until_fires(1, sandbox="sample", severity="critical")
        assert (await house.command("notify", "test", "am", "--event", "alert.resolved")).code == 0
        await real.until_fires(0)
        story = await house.command("notify", "test", "am", "--event", "job.discovered")
        assert story.code == 1
        assert "am: not accepted: not_an_alert: " in story.out
