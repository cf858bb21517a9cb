"""What the platform says that this version does not know: told once a day for each, and never kept silent."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

from segwatch.jobs.events import EventType
from segwatch.jobs.subject import SubjectState, Turned, about

_EVERY = timedelta(hours=24)
_SEEN = "seen"


def reply(before: SubjectState | None, sandbox: str, part: str, shape: str, now: datetime) -> Turned | None:
    """Return that a reply or row could not be read, once in 24 hours; None when it was told already.

    part: what was asked for, such as `export_job` or `export_job_row`. shape: what is wrong with it.
    """
    if not _is_due(before, now):
        return None
    state = before or SubjectState(stream=reply_stream(sandbox, part, shape), condition=_SEEN, since=now)
    state, event = about(
        replace(state, since=now), EventType.UNKNOWN_REPLY, now, sandbox=sandbox, kind=part.removesuffix("_row"),
        details={"part": part, "why": shape},
    )  # fmt: skip
    return Turned(state=state, before=before, events=(event,))


def status(before: SubjectState | None, sandbox: str, kind: str, word: str, now: datetime) -> Turned | None:
    """Return that a status was seen that is not known; None when that was so in the last 24 hours as well."""
    if not _is_due(before, now):
        return None
    state = before or SubjectState(stream=status_stream(sandbox, kind, word), condition=_SEEN, since=now)
    return Turned(state=replace(state, since=now, memory={"times": state.memory.get("times", 0) + 1}), before=before)


def reply_stream(sandbox: str, part: str, shape: str) -> str:
    """Return the stream on which replies of this shape are told."""
    return f"reply/{sandbox}/{part}/{hashlib.sha256(shape.encode()).hexdigest()[:12]}"


def status_stream(sandbox: str, kind: str, word: str) -> str:
    """Return the name under which an unknown status is remembered."""
    return f"status/{sandbox}/{kind}/{word}"


def _is_due(before: SubjectState | None, now: datetime) -> bool:
    return before is None or not timedelta() <= now - before.since < _EVERY
