"""Bodies that are JSON, and those that would be but for a slip of their writer: one record's slip hides no page.

A text that was cut inside an emoji leaves half of it, which JavaScript and Python write as `\\ud83d`: grammatical by
RFC 8259, section 8.2, and no character. Python also writes NaN, and other writers leave out an escape or add a mark.
"""

import asyncio
import json
import math
import re
from typing import Any

import msgspec

from segwatch.kinds.fields import LOST

HALF = "half of a character in a text"
NO_NUMBER = "a number that is none: NaN, Infinity or out of all bounds"
CONTROL = "a control character in a text that is not escaped"
NO_UTF8 = "text that is not UTF-8"
MARK = "a byte order mark"

_SURROGATE = re.compile("[\ud800-\udfff]")
_AT_ONCE = 1024 * 1024
_DIGITS_MAX = 1000  # Python refuses to read some thousands of them, and would lose the page with the number


def is_json(body: bytes) -> bool:
    """True for one whole JSON value: a body may be cut short and still have the length that it announces."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


async def mended_beside(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return the same as `mended`; of a large body in a thread: for seconds all else would wait."""
    return await asyncio.to_thread(mended, body) if len(body) > _AT_ONCE else mended(body)


def mended(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Return a body as strict JSON in UTF-8, and what was wrong with it; as it is where nothing was, or all is.

    All that `json.loads(strict=False)` takes is read. What is no character becomes U+FFFD, also in names, and so does
    what is no number: as null it would pass for what was never there. Whole numbers stay exact. A body that is empty,
    cut short, nested too deeply or no JSON stays as it is.
    """
    if is_json(body) and _is_utf8(body):
        return body, ()
    encoding = json.detect_encoding(body)
    text = body.decode(encoding, errors="replace")
    wrong = []
    if encoding.endswith("sig"):
        wrong.append(MARK)
    if not encoding.startswith("utf-8") or not _is_utf8(body):
        wrong.append(NO_UTF8)
    try:
        value, faults = _read(text)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return body, ()
    strict = _SURROGATE.sub(LOST, written)
    wrong += [*faults, *([HALF] if strict != written else [])]
    return strict.encode(), tuple(wrong)


def _read(text: str) -> tuple[Any, list[str]]:
    """Return the value, and what is wrong with its grammar. Raises ValueError, RecursionError."""
    faults: dict[str, None] = {}

    def number(word: str) -> int | float | str:
        if len(word) <= _DIGITS_MAX and word.lstrip("-").isdecimal():
            return int(word)
        if math.isfinite(value := float(word)):
            return value
        faults[NO_NUMBER] = None
        return LOST

    def read(*, strict: bool) -> Any:
        return json.loads(text, strict=strict, parse_constant=number, parse_float=number, parse_int=number)

    try:
        return read(strict=True), list(faults)
    except json.JSONDecodeError:
        value = read(strict=False)
        return value, [CONTROL, *faults]


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
