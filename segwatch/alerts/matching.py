"""Whether labels are as somebody asks: by `match`, and by matchers.

Matchers are written and read as Alertmanager's: `severity=critical`, `sandbox!="dev"`, `segment=~"nl-.*"`.

Source of their syntax: https://prometheus.io/docs/alerting/latest/configuration/#matcher
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

import re2

from segwatch.alerts.labels import LABELS
from segwatch.alerts.model import Labels
from segwatch.alerts.notices import FOR_ONE, follows_no_route
from segwatch.errors import BadValue, hint
from segwatch.jobs.events import EventType, Severity

_WORDS = {
    "type": tuple(one.value for one in EventType),
    "severity": tuple(one.value for one in Severity),
    "late": ("true", "false"),
}
_LONGEST = 1000  # of one matcher; RE2 answers in linear time, but a pattern is also kept and shown

_HEAD = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!=|!~|=)\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*', re.DOTALL)
_BARE = re.compile(r'[^",{}]*')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@-]+")
_SHAPE = 'Write a label, one of = != =~ !~, and a value, such as severity="critical".'


class Operator(StrEnum):
    """How a label is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    NOT_MATCHES = "!~"

    @property
    def negates(self) -> bool:
        return self in (Operator.NOT_EQUAL, Operator.NOT_MATCHES)

    @property
    def is_regex(self) -> bool:
        return self in (Operator.MATCHES, Operator.NOT_MATCHES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """What one label must be.

    A label that is missing is the empty text, so `segment=""` matches what has none. Where a label has several values,
    one of them must fit; a negation holds when none does. A regular expression (RE2) must fit the whole value.
    """

    label: str
    operator: Operator
    value: str

    def fits(self, labels: Labels) -> bool:
        """Return whether the labels are as this demands."""
        values = labels.get(self.label) or ("",)
        if self.operator.is_regex:
            pattern = _compiled(self.value)
            found = any(pattern.fullmatch(value.encode(errors="replace")) for value in values)
        else:
            found = self.value in values
        return found is not self.operator.negates

    def __str__(self) -> str:
        """Return the matcher as `parse` reads it."""
        if _PLAIN.fullmatch(self.value):
            return f"{self.label}{self.operator}{self.value}"
        text = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.operator}"{text}"'


