"""What is counted, under which names, and that no name or value is there by accident."""

import asyncio
import gzip
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from builders import answer, at, failed, job, retry_policy
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

from segwatch.decision import announce
from segwatch.jobs import telling
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.jobs.model import Facts, Status
from segwatch.jobs.resubmission import Step
from segwatch.telemetry import metrics as module
from segwatch.telemetry.metrics import Exposition, Metrics

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
_ROW = re.compile(r"\| `(?P<name>segwatch_\w+)` \| (?P<type>\w+) \| (?P<labels>[`\w ]*)\| \S.* \|")

# others script against these names and labels; what is added beside them is free
PUBLIC = """
segwatch_up{sandbox} segwatch_jobs{sandbox,kind,status} segwatch_job_transitions_total{sandbox,kind,status}
segwatch_job_duration_seconds{sandbox,kind,outcome} segwatch_job_phase_duration_seconds{sandbox,kind,phase}
segwatch_job_oldest_active_timestamp_seconds{sandbox,kind} segwatch_last_success_timestamp_seconds{sandbox,kind}
segwatch_segment_profiles{sandbox,segment} segwatch_export_profiles{sandbox}
segwatch_export_retries_total{sandbox,result}
segwatch_export_retries_pending{sandbox} segwatch_api_requests_total{sandbox,endpoint,code}
segwatch_api_request_duration_seconds{sandbox,endpoint} segwatch_api_budget_requests_per_second{sandbox}
segwatch_last_poll_timestamp_seconds{sandbox,kind} segwatch_detection_lag_seconds{sandbox,kind}
segwatch_deliveries_total{channel} segwatch_deliveries_failed_total{channel,reason}
segwatch_delivery_duration_seconds{channel} segwatch_outbox_pending{channel}
segwatch_outbox_oldest_timestamp_seconds{channel} segwatch_dead_letters{channel}
segwatch_token_expiry_timestamp_seconds{sandbox} segwatch_store_commit_duration_seconds
segwatch_event_loop_lag_seconds segwatch_worker_restarts_total{worker} segwatch_parse_errors_total{part}
segwatch_config_last_reload_successful segwatch_build_info
"""


def expecting() -> Metrics:
    metrics = Metrics()
    metrics.expect({"prod": ("segment_job", "export_job")}, ("ops",))
    metrics.expect_runs([("prod", "nightly")])
    return metrics


def samples(metrics: Metrics) -> list:
    return [sample for family in metrics.registry.collect() for sample in family.samples]


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"segwatch_{name}", labels)


