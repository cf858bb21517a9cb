"""The root of our own errors; each room adds the children that its callers must tell apart. And what errors hint at."""

import difflib
from collections.abc import Iterable


class SegwatchError(Exception):
    """Something that segwatch expected might go wrong; its text says what to do next."""


class BadValue(ValueError):
    """A value that a setting cannot have.

    Its text goes on behind the setting and the value, neither of which it repeats: `, which has no unit. Write "15s".`
    Of a whole table it goes on behind the table's name: ` has no url. Write url = ...`
    """


def hint(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean X?` for the one among `known` that looks most like `word`; "" where none does."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
