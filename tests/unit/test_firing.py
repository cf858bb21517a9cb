"""Which firings of a schedule are missed, and what is told of one that somebody changed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from segwatch.jobs import firing
from segwatch.jobs.firing import Begun, Timetable, Watched

NIGHTLY = Timetable(id="s1", name="nightly", kind="segment_job", cron="0 0 1 * * ?", is_active=True)
GRACE = timedelta(minutes=45)


def at(day: int, clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-{day:02}T{clock}:00+00:00")


LONG_AGO = at(1, "00:00")


class Sandbox:
    """Looks at one schedule again and again."""

    def __init__(self, *begun: datetime, schedule_id="s1", since=LONG_AGO):
        self.begun = [Begun(at=one, schedule_id=schedule_id) for one in begun]
        self.since = since
        self.state = None

    def look(self, now: datetime, seen: Timetable | None = NIGHTLY, until: datetime | None = None) -> list[str]:
        begun = [one for one in self.begun if one.at <= now]
        watched = Watched(begun=begun, since=self.since, until=until or now)
        turned = firing.turned(self.state, "prod", seen, watched, now, grace=GRACE)
        if turned is None:
            return []
        self.state = turned.state
        self.last = turned.events[-1] if turned.events else None
        return [f"{event.type.value} {event.reason}".strip() for event in turned.events]


def test_a_schedule_that_fires_tells_nothing():
    sandbox = Sandbox(at(5, "01:00"), at(6, "01:03"))
    assert sandbox.look(at(4, "12:00")) == []
    assert [sandbox.look(at(day, clock)) for day in (5, 6) for clock in ("01:00", "01:46", "12:00")] == [[]] * 6


def test_a_firing_without_a_job_is_missed_after_the_grace_and_told_once():
    sandbox = Sandbox(at(5, "01:00"))
    sandbox.look(at(4, "12:00"))
    assert sandbox.look(at(5, "02:00")) == []
    assert sandbox.look(at(6, "01:44")) == []
    assert sandbox.look(at(6, "01:46")) == ["schedule.missed"]
    assert sandbox.last.details["expected_at"] == "2026-01-06T01:00:00.000Z"
    assert sandbox.last.details["next"] == "2026-01-07T01:00:00.000Z"
    assert sandbox.last.details["last_fired"] == "2026-01-05T01:00:00.000Z"
    assert sandbox.look(at(6, "12:00")) == []
    assert sandbox.look(at(7, "02:00")) == []  # still so
    sandbox.begun.append(Begun(at=at(8, "01:00"), schedule_id="s1"))
    assert sandbox.look(at(8, "01:01")) == ["schedule.recovered fired"]


def test_one_that_comes_late_ends_it_too():
    sandbox = Sandbox(at(5, "03:00"))
    sandbox.look(at(4, "12:00"))
    assert sandbox.look(at(5, "02:00")) == ["schedule.missed"]
    assert sandbox.look(at(5, "03:01")) == ["schedule.recovered fired"]
    assert sandbox.look(at(5, "12:00")) == []


def test_nothing_is_missed_while_nobody_could_look():
    sandbox = Sandbox()
    sandbox.look(at(4, "12:00"))
    assert sandbox.look(at(5, "03:00"), until=at(5, "01:30")) == []
    assert sandbox.look(at(5, "03:10"), until=at(5, "03:10")) == ["schedule.missed"]


def test_a_firing_before_what_is_remembered_is_not_judged():
    sandbox = Sandbox(since=at(9, "00:00"))
    sandbox.look(at(4, "12:00"))
    assert sandbox.look(at(9, "00:30")) == []


def test_jobs_of_another_schedule_are_no_sign():
    sandbox = Sandbox(at(5, "01:00"), schedule_id="s2")
    sandbox.look(at(4, "12:00"))
    assert sandbox.look(at(5, "02:00")) == ["schedule.missed"]


def test_where_no_schedule_is_named_any_scheduled_job_is_a_sign():
    sandbox = Sandbox(at(5, "01:00"), schedule_id="")
    sandbox.look(at(4, "12:00"))
    assert sandbox.look(at(5, "02:00")) == []


def test_of_a_schedule_seen_first_only_what_comes_is_expected():
    sandbox = Sandbox()
    assert sandbox.look(at(5, "02:00")) == []
    assert sandbox.look(at(6, "00:00")) == []


def test_changes_are_told_and_a_changed_time_is_expected_from_then_on():
    sandbox = Sandbox(at(5, "01:00"))
    sandbox.look(at(4, "12:00"))
    later = replace(NIGHTLY, cron="0 0 4 * * ?")
    assert sandbox.look(at(5, "03:00"), later) == ["schedule.changed cron"]
    assert sandbox.last.details["previous_cron"] == NIGHTLY.cron
    assert sandbox.look(at(5, "05:00"), later) == ["schedule.missed"]
    assert sandbox.look(at(5, "06:00"), replace(later, is_active=False)) == [
        "schedule.changed disabled", "schedule.recovered disabled",
    ]  # fmt: skip
    assert sandbox.look(at(7, "06:00"), replace(later, is_active=False)) == []
    assert sandbox.look(at(7, "07:00"), later) == ["schedule.changed enabled"]
    assert sandbox.look(at(7, "08:00"), None) == ["schedule.changed deleted"]
    assert sandbox.look(at(8, "08:00"), None) == []
    assert sandbox.look(at(8, "09:00"), later) == ["schedule.changed enabled"]


def test_a_schedule_that_was_off_is_deleted_without_noise():
    sandbox = Sandbox()
    off = replace(NIGHTLY, is_active=False)
    sandbox.look(at(4, "12:00"), off)
    sandbox.look(at(5, "12:00"), None)
    assert sandbox.last.severity.value == "info"


def test_a_cron_that_we_cannot_read_expects_nothing():
    sandbox = Sandbox()
    odd = replace(NIGHTLY, cron="every day")
    sandbox.look(at(4, "12:00"), odd)
    assert sandbox.look(at(9, "12:00"), odd) == []


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=20), st.lists(st.integers(1, 30 * 24), max_size=60)
)
def test_what_was_missed_is_closed_when_the_schedule_fires(nights, looks):
    """missed and recovered alternate, and after a night on which it fired nothing is open."""
    begun = [
        datetime(2026, 1, 2, 1, tzinfo=UTC) + timedelta(days=n, minutes=late)
        for n, (fires, late) in enumerate(nights) if fires
    ]  # fmt: skip
    sandbox = Sandbox(*begun)
    end = datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=len(nights))
    times = sorted({at(1, "12:00") + timedelta(hours=hour) for hour in looks})
    told = [one for now in [at(1, "12:00"), *times] if now < end for one in sandbox.look(now)]
    told += sandbox.look(end)
    assert told == ["schedule.missed", "schedule.recovered fired"] * (len(told) // 2) + ["schedule.missed"] * (
        len(told) % 2
    )
    if nights and nights[-1][0]:
        assert len(told) % 2 == 0