def declared() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return name -> (type, labels) of everything of ours in the registry."""
    found = {}
    for collector in vars(Metrics()).values():
        if not hasattr(collector, "_labelnames"):
            continue
        family = collector.describe()[0]
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        labels = ("version", "python") if family.type == "info" else collector._labelnames
        found[family.name + suffix] = ("gauge" if family.type == "info" else family.type, labels)
    return found


def test_the_reference_names_every_metric_and_no_other():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    documented = {}
    for line in rows:
        row = _ROW.fullmatch(line)
        assert row, f"not a row of name, type, labels and meaning: {line}"
        documented[row["name"]] = (row["type"], tuple(re.findall(r"`(\w+)`", row["labels"])))
    assert documented == declared()


def test_everything_in_the_registry_of_ours_is_declared_as_an_attribute():
    names = {family.name for family in Metrics().registry.collect() if family.name.startswith("segwatch_")}
    assert {re.sub(r"_(total|info)$", "", name) for name in declared()} == names


def test_the_public_names_and_labels_are_there():
    ours = declared()
    for word in PUBLIC.split():
        name, _, labels = word.rstrip("}").partition("{")
        assert name in ours
        if labels:
            assert ours[name][1] == tuple(labels.split(","))


def test_known_label_values_start_at_zero():
    metrics = expecting()
    for status in Status:
        assert value(metrics, "job_transitions_total", sandbox="prod", kind="export_job", status=status.value) == 0
        assert value(metrics, "jobs", sandbox="prod", kind="segment_job", status=status.value) == 0
    for result in ("submitted", "adopted", "refused", "failed"):
        assert value(metrics, "export_retries_total", sandbox="prod", result=result) == 0
    for part in ("segment_job", "segment_job_row", "export_job", "export_job_row"):
        assert value(metrics, "parse_errors_total", part=part) == 0
    assert value(metrics, "detection_lag_seconds_count", sandbox="prod", kind="segment_job") == 0
    for name in ("deliveries_total", "outbox_pending", "dead_letters", "delivery_duration_seconds_count"):
        assert value(metrics, name, channel="ops") == 0
    assert value(metrics, "config_last_reload_successful") == 1


def test_runs_of_pipelines_are_counted_by_their_end_from_zero():
    metrics = expecting()
    labels = {"sandbox": "prod", "pipeline": "nightly"}
    assert value(metrics, "pipeline_runs_total", outcome="failed", **labels) == 0
    assert value(metrics, "pipeline_last_success_timestamp_seconds", **labels) == 0
    ended = Event(
        type=EventType.PIPELINE_SUCCEEDED, stream="pipeline/prod/nightly/r1", sequence=9, at=at(1),
        severity=Severity.INFO, sandbox="prod", details={"pipeline": "nightly"},
    )  # fmt: skip
    metrics.on_event(ended, None)
    metrics.on_event(replace(ended, type=EventType.PIPELINE_STEP_DONE), None)
    assert value(metrics, "pipeline_runs_total", outcome="succeeded", **labels) == 1
    assert value(metrics, "pipeline_runs_total", outcome="failed", **labels) == 0


def every_event():
    """Every event that a job can have, of a job of its own, with an id that no label may show."""
    for number, type_ in enumerate(EventType):
        for status in Status:
            state = failed(job_id=f"id-{number}-{status}", attempt=2, started_at=at(-4))
            state = replace(state, status=status, word=f"word-{number}")
            yield telling.tell(state, type_, at(1))


def test_no_job_id_and_no_unknown_word_is_a_label_value():
    metrics = expecting()
    before = {frozenset(sample.labels) for sample in samples(metrics)}
    for state, event in every_event():
        metrics.on_event(event, state)
        metrics.on_event(event, None)
    metrics.set_jobs("prod", "export_job", [state for state, _ in every_event()])
    values = {text for sample in samples(metrics) for text in sample.labels.values()}
    assert not [text for text in values if text.startswith(("id-", "word-"))]
    assert before <= {frozenset(sample.labels) for sample in samples(metrics)}


def test_a_transition_is_counted_by_the_status_that_the_job_took():
    metrics = expecting()
    state, discovered = telling.tell(job(Status.PROCESSING), EventType.JOB_DISCOVERED, at(1))
    metrics.on_event(discovered, state)
    state, processing = telling.tell(state, EventType.JOB_PROCESSING, at(1))
    metrics.on_event(processing, state)
    counted = {
        sample.labels["status"]: sample.value
        for sample in samples(metrics)
        if sample.name == "segwatch_job_transitions_total" and sample.value
    }
    assert counted == {"PROCESSING": 1}


@pytest.mark.parametrize(
    ("step", "result"),
    [
        pytest.param(Step.SUBMITTED, "submitted", id="submitted"),
        pytest.param(Step.ADOPTED, "adopted", id="adopted"),
        pytest.param(Step.REFUSED, "refused", id="refused"),
    ],
)
def test_the_answer_to_a_failure_is_counted_by_its_result(step, result):
    metrics = expecting()
    reason = "never" if step is Step.REFUSED else ""
    state, events = announce(failed(), answer(step, reason=reason), retry_policy(), at(1))
    for event in events:
        metrics.on_event(event, state)
    assert value(metrics, "export_retries_total", sandbox="prod", result=result) == 1


def test_a_resubmission_that_fails_in_turn_is_counted_as_failed():
    metrics = expecting()
    for attempt in (1, 2, 3):
        state, event = telling.tell(failed(job_id=str(attempt), attempt=attempt), EventType.JOB_FAILED, at(1))
        metrics.on_event(event, state)
    assert value(metrics, "export_retries_total", sandbox="prod", result="failed") == 2


def test_an_end_is_timed_from_creation_and_in_two_phases():
    metrics = expecting()
    state, event = telling.tell(failed(minute=10, started_at=at(0)), EventType.JOB_FAILED, at(10, second=3))
    metrics.on_event(event, state)
    stream = {"sandbox": "prod", "kind": "export_job"}
    assert value(metrics, "job_duration_seconds_sum", outcome="FAILED", **stream) == 15 * 60
    assert value(metrics, "job_phase_duration_seconds_sum", phase="waiting", **stream) == 5 * 60
    assert value(metrics, "job_phase_duration_seconds_sum", phase="running", **stream) == 10 * 60
    assert value(metrics, "detection_lag_seconds_sum", **stream) == 3


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({}, id="no-start"),
        pytest.param({"started_at": at(0), "created_at": None}, id="no-creation"),
    ],
)
def test_a_phase_whose_beginning_nobody_knows_is_not_timed(times):
    metrics = expecting()
    state, event = telling.tell(failed(minute=10, **times), EventType.JOB_FAILED, at(10))
    metrics.on_event(event, state)
    assert not value(metrics, "job_phase_duration_seconds_count", phase="waiting", sandbox="prod", kind="export_job")


def test_what_happened_while_nobody_watched_says_nothing_about_the_lag():
    metrics = expecting()
    state, event = telling.tell(failed(minute=1), EventType.JOB_FAILED, at(300), late=True)
    metrics.on_event(event, state)
    assert value(metrics, "detection_lag_seconds_count", sandbox="prod", kind="export_job") == 0


def test_the_last_success_is_known_also_of_jobs_that_ended_before_the_start():
    metrics = expecting()
    ended = [
        job(Status.SUCCEEDED, job_id="1", ended_at=at(3), facts=Facts(exported=70)),
        job(Status.SUCCEEDED, job_id="2", ended_at=at(9), facts=Facts(exported=90)),
        job(Status.SUCCEEDED, job_id="3", ended_at=at(5), facts=Facts(exported=50)),
        failed(job_id="4", minute=12),
        job(Status.PROCESSING, job_id="5", created_at=at(2)),
        job(Status.NEW, job_id="6", created_at=at(4)),
    ]
    metrics.set_jobs("prod", "export_job", ended)
    stream = {"sandbox": "prod", "kind": "export_job"}
    assert value(metrics, "last_success_timestamp_seconds", **stream) == at(9).timestamp()
    assert value(metrics, "export_profiles", sandbox="prod") == 90
    assert value(metrics, "job_oldest_active_timestamp_seconds", **stream) == at(2).timestamp()
    assert value(metrics, "jobs", status="SUCCEEDED", **stream) == 3
    metrics.set_jobs("prod", "export_job", [])  # forgotten, not undone
    assert value(metrics, "last_success_timestamp_seconds", **stream) == at(9).timestamp()
    assert value(metrics, "job_oldest_active_timestamp_seconds", **stream) == 0


def counting(job_id: str, ended: int, status: Status = Status.SUCCEEDED, **profiles: int):
    return job(status, job_id=job_id, ended_at=at(ended), facts=Facts(profiles=profiles))


def sizes(metrics: Metrics) -> dict[tuple[str, str], float]:
    found = (sample for sample in samples(metrics) if sample.name == "segwatch_segment_profiles")
    return {(sample.labels["sandbox"], sample.labels["segment"]): sample.value for sample in found}


def test_the_size_of_a_segment_is_shown_only_of_those_named_and_is_that_of_the_last_evaluation():
    metrics = Metrics()
    metrics.expect({"prod": ("segment_job",)}, (), ("nl", "be", "lu"))
    evaluated = [
        counting("1", 3, nl=70, be=7),
        counting("2", 9, nl=90, other=5),
        counting("3", 5, nl=50),
        counting("4", 12, Status.FAILED, nl=1),
        counting("5", 13),
    ]
    metrics.set_jobs("prod", "segment_job", evaluated)
    assert sizes(metrics) == {("prod", "nl"): 90, ("prod", "be"): 7}
    metrics.set_jobs("prod", "segment_job", evaluated[:1])  # the newer ones were forgotten, not undone
    assert sizes(metrics) == {("prod", "nl"): 90, ("prod", "be"): 7}
    metrics.set_jobs("prod", "segment_job", [counting("6", 20, nl=0)])
    assert sizes(metrics)["prod", "nl"] == 0


def test_a_segment_that_the_settings_no_longer_name_is_shown_no_longer():
    metrics = Metrics()
    metrics.expect({"prod": ("segment_job",)}, (), ("nl", "be"))
    metrics.set_jobs("prod", "segment_job", [counting("1", 3, nl=70, be=7)])
    metrics.expect({"prod": ("segment_job",)}, (), ("be",))
    metrics.set_jobs("prod", "segment_job", [counting("1", 3, nl=70, be=7)])
    assert sizes(metrics) == {("prod", "be"): 7}


class Spy:
    """A collector that notes in which threads it was collected."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def collect(self):
        self.threads.append(threading.current_thread())
        return [GaugeMetricFamily("spy", "Nothing.", value=len(self.threads))]


