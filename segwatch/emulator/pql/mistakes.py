"""What somebody probably meant who wrote what is not PQL."""

import re
from collections.abc import Iterable

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.tree import Place

# Where the reader stopped, this stands: (what is there, what to write instead). The first that fits is said.
_MISTAKES = (
    (r"'", 'texts stand in double quotes. Write "text".'),
    (r"[\u2018\u2019\u201c\u201d\u00ab\u00bb\u201e]", 'this is a typographic quote. Write "text" with straight ones.'),
    (r'"', "this text has no end. Close it with a double quote."),
    (r"==|=\s*=", "equality is a single sign. Write =."),
    (r"<>", "inequality is another sign. Write !=."),
    (r"&", "conditions are joined by words. Write and."),
    (r"\|", "conditions are joined by words. Write or."),
    (r"(?i)is\b", "there is no operator `is`. Write field.isNull() or field.isNotNull()."),
    (r"(?i)not\s+in\b", "this operator is one word. Write notIn."),
    (r"(?i)not\s+like\b|notLike\b", 'this operator does not exist. Write not (text like "a%").'),
    (r"(?i)between\b", "ranges of numbers take two comparisons. Write a >= 1 and a <= 2."),
    (
        r"(?i)matches\b|contains\b|startsWith\b|endsWith\b",
        'this function stands after a dot. Write text.contains("a").',
    ),
    (
        r"(?i)(select|exists|forall|sum|average|min|max)\b",
        "a search stands in parentheses here. Write (exists X from ...).",
    ),
    (r"(?i)(second|minute|hour|day|week|month|year)s?\b", "a distance is compared. Write occurs <= 3 days before now."),
    (r"(?i)let\b", "`let` is not computed here. Write the expression out where its name would stand."),
    (r"(?i)count\s*\(", "COUNT within a chain is not computed here. Write array[condition].count() >= 3."),
    (
        r"(?i)order\b|limit\b|group\b",
        "this is a word of SQL. Write a condition of PQL.",
    ),
    (r"=>", "a parameter stands first, in parentheses. Write (Profile) => ..."),
    (r"\]", "an array or a condition is missing in the brackets. Write at least one item."),
    (r"\)", "this parenthesis closes nothing, or comes too early. Write its other half."),
)
_READABLE = {
    "AND": "and",
    "OR": "or",
    "COMPARISON": "a comparison",
    "NAME": "a name",
    "STRING": "a text",
    "INTEGER": "a whole number",
    "UNIT": "a unit such as days",
    "DIRECTION": "before or after",
    "FROM": "from",
    "OVER": "over",
    "RPAR": ")",
    "RSQB": "]",
    "COLON": ":",
    "COMMA": ",",
    "WHAT": "WHAT",
}


_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[()\[\]]', re.DOTALL)  # texts, so that brackets within them do not count
_CLOSING = {"(": ")", "[": "]"}
_NAMED = {"(": "parenthesis", "[": "bracket"}

# Where a search (or a `let`) cannot begin, its first word is read as a name, and the reader stops at the next one.
_SEARCH = re.compile(r"(?i)\b(select|exists|forall|sum|average|min|max|let)\s+$")

_UNIT = r"(?:millisecond|second|minute|hour|day|week|month|year|decade|centur|millenni)\w*\b"
# What stands before the place where the reader stopped, and what stands there.
_SEVERAL = (re.compile(r"(?i)\b(last|next)\s+$"), re.compile(rf"(?i)(\d+\s*{_UNIT})"))
_COMPARED = (re.compile(r"(?i)([=!<>]+)\s*((?:last|this|next)\s+)$"), re.compile(rf"(?i)({_UNIT})"))
_IN_PARENTHESES = re.compile(r'(?i)\b(?:in|notIn)\s*\(((?:[^()\[\]"]|"(?:[^"\\]|\\.)*")*)$', re.DOTALL)
_REST = re.compile(r'(?:[^()\[\]"]|"(?:[^"\\]|\\.)*")*', re.DOTALL)
_OF_A_PERIOD = {
    "=": "occurs {}",
    "!=": "not (field occurs {})",
    "<": "occurs before {}",
    ">": "occurs after {}",
    "<=": "not (field occurs after {})",
    ">=": "not (field occurs before {})",
}


