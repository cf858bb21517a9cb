"""What is said to somebody whose query cannot be taken."""

from collections.abc import Iterable
from difflib import get_close_matches

from segwatch.emulator.pql.tree import Place


class PqlError(Exception):
    """A query that is not PQL, does not fit the profiles, or uses what this platform does not compute.

    str() is one sentence: what is wrong, where, and what to write instead.
    line, column, offset: where it begins, each from 1; None for pql/json.
    pointer: the JSON pointer of the node within the document; None for pql/text.
    """

    def __init__(self, message: str, place: Place) -> None:
        self.message = message
        self.line, self.column, self.pointer = place.line, place.column, place.pointer
        self.offset: int | str | None = place.offset if place.pointer is None else place.pointer
        super().__init__(f"{place}: {message}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the sentence that proposes what was probably meant, with a blank before it; nothing if nothing is near."""
    found = near(word, known, most=1)
    return f" Did you mean {found[0]}?" if found else ""


def near(word: str, known: Iterable[str], *, most: int) -> list[str]:
    """Return what was probably meant by a word: those that differ in case only, else those that look alike."""
    names = sorted(known)
    by_case = [name for name in names if name.lower() == word.lower()]
    return by_case[:most] or get_close_matches(word, names, n=most, cutoff=0.6)
