"""What a template can say, what it cannot, and that it costs no more than it may."""

# ruff: noqa: E501  (a row of the tables is one template and what it says)

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from segwatch.alerts.matching import Condition, parse
from segwatch.deliveries.message import Message, message_of
from segwatch.deliveries.templates.budget import STEPS_MAX, Budget
from segwatch.deliveries.templates.checking import Unusable
from segwatch.deliveries.templates.filters import PLAIN
from segwatch.deliveries.templates.language import SOURCE_MAX, Text
from segwatch.deliveries.templates.rewriting import FIELDS_MAX, ITEMS_MAX, TEXTS, TemplateRule, composed
from segwatch.deliveries.templates.view import KNOWN, view_of
from segwatch.jobs.events import Event, EventType, Severity

AT = datetime(2026, 1, 5, 3, 12, 7, 900_000, tzinfo=UTC)
DETAILS = {
    "errors": [{"code": "11", "message": "Disk <full> & *closed*"}, {"code": "12", "message": "Späť"}],
    "segments": ["nl-1", "nl-2"], "profiles": {"nl-1": 1_234_567}, "duration_s": 412.0, "attempt": 2, "items": ["i"],
    "started_at": "2026-01-05T03:05:07.900Z", "ended_at": "2026-01-04T22:59:00+00:00", "due_at": "2026-01-05T03:14:17Z",
}  # fmt: skip


def event(**fields) -> Event:
    base = {
        "type": EventType.JOB_FAILED, "stream": "prod/export_job/24116", "sequence": 3, "at": AT,
        "severity": Severity.CRITICAL, "sandbox": "prod", "kind": "export_job", "job_id": "24116", "status": "FAILED",
        "previous": "PROCESSING", "links": {"Runbook": "https://wiki.example.test/x"}, "details": DETAILS,
    }  # fmt: skip
    return Event(**(base | fields))


def said(source: str, of: Event | None = None, *, most: int = 500) -> str:
    of = of or event()
    return Text(source).render(view_of(of, message_of(of)), Budget(at=of.at), most)


