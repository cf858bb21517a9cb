"""Templates in the settings: what is wrong with one is told in a line, before there is an event."""

# ruff: noqa: E501  (a row of the table is one mistake and the whole line that it is told in)

import pytest
from settings_files import settings_with

from segwatch.config import ConfigError, redacted, schema

HOUSE = """
[[channels]]
name = "ops"
kind = "slack"
url = "https://hooks.example.test/hush-hush"
[[channels]]
name = "events"
kind = "webhook"
url = "https://hooks.example.test/hush-hush"
[[templates]]
name = "oncall"
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "templates[0] changes nothing. Write title, summary, explanation, action, items or fields."),
        ("title = ' '", 'templates[0].title is " ", which is empty. Leave it out to keep the standard text.'),
        ("title = '{{ mesage.title }}'", 'templates[0].title is "{{ mesage.title }}", which in line 1 names "mesage", which is not known here. Did you mean message?'),
        ('summary = """a\n{{ event.details.x|uper }}"""', 'templates[0].summary is "a\\n{{ event.details.x|uper }}", which in line 2 has the filter "uper", which there is not. Did you mean upper?'),
        ("action = '{{ range(9) }}'", 'templates[0].action is "{{ range(9) }}", which in line 1 calls something, and nothing can be called. Write a filter, such as event.at|clock.'),
        ("items = '{% for one in message.items %}'", "templates[0].items is \"{% for one in message.items %}\", which in line 1 cannot be read: Unexpected end of template. Jinja was looking for the following tags: 'endfor' or 'else'. The innermost block that needs to be closed is 'for'."),
        ("fields = { Job = '{{ event.job }}' }", 'templates[0].fields.Job is "{{ event.job }}", which in line 1 names event.job, which is not there. Did you mean job_id?'),
        ("fields = { Job = 7 }", "templates[0].fields.Job is 7, which is not text. Write it in quotes."),
        ("fields = { '*' = 'x' }", 'templates[0].fields, in which "*" has a template. Write "*" = "" to take all other fields out.'),
        ("fields = { ' ' = 'x' }", "templates[0].fields, of which one name is none for a field. Write one of at most 40 letters."),
        ("title = 'x'\nchannels = ['opz']", 'templates[0].channels[0] is "opz". Known channels: ops, events. Did you mean ops?'),
        ("title = 'x'\nchannels = ['ops', 'events']", 'templates[0].channels[1] is "events", a webhook, which sends the event itself and no words. Leave it out.'),
        ("title = 'x'\nmatch = { sandbox = 'prd' }", 'templates[0].match.sandbox is "prd". Known sandboxes: prod. Did you mean prod?'),
        ("title = 'x'\nmatch = { type = 'job.fayled' }", 'templates[0].match.type is "job.fayled". Did you mean job.failed?'),
        ("title = 'x'\nmatchers = ['sandbx=prod']", 'templates[0].matchers[0] is "sandbx=prod", which names no label of ours. Known labels: type, severity, sandbox, kind, status, reason, job_id, late, segment, dataset, pipeline, schedule, channel, alert. Did you mean sandbox?'),
        ("title = 'x'\n[[templates]]\nname = 'oncall'\ntitle = 'x'", 'templates[1].name is "oncall", which templates[0] has already. Write another name.'),
        ("titel = 'x'\naction = ''", "templates[0].titel is not a setting. Did you mean title?"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_line(tmp_path, text, line):
    with pytest.raises(ConfigError) as caught:
        settings_with(tmp_path, HOUSE + text)
    assert caught.value.problems == (f"{tmp_path}/config.toml: {line}",)


def test_every_text_that_is_wrong_is_told_of(tmp_path):
    text = "title = '{{ x }}'\nfields = { A = '{{ y }}', B = 'fine', C = '{{ z' }"
    with pytest.raises(ConfigError) as caught:
        settings_with(tmp_path, HOUSE + text)
    assert [line.split()[1] for line in caught.value.problems] == [
        "templates[0].title",
        "templates[0].fields.A",
        "templates[0].fields.C",
    ]


def test_what_is_right_becomes_a_rule_and_is_shown_as_it_was_written(tmp_path):
    text = """
channels = ["ops"]
match = { type = ["job.failed"], sandbox = "prod" }
matchers = ['segment=~"nl-.*"']
title = "{{ message.title }}"
action = ""
[templates.fields]
"*" = ""
Job = "{{ event.job_id }}"
"""
    settings = settings_with(tmp_path, HOUSE + text)
    rule = settings.templates[0].rule
    assert (rule.name, rule.channels, list(rule.fields)) == ("oncall", ("ops",), ["*", "Job"])
    assert rule.condition.match == {"type": ("job.failed",), "sandbox": ("prod",)}
    assert [str(one) for one in rule.condition.matchers] == ['segment=~"nl-.*"']
    assert rule.title is not None
    assert rule.action is not None
    assert rule.summary is None
    assert redacted(settings)["templates"][0]["fields"] == {"*": "", "Job": "{{ event.job_id }}"}
    assert "templates" in schema()["properties"]
