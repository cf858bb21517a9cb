"""Cron expressions before they are sent: what is refused and why, what is taken and when it fires."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from segwatch.cron import CronError, parse
from segwatch.emulator import cron as emulated

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAILY = "0 0 1 * * ?"


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        pytest.param("", "cron", "has 0 fields", id="nothing"),
        pytest.param("   ", "cron", "has 0 fields", id="blanks"),
        pytest.param("0 0 1 * *", "cron", "has 5 fields: write seconds, minutes", id="five-fields-as-in-unix"),
        pytest.param("0 0 1 * * ? 2030 1", "cron", "has 8 fields", id="eight-fields"),
        pytest.param("@daily", "cron", "has 1 field:", id="a-nickname"),
        pytest.param("0 0 1 ? * ?", "day of week", "write one of them", id="both-days-open"),
        pytest.param("0 0 1 * * *", "day of week", "write ? for the one", id="both-days-named"),
        pytest.param("0 0 1 5 * MON", "day of week", 'is "MON" beside day of month "5"', id="both-days-meant"),
        pytest.param("60 0 1 * * ?", "seconds", 'is "60": write 0 to 59', id="second-60"),
        pytest.param("0 60 1 * * ?", "minutes", 'is "60": write 0 to 59', id="minute-60"),
        pytest.param("0 0 24 * * ?", "hours", 'is "24": write 0 to 23', id="hour-24"),
        pytest.param("0 0 25 * * ?", "hours", 'is "25": write 0 to 23', id="hour-25"),
        pytest.param("0 0 1 0 * ?", "day of month", 'is "0": write 1 to 31', id="day-0"),
        pytest.param("0 0 1 32 * ?", "day of month", 'is "32": write 1 to 31', id="day-32"),
        pytest.param("0 0 1 * 0 ?", "month", 'is "0": write 1 to 12', id="month-0"),
        pytest.param("0 0 1 * 13 ?", "month", 'is "13": write 1 to 12', id="month-13"),
        pytest.param("0 0 1 * FOO ?", "month", "or JAN to DEC", id="no-month"),
        pytest.param("0 0 1 ? * 0", "day of week", "1 to 7 (1 is Sunday)", id="weekday-0"),
        pytest.param("0 0 1 ? * 8", "day of week", "1 to 7 (1 is Sunday)", id="weekday-8"),
        pytest.param("0 0 1 ? * MONN", "day of week", "SUN to SAT", id="a-weekday-and-a-letter"),
        pytest.param("0 0 1 ? * MONDAY", "day of week", "SUN to SAT", id="a-weekday-in-full"),
        pytest.param("0 0 1 * * ? 1969", "year", "1970 to 2099", id="year-1969"),
        pytest.param("0 0 1 * * ? 2100", "year", "1970 to 2099", id="year-2100"),
        pytest.param("0 0 1 * * ? 26", "year", "1970 to 2099", id="year-of-two-digits"),
        pytest.param("0 0 1 * * ? 2031-2030", "year", "the earlier one first", id="years-backwards"),
        pytest.param("-1 0 1 * * ?", "seconds", 'is "-1"', id="no-first"),
        pytest.param("1- 0 1 * * ?", "seconds", 'is "1-"', id="no-last"),
        pytest.param(",1 0 1 * * ?", "seconds", 'is ",1"', id="nothing-before-a-comma"),
        pytest.param("0 0 1 1,,2 * ?", "day of month", 'is "1,,2"', id="nothing-between-commas"),
        pytest.param("*/0 0 1 * * ?", "seconds", "a step from 1 to 59", id="step-0"),
        pytest.param("*/60 0 1 * * ?", "seconds", "a step from 1 to 59", id="step-60"),
        pytest.param("0 0 0/24 * * ?", "hours", "a step from 1 to 23", id="step-24-of-hours"),
        pytest.param("0 0 1 */32 * ?", "day of month", "a step from 1 to 31", id="step-32-of-days"),
        pytest.param("0 0 1 * */13 ?", "month", "a step from 1 to 12", id="step-13-of-months"),
        pytest.param("0 0 1 ? * 1/8", "day of week", "a step from 1 to 7", id="step-8-of-weekdays"),
        pytest.param("0 0 1 1/ * ?", "day of month", "a step from 1 to 31", id="no-step"),
        pytest.param("0 0 1 /5 * ?", "day of month", 'is "/5"', id="no-start-of-a-step"),
        pytest.param("0 0 1 ? * MON-FRI/2", "day of week", "write numbers alone", id="a-step-behind-names"),
        pytest.param("0 0 1 ? * 2-FRI", "day of week", "write numbers alone", id="a-number-and-a-name"),
        pytest.param("0 0 1,13 * * ?", "hours", "more than once in 24 hours", id="two-hours"),
        pytest.param("* 0 1 * * ?", "seconds", "more than once in 24 hours", id="every-second"),
        pytest.param("0 */5 * * * ?", "minutes", "more than once in 24 hours", id="every-five-minutes"),
        pytest.param("0 0 22-2 * * ?", "hours", "more than once in 24 hours", id="hours-over-midnight"),
        pytest.param("0 0 1 ? * 1#6", "day of week", "1#1 to 7#5", id="sixth-sunday"),
        pytest.param("0 0 1 ? * 8#1", "day of week", "1#1 to 7#5", id="first-eighth-day"),
        pytest.param("0 0 1 ? * 2#1,3#1", "day of week", "or alone one of", id="two-first-days"),
        pytest.param("0 0 1 ? L ?", "month", 'is "L"', id="last-month"),
        pytest.param("0 0 1 W * ?", "day of month", "1W to 31W", id="working-day-of-nothing"),
        pytest.param("0 0 1 32W * ?", "day of month", "1W to 31W", id="working-day-32"),
        pytest.param("0 0 1 1W,2 * ?", "day of month", "or alone one of", id="a-working-day-among-others"),
        pytest.param("0 0 1 L-31 * ?", "day of month", "L-1 to L-30", id="31-before-the-last"),
        pytest.param("0 0 1 ? * LW", "day of week", "1L to 7L", id="last-working-day-of-the-week"),
        pytest.param("0 0 1 * ? ?", "month", 'is "?"', id="any-month"),
        pytest.param("? 0 1 * * ?", "seconds", 'is "?"', id="any-second"),
        pytest.param("0 0 1 31 2 ?", "day of month", "never fire", id="february-31"),
        pytest.param("0 0 1 29 2 ? 2027", "day of month", "never fire", id="february-29-of-a-common-year"),
        pytest.param("0 0 1 ? 2 3#5 2026", "day of week", "never fire", id="a-fifth-tuesday-that-is-not-there"),
        pytest.param("0 0 1 * * ? 2019", "year", "never fires again", id="over"),
        pytest.param("0 0 \uff11 * * ?", "hours", 'is "\uff11"', id="a-digit-of-another-script"),
        pytest.param("0 0 1 ? * \u017fUN", "day of week", 'is "\u017fUN"', id="a-letter-of-another-script"),
        pytest.param("0 0 1 * *\n?", "cron", "has 5 fields", id="a-line-break-in-place-of-a-blank"),
        pytest.param("0 0 1 * * ?\n", "day of week", r'is "?\n"', id="a-line-break-at-the-end"),
        pytest.param("0\t0 1 * * ? 2030", "seconds", r'is "0\t0"', id="a-tab"),
        pytest.param("0.5 0 1 * * ?", "seconds", 'is "0.5"', id="half-a-second"),
        pytest.param("00000 0 1 * * ?", "seconds", 'is "00000"', id="too-many-digits"),
    ],
)  # fmt: skip
def test_what_the_platform_would_refuse_or_misread_is_refused_with_the_field_and_the_reason(text, field, words):
    with pytest.raises(CronError) as caught:
        parse(text, now=NOW)
    assert caught.value.field == field
    assert words in caught.value.why
    assert str(caught.value) == f"{field} {caught.value.why}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "frequency", "when", "fires"),
    [
        pytest.param(DAILY, "daily", "2026-01-01T00:59:59", ["2026-01-01T01:00", "2026-01-02T01:00"],
                     id="the-tutorial"),
        pytest.param("0 15 10 * * ?", "daily", "2026-12-31T10:15", ["2027-01-01T10:15"], id="the-changed-one"),
        pytest.param("0 0 2 * * ?", "daily", "2026-01-31", ["2026-01-31T02", "2026-02-01T02"], id="not-the-second"),
        pytest.param("0 0 1 ? * *", "daily", "2026-01-01", ["2026-01-01T01", "2026-01-02T01"], id="each-weekday"),
        pytest.param("  0  0 1 * * ?  ", "daily", "2026-01-01", ["2026-01-01T01"], id="more-blanks"),
        pytest.param("00 05 09 1 1 ?", "yearly", "2026-01-01T09:05", ["2027-01-01T09:05"], id="leading-zeros"),
        pytest.param("30/30 59 23 * * ?", "daily", "2026-01-01", ["2026-01-01T23:59:30"], id="a-step-to-one-value"),
        pytest.param("0 0 1 ? * 1", "weekly", "2026-01-01", ["2026-01-04T01", "2026-01-11T01"], id="one-is-sunday"),
        pytest.param("0 0 1 ? * mon-fri", "weekly", "2026-01-03", ["2026-01-05T01", "2026-01-06T01"],
                     id="working-days"),
        pytest.param("0 0 1 ? * 6-2", "weekly", "2026-01-05T02", ["2026-01-09T01", "2026-01-10T01"], id="over-the-end"),
        pytest.param("0 0 1 ? * 5-2/2", "weekly", "2026-01-01T02", ["2026-01-03T01", "2026-01-05T01", "2026-01-08T01"],
                     id="steps-go-over-the-end"),
        pytest.param("0 0 1 ? * L", "weekly", "2026-01-01", ["2026-01-03T01", "2026-01-10T01"], id="l-is-saturday"),
        pytest.param("0 0 1 ? * FRIL", "monthly", "2026-01-01", ["2026-01-30T01", "2026-02-27T01"], id="last-friday"),
        pytest.param("0 0 1 ? * 2#1", "monthly", "2026-01-01", ["2026-01-05T01", "2026-02-02T01"], id="first-monday"),
        pytest.param("0 0 1 ? * FRI#5", "monthly", "2026-01-01", ["2026-01-30T01", "2026-05-29T01"], id="fifth-friday"),
        pytest.param("0 0 1 L * ?", "monthly", "2026-02-01", ["2026-02-28T01", "2026-03-31T01"], id="last"),
        pytest.param("0 0 1 L-3 * ?", "monthly", "2026-02-01", ["2026-02-25T01", "2026-03-28T01"],
                     id="before-the-last"),
        pytest.param("0 0 1 L-30 * ?", "monthly", "2026-02-01", ["2026-03-01T01", "2026-05-01T01"],
                     id="in-long-months"),
        pytest.param("0 0 1 LW * ?", "monthly", "2026-01-01", ["2026-01-30T01", "2026-02-27T01"],
                     id="last-working-day"),
        pytest.param("0 0 1 15W * ?", "monthly", "2026-02-01", ["2026-02-16T01", "2026-03-16T01"], id="nearest-to-it"),
        pytest.param("0 0 1 1W 8 ?", "yearly", "2026-01-01", ["2026-08-03T01"], id="stays-in-its-month-at-the-first"),
        pytest.param("0 0 1 31W * ?", "monthly", "2026-05-01", ["2026-05-29T01", "2026-07-31T01"],
                     id="and-at-the-last"),
        pytest.param("0 0 1 31 * ?", "monthly", "2026-02-01", ["2026-03-31T01", "2026-05-31T01"], id="31-days"),
        pytest.param("0 0 1 29 2 ?", "yearly", "2026-03-01", ["2028-02-29T01", "2032-02-29T01"], id="leap-day"),
        pytest.param("0 0 1 1/10 JAN,JUL ?", "daily", "2026-01-22", ["2026-01-31T01", "2026-07-01T01"], id="steps"),
        pytest.param("0 0 1 1 11-2 ?", "monthly", "2026-02-02", ["2026-11-01T01", "2026-12-01T01"], id="over-new-year"),
        pytest.param("59 59 23 1 JAN ? 2030-2031", "yearly", "2026-01-01",
                     ["2030-01-01T23:59:59", "2031-01-01T23:59:59", None], id="two-years-and-never-again"),
        pytest.param("0 0 1 1 1 ? 2026/4", "yearly", "2026-01-02", ["2030-01-01T01", "2034-01-01T01"],
                     id="each-fourth"),
    ],
)  # fmt: skip
def test_what_is_taken_fires_by_quartzs_rules(text, frequency, when, fires):
    cron, now = parse(text, now=NOW), at(when)
    assert (cron.frequency, cron.text) == (frequency, " ".join(text.split()))
    for expected in fires:
        found = cron.next_after(now)
        assert found == (at(expected) if expected else None)
        now = found


def test_times_are_utc_wherever_somebody_asks_from():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    found = parse(DAILY).next_after(datetime(2026, 1, 2, 5, tzinfo=kolkata))
    assert found == at("2026-01-02T01:00")
    assert found.tzinfo is UTC


def test_without_a_now_a_past_year_is_valid():
    assert parse("0 0 1 * * ? 2019").next_after(NOW) is None


def entries(least, most, *others):
    number = st.integers(least, most).map(str)
    span = st.tuples(number, number).map("-".join)
    step = st.tuples(st.one_of(st.just("*"), number, span), st.integers(1, 7).map(str)).map("/".join)
    lists = st.lists(st.one_of(number, span, step), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), lists, *map(st.just, others))


DAYS = entries(1, 31, "L", "LW", "L-1", "L-30", "1W", "15W", "31W", "l", "32", "W")
WEEKDAYS = entries(1, 7, "L", "2L", "1#1", "3#5", "MON", "mon-fri", "SUN,WED", "FRI-MON", "SATL", "TUE#2", "8", "MON/2")
EXPRESSIONS = st.tuples(
    st.sampled_from(["0", "59", "5-5", "30/30", "60"]),
    st.integers(0, 59).map(str),
    st.integers(0, 23).map(str),
    st.one_of(st.tuples(DAYS, st.just("?")), st.tuples(st.just("?"), WEEKDAYS)),
    entries(1, 12, "JAN", "nov-feb", "JAN,JUL", "13"),
    st.one_of(st.just(""), st.integers(2020, 2035).map(str), st.just("2026/4"), st.just("2027-2029")),
).map(lambda parts: " ".join([*parts[:3], parts[3][0], parts[4], parts[3][1], parts[5]]))


@given(EXPRESSIONS, st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC)))
@example("0 0 1 ? * 5-2/2", NOW)
def test_what_is_taken_means_the_same_to_another_reading_of_quartz(text, when):
    """The emulator has a reading of its own, written apart from ours."""
    try:
        cron = parse(text)
    except CronError:
        assume(False)
    assert cron.next_after(when) == emulated.next_after(text, when)
    assert cron.frequency == emulated.frequency(text)


@given(st.text(alphabet="0123456789*?/,-LW#MONJAl \t\n\u017f", max_size=30), st.none() | st.just(NOW))
def test_any_text_is_taken_or_refused(text, now):
    try:
        cron = parse(text, now=now)
    except CronError:
        return
    assert parse(cron.text) == cron
