"""Whatever happens under whatever silences: when the last has ended, nobody is left without word of what is wrong."""

from builders import at, silence
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from segwatch.alerts.effects import effects_of
from segwatch.alerts.labels import labels_of_alert
from segwatch.alerts.matching import Condition
from segwatch.alerts.model import Turn
from segwatch.alerts.silences import must_be_told, resolved, silenced_by
from segwatch.deliveries.routing import Route, promises
from segwatch.deliveries.silence_end import told
from segwatch.jobs.events import Event, EventType, severity_of

HOURS = 3
ROUTES = (Route(channels=("all",)), Route(channels=("prod",), condition=Condition(match={"sandbox": "prod"})))
TYPES = (EventType.SANDBOX_UNREACHABLE, EventType.SANDBOX_UNAUTHORIZED, EventType.SANDBOX_RECOVERED)

happenings = st.lists(
    st.tuples(st.integers(1, 60 * HOURS), st.sampled_from(TYPES), st.sampled_from(["prod", "dev"])), max_size=25
)
hushes = st.lists(
    st.tuples(
        st.integers(0, 60 * HOURS), st.integers(1, 120), st.booleans(),
        st.sampled_from(["sandbox=prod", "sandbox=dev", 'type=~".*unreachable"', "severity=critical"]),
    ),
    max_size=5,
)  # fmt: skip


@settings(max_examples=examples(25))
@given(happenings, hushes)
def test_what_is_wrong_in_the_end_was_told_to_everybody_whom_it_concerns(happened, hushed):
    silences = {
        f"s{number}": silence(
            matchers, id=f"s{number}", starts_at=at(start), ends_at=at(start + minutes), until_resolved=until
        )
        for number, (start, minutes, until, matchers) in enumerate(hushed)
    }
    wrong: dict[str, Event] = {}
    heard: dict[str, set[str]] = {"all": set(), "prod": set()}
    sequence = 0
    for minute in range(60 * HOURS + 130):
        now = at(minute)
        for name, one in list(silences.items()):
            labels = {subject: labels_of_alert(subject, event) for subject, event in wrong.items()}
            silences[name] = one = resolved(one, labels, now)
            if must_be_told(one, now):
                silences[name], event, deliveries = told(one, wrong, list(silences.values()), ROUTES, now)
                for delivery in deliveries:
                    heard[delivery.channel] |= {alert["subject"] for alert in event.details.get("alerts", ())}
        for _, type_, sandbox in (one for one in happened if one[0] == minute):
            sequence += 1
            event = Event(
                type=type_, stream=f"sandbox/{sandbox}", sequence=sequence, at=now, severity=severity_of(type_),
                sandbox=sandbox,
            )  # fmt: skip
            for effect in effects_of(event):
                if effect.turn is Turn.OPENS:
                    wrong.setdefault(effect.subject, event)
                else:
                    wrong.pop(effect.subject, None)
                    for subjects in heard.values():
                        subjects.discard(effect.subject)
            deliveries = promises(
                [event], ROUTES, now, lambda labels, when: bool(silenced_by(labels, silences.values(), when))
            )
            for delivery in deliveries:
                heard[delivery.channel] |= {effect.subject for effect in effects_of(event)} & wrong.keys()
    assert all(one.told_at for one in silences.values())
    assert wrong.keys() <= heard["all"]
    assert {subject for subject in wrong if subject == "sandbox/prod"} <= heard["prod"]
