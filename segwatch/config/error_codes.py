"""The error codes that come along, and their page in the reference."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from segwatch.deliveries.error_codes import ErrorCode

_HEAD = """\
# Error codes

<!-- Written from segwatch/config/error_codes.toml by `reference()`. tests/unit/test_error_codes.py compares. -->

What segwatch says, in plain words, of errors that the platform tells of. The first error of which something is known
explains a message. `[[error_codes]]` in the settings adds codes, and changes what is said of these:
[how](../how-to/explain-an-error-code.md).

**Documented** is what Adobe, or the standard that it follows, writes of the code. **Observed** is what a sample shows
whose text says what happened; Adobe explains it nowhere.

| Code | With the text | Cause | What to do | Basis |
| --- | --- | --- | --- | --- |
"""


@cache
def _entries() -> tuple[dict[str, Any], ...]:
    text = files("segwatch.config").joinpath("error_codes.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["error_codes"])


def known_codes() -> tuple[ErrorCode, ...]:
    """Return the codes that come along, in the order in which they are asked."""
    return tuple(
        ErrorCode(**{name: value for name, value in entry.items() if name not in ("basis", "source")})
        for entry in _entries()
    )


def reference() -> str:
    """Return the page of the reference in Markdown."""
    rows = [
        f"| `{one['code']}` | {one.get('text', '')} | {one['cause']} | {one.get('advice', '')}"
        f" | {one['basis']}: {one['source']} |\n"
        for one in _entries()
    ]
    return _HEAD + "".join(rows)
