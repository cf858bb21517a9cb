"""What of somebody else's answer may be shown: one short line, with tokens and secrets masked."""

import re

_EXCERPT_MAX = 120
_SECRETIVE = re.compile(
    r"(?i)(?:bearer\s+\S+|eyJ[\w.=-]{8,}|\"?(?:access_token|client_secret|refresh_token|jwt_token|api[-_]?key)\"?\s*[:=]\s*\"?[^\s\",&}]+)"
)


def excerpt(body: bytes, *, length: int = _EXCERPT_MAX) -> str:
    """Return the beginning of a body in one printable line, fit for a log: tokens, keys and secrets are masked."""
    line = body[: length * 4].decode("utf-8", errors="replace")
    line = _SECRETIVE.sub("[masked]", line)
    line = "".join(sign if sign.isprintable() else " " for sign in line)
    line = " ".join(line.split())
    return line if len(line) <= length and len(body) <= length * 4 else f"{line[:length]}..."
