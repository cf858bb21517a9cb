"""Random histories: whatever happens, in whatever order, no alert stays open on a channel, and none is kept from it."""

from collections import Counter, defaultdict
from datetime import timedelta

from alert_builders import Told, about_sandbox, event, failed, succeeded, words_of
from examples import examples
from fakes import at
from hypothesis import example, given, settings
from hypothesis import strategies as st

from segwatch.alerts.book import Book
from segwatch.alerts.effects import effects_of
from segwatch.alerts.ending import Watched, ended, reason_to_end
from segwatch.alerts.grouping import Group
from segwatch.alerts.matching import Condition
from segwatch.alerts.model import Turn
from segwatch.alerts.notices import NOTICES
from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.routing import Route, told_at_once
from segwatch.deliveries.ways import leads_of, ways_for, ways_of
from segwatch.jobs.events import Event, EventType, Severity

CHANNELS = ("chat", "mail", "pager")
JOBS = ("1", "2", "3")
STATEFUL = frozenset({"pager"})
NOTHING_WATCHED = Watched(
    sandboxes=frozenset(), channels=frozenset(), pipelines=frozenset(), retention=timedelta(days=90)
)
LABELS = ("sandbox", "kind", "type", "alert", "severity")

spans = st.integers(0, 600).map(lambda seconds: timedelta(seconds=seconds))
groupings = st.fixed_dictionaries(
    {
        "group_by": st.lists(st.sampled_from(LABELS), max_size=2, unique=True).map(tuple),
        "group_wait": spans,
        "group_interval": spans,
        "repeat_interval": st.none() | st.integers(3600, 7200).map(lambda seconds: timedelta(seconds=seconds)),
    }
)
conditions = st.sampled_from(
    [{}, {"severity": "critical"}, {"type": "job.failed"}, {"type": ["job.failed", "job.overdue"]}, {"late": "true"}]
)
routes = st.lists(
    st.builds(
        lambda condition, channels, grouping: Route(
            condition=condition, channels=channels, stateful=STATEFUL, **grouping
        ),
        conditions.map(lambda match: Condition(match=match)),
        st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=3, unique=True).map(tuple),
        st.just({}) | groupings,
    ),
    min_size=1,
    max_size=3,
)

_STEPS = (
    "failed", "succeeded", "overdue", "exhausted", "recovered", "queued",
    "down", "up", "held", "released", "silence", "speak", "restart", "removed",
)  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from(_STEPS), st.sampled_from(JOBS), st.sampled_from([0, 1, 20, 400, 4000])), max_size=30
)

ordinary = st.tuples(  # without what explains other alerts, which are then told of nobody
    st.sampled_from(["failed", "succeeded", "overdue", "exhausted", "recovered", "silence", "speak", "removed"]),
    st.sampled_from(JOBS),
    st.sampled_from([0, 20, 400]),
)


