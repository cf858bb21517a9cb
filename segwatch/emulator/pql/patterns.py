"""Regular expressions that mean the same in Java, which PQL refers to, and in RE2, which DuckDB runs."""

import re

from segwatch.emulator.pql.errors import PqlError
from segwatch.emulator.pql.tree import Text

MAX_LENGTH = 500
MAX_REPEAT = 100
MAX_COST = 1_000  # characters after all repetitions are written out: RE2 gives up at some ten thousand

_ESCAPED = r"\\(?:[dDwWsStnrf]|[^A-Za-z0-9\s])"
_TOKEN = re.compile(
    rf"""
    (?P<flags>\(\?[ims]+\))
  | (?P<open>\((?:\?:)?(?!\?))
  | (?P<close>\))
  | (?P<repeat>(?:[*+?]|\{{(?P<least>\d{{1,3}})(?P<comma>,(?P<most>\d{{0,3}}))?\}})\??(?![*+?{{]))
  | (?P<anchor>[\^$]|\\[bB])
  | (?P<either>\|)
  | (?P<atom>{_ESCAPED} | [^\\()\[\]{{}}*+?|^$] | \[\^?(?:{_ESCAPED}|[^\\\[\]&])+\])
    """,
    re.VERBOSE,
)
_RANGE = re.compile(rf"({_ESCAPED}|[^\\])-({_ESCAPED}|[^\\])", re.DOTALL)


def checked(node: Text) -> tuple[str, int]:
    """Return a pattern that RE2 takes, and how many groups it has; raise PqlError for any other.

    What both dialects read alike is taken: characters, classes, groups, alternatives, repetition, anchors, (?i).
    Look-around, back references, possessive repetition and Unicode classes are not in both.
    """
    pattern = node.value
    if len(pattern) > MAX_LENGTH:
        raise PqlError(f"the pattern has more than {MAX_LENGTH} characters. Write two conditions.", node.at)
    groups, position, cost = 0, 0, [0]
    last: int | None = None  # what a repetition that follows would repeat
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None or (token["flags"] and position) or "\0" in token[0]:
            raise _refused(node, position)
        if token["open"]:
            groups += token["open"] == "("
            cost.append(0)
            last = None
        elif token["close"]:
            if len(cost) == 1:
                raise _refused(node, position)
            last = max(cost.pop(), 1)
            cost[-1] += last
        elif token["repeat"]:
            if last is None:
                raise _refused(node, position)
            cost[-1] += last * (_times(token, node, position) - 1)
            last = None
        elif token["atom"]:
            if token["atom"].startswith("["):
                _class(token["atom"], node, position)
            last = 1
            cost[-1] += 1
        else:
            last = None
        if sum(cost) > MAX_COST or len(cost) > 50:
            raise PqlError("the pattern repeats too much. Write smaller numbers in its braces.", node.at)
        position = token.end()
    if len(cost) > 1:
        raise _refused(node, len(pattern))
    return pattern, groups


def _times(token: re.Match[str], node: Text, position: int) -> int:
    """Return how often something is written out at most; an open end counts as one more."""
    if token["least"] is None:
        return 2
    least = int(token["least"])
    most = int(token["most"]) if token["most"] else least + (token["comma"] is not None)
    if most > MAX_REPEAT or most < least:
        raise PqlError(
            f"the pattern repeats up to {most} times at character {position + 1}. "
            f"Write at most {MAX_REPEAT}, the smaller number first.",
            node.at,
        )
    return max(most, 1)


def _class(written: str, node: Text, position: int) -> None:
    body = written[1:-1].removeprefix("^")
    index = 0
    while index < len(body):
        span = _RANGE.match(body, index)
        if span is None:
            index += 2 if body[index] == "\\" else 1
            continue
        low, high = span[1], span[2]
        if "\\" in (low[0], high[0]) or low > high or not (low + high).isalnum():
            raise _refused(node, position)
        index = span.end()


def _refused(node: Text, position: int) -> PqlError:
    return PqlError(
        f"the pattern cannot be read at its character {position + 1}. "
        "Write characters, classes, groups, |, repetition, ^, $ and a leading (?i).",
        node.at,
    )