def refused(source: str) -> str:
    with pytest.raises(Unusable) as caught:
        said(source)
    return f"{caught.value.line}: {caught.value}"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ message.title }}!", "Export 24116 failed in prod!"),
        ("{{ event.sandbox|upper }} {{ event.job_id }} {{ event.type }} {{ event.severity }}", "PROD 24116 job.failed critical"),
        ("{{ message.fields.Status }}, {{ message.fields['Job'] }}", "PROCESSING -> FAILED, 24116"),
        ("{{ message.links.Runbook }} {{ message.standing }} {{ message.at }}", "https://wiki.example.test/x firing 2026-01-05T03:12:07.900Z"),
        ("{{ event.details.errors[0].code }} {{ event.details.errors|length }}", "11 2"),
        ("{% for one in event.details.errors %}{{ loop.index }}. {{ one.message }}{% if not loop.last %}; {% endif %}{% endfor %}", "1. Disk <full> & *closed*; 2. Späť"),
        ("{% for name, size in event.details.profiles|items %}{{ name }} has {{ size|number }}{% endfor %}", "nl-1 has 1,234,567"),
        ("{{ event.details.segments|join(', ') }}; {{ event.details.errors|map(attribute='code')|join('/') }}", "nl-1, nl-2; 11/12"),
        ("{{ event.details.items|first }}{{ event.details.items[0] }}", "ii"),  # a key, where Jinja itself finds a method
        ("{{ event.at|clock }} {{ event.at|clock('Europe/Amsterdam') }} {{ event.at|date('America/New_York') }}", "03:12:07 UTC 04:12:07 CET 2026-01-04"),
        ("{{ event.details.ended_at|clock('Europe/Amsterdam') }}", "2026-01-04 23:59:00 CET"),
        ("{{ event.details.started_at|ago }}, {{ event.details.due_at|ago }}, {{ event.at|ago }}", "7 m ago, in 2 m 9 s, now"),
        ("{{ event.details.duration_s|span }} {{ 1|plural('export') }} {{ 1200|plural('entry', 'entries') }}", "6 m 52 s 1 export 1,200 entries"),
        ("{{ 1234.5|number(1, '.') }} {{ 2.5|round }} {{ 2.345|round(1) }}", "1.234,5 2 2.3"),
        ("{{ '  ab '|trim }}|{{ 'ab'|capitalize }}|{{ 'AB'|lower }}|{{ 'a b/ü'|urlencode }}|{{ 'aba'|replace('a', 'x') }}", "ab|Ab|ab|a%20b%2F%C3%BC|xbx"),
        ("{{ 'abcdefgh'|truncate(5) }} {{ 'abcdefgh'[:3] }} {{ event.details.segments|last }}", "abcd… abc nl-2"),
        ("{{ event.details.gone|default('?') }}{% if event.details.gone.deeper %}x{% endif %}{% for one in event.details.gone %}x{% else %}-{% endfor %}", "?-"),
        ("{{ event.reason|default('none') }}|{{ event.reason|default('none', true) }}", "|none"),
        ("{{ 'a' if event.late }}{{ event.late }} {{ 7 * event.details.attempt + 1 }} {{ {'FAILED': 'mislukt'}[event.status] }}", "false 15 mislukt"),
        ("{% if event.details.duration_s > 300 and 'nl-1' in event.details.segments %}long{% endif %}", "long"),
        ("{# nobody reads this #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ '<b>' }}{{ event.details.errors[0].message }}", "<b>Disk <full> & *closed*"),  # channels escape
    ],
)  # fmt: skip
def test_a_template_says(source, shown):
    assert said(source) == shown


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ mesage.title }}", '1: names "mesage", which is not known here. Did you mean message?'),
        ("a\n{{ message.titel }}", "2: names message.titel, which is not there. Did you mean title?"),
        ("{{ event.duration_s }}", "1: names event.duration_s, which events do not have. What is of one type is in event.details.duration_s"),
        ("{{ event['sandbx'] }}", "1: names event.sandbx, which is not there. Did you mean sandbox?"),
        ("{{ 1|uper }}", '1: has the filter "uper", which there is not. Did you mean upper?'),
        ("{{ event.at|clock(1, 2) }}", '1: gives clock what it does not take. Write clock(zone="UTC")'),
        ("{{ 1|default(*message.items) }}", "1: gives a filter its arguments in another way than one by one. Write each"),
        ("{{ 1 is iterable }}", '1: asks whether something is "iterable", which is no test. Known: defined, none, number, string, undefined'),
        ("{{ message.title.upper() }}", "1: calls something, and nothing can be called. Write a filter, such as event.at|clock"),
        ("{% set x = 1 %}", "1: has {% set %}, and nothing can be kept. Write the expression where it is shown"),
        ("{% include 'x' %}", "1: has {% include %}. A template stands for itself: write the text"),
        ("{{ loop.index }}", '1: names "loop", which is not known here. Known: event, message'),
        ("{% for message in message.items %}{% endfor %}", "1: loops with the name message, which is taken. Write another, such as one"),
        ("{% for a in [1] %}" * 3 + "{% endfor %}" * 3, "1: has more than 2 loops in one another. Write fewer"),
        ("{{ 2 ** 3 }}", "1: has **, which numbers here do not need. Write the number"),
        ("{{ 'a", "1: cannot be read: unexpected char \"'\" at 3"),
        ("{% if event.late %}x", "1: cannot be read: Unexpected end of template. Jinja was looking for the following tags: 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'"),
        ("{{ 'a' + 'b' }}", "1: cannot be right: + works on numbers only. Write ~ to put texts together"),
        ("a\n{{ 'x' * 9 }}", "2: cannot be right: * works on numbers only. Take the number itself"),
        ("{{ 2 * -'x' }}", "1: cannot be right: - works on numbers only. Take the number itself"),
        ("{{ event.details.attempt * 'x' }}", "1: cannot be right: * works on numbers only. Take the number itself"),
        ("{{ 1 / 0 }}", "1: cannot be right: / divides by zero. Write {% if ... %} around it, or another number"),
        ("{{ event.details.attempt % (2 - 2) }}", "1: cannot be right: % divides by zero. Write {% if ... %} around it, or another number"),
        ("{{ 1e999 }}", "1: cannot be right: a number is too large. Write a smaller one"),
        ("{{ 1e19 + event.details.attempt }}", "1: cannot be right: + has a number above 1e+18. Work with smaller ones"),
        ("{{ event.at|clock('Nowhere/City') }}", '1: cannot be right: "Nowhere/City" is no time zone. Write its IANA name, such as "Europe/Amsterdam"'),
        ("{% if event.late %}{{ event.at|date(zone='Mars') }}{% endif %}", '1: cannot be right: "Mars" is no time zone. Write its IANA name, such as "Europe/Amsterdam"'),
        ("{{ 'soon'|ago }}", '1: cannot be right: this filter takes a time, such as event.at, and has "soon"'),
        ("{{ message.title|truncate('x') }}", '1: cannot be right: this filter takes a whole number in its brackets, and has "x"'),
        ("x" * (SOURCE_MAX + 1), "1: has 4,001 runes, more than 4,000. Write less"),
    ],
)  # fmt: skip
def test_what_no_event_could_be_told_with_is_refused_before_there_is_one(source, why):
    with pytest.raises(Unusable) as caught:
        Text(source)
    assert f"{caught.value.line}: {caught.value}" == why


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("a\nb {{ event.details.eror }}", '2: event.details.eror is not there. Write event.details.eror|default("..."), or {% if event.details.eror %} around it'),
        ("{{ event.details.eror.code|upper }}", '1: event.details.eror.code is not there. Write event.details.eror.code|default("..."), or {% if event.details.eror.code %} around it'),
        ("{{ event.details.errors[7] }}", '1: the list has no 7. Write |default("...") behind what asks for it, or {% if ... %} around it'),
        ("{{ message.fields }}", "1: this is a table. Write one of its values, or |items|first, or {% for name, value in ...|items %}"),
        ("{{ message.items }}", '1: this is a list. Write |join(", ") behind it, or {% for one in ... %}'),
        ("{{ 'x' ~ message.items }}", '1: this is a list. Write |join(", ") behind it, or {% for one in ... %}'),
        ("{% for a in message.fields %}{% endfor %}", "1: a loop goes over a list, and this is a table. Write {% for name, value in ...|items %}"),
        ("{{ event.job_id|ago }}", '1: this filter takes a time, such as event.at, and has "24116"'),
        ("{{ event.job_id|span }}", '1: this filter takes a number, and has "24116"'),
        ("{{ 1 / (event.details.attempt - 2) }}", "1: / divides by zero. Write {% if ... %} around it, or another number"),
        ("{{ event.at|clock(event.job_id) }}", '1: "24116" is no time zone. Write its IANA name, such as "Europe/Amsterdam"'),
    ],
)  # fmt: skip
def test_what_this_event_cannot_be_told_with_says_what_to_write_instead(source, why):
    assert refused(source) == why


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}", "{{ message.__init__ }}", "{{ event['__class__'] }}", "{{ message|attr('keys') }}",
        "{{ event.details.errors.append }}", "{{ [].__class__ }}", "{{ (1).real }}", "{{ self }}", "{{ caller }}",
        "{{ event.details.keys }}", "{% for a in [1] %}{{ loop.cycle }}{% endfor %}", "{{ cycler }}", "{{ config }}",
        "{{ message.title.format }}", "{{ '{0.__class__}'.format(1) }}", "{{ event.details['__class__'] }}",
    ],
)  # fmt: skip
def test_nothing_of_pythons_can_be_reached(source):
    refused(source)