async def test_the_text_is_rendered_off_the_loop_and_once_for_many():
    metrics, spy, refreshed = expecting(), Spy(), []
    metrics.registry.register(spy)
    spy.threads.clear()  # registering collects once

    async def refresh() -> None:
        refreshed.append(threading.current_thread())
        await asyncio.sleep(0)

    exposition = Exposition(metrics, refresh)
    texts = await asyncio.gather(*(exposition.text(gzipped=number % 2 == 1) for number in range(10)))
    assert len(spy.threads) == len(refreshed) == 1
    assert refreshed == [threading.current_thread()] != spy.threads
    assert len(set(texts)) == 2
    assert gzip.decompress(texts[1]) == texts[0]


async def test_the_text_is_rendered_again_after_a_while(monkeypatch):
    monkeypatch.setattr(module, "_RENDERED_FOR_S", 0.0)
    metrics = expecting()

    async def refresh() -> None:
        metrics.loop_lag.inc()

    exposition = Exposition(metrics, refresh)
    texts = [await exposition.text(gzipped=False) for _ in range(2)]
    assert b"segwatch_event_loop_lag_seconds 1.0" in texts[0]
    assert b"segwatch_event_loop_lag_seconds 2.0" in texts[1]


async def test_a_text_has_no_series_that_nobody_reads():
    metrics = expecting()

    async def refresh() -> None:
        pass

    text = (await Exposition(metrics, refresh).text(gzipped=False)).decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert "segwatch_job_transitions" in families
    assert not [name for name in families if name.endswith("_created")]
