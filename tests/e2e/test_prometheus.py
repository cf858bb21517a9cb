"""A real Prometheus scrapes the daemon, and answers what an alert would ask."""

from pathlib import Path

import pytest
from house import House, an_export
from prometheus_client.parser import text_string_to_metric_families
from real_prometheus import prometheus

pytestmark = pytest.mark.needs("prometheus")


async def test_prometheus_learns_of_a_failed_export_and_of_what_became_of_it(house: House, tmp_path: Path):
    daemon = await house.daemon()
    async with prometheus(house.session, tmp_path, daemon.url.removeprefix("http://")) as asked:
        await asked.until('segwatch_up{sandbox="prod"}', 1)
        await asked.until('segwatch_job_transitions_total{kind="export_job", status="FAILED"}', 0)  # before the first
        await house.platform.outcomes("SUCCEEDED")
        script = [("NEW", 1.5), ("PROCESSING", 1.5), ("FAILED", 0)]
        [failed] = await house.platform.place("export_job", *script, body=an_export())

        await asked.until('segwatch_job_transitions_total{kind="export_job", status="FAILED"}', 1)
        await asked.until('segwatch_export_retries_total{sandbox="prod", result="submitted"}', 1)
        await asked.until("segwatch_export_retries_pending", 0)
        assert await asked.value('segwatch_job_transitions_total{kind="export_job", status="PROCESSING"}') >= 1
        assert await asked.value("sum(increase(segwatch_export_retries_total[1m])) > bool 0") == 1
        assert await asked.value('up{job="segwatch"}') == 1
        assert await asked.value("segwatch_config_last_reload_successful") == 1
        assert await asked.value("count(segwatch_build_info)") == 1
        assert await asked.value('segwatch_api_requests_total{endpoint="/data/core/ups/export/jobs", code="200"}') > 0
        assert await asked.value("time() - min(segwatch_last_poll_timestamp_seconds) < bool 30") == 1

    _, text = await daemon.call("GET", "/metrics")
    values = {
        value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in sample.labels.values()
    }
    ids = set(await house.platform.jobs())
    assert failed in ids
    assert not [value for value in values for job_id in ids if job_id in value]
    assert await daemon.stop() == 0