def _nested(depth: int) -> str:
    return "{{ " + "(" * depth + "1" + ")" * depth + " }}"


FEW = "[" + ",".join("1" * 20) + "]"
MANY = "[" + ",".join("1" * 180) + "]"
HUGE = event(details={"big": ["x" * 2000] * 200, "tables": [{"a": "b" * 2000}] * 200})
COSTLY = [
    "{{ range(10**9) }}", "{{ 'x' * 10**9 }}", "{{ 'x' * 1000000000 }}", "{{ 9 ** 9 ** 9 }}", "{{ [1] * 1000000000 }}",
    "{{ '%1000000000d' % 1 }}", "{{ '%1000000000d' is odd }}", "{{ '%1000000000d' is divisibleby(5) }}", "{{ 'x'|center(1000000000) }}", "{{ 'x'|indent(1000000000) }}", "{{ 'x'|ljust(9) }}",
    "{{ 'x'.ljust(1000000000) }}", "{{ 'x'|wordwrap(1) }}", "{{ lipsum(1000000) }}", "{{ 'x'|format }}",
    "{{ 1e18" + " * 1e18" * 30 + " }}", "{{ 999999999999999999" + " * 999999999999999999" * 30 + " }}",
    "{% for a in " + MANY + " %}{% for b in " + MANY + " %}{% endfor %}{% endfor %}",
    "{% for a in event.details.big %}{% for b in event.details.big %}{{ a ~ b }}{% endfor %}{% endfor %}",
    "{% for a in event.details.big %}{% if a|urlencode|upper|lower|upper == '' %}1{% endif %}{% endfor %}",
    "{% for a in event.details.big %}" + "{% if a ~ a ~ a ~ a == 'a' %}1{% endif %}" * 10 + "{% endfor %}",
    "{% for a in event.details.big %}" + "{% if event.details.big == event.details.tables %}{% endif %}" * 9 + "{% endfor %}",
    "{{ 'a'" + "|replace('a', 'aaaaaaaaaa')" * 35 + " }}", "{{ event.details.big|join(event.details.big[0]) }}",
    "{% for a in " + FEW + " %}{% for b in " + FEW + " %}" + "{% if a|number == b|plural('x') %}1{% endif %}" * 3 + "{% endfor %}{% endfor %}",
    "{% for a in " + FEW + " %}" + "{% if event.at|clock('Europe/Amsterdam') == '' %}1{% endif %}" * 40 + "{% endfor %}",
    "{% for a in message recursive %}{{ loop(message) }}{% endfor %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ 1" + "+1" * 1900 + " }}", "{{ 1" + "|upper" * 600 + " }}", "{{ 1" + " ~ 1" * 900 + " }}", _nested(1900), _nested(60),
    "{% if 1 %}" * 190 + "{% endif %}" * 190, "{{ " + "-" * 3900 + "1 }}", "{{ " + "not " * 900 + "1 }}", "{{ x" * 900,
]  # fmt: skip


