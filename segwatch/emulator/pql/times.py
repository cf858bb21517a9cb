"""Times: how fields that hold one are read, what `today` and `last week` cover, how two are compared.

All of it is TIMESTAMP in UTC: made from epoch microseconds, it does not depend on the session's time zone, and DATE,
TIMESTAMP and TIMESTAMPTZ meet in one type.
"""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.iso_times import sql_time
from segwatch.emulator.pql.shape import TIME, ColumnType, Kind, type_of
from segwatch.emulator.pql.stored import stored
from segwatch.emulator.pql.tree import Moment, Number, Occurs, Period, Place, Unit
from segwatch.emulator.pql.values import Span, Value, truth

# functions that give a part of a time, and DuckDB's names for these
PARTS = {
    "getMonth": "month",
    "getYear": "year",
    "getDayOfMonth": "day",
    "currentMonth": "month",
    "currentYear": "year",
    "currentDayOfMonth": "day",
}
NOW = "make_timestamp(epoch_us(CAST($now AS TIMESTAMPTZ)))"
TODAY = f"date_trunc('day', {NOW})"

# (the function that makes an interval, how many of its units are one of ours, how many of ours are 20,000 years)
_UNITS: MappingProxyType[Unit, tuple[str, int, int]] = MappingProxyType(
    {
        "millisecond": ("to_milliseconds", 1, 631_152_000_000_000),
        "second": ("to_seconds", 1, 631_152_000_000),
        "minute": ("to_minutes", 1, 10_519_200_000),
        "hour": ("to_hours", 1, 175_320_000),
        "day": ("to_days", 1, 7_305_000),
        "week": ("to_days", 7, 1_043_571),
        "month": ("to_months", 1, 240_000),
        "year": ("to_months", 12, 20_000),
        "decade": ("to_months", 120, 2_000),
        "century": ("to_months", 1_200, 200),
        "millennium": ("to_months", 12_000, 20),
    }
)
_DAYS_FROM_TODAY = {"yesterday": -1, "today": 0, "tomorrow": 1}
_STEPS = {"last": -1, "this": 0, "next": 1}
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def moment(node: Moment) -> Value:
    if node.word == "now":
        return Value(sql=NOW, type=TIME, at=node.at)
    return _day(_plus(TODAY, _interval(_DAYS_FROM_TODAY[node.word], "day")), node.at)


def period(node: Period) -> Value:
    """Return a whole calendar unit in UTC; weeks begin on Monday."""
    current = f"date_trunc('{node.unit}', {NOW})"
    step = _STEPS[node.which]
    start, end = _plus(current, _interval(step, node.unit)), _plus(current, _interval(step + 1, node.unit))
    return Value(sql=start, type=TIME, at=node.at, span=Span(start=start, end=end))


def calendar_day(parts: list[Number], at: Place) -> Value:
    """Return the day that was written as date(year, month, day)."""
    try:
        year, month, day = (_whole(part.value) for part in parts)
        found = date(year, month, day)
    except (ValueError, OverflowError):
        raise PqlError("there is no such day. Write date(year, month, day), such as date(2020, 3, 14).", at) from None
    return _day(f"TIMESTAMP '{found.isoformat()} 00:00:00'", at)


def _whole(value: int | float) -> int:
    if isinstance(value, float):
        raise ValueError("a fraction, of which nothing is cut off")
    return value


def computed_day(parts: list[str], at: Place) -> Value:
    """Return the day whose parts are SQL numbers; a day that the calendar does not have is missing."""
    # By a text: make_date raises for a day that does not exist, and TRY around it is slow where many do not.
    written = " || '-' || ".join(
        f"list_extract(list_transform([{part}], lambda n: CASE WHEN n % 1 = 0 THEN TRY_CAST(n AS BIGINT) END), 1)"
        for part in parts
    )
    return _day(f"TRY_CAST(({written}) AS TIMESTAMP)", at)


def as_time(value: Value) -> Value:
    """Return a value read as a time: a time, an ISO 8601 text, or a whole number of milliseconds since 1970."""
    if value.text is not None:
        return _written(value.text, value.at)
    sql = ""
    match value.kind, value.type.storage:
        case Kind.TEXT, _:
            sql = sql_time(value.sql)
        case Kind.TIME, "timestamp":
            return value
        case Kind.TIME, "timestamp with time zone":
            sql = f"make_timestamp(epoch_us({value.sql}))"
        case Kind.TIME, "date":
            return _day(f"TRY_CAST({value.sql} AS TIMESTAMP)", value.at)
        case Kind.TIME, _:
            sql = f"TRY_CAST({value.sql} AS TIMESTAMP)"
        case Kind.NUMBER, "bigint" if value.is_path:
            within = "BETWEEN -62135596800000 AND 253402300799999"  # the years 1 to 9999
            sql = f"CASE WHEN {value.sql} {within} THEN epoch_ms({value.sql}) END"
        case kind, _:
            raise PqlError(f"a time is needed, and this is {kind}. Write a field that holds a time.", value.at)
    return Value(sql=sql, type=TIME, at=value.at)


