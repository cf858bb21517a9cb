"""Templates on every kind of channel: whatever they say is taken, marks up nothing, and changes no incident."""

import email
import email.policy
import json
import re

import aiohttp
import pytest
from channel_cases import (
    BOT_TOKEN,
    CASES,
    CHATS,
    KINDS,
    NOW,
    STATEFUL,
    assert_within_limits,
    delivery,
    event,
    filled,
    plainly,
)  # fmt: skip
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notices import firing, resolved
from receiver import SECRET_PATH, Answer, Receiver
from structlog.testing import capture_logs
from test_chat_limits import LAYOUTS, PIECES

from segwatch.app.wording import Wording
from segwatch.deliveries.message import message_of
from segwatch.deliveries.model import Accepted, Rejected
from segwatch.deliveries.templates.language import Text
from segwatch.deliveries.templates.rewriting import NAME_MAX, TEXTS, TemplateRule
from segwatch.deliveries.templates.rewriting import composed as composed_by
from segwatch.notifiers.base import MASK, NotifierContext
from segwatch.notifiers.posting import json_body

HOSTILE = (
    "*b* _i_ `c` ~s~ [l](https://evil.test) <!channel> <b>x</b> @channel @here <@1> <users/all> |s|\x1b[31m\u202e 路径"
)
WORDED = [name for name in CASES if CASES[name].kind != "webhook"]


