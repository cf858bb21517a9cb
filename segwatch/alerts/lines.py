"""The sentence of one alert in a message: what is wrong, since when, how often; or that it is over."""

from datetime import datetime

from segwatch.alerts.model import Alert

_TIME = " UTC"  # facts that tell a time say since when it is so, or when it will be, better than a line about all could


def firing_line(alert: Alert, now: datetime, *, but: str = "", sandbox: str = "") -> str:
    """Return what is wrong. but: a cause that is told elsewhere; sandbox: one that is named there."""
    cause = f" — {alert.cause}" if alert.cause and alert.cause != but else ""
    return _title(alert, sandbox) + alert.facts + cause + since(alert, now)


def since(alert: Alert, now: datetime) -> str:
    """Return since when it is so, and of work that failed anew when that was, and how often it did."""
    began = clock(alert.since, now)
    if not alert.recurrences:
        return "" if _TIME in alert.facts else f", since {began}"
    last = f", at {clock(alert.recurred_at or alert.loud_at, now)}"
    return f"{last}, the {ordinal(alert.recurrences + 1)} failure since {began}"


def over_line(alert: Alert, now: datetime, *, sandbox: str = "") -> str:
    """Return that it is over, or why nobody looks any more whether it is."""
    return f"{over(alert)}: {_title(alert, sandbox)}{ended(alert, now)}"


def over(alert: Alert) -> str:
    """Return what has become of an alert that ended, in two words."""
    if alert.given_up:
        return "No longer watched"
    return "No longer expected" if alert.called_off else "Resolved"


def ended(alert: Alert, now: datetime) -> str:
    """Return from when to when it was so, or why nobody looks any more."""
    if alert.given_up:
        return f"{alert.facts}{since(alert, now)} — {alert.given_up}"
    if alert.called_off:
        return f"{alert.facts} — {alert.called_off}"
    often = f", {alert.recurrences + 1:,} failures" if alert.recurrences else ""
    return f"{often}, {between(alert.since, alert.ended_at or alert.changed_at, now)}"


def between(begin: datetime, end: datetime, now: datetime) -> str:
    """Return `from 02:20:00 to 02:40:12 UTC`, with the dates unless both are today's."""
    return f"from {clock(begin, now).removesuffix(_TIME)} to {clock(end, now)}"


def clock(at: datetime, now: datetime) -> str:
    """Return `02:20:00 UTC`, with its date unless that is today's."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def ordinal(number: int) -> str:
    """Return `2nd`, `3rd`, `11th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _title(alert: Alert, sandbox: str) -> str:
    return alert.title.removesuffix(f" in {sandbox}") if sandbox else alert.title
