"""The entries of the event log: what their times mean."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.events import Event, EventType, Severity, errors_in, moment_of, rfc3339
from segwatch.jobs.model import JobError


@given(st.datetimes(datetime.fromisoformat("1970-01-01"), timezones=st.just(UTC)))
def test_a_time_is_read_as_it_was_written(at):
    assert moment_of(rfc3339(at)) == at.replace(microsecond=at.microsecond // 1000 * 1000)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        pytest.param("2026-01-05T03:00:00+01:00", datetime(2026, 1, 5, 2, tzinfo=UTC), id="another-zone"),
        pytest.param("2026-01-05T02:00:00", datetime(2026, 1, 5, 2, tzinfo=UTC), id="no-zone"),
        pytest.param("yesterday", None, id="a-word"),
        pytest.param("", None, id="empty"),
        pytest.param(1767578400, None, id="a-number"),
        pytest.param("0001-01-01T00:00:00+01:00", None, id="before-the-first-year"),
    ],
)
def test_what_is_no_time_is_none(value, at):
    assert moment_of(value) == at


@pytest.mark.parametrize(
    ("errors", "found"),
    [
        pytest.param([{"code": "a", "message": "broke"}, {"code": 7}], [("a", "broke"), ("7", "")], id="in-order"),
        pytest.param([{"code": True, "message": ["x"]}], [("", "")], id="odd-parts"),
        pytest.param(["broke", None], [], id="no-tables"),
        pytest.param("broke", [], id="no-list"),
        pytest.param(None, [], id="none"),
    ],
)
def test_the_errors_of_a_job_are_read_whoever_wrote_them(errors, found):
    at = datetime(2026, 1, 5, tzinfo=UTC)
    failed = Event(
        type=EventType.JOB_FAILED, stream="x", sequence=1, at=at, severity=Severity.CRITICAL, details={"errors": errors}
    )  # fmt: skip
    assert errors_in(failed) == [JobError(code=code, text=text) for code, text in found]