class History:
    """One book told of a history, beside what each channel got, and what was wrong when."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self.now = at()
        self.house = Told(ways=())
        self.got: defaultdict[str, list[Event]] = defaultdict(list)
        self.is_silent = False
        self.by_id: dict[str, Event] = {}
        self.written_alerts: dict[str, object] = {}
        self.written_groups: dict[str, object] = {}

    def happens(self, one: Event) -> None:
        self.by_id[one.id] = one
        immediate = told_at_once(one, self.routes)
        promised = () if self.is_silent else immediate
        closing = self.house.book.take(
            one, words=words_of(one), ways=ways_for(one, self.routes), told=promised,
            withheld=immediate if self.is_silent else (), silenced=self.is_silent,
        )  # fmt: skip
        for channel in [*promised, *closing]:
            self.got[channel].append(one)
        self.write()

    def pass_time(self, seconds: float) -> None:
        until = self.now + timedelta(seconds=seconds)
        while True:
            kept = {one.subject: (one.loud_id, one.withheld) for one in self.house.book.open.values()}
            for one in self.house.book.tick(self.now, lambda labels, now: self.is_silent):
                self.got[one.channel].append(one.event())
            if not self.is_silent:  # the end of the silence tells it
                for loud_id, channels in kept.values():
                    for channel in channels:
                        self.got[channel].append(self.by_id[loud_id])
            self.write()
            if self.now >= until:
                return
            self.now = min(until, self.now + timedelta(seconds=30))

    def write(self) -> None:
        """Keep what a store would keep."""
        changed = self.house.book.changed()
        self.written_alerts |= {alert.id: alert for alert in changed.alerts}
        self.written_groups |= {group.id: group for group in changed.groups}
        for id_ in changed.finished:
            self.written_groups.pop(id_, None)

    def restart(self) -> None:
        groups = list(self.written_groups.values())
        needed = {id_ for group in groups for id_ in group.members}
        alerts = [alert for alert in self.written_alerts.values() if alert.is_open or alert.id in needed]
        self.house.book = Book(alerts, groups)
        owed = self.house.book.adopt(
            ways_of(self.routes),
            lambda alert: leads_of(alert, self.routes),
            self.now,
            lambda labels, now: self.is_silent,
        )
        for channel, id_ in owed:
            self.got[channel].append(self.by_id[id_])
        self.write()

    def does(self, what: str, job: str, seconds: int) -> None:
        details = {"fingerprint": f"f{job}", "root": job}
        about = {"when": self.now, "details": details}
        match what:
            case "failed":
                self.happens(failed(job, **about))
            case "succeeded":
                self.happens(succeeded(job, **about))
            case "overdue":
                self.happens(event(EventType.JOB_OVERDUE, job, **about))
            case "exhausted":
                self.happens(event(EventType.RETRY_EXHAUSTED, job, **about))
            case "recovered":
                self.happens(event(EventType.RECOVERED, job, **about))
            case "queued":
                self.happens(event(EventType.JOB_QUEUED, job, **about))
            case "down":
                self.happens(about_sandbox(EventType.SANDBOX_UNREACHABLE, self.now))
            case "up":
                self.happens(about_sandbox(EventType.SANDBOX_RECOVERED, self.now))
            case "held" | "released":
                type_ = EventType.RETRIES_HELD if what == "held" else EventType.RETRIES_RELEASED
                self.happens(event(type_, "", stream="retries/prod", when=self.now))
            case "silence" | "speak":
                self.is_silent = what == "silence"
            case "restart":
                self.restart()
            case "removed":
                self.gives_up()
        self.pass_time(seconds)

    def gives_up(self) -> None:
        """Take the sandbox out of the settings: nobody will hear any more how it goes on."""
        for alert in list(self.house.book.open.values()):
            if reason := reason_to_end(alert, NOTHING_WATCHED, self.now):
                self.happens(ended(alert, reason, self.now))

    def ends(self, *, by_removal: bool = False) -> None:
        """Let all be well again, or nothing be watched any more, and wait longer than any group does."""
        self.is_silent = False
        self.pass_time(8000)
        if by_removal:
            self.gives_up()
        else:
            for job in JOBS:
                self.does("succeeded", job, 0)
            self.does("up", "", 0)
            self.does("released", "", 0)
        self.pass_time(8000)


def open_on(got: list[Event]) -> set[str]:
    """Return the subjects that the channel still takes for wrong, by what it was told."""
    wrong: set[str] = set()
    for one in got:
        message = message_of(one)
        turns = {effect.subject: effect.turn for effect in effects_of(one)}
        if one.type in NOTICES:
            turns = {message.subject: Turn.OPENS if message.standing is Standing.FIRING else Turn.CLOSES}
        wrong |= {subject for subject, turn in turns.items() if turn is Turn.OPENS}
        wrong -= {subject for subject, turn in turns.items() if turn is Turn.CLOSES}
    return wrong


def alerts_told(got: list[Event]) -> set[str]:
    """Return the events that opened the alerts that the channel was told of, singly or in a message."""
    return {one.id for one in got} | {row["event_id"] for one in got for row in one.details.get("alerts", ())}


@settings(max_examples=examples(100))
@given(routes, steps, st.booleans())
def test_no_alert_stays_open_on_a_channel_and_no_channel_is_told_less_than_its_routes_promise(
    routes, steps, by_removal
):
    history = History(routes)
    opened: defaultdict[str, set[str]] = defaultdict(set)
    for what, job, seconds in steps:
        before = dict(history.house.book.open)
        silent = history.is_silent
        known = set(history.by_id)
        history.does(what, job, seconds)
        for id_ in history.by_id.keys() - known:
            one = history.by_id[id_]
            subject = message_of(one).subject
            is_opening = message_of(one).standing is Standing.FIRING and subject not in before
            # what a silence or another alert covers is told only if it outlasts it
            if is_opening and not silent and one.type is not EventType.JOB_OVERDUE:
                for way in ways_for(one, routes):
                    opened[way.channel].add(id_)
                for channel in told_at_once(one, routes):
                    opened[channel].add(id_)
    history.ends(by_removal=by_removal)
    for channel in CHANNELS:
        got = history.got[channel]
        assert open_on(got) == set(), channel
        if channel not in STATEFUL:  # a pager is told what begins an incident, not all that is in it
            silenced_early = any(what == "silence" for what, _, _ in steps)
            assert silenced_early or opened[channel] <= alerts_told(got), channel
    assert not history.house.book.groups
    assert not history.house.book.open
    assert not history.house.book._alerts
    assert not history.house.book._holding


@settings(max_examples=examples(50))
@given(routes, steps)
def test_a_restart_at_any_moment_changes_nothing_of_what_is_told(routes, steps):
    steps = [step for step in steps if step[0] != "restart"]
    undisturbed, killed = History(routes), History(routes)
    for step in steps:
        undisturbed.does(*step)
    numbering = {id_: number for number, id_ in enumerate(undisturbed.by_id)}
    for step in steps:
        killed.does(*step)
        killed.restart()
    again = {id_: number for number, id_ in enumerate(killed.by_id)}

    def shape(history: History, numbers: dict[str, int]) -> dict[str, list[object]]:
        return {
            channel: [
                numbers.get(one.id) if one.id in numbers else
                (one.type, one.at, one.sequence, one.details["firing"], one.details["resolved"], one.details["notes"])
                for one in got
            ]
            for channel, got in history.got.items()
        }  # fmt: skip

    assert shape(undisturbed, numbering) == shape(killed, again)


edits = st.lists(st.tuples(st.lists(ordinary, max_size=6), routes), min_size=1, max_size=3)


TO_PAGER = {"channels": ("pager",), "stateful": STATEFUL}
BOTH_WAYS = [
    Route(condition=Condition(match={"type": "job.failed"}), **TO_PAGER),
    Route(condition=Condition(match={"type": "export.retry_exhausted"}), **TO_PAGER),
]


@settings(max_examples=40)
@example(BOTH_WAYS, [([("failed", "1", 20), ("exhausted", "1", 20)], BOTH_WAYS)])
@example(BOTH_WAYS, [([("failed", "1", 20)], [Route(**TO_PAGER)]), ([("failed", "1", 20)], BOTH_WAYS[1:])])
@example([Route(channels=("mail",))], [([("failed", "1", 20)], [Route(channels=("chat",))])])
@given(routes, edits)
def test_an_edit_of_routes_neither_forgets_nor_repeats_what_is_open(routes, edits):
    history = History(routes)
    for steps, edited in edits:
        for step in steps:
            history.does(*step)
            assert_one_incident_for_each_alert(history)
        history.routes = edited
        history.restart()
    history.is_silent = False
    history.pass_time(8000)
    for alert in history.house.book.open.values():
        leads = leads_of(alert, history.routes)
        for channel in {way.channel for way, _ in leads.ways} | set(leads.at_once):
            known = {id_ for group in on(history, channel) for id_, one in group.members.items() if one.known}
            told = {one.id for one in history.got[channel]} & {id_ for id_, _ in alert.alarmed}
            assert alert.id in known or told or channel in alert.told, channel
    history.ends()
    for channel in CHANNELS:
        assert open_on(history.got[channel]) == set(), channel
        assert_each_is_closed_once(history.got[channel])
    assert not history.house.book.groups


def on(history: History, channel: str) -> list[Group]:
    return [group for group in history.house.book.groups if group.way.channel == channel]


def assert_one_incident_for_each_alert(history: History) -> None:
    held = [id_ for group in on(history, "pager") for id_ in group.members]
    assert len(held) == len(set(held))


def assert_each_is_closed_once(got: list[Event]) -> None:
    """What a stream told as firing it tells as resolved once, and a pager hears of one incident at a time."""
    rows = [(one.stream, row["alert"], row["standing"]) for one in got for row in one.details.get("alerts", ())]
    fired = {(stream, alert) for stream, alert, standing in rows if standing == "firing"}
    closed = Counter((stream, alert) for stream, alert, standing in rows if standing == "resolved")
    for stream, alert in fired:
        is_pager = any(one.details["channel"] in STATEFUL for one in got if one.stream == stream)
        assert closed[stream, alert] == 1 or is_pager
    for stream in {one.stream for one in got if one.type in NOTICES and one.details["channel"] in STATEFUL}:
        types = [one.type for one in got if one.stream == stream]
        assert types.count(EventType.ALERT_RESOLVED) == 1
        assert types[-1] is EventType.ALERT_RESOLVED


def test_severity_of_a_message_is_that_of_the_worst_that_fires():
    house = Told()
    house.take(event(EventType.JOB_OVERDUE, "1"), failed("2"))
    (message,) = house.tick(at(1))
    assert message.severity is Severity.CRITICAL
    assert message.details["alerts"][0]["severity"] == "critical"