def explained(source: str, position: int, found: str, expected: Iterable[str]) -> PqlError:
    """Return the error for a text that could be read up to `position` (from 0)."""
    search = _SEARCH.search(source[max(0, position - 100) : position])
    if search and found.isidentifier():
        position -= len(search[0])
    place = _place(source, position)
    if not source.strip():
        return PqlError('the query is empty. Write a condition, such as homeAddress.country = "NL".', place)
    if (unclosed := _unclosed(source, position)) is not None:
        return unclosed
    if position >= len(source):
        return PqlError(f"the query ends too early.{_wanted(expected) or ' Write the rest of the condition.'}", place)
    if (sentence := _by_what_is_before(source, position)) is not None:
        return PqlError(sentence, place)
    for pattern, sentence in _MISTAKES:
        if re.match(pattern, source[position:]):
            return PqlError(sentence, place)
    word = found or source[position]
    return PqlError(f"{_shown(word)} is not expected here.{_wanted(expected) or ' Leave it out.'}", place)


def _by_what_is_before(source: str, position: int) -> str | None:
    """Return what to write instead of a time or an array that was begun as none can be."""
    before, rest = source[max(0, position - 200) : position], source[position : position + 200]
    if (word := _SEVERAL[0].search(before)) and (several := _SEVERAL[1].match(rest)):
        side = "before" if word[1].lower() == "last" else "after"
        return f"`{word[1]}` takes one unit, without a number. Write occurs <= {several[1]} {side} now."
    if (compared := _COMPARED[0].search(before)) and (unit := _COMPARED[1].match(rest)):
        period = _OF_A_PERIOD.get(compared[1], "occurs {}").format(compared[2] + unit[1])
        return f"a period stands after occurs. Write {period}."
    if rest.startswith(",") and (opened := _IN_PARENTHESES.search(before)):
        items = opened[1] + next(_REST.finditer(rest))[0]
        if '"' not in items:  # where a comma may be a text's own
            items = re.sub(r"\s*,\s*", ", ", items)
        return f"an array stands in brackets. Write [{items}]."
    return None


def _place(source: str, position: int) -> Place:
    before = source[:position]
    return Place(line=before.count("\n") + 1, column=position - before.rfind("\n"), offset=position + 1)


def _unclosed(source: str, position: int) -> PqlError | None:
    """Return the error if a bracket is still open at the end, or where one of the other sort is closed."""
    opened = _still_open(source[:position])
    if not opened:
        return None
    kind = source[opened[-1]]
    if position >= len(source):
        outer = [str(_place(source, place)) for place in opened[-3:-1]]
        also = f" Nor is what was opened at {', and '.join(outer)}." if outer else ""
        sentence = f"this {_NAMED[kind]} is not closed.{also} Write what is missing in it, and {_CLOSING[kind]}."
        return PqlError(sentence, _place(source, opened[-1]))
    if source[position] in ")]" and source[position] != _CLOSING[kind]:
        sentence = f"the {_NAMED[kind]} of {_place(source, opened[-1])} is still open here. Write {_CLOSING[kind]}."
        return PqlError(sentence, _place(source, position))
    return None


def _still_open(text: str) -> list[int]:
    """Return where (from 0) each bracket stands that is not closed, outermost first."""
    opened: list[int] = []
    for found in _BRACKETS.finditer(text):
        if found[0] in _CLOSING:
            opened.append(found.start())
        elif opened and found[0] == _CLOSING[text[opened[-1]]]:
            opened.pop()
    return opened


def _shown(word: str) -> str:
    return repr(word) if len(word) <= 40 else f"{word[:40]!r}..."


def _wanted(expected: Iterable[str]) -> str:
    words = sorted({_READABLE[name] for name in expected if name in _READABLE})
    return f" Write {', or '.join(words)}." if 0 < len(words) < 4 else ""
