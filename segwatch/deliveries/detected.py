"""The words for what detectors tell: what did not happen, and what is not as it usually is."""

from segwatch.deliveries.knowledge import NOTHING, Knowledge, quoted
from segwatch.deliveries.names import Resource
from segwatch.deliveries.phrases import Said, amount, around, moment, said, span, text, times
from segwatch.jobs.events import Event, EventType, Severity

_SCHEDULE_ENDS = {"fired": "fires again"}
_SCHEDULE_CHANGES = {
    "cron": "fires at another time", "disabled": "was disabled", "enabled": "was enabled", "deleted": "was deleted",
}  # fmt: skip
_ODDITIES = {"empty": "is empty", "shrunk": "is much smaller than usual", "grown": "is much larger than usual"}


def detected(event: Event, knowledge: Knowledge = NOTHING) -> Said:
    """Return the words for an event of a detector. knowledge: what it is told with."""
    d = event.details
    job, where = knowledge.job(event), f" in {event.sandbox}" if event.sandbox else ""
    why, since = text(d.get("why")).removesuffix("."), moment(d.get("since"), event.at)
    match event.type:
        case EventType.SCHEDULE_MISSED:
            due = around(": it should have begun a job at {}", moment(d.get("expected_at"), event.at))
            action = around("It should fire next at {}. ", moment(d.get("next"), event.at))
            action += "If it must not wait: segwatch evaluate"
            return said(f"{_schedule(event)} did not fire{where}", due, action)
        case EventType.SCHEDULE_RECOVERED:
            words = _SCHEDULE_ENDS.get(event.reason, "is not expected any more")
            return said(f"{_schedule(event)} {words}{where}", around(" after trouble since {}", since))
        case EventType.SCHEDULE_CHANGED:
            words = _SCHEDULE_CHANGES.get(event.reason, "was changed")
            fires = around(": it was {}", text(d.get("previous_cron"))) + around(", and is now {}", text(d.get("cron")))
            tail = fires if event.reason == "cron" else ""
            action = "What it began no longer begins by itself." if event.severity is Severity.WARNING else ""
            return said(f"{_schedule(event)} {words}{where}", tail, action)
        case EventType.AUDIENCE_ANOMALY:
            words = _ODDITIES.get(event.reason, "has an unusual size")
            usually = around(" where {} are usual", amount(d.get("expected")))
            tail = around(": {} members", amount(d.get("members"))) + usually
            action = "Nothing is stopped: look at what it is made of before it is exported."
            return said(f"{_audience(event, knowledge)} {words}{where}", tail, action)
        case EventType.AUDIENCE_RECOVERED:
            words = "keeps its new size" if event.reason == "settled" else "has its usual size again"
            tail = around(": {} members", amount(d.get("members")))
            return said(f"{_audience(event, knowledge)} {words}{where}", tail)
        case EventType.EXPORT_IMPLAUSIBLE:
            action = "The platform calls it a success, so nothing is submitted again."
            action += around(" Look: segwatch export show {}", text(event.job_id))
            return said(f"{job} cannot be right{where}", around(" — {}", why), action)
        case EventType.EXPORT_PLAUSIBLE:
            return said(f"{job} looks right again{where}", around(", {} profiles written", amount(d.get("exported"))))
        case EventType.CREDENTIAL_EXPIRING:
            ends = moment(d.get("expires_at"), event.at)
            tail = around(" at {}", ends) + around(", and cannot be renewed — {}", why)
            action = "" if why else "Put a fresh one where access_token or access_token_file says."
            return said(f"The token of sandbox {event.sandbox} ends", tail, action)
        case EventType.CREDENTIAL_RENEWED:
            tail = around(": it ends at {}", moment(d.get("expires_at"), event.at))
            return said(f"The token of sandbox {event.sandbox} was renewed", tail)
        case EventType.UNKNOWN_REPLY:
            action = "The rest is read as ever. A newer segwatch may know it; told once a day while it goes on."
            return said(f"Sandbox {event.sandbox} answers what segwatch cannot read", around(" — {}", why), action)
        case EventType.FLAPPING_STARTED:
            within = around(" within {}, each made good", span(d.get("window_s")))
            tail = around(": {}", times(d.get("times"), "failure")) + within
            action = "Each was told by itself; what they have in common needs somebody who looks."
            return said(f"{_flapper(event, knowledge)} fails and recovers again and again{where}", tail, action)
        case EventType.FLAPPING_STOPPED:
            return said(
                f"{_flapper(event, knowledge)} is steady again{where}", around(" after trouble since {}", since)
            )
        case _:
            return said(f"{event.type.value}{where}")


def _schedule(event: Event) -> str:
    return f"Schedule {text(event.details.get('name')) or text(event.details.get('schedule'))}".rstrip()


def _audience(event: Event, knowledge: Knowledge) -> str:
    id_ = text(event.details.get("segment"))
    name = knowledge.name(event.sandbox, Resource.SEGMENT, id_)
    return f"Audience {quoted(name) if name else id_}"


def _flapper(event: Event, knowledge: Knowledge) -> str:
    """Return what flaps: of all jobs that do the same work the last one is named."""
    return knowledge.job(event, text(event.details.get("last_job_id"))) if event.kind else f"Sandbox {event.sandbox}"