Scalar = str | int | bool
MatchValue = Scalar | Sequence[Scalar]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which labels an event must have, as routes, links and templates ask for them.

    match: a label -> the text that the event must have there, or a list of which it must have one. `{}` matches
    everything, an empty list nothing. Raises ValueError for a label that no event has.
    matchers: must fit besides.
    """

    match: Mapping[str, MatchValue] = field(default_factory=dict)
    matchers: tuple[Matcher, ...] = ()

    def __post_init__(self) -> None:
        for label in self.match:
            if label not in LABELS:
                raise ValueError(f'no event has the label "{label}"; known: {", ".join(LABELS)}')

    def objection(self, labels: Labels) -> str:
        """Return what of these labels is not as it must be; "" when all fits. A label that is missing is empty."""
        for label, value in self.match.items():
            wanted, found = _wanted(value), labels.get(label) or ("",)
            if not set(wanted) & set(found):
                return f"{label} is {_listed(found)}, not {' or '.join(wanted) or 'anything'}"
        for matcher in self.matchers:
            if not matcher.fits(labels):
                return f"{matcher.label} is {_listed(labels.get(matcher.label, ()))}, which is not {matcher}"
        return ""

    def about(self, labels: Container[str]) -> "Condition":
        """Return what it asks of these labels alone."""
        return Condition(
            match={label: value for label, value in self.match.items() if label in labels},
            matchers=tuple(matcher for matcher in self.matchers if matcher.label in labels),
        )

    @property
    def is_empty(self) -> bool:
        """True when everything fits."""
        return not self.match and not self.matchers


def fit(matchers: Iterable[Matcher], labels: Labels) -> bool:
    """Return whether all matchers fit; an empty list fits everything."""
    return all(matcher.fits(labels) for matcher in matchers)


def parse(text: str) -> tuple[Matcher, ...]:
    """Return the matchers that a text writes: one, or several between commas, in braces or not.

    Raises BadValue for anything else, for a label or a word that no event has, and for a pattern that RE2 cannot read.
    """
    if len(text) > _LONGEST:
        raise BadValue(f", which is longer than {_LONGEST} characters. Write several matchers.")
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].rstrip().removesuffix(",")
    found = []
    while True:
        matcher, rest = _first(rest)
        found.append(_checked(matcher))
        if not rest:
            return tuple(found)
        if not rest.startswith(","):
            raise BadValue(f". Put values with blanks, commas, braces or quotes in quotes. {_SHAPE}")
        rest = rest[1:]


def routable(matchers: tuple[Matcher, ...]) -> tuple[Matcher, ...]:
    """Return the matchers. Raises BadValue where one asks for what no route leads, and no silence stops, anywhere."""
    for matcher in matchers:
        if matcher.label != "type" or matcher.operator not in (Operator.EQUAL, Operator.MATCHES) or not matcher.value:
            continue
        fit = [type_ for type_ in EventType if matcher.fits({"type": (type_.value,)})]
        if FOR_ONE.issuperset(fit):
            raise BadValue(follows_no_route(fit[0]))
    return matchers


def parse_all(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """Return the matchers of all texts, in order. Raises BadValue."""
    return tuple(matcher for text in texts for matcher in parse(text))


def _wanted(value: MatchValue) -> tuple[str, ...]:
    if isinstance(value, str | int):
        return (_text(value),)
    return tuple(_text(one) for one in value)


def _text(value: object) -> str:
    """Return the text that a setting writes for `value`: TOML may say `late = true` and `job_id = 24116`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "empty"


def _first(text: str) -> tuple[Matcher, str]:
    """Return the matcher at the beginning of the text, and what follows it."""
    head = _HEAD.match(text)
    if head is None:
        raise BadValue(f", which is no matcher. {_SHAPE}")
    body = _QUOTED.match(text, head.end())
    if body is not None:
        value = _ESCAPE.sub(_unescaped, body[1])
    else:
        body = _BARE.match(text, head.end())
        value = "" if body is None else body[0].strip()
    end = head.end() if body is None else body.end()
    return Matcher(label=head[1], operator=Operator(head[2]), value=value), text[end:]


def _unescaped(escape: re.Match[str]) -> str:
    # as Alertmanager: what is no escape stays as it is, so that a pattern may hold \d between quotes
    return {"n": "\n", '"': '"', "\\": "\\"}.get(escape[1], escape[0])


def _checked(matcher: Matcher) -> Matcher:
    if matcher.label not in LABELS:
        raise BadValue(
            f", which names no label of ours. Known labels: {', '.join(LABELS)}.{hint(matcher.label, LABELS)}"
        )
    if matcher.operator.is_regex:
        _compiled(matcher.value)
    words = _WORDS.get(matcher.label)
    if words is None or matcher.value == "":
        return matcher
    positive = Operator.MATCHES if matcher.operator.is_regex else Operator.EQUAL
    one = Matcher(label=matcher.label, operator=positive, value=matcher.value)
    if not any(one.fits({matcher.label: (word,)}) for word in words):
        likely = hint(matcher.value, words) or f" Known: {', '.join(words)}."
        whole = " A pattern must fit the whole value." if matcher.operator.is_regex else ""
        raise BadValue(f", and no event has that {matcher.label}.{whole}{likely}")
    return matcher


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    """Return the compiled pattern. RE2 needs linear time for each: none that somebody sends can stop the loop."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as exc:
        why = exc.args[0].decode(errors="replace") if exc.args and isinstance(exc.args[0], bytes) else "no valid text"
        raise BadValue(f", whose pattern RE2 cannot read: {why}. See github.com/google/re2/wiki/Syntax.") from None