@pytest.mark.parametrize("source", COSTLY, ids=range(len(COSTLY)))
def test_no_template_takes_long_or_makes_a_large_text(source):
    begun = time.process_time()
    try:
        shown = said(source, HUGE)
    except Unusable:
        shown = ""
    assert len(shown) <= 501
    assert time.process_time() - begun < 1.0  # the slowest took 0.15 s; what is bounded by nothing takes minutes


TOKENS = st.sampled_from(
    [
        "{{ ", " }}", "{% if ", " %}", "{% endif %}", "{% else %}", "{% for a in ", "{% endfor %}", "{% for a, b in ", "loop.index",
        "message", "event", ".details", ".big", ".tables", ".items", "[0]", "[:3]", "a", "b", "1", "999999999", "'x'", " * ", " + ",
        " ~ ", " in ", " == ", " and ", "not ", "-", "(", ")", "[", "]", ", ", "{'k': ", "}", " if ", " else ", " is defined", " is number", "|join('')",
        "|replace('x', 'yyyyyyyy')", "|urlencode", "|items", "|length", "|default('d')", "|map('a')", "|number", "|span", "\n", "é😀",
        "{% set a = ", "{% raw %}", "{% endraw %}", "{#", "#}", "()", " ** ", "__class__", ".x", "|first",
    ]
)  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(TOKENS, max_size=40).map("".join), st.integers(1, 200))
def test_whatever_somebody_writes_is_a_text_of_bearable_length_or_unusable(source, most):
    shown, why, line = "", "", 1
    try:
        shown = said(source, HUGE, most=most)
    except Unusable as error:
        why, line = str(error), error.line
    assert len(shown) <= most + 1
    assert line >= 1
    assert "\n" not in why


def test_all_texts_of_a_message_come_out_of_one_budget():
    dear = Text("{% for a in " + FEW + " %}{% for b in " + FEW + " %}{{ a }}{{ b }}{% endfor %}{% endfor %}")
    rule = TemplateRule(name="dear", fields={f"Field {number}": dear for number in range(20)})
    told = composed(event(), message_of(event()), [rule], "ops")
    assert told.fault is not None
    assert told.fault.why == (
        f"the template takes more than {STEPS_MAX:,} steps. Loop over less, such as message.items[:10]"
    )


def reworded(of: Event | None = None, channel: str = "ops", **texts) -> Message:
    of = of or event()
    fields = {name: Text(source) for name, source in texts.pop("fields", {}).items()}
    rule = TemplateRule(name="mine", fields=fields, **{name: Text(source) for name, source in texts.items()})
    told = composed(of, message_of(of), [rule], channel)
    assert told.fault is None
    assert told.template == "mine"
    return told.message


def test_only_what_has_a_template_changes_and_never_what_the_message_is_known_by():
    before = message_of(event())
    assert reworded(title="PROD: {{ message.title }}") == replace(before, title="PROD: Export 24116 failed in prod")
    assert reworded(action="") == replace(before, action="")
    assert reworded(items="{% for one in event.details.errors %}{{ one.code }}\n{% endfor %}").items == ("11", "12")
    every = reworded(**{name: f"my {name}" for name in TEXTS}, fields={"F": "f"})
    for name in TEXTS:
        assert getattr(every, name) == (("my items",) if name == "items" else f"my {name}")
    for name in ("event_id", "type", "at", "severity", "standing", "subject", "links"):
        assert getattr(every, name) == getattr(before, name)


def test_an_explanation_that_comes_out_empty_is_left_out():
    explained = replace(message_of(event()), explanation="Ask the team.")
    rule = TemplateRule(name="mine", explanation=Text("{% if event.late %}x{% endif %}"))
    assert composed(event(), explained, [rule], "ops").message.explanation == ""


