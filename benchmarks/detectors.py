"""How well detectors tell what is wrong from what is merely Sunday: 60 made-up days of a sandbox, 20 faults in them.

Nothing is measured by the detectors' own yardstick: the history is drawn from growth, weekly patterns, noise that has a
memory and heavy tails, days of which nothing is told, evaluations at odd hours, a campaign that changes an audience for
good, audiences that are tiny or empty by nature, jobs that take longer on Mondays. A fault counts as found when it is
told of the right thing while it lasts; everything else that is told is a false alarm, also in the first weeks, when the
detectors know nothing yet. Every fault must be found, with two false alarms at most.

    python benchmarks/detectors.py --seeds 20
"""

import argparse
import json
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from segwatch.jobs import audience, expiry, firing, flapping
from segwatch.jobs.audience import Tolerance
from segwatch.jobs.band import Size
from segwatch.jobs.baseline import usual
from segwatch.jobs.events import Event, EventType
from segwatch.jobs.firing import Begun, Timetable, Watched
from segwatch.jobs.flapping import Habit
from segwatch.jobs.model import Facts
from segwatch.jobs.plausible import Yield, doubt
from segwatch.jobs.subject import SubjectState, Turned

DAYS = 60
FALSE_ALARMS_MAX = 2
_LEARNED = 22  # no fault before: three weeks are what it takes to know a week
_APART = 4  # days between two faults of one thing, so that each can be told from the other
_BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
_FACTOR, _SLACK = 1.5, timedelta(seconds=30)  # as the settings have them, with the default interval
_SANDBOX = "prod"
_OPENS = {
    EventType.AUDIENCE_ANOMALY, EventType.SCHEDULE_MISSED, EventType.FLAPPING_STARTED, EventType.CREDENTIAL_EXPIRING,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong with one thing, for some days. told: how it must be told."""

    name: str
    thing: str
    day: int
    days: int = 1
    size: float = 0.0
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that was told."""

    day: int
    told: str
    thing: str


@dataclass(slots=True, kw_only=True)
class Audience:
    """How an audience comes about: its size is level * growth^day * weekday * noise."""

    name: str
    level: float
    growth: float
    weekend: float  # of the size on a working day
    noise: float
    memory: float  # of today's noise in tomorrow's
    campaign: int = 0  # the day since which it is a fifth larger, for good
    often_empty: bool = False
    drift: float = 0.0  # the noise that is left from yesterday


@dataclass(slots=True, kw_only=True)
class Order:
    """An export that is ordered every night."""

    name: str
    audiences: list[str]
    minutes: float
    spread: float
    share: float
    incremental: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of one run of 60 days."""

    seed: int
    faults: list[Fault]
    alarms: list[Alarm] = field(default_factory=list)

    def hits(self, fault: Fault) -> list[Alarm]:
        """Return what was told of this fault while it lasted."""
        return [
            one for one in self.alarms
            if one.told == fault.told and one.thing == fault.thing and fault.day <= one.day < fault.day + fault.days
        ]  # fmt: skip

    @property
    def missed(self) -> list[Fault]:
        return [fault for fault in self.faults if not self.hits(fault)]

    @property
    def false(self) -> list[Alarm]:
        justified = [alarm for fault in self.faults for alarm in self.hits(fault)]
        return [alarm for alarm in self.alarms if alarm not in justified]


class Night:
    """One sandbox, day by day."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.audiences = self._audiences()
        self.orders = self._orders()
        self.outcome = Outcome(seed, self._faults())
        self.sizes: dict[str, list[Size]] = {}
        self.durations: dict[str, list[timedelta]] = {}
        self.yields: dict[str, list[Yield]] = {}
        self.subjects: dict[str, SubjectState] = {}
        self.begun: list[Begun] = []
        self.fires_at = "0 0 1 * * ?"

    def run(self) -> Outcome:
        """Live through all days, and return what was told."""
        for day in range(DAYS):
            self._live(day)
        return self.outcome

    # the world

    def _audiences(self) -> list[Audience]:
        draw = self.random
        usual_ones = [
            Audience(
                name=f"audience-{number:02}", level=10 ** draw.uniform(2.5, 6.5),
                growth=1 + draw.uniform(-0.004, 0.008),
                weekend=draw.choice([1.0, 1.0, 0.9, 0.7, 0.6, 1.3]), noise=draw.uniform(0.01, 0.08),
                memory=draw.uniform(0, 0.5), campaign=draw.choice([0, 0, 0, draw.randrange(25, 50)]),
            )
            for number in range(12)
        ]  # fmt: skip
        retail = Audience(name="audience-retail", level=80_000, growth=1.003, weekend=0.4, noise=0.05, memory=0.2)
        tiny = Audience(name="audience-tiny", level=4, growth=1, weekend=1, noise=0.4, memory=0)
        birthdays = Audience(
            name="audience-empty-at-times", level=40, growth=1, weekend=1, noise=0.1, memory=0, often_empty=True
        )
        return [*usual_ones, retail, tiny, birthdays]

    def _orders(self) -> list[Order]:
        names = [one.name for one in self.audiences[:12]]
        minutes = [4.0, 12.0, 35.0, 70.0]
        return [
            Order(
                name=f"export-{number}", audiences=names[3 * number : 3 * number + 3], minutes=minutes[number],
                spread=self.random.uniform(0.05, 0.2), share=self.random.uniform(0.8, 1.0), incremental=number == 3,
            )
            for number in range(4)
        ]  # fmt: skip

    def _faults(self) -> list[Fault]:
        """Return 20 faults, no two of one thing near each other, and none that hides another one."""
        draw, found, taken = self.random, [], Counter[tuple[str, int]]()
        plain = [one.name for one in self.audiences[:12]]

        def plant(
            name: str, thing: Callable[[], str], told: str, *, days: int = 1, on: range = range(7), **more: float
        ) -> None:
            for _ in range(1000):
                what, day = thing(), draw.randrange(_LEARNED, DAYS - days)
                near = [(what, near) for near in range(day - _APART, day + days + _APART)]
                blind = [("all", near) for near in range(day, day + days)]
                if (_BEGIN + timedelta(days=day)).weekday() not in on or any(taken[one] for one in [*near, *blind]):
                    continue
                for one in range(day, day + days):
                    taken[what, one] += 1
                    if what == "schedule":  # then nothing else runs: it would hide what lies there
                        taken["all", one] += 1
                found.append(Fault(name=name, thing=what, day=day, days=days, told=told, **more))
                return
            raise AssertionError(f"no room for {name}")

        for name, count, days in (("schedule does not fire", 2, 1), ("schedule is disabled", 1, 2)):
            for _ in range(count):
                told = "schedule.missed" if days == 1 else "schedule.changed"
                plant(name, lambda: "schedule", told, days=days)
        anomaly = "audience.anomaly"
        for _ in range(2):
            plant("audience is empty", lambda: draw.choice(plain), anomaly, size=0)
        for _ in range(3):
            plant("audience shrinks", lambda: draw.choice(plain), anomaly, size=draw.uniform(0.2, 0.45))
        for _ in range(2):
            plant("audience grows", lambda: draw.choice(plain), anomaly, size=draw.uniform(2.5, 5))
        plant("audience is small for days", lambda: draw.choice(plain), anomaly, days=3, size=draw.uniform(0.2, 0.4))
        plant("a weekday like a Sunday", lambda: "audience-retail", anomaly, on=range(5), size=0.4)
        for _ in range(2):
            plant("evaluation is slow", lambda: "evaluation", "job.overdue", size=draw.uniform(2.5, 5))
        plant("export is slow", lambda: draw.choice(["export-0", "export-1", "export-2"]), "job.overdue", size=4)
        whole = ["export-0", "export-1", "export-2"]
        plant("export without a batch", lambda: draw.choice(whole), "export.implausible no_batch")
        plant("export of nothing", lambda: draw.choice(whole), "export.implausible nothing", size=0)
        plant(
            "export of too few", lambda: draw.choice(whole), "export.implausible too_few", size=draw.uniform(0.2, 0.5)
        )
        plant("export flaps", lambda: "export-3", "flapping.started", days=7)
        plant("token is not renewed", lambda: "token", "credential.expiring")
        return found

    def _fault(self, day: int, thing: str, *names: str) -> Fault | None:
        return next(
            (
                one for one in self.outcome.faults
                if one.thing == thing and one.day <= day < one.day + one.days and (not names or one.name in names)
            ),
            None,
        )  # fmt: skip

    def _noise(self, sigma: float) -> float:
        """Return a factor; one in fifty is drawn from a wider distribution, as real ones are."""
        return math.exp(self.random.gauss(0, sigma * (2.5 if self.random.random() < 0.02 else 1)))

    def _size(self, one: Audience, day: int) -> int:
        if one.often_empty and self.random.random() < 0.3:
            return 0
        one.drift = one.memory * one.drift + math.log(self._noise(one.noise))
        weekend = one.weekend if (_BEGIN + timedelta(days=day)).weekday() >= 5 else 1.0
        grown = 1.2 if one.campaign and day >= one.campaign else 1.0
        mean = one.level * one.growth**day * weekend * grown * math.exp(one.drift)
        return max(0, round(self.random.gauss(mean, math.sqrt(mean))))  # who counts people counts by chance

    # the days

    def _live(self, day: int) -> None:
        midnight = _BEGIN + timedelta(days=day)
        self._token(day, midnight)
        off = self._fault(day, "schedule")
        if not off:
            begun = midnight + timedelta(hours=1, seconds=self.random.uniform(0, 240))
            self.begun.append(Begun(at=begun, schedule_id="s1"))
            self._evaluate(day, begun, self.audiences)
            for order in self.orders:
                self._export(day, order, midnight + timedelta(hours=3))
        self._schedule(day, midnight, active=not (off and off.name == "schedule is disabled"))
        if self.random.random() < 0.1:  # somebody evaluates some of them by hand
            some = self.random.sample(self.audiences[:12], 4)
            self._evaluate(day, midnight + timedelta(hours=self.random.uniform(9, 17)), some, by_hand=True)

    def _evaluate(self, day: int, begun: datetime, who: list[Audience], *, by_hand: bool = False) -> None:
        if not by_hand:
            slow = self._fault(day, "evaluation")
            monday = 1.2 if begun.weekday() == 0 else 1.0
            minutes = 14 * 1.003**day * monday * self._noise(0.12) * (slow.size if slow else 1)
            self._took(day, "evaluation", timedelta(minutes=minutes))
        for one in who:
            counted = self._size(one, day)
            fault = None if by_hand else self._fault(day, one.name)
            if fault:
                counted = round(counted * fault.size)
            elif self.random.random() < 0.02:
                continue  # the platform leaves out counts at will
            now = Size(at=begun + timedelta(minutes=14), size=counted)
            history = self.sizes.setdefault(one.name, [])
            if verdict := audience.judge(history, now, Tolerance()):
                before = self.subjects.get(audience.stream_of(_SANDBOX, one.name))
                self._keep(day, one.name, audience.turned(before, _SANDBOX, one.name, now, verdict, now.at))
            history.append(now)

    def _export(self, day: int, order: Order, at: datetime) -> None:
        flaps = self._fault(day, order.name, "export flaps")
        fails = self.random.random() < 0.02 or (flaps is not None)
        for is_bad in [True, False] if fails else [False]:  # the second try succeeds
            before = self.subjects.get(f"flapping/{order.name}")
            self._keep(day, order.name, flapping.heard(before, order.name, at, Habit(), fails=is_bad))
        if before := self.subjects.get(f"flapping/{order.name}"):
            self._keep(day, order.name, flapping.reviewed(before, at, Habit()))
        slow = self._fault(day, order.name, "export is slow")
        minutes = order.minutes * self._noise(order.spread) * (slow.size if slow else 1)
        self._took(day, order.name, timedelta(minutes=minutes))
        known = [self.sizes.get(name, []) for name in order.audiences]
        if not all(known):
            return
        members = sum(int(sizes[-1].size) for sizes in known)
        share = self.random.choice([0, 0.02, 0.05, 0.3]) if order.incremental else order.share * self._noise(0.02)
        wrong = self._fault(day, order.name, "export of nothing", "export of too few")
        exported = round(members * share * (wrong.size if wrong else 1))
        batches = () if self._fault(day, order.name, "export without a batch") else ("b1",)
        request = '{"filter":{"fromIngestTimestamp":"2026-01-01T00:00:00Z"}}' if order.incremental else "{}"
        facts = Facts(exported=exported, batches=batches, request=request)
        earlier = self.yields.setdefault(order.name, [])
        if found := doubt(facts, members, earlier, least_change=0.35, least_members=10):
            self.outcome.alarms.append(Alarm(day=day, told=f"export.implausible {found.fault}", thing=order.name))
        earlier.append(Yield(exported=exported, members=members))

    def _took(self, day: int, thing: str, span: timedelta) -> None:
        before = self.durations.setdefault(thing, [])
        if (normal := usual(before[-60:])) and span > normal.limit(_FACTOR, _SLACK):
            self.outcome.alarms.append(Alarm(day=day, told="job.overdue", thing=thing))
        before.append(span)

    def _schedule(self, day: int, midnight: datetime, *, active: bool) -> None:
        """Look at the schedules through the day, as the daemon does all ten minutes; four looks show the same."""
        for hour in (0.5, 1.25, 2, 12):
            now = midnight + timedelta(hours=hour)
            watched = Watched(begun=[one for one in self.begun if one.at <= now], since=_BEGIN, until=now)
            seen = Timetable(id="s1", name="nightly", kind="segment_job", cron=self.fires_at, is_active=active)
            before = self.subjects.get(firing.stream_of(_SANDBOX, "s1"))
            grace = timedelta(minutes=45)
            self._keep(day, "schedule", firing.turned(before, _SANDBOX, seen, watched, now, grace=grace))

    def _token(self, day: int, midnight: datetime) -> None:
        """Something else renews the token every morning at six; it lives for a day."""
        stale = self._fault(day, "token")
        for hour in range(0, 24, 2):
            now = midnight + timedelta(hours=hour)
            renewed = midnight + timedelta(hours=6) - timedelta(days=1 if hour < 6 or stale else 0)
            before = self.subjects.get(expiry.stream_of(_SANDBOX))
            ends = renewed + timedelta(days=1, minutes=30)
            self._keep(day, "token", expiry.turned(before, _SANDBOX, ends, now, warn_before=timedelta(minutes=20)))

    def _keep(self, day: int, thing: str, turned: Turned | None) -> None:
        if turned is None:
            return
        self.subjects[turned.state.stream] = turned.state
        self.outcome.alarms += [
            Alarm(day=day, told=event.type.value, thing=thing) for event in _alarming(turned.events)
        ]


def _alarming(events: tuple[Event, ...]) -> Iterator[Event]:
    for event in events:
        if event.type in _OPENS or (event.type is EventType.SCHEDULE_CHANGED and event.reason == "disabled"):
            yield event


def table(outcomes: list[Outcome]) -> str:
    """Return how many of each sort of fault were found, over all seeds, and each seed's false alarms."""
    planted = Counter(fault.name for one in outcomes for fault in one.faults)
    missed = Counter(fault.name for one in outcomes for fault in one.missed)
    lines = [f"{'fault':<28} {'planted':>8} {'found':>8}"]
    lines += [f"{name:<28} {count:>8} {count - missed[name]:>8}" for name, count in sorted(planted.items())]
    lines += ["", f"{'seed':<6} {'found':>8} {'false alarms':>14}"]
    for one in outcomes:
        found = f"{len(one.faults) - len(one.missed)}/{len(one.faults)}"
        lines.append(f"{one.seed:<6} {found:>8} {len(one.false):>14}")
        lines += [f"       missed: day {fault.day}, {fault.thing}: {fault.name}" for fault in one.missed]
        lines += [f"       false: day {alarm.day}, {alarm.thing}: {alarm.told}" for alarm in one.false]
    return "\n".join(lines)


def main() -> int:
    """Simulate, print the table and one line of JSON; 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description="Detectors on 60 days of made-up history.")
    parser.add_argument("--seeds", type=int, default=20, help="how many different histories")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    asked = parser.parse_args()
    outcomes = [Night(seed).run() for seed in range(asked.first, asked.first + asked.seeds)]
    worst = max(len(one.false) for one in outcomes)
    missed = sum(len(one.missed) for one in outcomes)
    print(table(outcomes))
    planted = sum(len(one.faults) for one in outcomes)
    print(json.dumps({"seeds": len(outcomes), "planted": planted, "missed": missed, "false_alarms_worst": worst}))
    return 1 if missed or worst > FALSE_ALARMS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
