"""The words of a digest."""

from datetime import timedelta

import pytest
from builders import at
from hypothesis import given
from hypothesis import strategies as st

from segwatch.deliveries import digest
from segwatch.deliveries.message import Standing, message_of
from segwatch.jobs.events import Event, EventType, Severity
from segwatch.jobs.summary import Past, Tally

NIGHTLY = {"sandbox": "prod", "pipeline": "nightly", "runs": 3, "succeeded": 2, "failed": 1}


def event(**figures) -> Event:
    counted = Tally(Past()).figures() | {"sandboxes": ["prod"], "silent": []} | figures
    since = at(0) - timedelta(days=1)
    return digest.event_of(
        "digests/team", 1, "team", counted, since=since, until=at(0), zone="Europe/Amsterdam", now=at(0)
    )  # fmt: skip


def title(**figures) -> str:
    return message_of(event(**figures)).title.removeprefix("Daily digest: ")


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"runs": 1, "succeeded": 1}, "1 run in prod, it succeeded"),
        ({"runs": 2, "succeeded": 2}, "2 runs in prod, all succeeded"),
        ({"runs": 1234, "succeeded": 1200, "failed": 34}, "1,234 runs in prod, 34 failed"),
        ({"runs": 3, "succeeded": 1, "cancelled": 2}, "3 runs in prod, 2 cancelled or vanished"),
        ({"sandboxes": ["prod", "dev", "qa"]}, "nothing ran in prod, dev and qa"),
        ({"sandboxes": ["a", "b", "c", "d"]}, "nothing ran in 4 sandboxes"),
        ({"active": 2}, "nothing ended in prod"),
        ({"sandboxes": [], "kinds": []}, "no route tells this channel of a job"),
        ({"kinds": ["export_job"]}, "no export ran in prod"),
        ({"kinds": ["segment_job"], "active": 1}, "no segment job ended in prod"),
        ({"kinds": []}, "no pipeline ran in prod"),
        ({"sandboxes": ["prod", "dev"], "silent": ["dev"]}, "nothing ran in dev"),
        ({"kinds": [], "pipelines": [NIGHTLY]}, "3 pipeline runs in prod, 1 failed"),
        ({"pipelines": [NIGHTLY | {"failed": 0}]}, "3 pipeline runs in prod, all succeeded"),
        ({"pipelines": [NIGHTLY | {"runs": 1, "failed": 0}]}, "1 pipeline run in prod, it succeeded"),
        ({"runs": 2, "succeeded": 2, "pipelines": [NIGHTLY]}, "2 runs in prod, all succeeded, 1 pipeline run failed"),
        ({"runs": 2, "succeeded": 2, "pipelines": [NIGHTLY | {"failed": 0}]}, "2 runs in prod, all succeeded"),
    ],
)
def test_the_headline_says_the_day_in_a_few_words(figures, said):
    assert title(**figures) == said


def test_a_digest_opens_and_closes_nothing():
    message = message_of(event(failed=1, runs=1))
    assert (message.standing, message.subject, message.severity) == (Standing.STORY, "", Severity.INFO)


def test_many_sandboxes_and_causes_are_counted_not_listed():
    work = [{"sandbox": f"s{n:02}", "kind": "export_job", "runs": n + 1, "succeeded": n + 1} for n in range(20)]
    figures = {"runs": 210, "succeeded": 210, "work": work, "silent": [f"q{n}" for n in range(9)]}
    items = message_of(event(**figures, other_failures=4, more_moved=1, open_alerts=8)).items
    assert [item for item in items if item.startswith("s")] == [f"s{n:02}: {n + 1} exports" for n in range(8, 20)]
    assert [item for item in items if not item.startswith("s")] == [
        "and 8 further kinds of run", *(f"Nothing ran in q{n}" for n in range(5)), "Nothing ran in 4 more sandboxes",
        "and 4 failures for other causes", "and 1 more audience that moved", "and 8 more open alerts",
    ]  # fmt: skip


def test_pipelines_are_told_by_their_runs_those_with_failures_first():
    hourly = [NIGHTLY | {"pipeline": f"hourly-{n}", "runs": n + 1, "failed": 0} for n in range(6)]
    message = message_of(event(runs=1, pipelines=[*hourly, NIGHTLY]))
    assert message.items == (
        "prod: pipeline nightly ran 3 times, 1 failed",
        "prod: pipeline hourly-5 ran 6 times",
        "prod: pipeline hourly-4 ran 5 times",
        "prod: pipeline hourly-3 ran 4 times",
        "prod: pipeline hourly-2 ran 3 times",
        "and 2 further pipelines",
    )
    assert dict(message.fields)["Pipeline runs"] == "24, 1 failed"


def test_who_sees_no_job_has_no_figures_of_jobs():
    assert message_of(event(kinds=[], pipelines=[NIGHTLY])).fields == (("Pipeline runs", "3, 1 failed"),)


def test_audiences_say_what_they_were():
    rows = [
        {"sandbox": "prod", "segment": "nl", "members": 500, "before": 1000},
        {"sandbox": "prod", "segment": "de", "members": 0, "before": 80, "odd": "empty"},
        {"sandbox": "prod", "segment": "be", "members": 9000, "odd": "grown"},
    ]
    assert message_of(event(runs=1, moved=rows)).items == (
        "Audience nl in prod: 500, was 1,000 (-50 %)",
        "Audience de in prod: 0, was 80, which is not usual",
        "Audience be in prod: 9,000, far above what is usual",
    )


_odd = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["sandbox", "kind", "runs", "count", "members", "before", "took_s", "usual_s", "median_s", "since", "until"]
    ), inner, max_size=5), max_leaves=8,
)  # fmt: skip
_NAMES = sorted(
    {*event().details, "due_at", "work", "alerts", "silenced", "active", "open_alerts", "dead_letters", "kinds"}
)


@given(st.dictionaries(st.sampled_from(_NAMES), _odd))
def test_whatever_another_version_wrote_can_be_said(details):
    message = message_of(Event(
        type=EventType.DIGEST_DAILY, stream="digests/team", sequence=1, at=at(0), severity=Severity.INFO,
        details=details,
    ))  # fmt: skip
    assert message.title.startswith("Daily digest: ")
    assert message.summary.startswith(message.title)
    assert all(line.isprintable() for line in message.items)