def test_a_title_or_summary_that_comes_out_empty_is_the_standard_one():
    before = message_of(event())
    told = reworded(
        title="{% if event.late %}x{% endif %} ", summary=" {{ event.reason }}\n", action="{{ event.reason }}"
    )
    assert (told.title, told.summary, told.action) == (before.title, before.summary, "")


def test_fields_are_replaced_in_their_places_taken_out_and_added():
    names = [name for name, _ in message_of(event()).fields]
    told = reworded(
        fields={"Job": "#{{ event.job_id }}", "Kind": "", "Local": "{{ event.at|clock }}", "None": "{{ event.reason }}"}
    )
    assert [name for name, _ in told.fields] == [name for name in names if name != "Kind"] + ["Local"]
    assert dict(told.fields)["Job"] == "#24116"
    told = reworded(fields={"*": "", "Job": "{{ message.fields.Job }}", "New": "x"})
    assert told.fields == (("Job", "24116"), ("New", "x"))


def test_what_a_template_says_holds_no_control_characters_and_keeps_its_limits():
    odd = event(details={"why": "a\x1b[31mb\u202ec\r\nd\x00" + "😀" * 5000, "many": ["line"] * 190})
    lines = "{% for one in event.details.many %}{{ one }}\n{% endfor %}"
    told = reworded(
        odd, title="{{ event.details.why }}\nsecond", summary=lines, action="{{ event.details.why }}", items=lines,
        fields={f"Field {number}": "{{ event.details.why }}" for number in range(40)},
    )  # fmt: skip
    assert told.title.startswith("a [31mb c d 😀")
    assert len(told.title) == 200
    assert told.title.endswith("…")
    assert told.summary.splitlines()[-1] == "… and 179 more"
    assert len(told.items) == ITEMS_MAX
    assert told.items_left == 140
    assert len(told.fields) == FIELDS_MAX
    assert all(len(value) <= 600 and value.replace("\n", "").isprintable() for _, value in told.fields)


def test_the_first_that_matches_on_a_channel_speaks_and_the_others_are_not_asked():
    rules = [
        TemplateRule(name="far", channels=("pager",), title=Text("far")),
        TemplateRule(name="dev", condition=Condition(match={"sandbox": ("dev",)}), title=Text("dev")),
        TemplateRule(name="nl", condition=Condition(matchers=parse('segment=~"nl-.*"')), title=Text("nl")),
        TemplateRule(name="all", title=Text("all")),
    ]
    chosen = {name: composed(event(), message_of(event()), rules, name) for name in ("ops", "pager")}
    assert {name: told.template for name, told in chosen.items()} == {"ops": "nl", "pager": "far"}
    plain = event(details={})
    assert composed(plain, message_of(plain), rules, "ops").message.title == "all"
    assert composed(plain, message_of(plain), rules[:3], "ops").message == message_of(plain)


def test_a_template_that_fails_leaves_the_standard_words_whole_and_says_what_and_where():
    rule = TemplateRule(name="oncall", title=Text("fine"), fields={"Cause": Text("a\n{{ event.details.eror }}")})
    told = composed(event(), message_of(event()), [rule, TemplateRule(name="next", title=Text("no"))], "ops")
    assert told.message == message_of(event())
    assert told.template == ""
    assert told.fault is not None
    assert (told.fault.template, told.fault.part, told.fault.line) == ("oncall", "fields.Cause", 2)
    assert str(told.fault).startswith("fields.Cause, line 2: event.details.eror is not there. Write ")


def test_every_field_of_a_message_and_of_an_event_can_be_seen():
    assert {"title", "summary", "action", "fields", "items", "links", "severity", "standing"} <= set(KNOWN["message"])
    payload = event(details={}).payload()
    assert set(KNOWN["event"]) == {"at", "type", "details", *payload["data"]}
    seen = view_of(event(), message_of(event()))
    assert {name: set(table) for name, table in seen.items()} == {name: set(names) for name, names in KNOWN.items()}


@pytest.mark.parametrize("name", PLAIN)
def test_every_filter_says_what_it_gives_and_bears_whatever_it_is_given(name):
    assert PLAIN[name].__doc__
    for value in ("''", "1", "true", "none", "message", "message.items", "event.details", "'x' * 0", "[[1]]", "1e300"):
        for args in ("", "('a')", "(1)", "(-1)", "('a', 'b')", "(none)", "(message.fields)"):
            source = "{{ " + value + "|" + name + args + " }}"
            why = ""
            try:
                said(source)
            except Unusable as error:
                why = str(error)
            assert "fails with" not in why, source
