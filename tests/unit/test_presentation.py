"""What all chats show alike."""

from datetime import UTC, datetime

import pytest

from segwatch.deliveries.message import Standing, message_of
from segwatch.deliveries.presentation import LINKS_MAX, Tone, footer_of, headline_of, links_of, said_of, tone_of
from segwatch.jobs.events import Event, EventType, severity_of


def message(type_=EventType.JOB_FAILED, **fields):
    base = {"stream": "prod/export_job/7", "sequence": 1, "at": datetime(2026, 1, 5, tzinfo=UTC), "sandbox": "prod"}
    base |= {"kind": "export_job", "job_id": "7", "severity": severity_of(type_)}
    return message_of(Event(type=type_, **(base | fields)))


@pytest.mark.parametrize(
    ("type_", "tone"),
    [
        (EventType.JOB_FAILED, Tone.CRITICAL), (EventType.JOB_OVERDUE, Tone.WARNING), (EventType.JOB_QUEUED, Tone.INFO),
        (EventType.JOB_SUCCEEDED, Tone.GOOD), (EventType.JOB_CANCELLED, Tone.WARNING), (EventType.RECOVERED, Tone.GOOD),
        (EventType.ALERT_RESOLVED, Tone.GOOD), (EventType.CHANNEL_RECOVERED, Tone.GOOD),
    ],
)  # fmt: skip
def test_good_news_is_what_puts_something_right(type_, tone):
    assert tone_of(message(type_)) is tone


def test_every_tone_has_a_sign_of_one_rune_and_a_colour_of_its_own():
    assert {len(tone.sign) for tone in Tone} == {1}
    assert len({tone.sign for tone in Tone}) == len({tone.rgb for tone in Tone}) == len(Tone)


def test_the_footer_says_whether_it_is_over_and_what_to_look_up():
    said = message()
    assert said.standing is Standing.FIRING
    assert footer_of(said) == ("firing", "critical", "2026-01-05T00:00:00.000Z", said.event_id)
    assert footer_of(message(EventType.RECOVERED))[0] == "resolved"
    assert footer_of(message(EventType.JOB_CANCELLING))[0] == "info"
    assert footer_of(message(EventType.JOB_SUCCEEDED))[0] == "info", "nothing was wrong before, most likely"


def test_a_message_without_words_still_has_a_headline_and_a_text():
    empty = message(EventType.ALERT_FIRING, details={}, sandbox="", stream="alerts/1")
    if not empty.title:
        assert headline_of(empty).endswith("alert.firing")
    assert said_of(empty)


def test_links_are_those_that_a_browser_opens_and_no_markup_ends_them_early():
    links = {
        "Job": "https://segwatch.example.test/jobs/24116?a=(b)&c=<d>|e#f",
        "platform": "/data/core/ups/export/jobs/24116",
        "script": "javascript:alert(1)",
        "broken": "https://x.test/a b",
        "long": "https://x.test/" + "x" * 600,
    }
    (job,) = links_of(message(links=links))
    assert job == ("Job", "https://segwatch.example.test/jobs/24116?a=%28b%29&c=%3Cd%3E%7Ce#f")
    many = {f"n{number}": "https://x.test/" for number in range(9)}
    assert len(links_of(message(links=many))) == LINKS_MAX
