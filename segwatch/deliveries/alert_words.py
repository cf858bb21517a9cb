"""What alerts keep of the words for an event: apart, so that a message about many can say once what they share."""

from datetime import datetime, timedelta

from segwatch.alerts.model import Words
from segwatch.deliveries.error_codes import first_code
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.phrases import text
from segwatch.deliveries.wording import errors_of, said_of
from segwatch.jobs.events import Event, EventType, moment_of

_BEGAN = {  # the detail that tells when it began to be so, which may be long before it was noticed
    EventType.JOB_FAILED: "ended_at",
    EventType.JOB_OVERDUE: "since",
    EventType.SCHEDULE_MISSED: "expected_at",
    EventType.SANDBOX_UNREACHABLE: "since",
    EventType.SANDBOX_UNAUTHORIZED: "since",
    EventType.CHANNEL_FAILING: "since",
}


def words_of(event: Event, knowledge: Knowledge = NOTHING) -> Words:
    """Return what alerts say of an event. knowledge: what it is told with."""
    errors = errors_of(event)
    cause = errors[0] if errors else text(event.details.get("why")).removesuffix(".")
    said = said_of(event, knowledge)
    told = said.summary.removeprefix(said.title).removesuffix(".")
    facts, found, _ = told.partition(f" — {cause}") if cause else (told, "", "")
    return Words(
        title=said.title,
        facts=facts,
        cause=cause if found else "",
        code=first_code(event) if found else "",
        action=said.action,
        began=_began(event),
    )


def _began(event: Event) -> datetime | None:
    at = moment_of(event.details.get(_BEGAN.get(event.type, "")))
    limit_s = event.details.get("limit_s")
    if at is not None and event.type is EventType.JOB_OVERDUE and isinstance(limit_s, int | float):
        return at + timedelta(seconds=limit_s)  # it runs since then, and is late since it passed its limit
    return at
