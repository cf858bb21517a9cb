"""Single values, in every form in which the platform has been seen to send them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs.model import JobError
from segwatch.kinds.excerpts import excerpt
from segwatch.kinds.fields import errors_of, identity, instant, items, text, truth, whole

NOON = datetime(2025, 12, 6, 12, 0, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(SECONDS, id="seconds"),
        pytest.param(SECONDS * 1_000, id="milliseconds"),
        pytest.param(SECONDS * 1_000_000, id="microseconds"),
        pytest.param(float(SECONDS * 1_000), id="float"),
        pytest.param(str(SECONDS * 1_000), id="digits"),
        pytest.param("2025-12-06T12:00:00Z", id="iso-z"),
        pytest.param("2025-12-06t12:00:00.000z", id="iso-lower-case"),
        pytest.param("2025-12-06T14:00:00+02:00", id="iso-offset"),
        pytest.param("2025-12-06T12:00:00", id="iso-without-offset"),
    ],
)
def test_a_time_is_the_same_instant_in_every_unit(value):
    assert instant(value) == NOON


@pytest.mark.parametrize("value", [0, 0.0, "0", "", None, -1, True, {}, [], "soon", 1e300, float("nan"), float("inf")])
def test_a_time_that_says_nothing_is_unknown(value):
    assert instant(value) is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("0001-01-01T00:00:00Z", id="the-first-year"),
        pytest.param("9999-12-31T23:59:59Z", id="the-last-year"),
        pytest.param("1970-01-01T00:00:00Z", id="the-epoch"),
        pytest.param(1, id="a-second-after-it"),
        pytest.param(253402300799, id="the-last-year-in-milliseconds-would-be-1978"),
        pytest.param(253402300799000, id="the-last-year-in-microseconds-would-be-1978"),
    ],
)
def test_a_time_that_is_a_placeholder_is_unknown(value):
    assert instant(value) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_that_is_known_can_be_reckoned_with(moment):
    for value in (moment.isoformat(), round(moment.timestamp() * 1000)):
        at = instant(value)
        assert at is None or (at - timedelta(days=365 * 90) < at < at + timedelta(days=365 * 90))


def test_milliseconds_are_kept():
    assert instant(1765000778460).microsecond == 460_000


@given(anything)
def test_no_value_breaks_a_reader(value):
    for read in (instant, whole, text, identity, items, truth, errors_of):
        read(value)


@given(st.integers(min_value=1, max_value=4_000_000_000))
def test_seconds_and_milliseconds_agree_where_they_cannot_be_confused(seconds):
    if seconds * 1000 >= 10**11:
        assert instant(seconds) == instant(seconds * 1000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (24115, "24115"),
        ("24115", "24115"),
        (24115.0, "24115"),
        (" a ", "a"),
        (None, ""),
        ({}, ""),
        ("..", ""),
        (True, ""),
    ],
)
def test_an_id_is_text(value, expected):
    assert identity(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (1.23456789e11, 123456789000),
        ("12", 12),
        ("12a", None),
        (True, None),
        (None, None),
        (float("inf"), None),
    ],
)
def test_a_count_is_whole(value, expected):
    assert whole(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, (), id="null"),
        pytest.param([], (), id="empty"),
        pytest.param({}, (), id="empty-object"),
        pytest.param([None, {}, "", 0.5], (JobError(code="", text="0"),), id="junk"),
        pytest.param([{"code": "1", "msg": "m", "callStack": "x"}], (JobError(code="1", text="m"),), id="documented"),
        pytest.param([{"code": 403, "message": "m"}], (JobError(code="403", text="m"),), id="as-in-envelopes"),
        pytest.param({"code": "1", "msg": "m"}, (JobError(code="1", text="m"),), id="object"),
        pytest.param({"403": [{"code": 1, "message": "m"}]}, (JobError(code="1", text="m"),), id="keyed-by-status"),
        pytest.param("boom", (JobError(code="", text="boom"),), id="bare-text"),
    ],
)
def test_errors_are_read_in_every_shape(value, expected):
    assert errors_of(value) == expected


def test_errors_are_bounded_in_number_and_length():
    errors = errors_of([{"code": "1", "msg": "m" * 100_000}] * 1_000)
    assert len(errors) == 20
    assert len(errors[0].text) == 2_000


def test_an_excerpt_is_one_short_printable_line():
    assert excerpt(b"<html>\r\n<b>\x1b[31mgone\x00") == "<html> <b> [31mgone"
    assert len(excerpt(b"x" * 10_000)) == 123
    assert excerpt(b"\xff\xfe") == "��"


@pytest.mark.parametrize(
    "secret",
    [
        b'{"access_token":"s3cr3t-value"}',
        b"Authorization: Bearer s3cr3t-value",
        b"client_secret=s3cr3t-value&x=1",
        b'{"x-api-key": "s3cr3t-value"}',
        b"token eyJhbGciOi.s3cr3t-value.x rejected",
    ],
)
def test_an_excerpt_masks_what_must_stay_secret(secret):
    assert "s3cr3t" not in excerpt(secret)
