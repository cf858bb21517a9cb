"""Whatever a message holds, also what no event of today would make of it, each chat's body keeps the limits."""

from datetime import timedelta

import pytest
from channel_cases import CASES, CHATS, NOW, assert_within_limits
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segwatch.deliveries.message import Message, Standing
from segwatch.jobs.events import EventType, Severity
from segwatch.notifiers import discord, google_chat, mattermost, slack, teams
from segwatch.notifiers.posting import json_body

LAYOUTS = {
    "discord": discord.payload_of,
    "google_chat": lambda message: google_chat.payload_of(message, message.event_id),
    "mattermost": mattermost.payload_of,
    "slack": slack.payload_of,
    "teams": teams.payload_of,
}
PIECES = st.sampled_from(["a", "<", "&", "*", "\\", "@", "😀", "路", "\n", '"', " x", "word "])
TEXTS = st.builds(lambda piece, times, end: piece * times + end, PIECES, st.sampled_from([0, 1, 50, 700, 9000]), PIECES)
NAMES = st.sampled_from(["Sandbox", "Job", "Further errors"])
MESSAGES = st.builds(
    Message,
    event_id=st.just("evt_" + "0" * 32),
    type=st.sampled_from(EventType),
    at=st.just(NOW + timedelta()),
    severity=st.sampled_from(Severity),
    title=TEXTS | st.just(""),
    summary=TEXTS | st.just(""),
    action=TEXTS | st.just(""),
    fields=st.lists(st.tuples(NAMES, TEXTS.map(lambda text: text.strip() or "-")), max_size=30).map(tuple),
    standing=st.sampled_from(Standing),
    items=st.lists(TEXTS.map(lambda text: text.strip() or "-"), max_size=60).map(tuple),
    links=st.lists(st.tuples(TEXTS.map(str.strip), st.just("https://x.test/(a)?b=<c>")), max_size=8).map(tuple),
)


def test_every_chat_has_a_layout_here():
    assert sorted(LAYOUTS) == sorted({CASES[name].kind for name in CHATS})


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.too_slow])
@given(message=MESSAGES)
def test_a_body_keeps_the_limits_whatever_it_holds(name, message):
    assert_within_limits(name, json_body(LAYOUTS[name](message)))
