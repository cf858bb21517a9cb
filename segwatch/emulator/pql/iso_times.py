"""Texts that hold a time, as SQL reads them: ISO 8601 by its forms, and not whatever DuckDB takes for a time.

DuckDB's own cast drops the name of a zone, takes `infinity` and `epoch` for times, and knows no basic form. Here a text
is a time where Python's `fromisoformat`, which reads the texts of a query, takes it for one.
"""

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|[0-9]{4}-W[0-9]{2}-[1-7]|[0-9]{4}W[0-9]{2}[1-7]"
_HOUR, _SIXTY = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]"
_FRACTION = "(?:[.,][0-9]+)?"
_CLOCK = f"{_HOUR}(?::{_SIXTY}(?::{_SIXTY}{_FRACTION})?)?|{_HOUR}{_SIXTY}(?:{_SIXTY}{_FRACTION})?"
_OFFSET = f"[Zz]|[+-]{_HOUR}(?::{_SIXTY}(?::{_SIXTY})?|{_SIXTY}(?:{_SIXTY})?)?"
_FORM = f"^({_DAY})(?:[Tt ]({_CLOCK})({_OFFSET})?)?$"

# the days as above, each with the time as %H%M%S%f
_READ = ", ".join(f"'{day} %H%M%S%f'" for day in ("%Y-%m-%d", "%Y%m%d", "%G-W%V-%u", "%GW%V%u"))
# what nearly all texts are, which DuckDB's own cast reads right, and twenty times faster
_USUAL = f"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_HOUR}:{_SIXTY}:{_SIXTY}(?:[.][0-9]{{1,6}})?"
_USUAL_AWARE = f"{_USUAL}(?:Z|[+-]{_HOUR}:{_SIXTY})$"
_PARTS = '"segwatch parts"'  # no field's name: where profiles are in sight, DuckDB would take that for the field


def sql_time(sql: str) -> str:
    """Return a text of SQL as a TIMESTAMP in UTC, microseconds at most; NULL where it is no time."""
    day, clock, offset = (f"struct_extract({_PARTS}, '{name}')" for name in ("day", "clock", "offset"))
    local = f"try_strptime({day} || ' ' || rpad(regexp_replace({clock}, '[:.,]', '', 'g'), 12, '0'), [{_READ}])"
    ahead = f"rpad(replace(substr({offset}, 2), ':', ''), 6, '0')"
    ahead = f"(try_strptime({ahead}, '%H%M%S') - TIMESTAMP '1900-01-01')"
    # a week, or a year, that there is not: DuckDB goes on counting into the next
    is_odd = f"contains({day}, 'W') AND strftime({local}, '%GW%V%u') <> replace({day}, '-', '')"
    local = f"(CASE WHEN year({local}) NOT BETWEEN 1 AND 9999 OR ({is_odd}) THEN NULL ELSE {local} END)"
    utc = f"CASE WHEN starts_with({offset}, '-') THEN {local} + {ahead} ELSE {local} - {ahead} END"
    parts = f"regexp_extract({sql}, '{_FORM}', ['day', 'clock', 'offset'])"
    unusual = f"list_extract(list_transform([{parts}], lambda {_PARTS}: {utc}), 1)"
    aware = f"make_timestamp(epoch_us(TRY_CAST({sql} AS TIMESTAMPTZ)))"
    return (
        f"CASE WHEN regexp_matches({sql}, '{_USUAL_AWARE}') THEN {aware}"
        f" WHEN regexp_matches({sql}, '{_USUAL}$') THEN TRY_CAST({sql} AS TIMESTAMP) ELSE {unusual} END"
    )
