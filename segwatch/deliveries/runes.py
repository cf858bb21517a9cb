"""Text within the limits of those who show it, counted in runes: code points, as chats count them."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")
Limit = Callable[[int], int]  # from a usual limit to the one to keep to
Escapes = dict[int, str]  # what stands for a rune (by `ord`) that would mark up the text

PLAIN: Escapes = {}
HTML: Escapes = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
ELLIPSIS = "…"
_SHARES = (1.0, 0.6, 0.35, 0.2, 0.1, 0.05)
_LEAST = 24  # runes: room for a word and for how much was left out


def backslashed(runes: str) -> Escapes:
    """Return the escapes that put a backslash before each of these runes, as dialects of Markdown have it."""
    return {ord(rune): f"\\{rune}" for rune in runes}


def clip(text: str, limit: int, escapes: Escapes = PLAIN) -> str:
    """Return the text, escaped, in at most `limit` runes, no escape cut in two; an ellipsis tells of more."""
    left = max(limit - len(ELLIPSIS), 0)
    if not escapes:  # `translate` asks for each rune beyond ASCII, and is told each time that there is nothing
        return text if len(text) <= limit else text[:left] + ELLIPSIS
    whole = text[: limit + 1].translate(escapes)
    if len(whole) <= limit:
        return whole
    kept = []
    for rune in text:
        piece = escapes.get(ord(rune), rune)
        left -= len(piece)
        if left < 0:
            break
        kept.append(piece)
    return "".join(kept) + ELLIPSIS


def listed(lines: Sequence[str], limit: int, escapes: Escapes = PLAIN, *, more: int = 0, by: str = "") -> list[str]:
    """Return the first lines, whole ones, and one that counts the rest: at most `limit` runes with their line breaks.

    The first line is always there, clipped if it must be. limit: 48 or more. more: how many there are beside `lines`.
    by: what lists all of them, named where there is room for it.
    """
    if sum(len(line) + 1 for line in lines) <= limit and not more:
        whole = [line.translate(escapes) for line in lines]
        if sum(len(line) + 1 for line in whole) <= limit:
            return whole
    by = by.translate(escapes)
    if len(rest_of(len(lines) + more, by)) > limit // 2:
        by = ""
    left = limit - len(rest_of(len(lines) + more, by)) - 1
    kept = [clip(lines[0], max(left - 1, _LEAST), escapes)]
    left -= len(kept[0]) + 1
    for line in lines[1:]:
        piece = line.translate(escapes)
        left -= len(piece) + 1
        if left < 0:
            break
        kept.append(piece)
    unsaid = len(lines) - len(kept) + more
    return kept + ([rest_of(unsaid, by)] if unsaid else [])


def rest_of(count: int, by: str = "") -> str:
    """Return the line that counts what is left out. by: what lists it."""
    return f"{ELLIPSIS} and {count:,} more" + (f": {by}" if by else "")


def fitting(layout: Callable[[Limit], T], fits: Callable[[T], bool]) -> T:
    """Return the fullest layout that fits; the tightest one where none does.

    layout: lays a message out by the limits that it is given.
    """
    *fuller, tightest = _SHARES
    for share in fuller:
        laid_out = layout(_times(share))
        if fits(laid_out):
            return laid_out
    return layout(_times(tightest))


def chunks(values: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """Return the values in groups of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))


def _times(share: float) -> Limit:
    return lambda limit: max(int(limit * share), min(limit, 2 * _LEAST))
