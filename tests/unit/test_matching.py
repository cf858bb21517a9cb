"""Matchers read, write and decide as Alertmanager's do."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segwatch.alerts.labels import LABELS
from segwatch.alerts.matching import Matcher, Operator, fit, parse, parse_all, routable
from segwatch.errors import BadValue

LABELED = {"severity": ("critical",), "sandbox": ("prod",), "segment": ("nl-1", "be-2"), "dataset": ()}


def matcher(label, operator, value):
    return Matcher(label=label, operator=Operator(operator), value=value)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("sandbox=prod", [("sandbox", "=", "prod")], id="bare"),
        pytest.param('sandbox="prod"', [("sandbox", "=", "prod")], id="quoted"),
        pytest.param(" sandbox != prod ", [("sandbox", "!=", "prod")], id="blanks"),
        pytest.param('severity=~"warning|critical"', [("severity", "=~", "warning|critical")], id="regex"),
        pytest.param("segment!~nl-.*", [("segment", "!~", "nl-.*")], id="negated-regex"),
        pytest.param('{sandbox="a,b", kind=x,}', [("sandbox", "=", "a,b"), ("kind", "=", "x")], id="braces-and-comma"),
        pytest.param("sandbox=prod,kind=x", [("sandbox", "=", "prod"), ("kind", "=", "x")], id="several"),
        pytest.param('dataset=""', [("dataset", "=", "")], id="empty"),
        pytest.param("dataset=", [("dataset", "=", "")], id="empty-without-quotes"),
        pytest.param(r'reason="a \"b\" \\ c\nd"', [("reason", "=", 'a "b" \\ c\nd')], id="escapes"),
        pytest.param(r'job_id=~"\d+"', [("job_id", "=~", r"\d+")], id="a-pattern's-own-escape"),
        pytest.param("reason=a b", [("reason", "=", "a b")], id="a-blank-inside"),
        pytest.param("alert=work/prod/export_job/24116", [("alert", "=", "work/prod/export_job/24116")], id="subject"),
    ],
)
def test_a_text_is_read_as_alertmanager_reads_it(text, read):
    assert parse(text) == tuple(matcher(*one) for one in read)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "no matcher. Write a label", id="nothing"),
        pytest.param("{}", "no matcher", id="empty-braces"),
        pytest.param("sandbox", "no matcher", id="no-operator"),
        pytest.param("sandbox==prod x", "", id="equal-sign-in-the-value-is-a-value"),
        pytest.param('sandbox="prod', "Put values with", id="open-quote"),
        pytest.param('sandbox=pr"od', "Put values with", id="quote-inside"),
        pytest.param('sandbox="prod"x', "Put values with", id="more-behind-the-quote"),
        pytest.param("job_id=~a{2}", "Put values with", id="braces-without-quotes"),
        pytest.param("severty=critical", "Did you mean severity?", id="unknown-label"),
        pytest.param("severity=crit", "no event has that severity. Did you mean critical?", id="unknown-word"),
        pytest.param('severity=~"crit"', "A pattern must fit the whole value. Did you mean critical?", id="anchored"),
        pytest.param("type!=job.fayled", "Did you mean job.failed?", id="unknown-type"),
        pytest.param("late=yes", "Known: true, false.", id="late"),
        pytest.param('job_id=~"("', "RE2 cannot read: missing ): (", id="bad-pattern"),
        pytest.param('job_id=~"a(?=b)"', "RE2 cannot read", id="what-re2-does-not-have"),
        pytest.param(f"job_id={'x' * 1001}", "longer than 1000 characters", id="endless"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text, said):
    if not said:
        assert parse(text)[0].value == "=prod x"
        return
    with pytest.raises(BadValue, match=said.replace("(", r"\(").replace(")", r"\)").replace("?", r"\?")):
        parse(text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("severity=critical", True),
        ("severity!=critical", False),
        ("severity!=info", True),
        ("sandbox=~pro", False),
        ("sandbox=~pro.*", True),
        ("sandbox!~pro", True),
        ('severity=~"warning|critical"', True),
        ("segment=be-2", True),
        ("segment!=be-2", False),
        ("segment!=fr-3", True),
        ('segment=~"nl-.*"', True),
        ('segment!~"nl-.*"', False),
        ('dataset=""', True),
        ('dataset!=""', False),
        ("dataset=d1", False),
        ("dataset!=d1", True),
        ('dataset=~".+"', False),
        ('dataset=~".*"', True),
    ],
)
def test_a_missing_label_is_empty_and_one_of_several_values_is_enough(text, fits):
    assert fit(parse(text), LABELED) is fits


def test_all_matchers_must_fit_and_none_fits_everything():
    assert fit(parse_all(["severity=critical", "sandbox=prod"]), LABELED)
    assert not fit(parse_all(["severity=critical", "sandbox=dev"]), LABELED)
    assert fit((), LABELED)


def test_a_pattern_that_would_take_another_engine_for_ever_is_answered_at_once():
    (one,) = parse('job_id=~"(a+)+b"')
    assert not one.fits({"job_id": ("a" * 5000,)})


texts = st.text(st.characters(codec="utf-8"), max_size=40)
free_labels = st.sampled_from([label for label in LABELS if label not in ("type", "severity", "late")])


@given(free_labels, st.sampled_from(["=", "!="]), texts)
@example("reason", "=", 'a\\"b\n')
def test_what_is_written_is_read_as_the_same(label, operator, value):
    one = matcher(label, operator, value)
    assert parse(str(one)) == (one,)
    assert parse("{" + f"{one}, {one}" + "}") == (one, one)


@given(free_labels, texts, st.lists(texts, max_size=3))
def test_a_negation_is_always_the_opposite(label, value, values):
    labels = {label: tuple(one for one in values if one)}
    assert matcher(label, "=", value).fits(labels) is not matcher(label, "!=", value).fits(labels)


@given(texts)
def test_any_text_is_read_or_refused(text):
    try:
        parse(text)
    except BadValue as error:
        assert str(error).startswith((",", "."))  # noqa: PT017 - most texts are refused, some are not


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("type=alert.firing", "Write the type of what opens the alert"),
        ('type=~"alert.*"', "follows no route itself"),
        ("type=digest.daily", "a channel has it by its setting `digest`"),
    ],
)
def test_a_route_does_not_wait_for_what_follows_none(text, hint):
    with pytest.raises(BadValue, match=hint):
        routable(parse(text))


@pytest.mark.parametrize("text", ["type!=alert.firing", 'type=~"(job|alert)[.].*"', "type=job.failed", "type="])
def test_what_also_fits_others_may_be_asked_for(text):
    assert routable(parse(text)) == parse(text)