def hostile(said: str = HOSTILE) -> TemplateRule:
    """A template that says this wherever it can say something, in as many lines and fields as it can."""
    verbatim = Text("{% raw %}" + "\n".join([said] * (3500 // (len(said) + 1) or 1))[:3900] + "{% endraw %}")
    fields = {f"{'*<b>@' * 7}{number}"[-NAME_MAX:]: verbatim for number in range(30)} | {"Sandbox": Text("")}
    texts = dict.fromkeys(TEXTS, verbatim)
    return TemplateRule(name="hostile", fields=fields, **texts)


def composed(rule: TemplateRule):
    return Wording("ops", [rule]).compose


def told_to(name):
    """Return what this channel is told: notices where it keeps incidents."""
    return delivery(firing() if name in STATEFUL else event())


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("said", [HOSTILE, "<&>*\\@\"' ", "😀@", "路\u2028x"], ids=["odd", "marks", "runes", "breaks"])
async def test_what_a_template_says_is_taken_and_marks_up_nothing(session, name, said):
    async with Receiver(CASES[name].answered(Answer())) as receiver:
        notifier = CASES[name].build(receiver.url, session, compose=composed(hostile(said)))
        assert plainly(await notifier.send(told_to(name))) == Accepted()
    (got,) = receiver.got
    assert not {"\x1b", "\u202e"} & set(got.body.decode())
    if name not in CHATS:
        return
    assert_within_limits(name, got.body)
    text = re.sub(r'"fallback":"[^"]*"', "", got.body.decode())  # which Mattermost shows as it is
    for mark, chats in {
        "<!channel>": ("slack", "slack-app"),
        "<users/all>": ("google_chat",),
        "<b>": ("slack", "slack-app", "google_chat"),
        "@channel": ("mattermost",),
        "[l](https://evil.test)": ("mattermost", "discord"),
    }.items():
        assert name not in chats or mark not in text, mark


@pytest.mark.parametrize("name", CASES)
async def test_what_would_be_sent_is_what_is_sent_but_for_secrets(session, name):
    async with Receiver(CASES[name].answered(Answer())) as receiver:
        notifier = CASES[name].build(receiver.url, session, compose=composed(hostile("fine")))
        shown = notifier.body(told_to(name))
        assert notifier.body(told_to(name)) == shown, "asking changes nothing"
        assert receiver.got == []
        await notifier.send(told_to(name))
    sent, content = json.loads(receiver.got[0].body), shown.content
    assert receiver.got[0].headers["content-type"].startswith(shown.media_type.partition(";")[0])
    if name == "pagerduty":
        assert content["routing_key"] == MASK != sent["routing_key"]
        content = content | {"routing_key": sent["routing_key"]}
    assert content == sent
    for secret in (BOT_TOKEN, *SECRET_PATH.strip("/").split("/")[1:]):
        assert secret not in json.dumps(shown.content)


@pytest.mark.parametrize("name", sorted(STATEFUL))
async def test_an_incident_is_known_by_the_same_whatever_a_template_says(session, name):
    changed, plain = [], []
    for compose, bodies in ((composed(hostile()), changed), (message_of, plain)):
        notifier = CASES[name].build("https://x.example.test", session, compose=compose)
        bodies += [notifier.body(delivery(of)).content for of in (firing(), resolved())]
    for one, other in zip(changed, plain, strict=True):
        if name == "pagerduty":
            assert (one["dedup_key"], one["event_action"]) == (other["dedup_key"], other["event_action"])
            if "payload" in one:
                same = ("source", "severity", "timestamp", "component", "class")
                assert [one["payload"][key] for key in same] == [other["payload"][key] for key in same]
        else:
            assert {key: one[0][key] for key in ("labels", "startsAt", "endsAt")} == {
                key: other[0][key] for key in ("labels", "startsAt", "endsAt")
            }
    assert changed[0] != plain[0]


@pytest.mark.parametrize("name", sorted(STATEFUL))
async def test_a_channel_with_incidents_would_send_nothing_of_a_story(session, name):
    story = delivery(filled("x", event().type.JOB_QUEUED))
    assert isinstance(CASES[name].build("https://x.example.test", session).body(story), Rejected)


def built(kind: str, options: dict):
    context = NotifierContext(channel="ops", session=None, now=lambda: NOW, compose=composed(hostile()))
    return KINDS[kind].build(KINDS[kind].options.model_validate(options), context)


def test_a_mail_is_whole_and_its_html_escaped():
    options = {"host": "smtp.example.org", "sender": "a@example.org", "to": ["b@example.org"], "username": "u"}
    shown = built("email", options | {"password": "hush-hush"}).body(delivery())
    mail = email.message_from_string(shown.content, policy=email.policy.default)
    assert shown.media_type == "message/rfc822"
    assert mail["Subject"].startswith("[critical] *b* _i_")
    assert mail["Date"] == "Mon, 05 Jan 2026 03:12:07 +0000"
    html = mail.get_body(("html",)).get_content()
    assert "<br>*b*" in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "hush-hush" not in shown.content


def test_apprise_and_the_log_show_what_they_are_given():
    shown = built("apprise", {"url": "json://127.0.0.1:9/T0K3N"}).body(delivery())
    assert shown.content["title"].startswith("*b* _i_")
    assert "T0K3N" not in str(shown)
    told = built("log", {}).body(delivery()).content
    assert told["summary"].startswith("*b* _i_")
    assert told["job_id"] == "24116"


async def test_the_log_writes_what_it_shows():
    notifier = built("log", {})
    with capture_logs() as lines:
        await notifier.send(delivery())
    (line,) = lines
    assert notifier.body(delivery()).content.items() <= line.items()


SAID = st.builds(lambda piece, times, end: piece * times + end, PIECES, st.sampled_from([1, 12, 300, 1900]), PIECES)
SOURCES = st.sampled_from(
    [
        "{{ event.details.a }}", "{{ event.details.b }}{{ event.details.a }}", "{{ event.details.a|upper|urlencode }}",
        "{% for one in event.details.many %}{{ one }}\n{% endfor %}", "{{ message.summary }}", "",
        "{{ event.details.a }}\n\n{{ event.details.b }}\n" * 20, "{{ event.details.b|replace('a', '\\n') }}",
    ]
)  # fmt: skip
NAMES = st.text('aé路😀<*&"\\@', min_size=1, max_size=NAME_MAX)
RULES = st.builds(
    lambda texts, fields: TemplateRule(
        name="any",
        fields={name: Text(source) for name, source in fields.items()},
        **{name: Text(source) for name, source in texts.items()},
    ),
    st.fixed_dictionaries({"title": SOURCES, "summary": SOURCES, "action": SOURCES, "items": SOURCES}),
    st.dictionaries(NAMES, SOURCES, max_size=35),
)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rule=RULES, first=SAID, second=SAID)
def test_no_template_breaks_the_limits_of_a_chat(name, rule, first, second):
    of = event(details={"a": first, "b": second, "many": [first, second] * 90, "errors": [{"message": first}] * 9})
    told = composed_by(of, message_of(of), [rule], "ops")
    assert_within_limits(name, json_body(LAYOUTS[name](told.message)))
    assert told.message.subject == message_of(of).subject


@pytest.mark.parametrize("name", WORDED)
async def test_a_template_that_fails_loses_no_message_and_is_told_of_once(session, name):
    failed = []
    broken = TemplateRule(name="broken", title=Text("{{ event.details.gone }}"))
    wording = Wording("ops", [broken], failed=lambda channel, of, fault: failed.append((channel, of.id, fault.part)))
    async with Receiver(CASES[name].answered(Answer())) as receiver:
        notifier = CASES[name].build(receiver.url, session, compose=wording.compose)
        plain = CASES[name].build(receiver.url, session)
        for _ in range(3):  # as often as it takes
            assert plainly(await notifier.send(told_to(name))) == Accepted()
        assert plainly(await plain.send(told_to(name))) == Accepted()
    assert len({got.body for got in receiver.got}) == 1
    assert failed == [("ops", told_to(name).event.id, "title")]
