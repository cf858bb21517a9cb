"""What a template makes of a message: its texts, within limits. What it is about, and to whom it is known, stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from segwatch.alerts.labels import labels_of
from segwatch.alerts.matching import Condition
from segwatch.deliveries.message import Message
from segwatch.deliveries.phrases import printable
from segwatch.deliveries.runes import ELLIPSIS, clip
from segwatch.deliveries.templates.budget import Budget
from segwatch.deliveries.templates.checking import Unusable
from segwatch.deliveries.templates.language import Text
from segwatch.deliveries.templates.view import view_of
from segwatch.jobs.events import Event

# Runes. Every channel keeps its own limits besides; with these the smallest of them can be kept: Teams has 28,000 bytes
# for all, and lays out each line and each field for itself.
TITLE_MAX = 200
SUMMARY_MAX = 1500
EXPLANATION_MAX = 600
ACTION_MAX = 600
NAME_MAX = 40
VALUE_MAX = 600
ITEM_MAX = 600
LINES_MAX = 12  # of a summary, an explanation, an action or a value
ITEMS_MAX = 50
FIELDS_MAX = 30  # with those that were there
TEXTS = ("title", "summary", "explanation", "action", "items")  # what a template can say, beside the fields
REST = "*"  # in place of a field's name: all that have no template


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRule:
    """What channels say of some events in place of the standard texts.

    channels: whose; () for all. condition: of which events. title, summary, explanation, action,
    items: None keeps the standard one. fields: by name; "" takes one out. `Text` is immutable, and may be shared.
    """

    name: str
    channels: tuple[str, ...] = ()
    condition: Condition = field(default_factory=Condition)
    title: Text | None = None
    summary: Text | None = None
    explanation: Text | None = None
    action: Text | None = None
    items: Text | None = None
    fields: Mapping[str, Text] = field(default_factory=dict)

    def takes(self, event: Event, channel: str) -> bool:
        """True when the channel says this of the event."""
        is_meant = not self.channels or channel in self.channels
        return is_meant and not self.condition.objection(labels_of(event))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a template could not word an event. part: which of its texts; line: where in that, from 1."""

    template: str
    part: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.part}, line {self.line}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What is said of an event. template: the name of the one that says it, "" for the standard texts.

    fault: why it is the standard texts, although there is a template.
    """

    message: Message
    template: str = ""
    fault: Fault | None = None


def composed(event: Event, message: Message, rules: Sequence[TemplateRule], channel: str) -> Composed:
    """Return what the channel says of an event: as the first rule that takes it says, else the message as it is.

    A rule that fails changes nothing of it: somebody is told in any case, and of everything.
    """
    rule = next((one for one in rules if one.takes(event, channel)), None)
    if rule is None:
        return Composed(message=message)
    writer = _Writer(event, message)
    try:
        return Composed(message=_rewritten(rule, message, writer), template=rule.name)
    except Unusable as error:
        fault = Fault(template=rule.name, part=writer.part, line=error.line, why=str(error))
        return Composed(message=message, fault=fault)


class _Writer:
    """Renders the texts for one event, out of one budget. part: which one it is at."""

    def __init__(self, event: Event, message: Message) -> None:
        self.part = ""
        self._view = view_of(event, message)
        self._budget = Budget(at=event.at)

    def text(self, part: str, text: Text, most: int, *, lines: int = LINES_MAX, blank: str = "") -> str:
        """Return what a template says, in lines that can be shown. blank: what stands there if it says nothing."""
        self.part = part
        # a blank counts as a rune until it is taken out
        shown = _lines(text.render(self._view, self._budget, 2 * most))
        if lines == 1:
            return clip(" ".join(shown), most) or blank
        return clip("\n".join(_first(shown, lines)), most) or blank

    def items(self, text: Text) -> tuple[tuple[str, ...], int]:
        """Return the first lines, and how many are left out."""
        self.part = "items"
        shown = _lines(text.render(self._view, self._budget, ITEMS_MAX * ITEM_MAX))
        return tuple(clip(one, ITEM_MAX) for one in shown[:ITEMS_MAX]), max(0, len(shown) - ITEMS_MAX)


def _rewritten(rule: TemplateRule, message: Message, writer: _Writer) -> Message:
    title, summary, items = message.title, message.summary, message.items
    explanation, action, left = message.explanation, message.action, message.items_left
    if rule.title:
        title = writer.text("title", rule.title, TITLE_MAX, lines=1, blank=title)
    if rule.summary:
        summary = writer.text("summary", rule.summary, SUMMARY_MAX, blank=summary)
    if rule.explanation:
        explanation = writer.text("explanation", rule.explanation, EXPLANATION_MAX)
    if rule.action:
        action = writer.text("action", rule.action, ACTION_MAX)
    if rule.items:
        items, left = writer.items(rule.items)
    fields = _fields(rule, message, writer)
    return replace(
        message,
        title=title,
        summary=summary,
        explanation=explanation,
        action=action,
        items=items,
        items_left=left,
        fields=fields,
    )


def _fields(rule: TemplateRule, message: Message, writer: _Writer) -> tuple[tuple[str, str], ...]:
    """Return the fields: those that were there in their places, then the new ones, none without a value."""
    if not rule.fields:
        return message.fields
    keeps_rest = REST not in rule.fields
    kept = {name: value for name, value in message.fields if keeps_rest or name in rule.fields}
    written = {
        name: writer.text(f"fields.{name}", text, VALUE_MAX) for name, text in rule.fields.items() if name != REST
    }
    return tuple((name, value) for name, value in (kept | written).items() if value)[:FIELDS_MAX]


def _first(lines: list[str], most: int) -> list[str]:
    """Return the first lines; the last of them counts those that are left out."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"{ELLIPSIS} and {len(lines) - most + 1:,} more"]


def _lines(text: str) -> list[str]:
    return [line for line in map(printable, text.splitlines()) if line]