def time_of(sql: str, kept: ColumnType) -> str | None:
    """Return SQL for what a field holds, read as a time as everywhere in PQL; None for a field that can hold none.

    sql: the field. kept: its type. What comes is TIMESTAMP in UTC, and NULL where there is no time in the field.
    """
    nowhere = Place(line=1, column=1, offset=1)
    try:
        return as_time(stored(sql, type_of(kept), nowhere)).sql
    except PqlError:
        return None


def compared(operator: str, left: Value, right: Value, at: Place) -> Value:
    """Return whether a time is before, in, or after another; a day is as long as it is."""
    left, right = as_time(left), as_time(right)
    if left.span is not None and right.span is None:
        left, right, operator = right, left, _MIRRORED[operator]
    return truth(_against(operator, left.sql, right), at)


def occurs(node: Occurs, value: Value, times: list[Value]) -> Value:
    """Return whether a time stands in the relation to another, or between two, both included."""
    read = as_time(value)
    first, last = as_time(times[0]), as_time(times[-1])
    if node.relation == "on":
        sql = _against("=", read.sql, first)
    elif node.relation == "between":
        sql = f"({_against('>=', read.sql, first)} AND {_against('<=', read.sql, last)})"
    else:
        sql = _against("<" if node.relation == "before" else ">", read.sql, first)
        if node.distance is not None:
            sql = f"({sql} AND {_far(node, read.sql, first)})"
    return truth(sql, node.at)


def _far(node: Occurs, value: str, time: Value) -> str:
    """Return whether the distance holds: `<= 3 days before today` compares with the day three days ago."""
    distance = node.distance
    assert distance is not None
    if isinstance(node.times[0], Period):
        raise PqlError("a distance is measured from a day or a time. Write today, now or date(...).", time.at)
    most = _UNITS[distance.unit][2]
    if distance.amount > most:
        raise PqlError(f"the distance is too large. Write at most {most} {distance.unit}s.", distance.at)
    step = _interval(distance.amount if node.relation == "after" else -distance.amount, distance.unit)
    span = time.span and Span(start=_plus(time.span.start, step), end=_plus(time.span.end, step))
    moved = Value(sql=_plus(time.sql, step), type=TIME, at=time.at, span=span)
    # Nearer than that is later before a time, and earlier after it.
    operator = _MIRRORED[distance.comparison] if node.relation == "before" else distance.comparison
    return _against(operator, value, moved)


def _against(operator: str, value: str, time: Value) -> str:
    if time.span is None:
        return f"({value} {operator} {time.sql})"
    start, end = time.span.start, time.span.end
    match operator:
        case "=":
            return f"({value} >= {start} AND {value} < {end})"
        case "!=":
            return f"({value} < {start} OR {value} >= {end})"
        case "<" | ">=":
            return f"({value} {operator} {start})"
        case "<=":
            return f"({value} < {end})"
        case _:
            return f"({value} >= {end})"


def _written(text: str, at: Place) -> Value:
    try:
        text = text.upper()  # t and z are ISO 8601, too
        if re.fullmatch(r"\d{4}-?W\d\d", text):
            raise ValueError("a week is no day")
        with suppress(ValueError):  # in each form of ISO 8601: 2026-02-01, 20260201, 2026-W05-7
            return _day(f"TIMESTAMP '{date.fromisoformat(text).isoformat()} 00:00:00'", at)
        found = datetime.fromisoformat(text)
        offset = found.utcoffset() or timedelta()
        found = (found.replace(tzinfo=None) - offset).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise PqlError(
            'a time is needed, and this text is none. Write date(2020, 3, 14) or "2020-03-14T09:30:00Z".', at
        ) from None
    return Value(sql=f"TIMESTAMP '{found.replace(tzinfo=None).isoformat(sep=' ')}'", type=TIME, at=at)


def _day(start: str, at: Place) -> Value:
    return Value(sql=start, type=TIME, at=at, span=Span(start=start, end=_plus(start, "to_days(1)")))


def _interval(amount: int, unit: Unit) -> str:
    function, factor, _ = _UNITS[unit]
    return f"{function}({amount * factor})" if amount else ""


def _plus(time: str, interval: str) -> str:
    # TRY: a field may hold a time so far away that adding to it overflows, which would end the whole run.
    return f"TRY({time} + {interval})" if interval else time
