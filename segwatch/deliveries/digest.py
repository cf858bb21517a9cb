"""The digest of a channel: what it is made of, and its words.

Details come through the store, also from other versions: a missing or odd one leaves its words out.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from segwatch.deliveries.knowledge import Knowledge
from segwatch.deliveries.names import Resource
from segwatch.deliveries.phrases import Said, amount, around, moment, span, text, texts, times
from segwatch.jobs.events import Event, EventType, Severity, moment_of, rfc3339, rows_in
from segwatch.jobs.model import NOUNS
from segwatch.jobs.summary import LISTED_MAX

LATE_S = 600.0  # a digest that comes so long after its time says so
_WORK_MAX = 12
_PIPELINES_MAX = 5
_SLOWEST_MAX = 3
_NOTABLE = 0.1  # a smaller difference from what is usual is none
_ODD = {"empty": "which is not usual", "shrunk": "far below what is usual", "grown": "far above what is usual"}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def event_of(
    stream: str, sequence: int, channel: str, figures: Mapping[str, Any],
    *, since: datetime, until: datetime, zone: str, now: datetime, slot: datetime | None = None,
) -> Event:  # fmt: skip
    """Return the digest as an event. since, until: what it is about. slot: when it was due; None of one by hand."""
    is_late = slot is not None and (now - slot).total_seconds() > LATE_S
    details = {"channel": channel, "from": rfc3339(since), "to": rfc3339(until), "zone": zone}
    details |= {"due_at": rfc3339(slot)} if slot and is_late else {}
    sandboxes = texts(figures.get("sandboxes"))
    return Event(
        type=EventType.DIGEST_DAILY,
        stream=stream,
        sequence=sequence,
        at=now,
        severity=Severity.INFO,
        sandbox=sandboxes[0] if len(sandboxes) == 1 else "",
        details={name: value for name, value in (details | dict(figures)).items() if value != ""},
    )


def digest(event: Event) -> Said:
    """Return the words for a digest."""
    d = event.details
    title = f"{_headline(d)}{_where(d)}{_bad_ends(d)}"
    saved = around("; resubmissions saved {}", times(d["saved"], "export") if _number(d, "saved") else "")
    summary = f"{title}, {_period(event)}{saved}."
    late = around(" This digest was due at {}.", _clock(d.get("due_at"), d.get("zone")))
    action = "Still to be looked at: what is open." if _number(d, "open_alerts") else ""
    return Said(title=title, summary=summary + late, action=action)


def fields(event: Event) -> list[tuple[str, str]]:
    """Return the figures of a digest, by name; what is nought is left out where that goes without saying."""
    d = event.details
    overdue = around(", {} of them overdue", amount(d.get("overdue")) if _number(d, "overdue") else "")
    broken = _pipeline_runs(d, "failed")
    jobs = [
        ("Runs", amount(d.get("runs"))),
        ("Failed", amount(d.get("failed"))),
        ("Retries saved", amount(d.get("saved"))),
    ]
    return [
        *(jobs if d.get("kinds") != [] else ()),
        ("Given up", _if_any(d, "given_up")),
        ("Cancelled", _if_any(d, "cancelled")),
        ("Vanished", _if_any(d, "vanished")),
        ("Pipeline runs", amount(_pipeline_runs(d, "runs") or None) + (f", {broken:,} failed" if broken else "")),
        ("Active now", _if_any(d, "active") + (overdue if _number(d, "active") else "")),
        ("Open alerts", _if_any(d, "open_alerts")),
        ("Silences", _if_any(d, "silences")),
        ("Dead letters", _if_any(d, "dead_letters")),
    ]


def lines(event: Event, knowledge: Knowledge) -> list[str]:
    """Return the lines of a digest: the work of each sandbox, then what is worth a look."""
    d = event.details
    return [
        *_work(d),
        *_pipelines(d),
        *(f"{_nothing(d).capitalize()} ran in {name}" for name in _silent(d)),
        *_failures(d),
        *_slowest(d),
        *_moved(d, knowledge),
        *_open(d, event.at),
        *_silences(d, event.at),
        *_dead(d),
    ]


def _headline(d: dict[str, Any]) -> str:
    if d.get("sandboxes") == []:
        return "Daily digest: no route tells this channel of a job"
    if _number(d, "runs"):
        return f"Daily digest: {times(d['runs'], 'run')}" if d["runs"] < 1000 else f"Daily digest: {d['runs']:,} runs"
    if runs := _pipeline_runs(d, "runs"):
        return f"Daily digest: {times(runs, 'pipeline run')}"
    return f"Daily digest: {_nothing(d)} {'ended' if _number(d, 'active') else 'ran'}"


def _nothing(d: dict[str, Any]) -> str:
    """Return what it is that did not run, for a channel that may see one kind of job only, or only pipelines."""
    kinds = texts(d.get("kinds"))
    if d.get("kinds") == []:
        return "no pipeline"
    return f"no {NOUNS.get(kinds[0], kinds[0].replace('_', ' '))}" if len(kinds) == 1 else "nothing"


def _where(d: dict[str, Any]) -> str:
    # of a sandbox of which only pipelines are told, it cannot be said that nothing ran there
    is_quiet = not (_number(d, "runs") or _number(d, "active") or _pipeline_runs(d, "runs"))
    sandboxes = (texts(d.get("silent")) if is_quiet else []) or texts(d.get("sandboxes"))
    if not sandboxes:
        return ""
    if len(sandboxes) > 3:
        return f" in {len(sandboxes)} sandboxes"
    return " in " + " and ".join(filter(None, (", ".join(sandboxes[:-1]), sandboxes[-1])))


def _bad_ends(d: dict[str, Any]) -> str:
    runs, broken = _pipeline_runs(d, "runs"), _pipeline_runs(d, "failed")
    if not _number(d, "runs"):
        return (f", {broken:,} failed" if broken else f", {'it' if runs == 1 else 'all'} succeeded") if runs else ""
    return _bad_jobs(d) + around(", {} failed", times(broken, "pipeline run") if broken else "")


def _bad_jobs(d: dict[str, Any]) -> str:
    failed = _number(d, "failed")
    others = d["runs"] - _number(d, "succeeded") - failed
    if failed:
        return f", {failed:,} failed"
    return f", {others:,} cancelled or vanished" if others > 0 else f", {'it' if d['runs'] == 1 else 'all'} succeeded"


def _period(event: Event) -> str:
    d = event.details
    zone = text(d.get("zone")) or "UTC"
    return f"from {_clock(d.get('from'), zone)} to {_clock(d.get('to'), zone)} ({zone})"


def _work(d: dict[str, Any]) -> list[str]:
    rows = sorted(rows_in(d, "work"), key=lambda row: -_number(row, "runs"))
    shown = sorted(rows[:_WORK_MAX], key=lambda row: (text(row.get("sandbox")), text(row.get("kind"))))
    return [_of_work(row) for row in shown] + _more(len(rows) - _WORK_MAX, "further kind", "of run")


def _of_work(row: dict[str, Any]) -> str:
    noun = NOUNS.get(text(row.get("kind")), text(row.get("kind")).replace("_", " ") or "run")
    ends = [f"{row[end]:,} {end}" for end in ("failed", "cancelled", "vanished") if _number(row, end)]
    took = around("; took {} at the median", span(row.get("median_s")))
    usual = around(", usually {}", span(row.get("usual_s"))) if took else ""
    what = f"{_number(row, 'runs'):,} {noun}{'' if row.get('runs') == 1 else 's'}"
    return f"{text(row.get('sandbox'))}: {', '.join([what, *ends])}{took}{usual}{_apart(row) if usual else ''}"


def _pipelines(d: dict[str, Any]) -> list[str]:
    """Return a line for each pipeline that ran, those with failures first."""
    rows = sorted(rows_in(d, "pipelines"), key=lambda row: (-_number(row, "failed"), -_number(row, "runs")))
    found = []
    for row in rows[:_PIPELINES_MAX]:
        failed = around(", {} failed", _if_any(row, "failed"))
        ran = f"pipeline {text(row.get('pipeline'))} ran {_times(_number(row, 'runs'))}"
        found.append(f"{text(row.get('sandbox'))}: {ran}{failed}")
    return found + _more(len(rows) - _PIPELINES_MAX, "further pipeline")


def _pipeline_runs(d: dict[str, Any], which: str) -> int:
    """Return how many runs of pipelines there were, or how many of them failed."""
    return sum(_number(row, which) for row in rows_in(d, "pipelines"))


def _apart(row: dict[str, Any]) -> str:
    """Return how far the median lies from what is usual, in percent; nothing where it is near."""
    took, usual = row.get("median_s"), row.get("usual_s")
    if not isinstance(took, int | float) or not isinstance(usual, int | float) or usual <= 0:
        return ""
    return f" ({_percent(took / usual - 1)})" if abs(took / usual - 1) >= _NOTABLE else ""


def _failures(d: dict[str, Any]) -> list[str]:
    found = []
    for row in rows_in(d, "failures"):
        message, code = text(row.get("message")).rstrip("."), text(row.get("code"))
        cause = message + around(" ({})", code) if message else around("error {}", code) or "no error text"
        first = f"{'first ' if _number(row, 'count') > 1 else ''}{_job(row)}"
        found.append(f"Failed {_times(_number(row, 'count'))}: {cause}, {first}")
    return found + _more(_number(d, "other_failures"), "failure", "for other causes")


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def _slowest(d: dict[str, Any]) -> list[str]:
    rows = [row for row in rows_in(d, "slowest") if span(row.get("took_s"))][:_SLOWEST_MAX]
    return [
        f"{'Then' if number else 'Slowest'}: {_job(row)}, {span(row['took_s'])}"
        + around(", usually {}", span(row.get("usual_s")))
        for number, row in enumerate(rows)
    ]


def _moved(d: dict[str, Any], knowledge: Knowledge) -> list[str]:
    found = []
    for row in rows_in(d, "moved"):
        members, before = _number(row, "members"), _number(row, "before")
        was = around(", was {}", amount(row.get("before")))
        change = f" ({_percent(members / before - 1)})" if members > 0 and before > 0 else ""
        odd = around(", {}", _ODD.get(text(row.get("odd")), ""))
        sandbox = text(row.get("sandbox"))
        audience = knowledge.shown(sandbox, Resource.SEGMENT, text(row.get("segment")))
        found.append(f"Audience {audience} in {sandbox}: {members:,}{was}{change}{odd}")
    return found + _more(_number(d, "more_moved"), "more audience", "that moved")


def _open(d: dict[str, Any], now: datetime) -> list[str]:
    rows = rows_in(d, "alerts")
    found = [f"Open{around(' since {}', moment(row.get('since'), now))}: {text(row.get('title'))}" for row in rows]
    return found + _more(_number(d, "open_alerts") - len(rows), "more open alert")


def _silences(d: dict[str, Any], now: datetime) -> list[str]:
    rows = rows_in(d, "silenced")
    ends = [around("until {}", moment(row.get("until"), now)) or "until resolved" for row in rows]
    found = [f"Silenced {end}: {text(row.get('matchers'))}" for row, end in zip(rows, ends, strict=True)]
    return found + _more(_number(d, "silences") - len(rows), "more silence")


def _dead(d: dict[str, Any]) -> list[str]:
    dead = _number(d, "dead_letters")
    channel = text(d.get("channel"))
    lost = f"{times(dead, 'message')}{' to this channel' if channel else ''} {'was' if dead == 1 else 'were'} given up"
    return [f"{lost}: segwatch notify dead{around(' --channel {}', channel)}"] if dead else []


def _silent(d: dict[str, Any]) -> list[str]:
    """Return the sandboxes without a run, unless the headline says it of all."""
    names = texts(d.get("silent"))
    shown = names if _number(d, "runs") or _number(d, "active") or _pipeline_runs(d, "runs") else []
    return [*shown[:LISTED_MAX], *([f"{len(shown) - LISTED_MAX} more sandboxes"] if len(shown) > LISTED_MAX else [])]


def _job(row: dict[str, Any]) -> str:
    noun = NOUNS.get(text(row.get("kind")), "job")
    return f"{noun} {text(row.get('job_id'))} in {text(row.get('sandbox'))}"


def _more(number: int, noun: str, tail: str = "") -> list[str]:
    return [f"and {times(number, noun)}{around(' {}', tail)}"] if number > 0 else []


def _number(d: dict[str, Any], name: str) -> int:
    value = d.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _if_any(d: dict[str, Any], name: str) -> str:
    return amount(d.get(name)) if _number(d, name) else ""


def _percent(change: float) -> str:
    return f"{change * 100:+,.0f} %"


def _clock(value: object, zone: object) -> str:
    """Return an RFC 3339 time as `Mon 5 Jan 08:00` by the clocks of the zone; "" for anything else."""
    at = moment_of(value)
    if at is None:
        return ""
    try:
        local = at.astimezone(ZoneInfo(text(zone) or "UTC"))
    except (ValueError, OSError, OverflowError, KeyError):
        return ""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{_DAYS[local.weekday()]} {local.day} {months[local.month - 1]} {local:%H:%M}"
