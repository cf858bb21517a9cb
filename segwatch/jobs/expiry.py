"""Whether a sandbox's token is about to end, and nobody renews it."""

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from segwatch.jobs.events import EventType, Severity, rfc3339
from segwatch.jobs.subject import SubjectState, Turned, about


class Condition(StrEnum):
    """How the credential stands."""

    OK = "ok"
    EXPIRING = "expiring"


def stream_of(sandbox: str) -> str:
    """Return the stream on which a sandbox's credential tells."""
    return f"credential/{sandbox}"


def turned(
    before: SubjectState | None, sandbox: str, expires_at: datetime | None, now: datetime,
    *, warn_before: timedelta, trouble: str = "", renews: bool = False,
) -> Turned | None:  # fmt: skip
    """Return what changes and what is told; None for nothing.

    expires_at: when the present token ends; None where that is not known. renews: we renew it ourselves, so its end
    is news only when that fails. trouble: why it failed, "" while it does not.
    """
    is_open = before is not None and before.condition == Condition.EXPIRING
    if renews:
        ends = expires_at is not None and bool(trouble)
    else:
        ends = expires_at is not None and expires_at - now <= warn_before
    if ends == is_open or expires_at is None:  # an end that is not known any more does not close what was told
        return None
    state = before or SubjectState(stream=stream_of(sandbox), condition=Condition.OK, since=now)
    details: dict[str, Any] = {"expires_at": rfc3339(expires_at)}
    if ends:
        state = replace(state, condition=Condition.EXPIRING, since=now)
        details |= {"left_s": max(0.0, (expires_at - now).total_seconds())} | ({"why": trouble} if trouble else {})
        severity = Severity.CRITICAL if expires_at <= now else Severity.WARNING
        state, event = about(
            state, EventType.CREDENTIAL_EXPIRING, now, sandbox=sandbox, severity=severity, details=details
        )
    else:
        details["since"] = rfc3339(state.since)
        state = replace(state, condition=Condition.OK, since=now)
        state, event = about(state, EventType.CREDENTIAL_RENEWED, now, sandbox=sandbox, details=details)
    return Turned(state=state, before=before, events=(event,))
