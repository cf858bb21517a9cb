"""The words for each type of event.

Details come from many producers and, through the store, from other versions: a missing or odd one leaves its
words out.
"""

from datetime import timedelta
from shlex import quote

from segwatch.alerts.silences import End
from segwatch.deliveries.detected import detected
from segwatch.deliveries.digest import digest
from segwatch.deliveries.knowledge import NOTHING, Knowledge
from segwatch.deliveries.phrases import Said, amount, count, moment, span, text
from segwatch.deliveries.phrases import around as _with
from segwatch.deliveries.phrases import said as _said
from segwatch.deliveries.phrases import since_when as _since
from segwatch.deliveries.phrases import times as _times
from segwatch.jobs.events import Event, EventType, errors_in, rfc3339
from segwatch.jobs.model import Status
from segwatch.jobs.resubmission import Refusal


def said_of(event: Event, knowledge: Knowledge = NOTHING) -> Said:
    """Return the words for an event of any type. knowledge: what it is told with."""
    d = event.details
    job, where = knowledge.job(event), f" in {event.sandbox}" if event.sandbox else ""
    attempt, why = count(d.get("attempt")), text(d.get("why")).removesuffix(".")
    since = moment(d.get("since"), event.at)
    match event.type:
        case EventType.JOB_DISCOVERED:
            status = f" with status {event.status}" if event.status else ""
            action = "" if Status.of(event.status).is_final else "Watching it until it ends."
            return _said(f"{job} found{where}", status, action)
        case EventType.JOB_QUEUED:
            return _said(f"{job} is queued{where}")
        case EventType.JOB_PROCESSING:
            return _said(f"{job} is running{where}")
        case EventType.JOB_SUCCEEDED:
            written = _with(", {} profiles written", amount(d.get("exported")))
            return _said(f"{job} succeeded{where}", _took(event) + written)
        case EventType.JOB_FAILED:
            errors = errors_of(event)
            more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
            cause = f" — {errors[0]}{more}" if errors else " — the platform gave no error text"
            return _said(f"{job} failed{where}", _took(event) + cause, _after_failure(event, attempt))
        case EventType.JOB_CANCELLING:
            return _said(f"{job} is being cancelled{where}")
        case EventType.JOB_CANCELLED:
            action = "Somebody ended it on purpose, so segwatch does not submit it again."
            if why and event.kind == "export_job":
                action = f"So segwatch does not submit it again. If nobody did: segwatch jobs retry {event.job_id}"
            return _said(f"{job} was cancelled{where}", _with(" — {}", why or _first(errors_of(event))), action)
        case EventType.JOB_VANISHED:
            tail = ": the platform answers again and again that it does not know it"
            failed = text(d.get("failed_job_id"))
            action = f"No longer watched, and nothing answers {failed} now: segwatch jobs retry {failed}"
            asked = "No longer watched; find out whether it was deleted."
            return _said(f"{job} vanished{where}", tail, action if failed else asked)
        case EventType.JOB_OVERDUE:
            limit = _with(", longer than its limit of {}", span(d.get("limit_s")))
            status = _with(": still {}", event.status or "active") + _with(" since {}", since)
            past = "" if event.reason == "usual" else limit
            return _said(f"{job} is overdue{where}", status + past + _usual(event), _eta(event))
        case EventType.JOB_UNKNOWN_STATUS:
            tail = f', "{text(event.status)}"' if event.status else ""
            return _said(f"{job} has an unknown status{where}", tail, "Not taken for an end: watching on.")
        case EventType.JOB_ID_REUSED:
            action = "That one is not watched: an id names one job for good."
            return _said(f"{job} has ended, and its id is in use again{where}", _with(" — {}", why), action)
        case EventType.RETRY_SCHEDULED:
            number = _with(" as attempt {}", _of_many(event, attempt))
            if d.get("mode") == "propose":
                action = f"Nothing happens until a person says so: segwatch jobs retry {event.job_id}"
                return _said(f"{job} could be submitted again{where}", number, action)
            due = moment(d.get("due_at"), event.at)
            tail = number + _with(" — {}", why)
            return _said(f"{job} will be submitted again{where}", tail, _with("Resubmitting at {}.", due))
        case EventType.RETRY_SUBMITTED:
            new = _with(" as {}", text(d.get("new_job_id"))) + _with(", attempt {}", _of_many(event, attempt))
            return _said(f"{job} was submitted again{where}", new, "Watching the new job.")
        case EventType.RETRY_ADOPTED:
            new = _with(": {} does the same work", text(d.get("new_job_id"))) + _with(
                " and counts as attempt {}", _of_many(event, attempt)
            )
            return _said(f"{job} is already answered{where}", new, "Submitted nothing; watching that job.")
        case EventType.RETRY_REFUSED:
            words = why or (Refusal(event.reason).words if event.reason in set(Refusal) else text(event.reason))
            cause = _with(" — {}", words) + (_with(" ({})", text(event.reason)) if words != event.reason else "")
            action = f"If it is wanted all the same: segwatch jobs retry {event.job_id}"
            return _said(f"{job} is not submitted again{where}", cause, action)
        case EventType.RETRY_EXHAUSTED:
            tail = _with(" after {}", _times(d.get("attempts"), "attempt")) + _chain(event)
            action = f"A person decides now: segwatch jobs retry {event.job_id}"
            return _said(f"{job} failed for good{where}", tail, action)
        case EventType.RETRIES_HELD:
            cause = _with(": {} failed", _times(d.get("failures"), "different export"))
            window = _with(" within {}", span(d.get("window_s"))) if cause else ""
            action = "This looks like the platform, not the exports: one is tried, the rest wait."
            return _said(f"Resubmissions are held{where}", cause + window, action)
        case EventType.RETRIES_RELEASED:
            return _said(f"Resubmissions go on{where}", action="The exports that waited are submitted now.")
        case EventType.RECOVERED:
            chain = f"Export {root}{knowledge.work(event)}" if (root := text(d.get("root"))) else job
            last = _with(": {} succeeded", text(d.get("last_job_id")))
            return _said(f"{chain} recovered{where}", last + _with(" after {}", _times(d.get("attempts"), "attempt")))
        case EventType.SANDBOX_UNREACHABLE:
            action = "Its jobs cannot be seen meanwhile; segwatch keeps trying and catches up."
            return _said(f"Sandbox {event.sandbox} is unreachable", _since(since) + _with(" — {}", why), action)
        case EventType.SANDBOX_UNAUTHORIZED:
            action = "Check its credentials and permissions: segwatch check --online"
            return _said(
                f"Sandbox {event.sandbox} refuses our credentials",
                _since(since) + _with(" — {}", why),
                action,
            )
        case EventType.SANDBOX_RECOVERED:
            return _said(f"Sandbox {event.sandbox} answers again", _with(" after trouble since {}", since))
        case EventType.CHANNEL_FAILING:
            failed = _with(", {} in a row", _times(d.get("failures"), "failure"))
            tail = _since(since) + failed + _with(" — {}", why)
            action = "What it should have told is kept until its maximum age, then listed by: segwatch notify dead"
            return _said(f"Channel {_channel(event)} is failing", tail, action)
        case EventType.CHANNEL_RECOVERED:
            tail = _with(" after trouble since {}", since)
            return _said(f"Channel {_channel(event)} works again", tail, "Sending what it missed.")
        case EventType.PIPELINE_STARTED:
            return _said(f"{_run(event)} began{where}", _with(" with segment job {}", text(d.get("segment_job"))))
        case EventType.PIPELINE_STEP_DONE:
            took = _with(" after {}", span(d.get("took_s"))) + _with(" — {}", text(d.get("note")))
            return _said(f"{_run(event)} is past {text(d.get('step')) or 'a step'}{where}", took)
        case EventType.PIPELINE_SUCCEEDED:
            written = _with(", {} profiles exported", amount(d.get("exported")))
            return _said(f"{_run(event)} succeeded{where}", _with(" after {}", span(d.get("took_s"))) + written)
        case EventType.PIPELINE_FAILED:
            at = _with(" at {}", text(d.get("step")))
            action = _with("What it did: segwatch pipeline show {}. ", text(d.get("run")))
            action += _with("To run it again: segwatch pipeline run {}", text(d.get("pipeline")))
            return _said(f"{_run(event)} failed{where}", at + _with(" — {}", why), action)
        case EventType.SILENCE_ENDED:
            still = _times(d.get("open"), "alert")
            open_ = f"{still} {'is' if d['open'] == 1 else 'are'} open" if still and d["open"] else "nothing is wrong"
            about = text(d.get("matchers"))
            by = _with(" — {}", about) + _with(", silenced by {}", text(d.get("owner"))) + _with(" ({})", why)
            again = _with("To hear no more of them: segwatch silence add {} --for 2h", quote(about) if about else "")
            return _said(f"A silence ended: {open_}", by + _ended(event), again if still and d["open"] else "")
        case EventType.ALERT_FIRING | EventType.ALERT_RESOLVED | EventType.ALERT_NOTED:
            return _of_alerts(event)
        case EventType.WATCH_ENDED:
            told = text(d.get("title")) or text(d.get("subject"))
            action = "It may still be wrong: segwatch no longer hears of it."
            return _said(f"No longer watched: {told}", _since(since) + _with(" — {}", why), action)
        case EventType.DIGEST_DAILY:
            return digest(event)
        case (
            EventType.SCHEDULE_MISSED | EventType.SCHEDULE_RECOVERED | EventType.SCHEDULE_CHANGED
            | EventType.AUDIENCE_ANOMALY | EventType.AUDIENCE_RECOVERED | EventType.EXPORT_IMPLAUSIBLE
            | EventType.EXPORT_PLAUSIBLE
            | EventType.CREDENTIAL_EXPIRING | EventType.CREDENTIAL_RENEWED | EventType.UNKNOWN_REPLY
            | EventType.FLAPPING_STARTED | EventType.FLAPPING_STOPPED
        ):  # fmt: skip
            return detected(event, knowledge)


def _ended(event: Event) -> str:
    """Return why and when a silence ended."""
    how = End(event.reason).words if event.reason in set(End) else ""
    return _with("; {}", how) + _with(" at {}", moment(event.details.get("ends_at"), event.at))


def _of_alerts(event: Event) -> Said:
    """Return the words that a message about alerts brings along."""
    title, summary = text(event.details.get("title")), text(event.details.get("summary")).removesuffix(".")
    title = title or {EventType.ALERT_FIRING: "Alerts fire", EventType.ALERT_RESOLVED: "Resolved"}.get(
        event.type, "News"
    )
    return Said(title=title, summary=f"{summary or title}.", action=text(event.details.get("action")))


def errors_of(event: Event) -> list[str]:
    """Return the job's errors as `message (code)`."""
    lines = []
    for error in errors_in(event):
        message, code = text(error.text).rstrip("."), text(error.code)
        lines.append(f"{message} ({code})" if message and code else message or _with("error {}", code))
    return [line for line in lines if line]


def _first(lines: list[str]) -> str:
    return lines[0] if lines else ""


def _chain(event: Event) -> str:
    root = text(event.details.get("root"))
    return f"; the chain began with {root}" if root and root != event.job_id else ""


def _of_many(event: Event, attempt: str) -> str:
    """Return `2 of 3`, `2` where the bound is not told."""
    return attempt and attempt + _with(" of {}", count(event.details.get("max_attempts")))


def _took(event: Event) -> str:
    """Return how long an ended job took, and how long such jobs take."""
    d = event.details
    tail = _with(" (p95 {})", span(d.get("p95_s")))
    usual = _with(", usually {}", span(d.get("usual_s")))
    return _with(" after {}", span(d.get("duration_s"))) + (usual and usual + tail)


def _after_failure(event: Event, attempt: str) -> str:
    """Return what was decided about the failure when it was recorded."""
    if event.kind != "export_job":
        return "segwatch does not submit jobs of this kind again."
    decided = event.details.get("retry")
    decided = decided if isinstance(decided, dict) else {}
    most = count(decided.get("max_attempts")) or count(event.details.get("max_attempts"))
    this = f"This was attempt {attempt or '1'}{_with(' of {}', most)}{_chain(event)}"
    by_hand = f"segwatch jobs retry {text(event.job_id)}"
    match decided.get("step"):
        case "scheduled":
            due, number = moment(decided.get("due_at"), event.at), count(decided.get("attempt"))
            return f"{this}; attempt {number}{_with(' follows at {}', due)}." if due and number else f"{this}."
        case "proposed":
            return f"{this}. Nothing happens until a person says so: {by_hand}"
        case "refused":
            reason = text(decided.get("reason"))
            words = Refusal(reason).words if reason in set(Refusal) else reason
            return f"{this}. It is not submitted again{_with(': {}', words)}. If it is wanted all the same: {by_hand}"
        case "off":
            return f"{this}. Nothing is submitted again by itself: {by_hand}"
        case _:
            return f"{this}. The retry rules decide what follows."


def _usual(event: Event) -> str:
    """Return how long such jobs take, of one that is overdue by that."""
    usual = _with("; such jobs take {}", span(event.details.get("usual_s")))
    return usual + _with(", and nearly all less than {}", span(event.details.get("p95_s"))) if usual else ""


def _eta(event: Event) -> str:
    """Return what is done about a job that is overdue, and when it may end as far as others tell."""
    d = event.details
    runs, longest = count(d.get("runs")), span(d.get("longest_s"))
    none = runs and f"none of the last {runs} took so long" + _with("; the longest took {}", longest)
    ends, left = _after(event, d.get("eta_s")), span(d.get("eta_s"))
    if ends and d.get("longer") != 0:
        expected = f"ETA {ends}: those that took longer went on for about {left} more."
    elif ends:
        expected = f"ETA {ends} if it is only slow" + _with(": {}", none) + "."
    elif d.get("longer"):
        expected = f"Few took longer; the longest took {longest}." if longest else ""
    else:
        expected = f"{none[:1].upper()}{none[1:]}." if none else "How long such jobs take is not known yet."
    return f"Still watching it. {expected}".rstrip()


def _after(event: Event, seconds: object) -> str:
    """Return the time so long after the event; "" for what is no number, or beyond all times."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return ""
    try:
        return moment(rfc3339(event.at + timedelta(seconds=seconds)), event.at)
    except (OverflowError, ValueError):
        return ""


def _run(event: Event) -> str:
    return f"Pipeline {text(event.details.get('pipeline'))}".rstrip()


def _channel(event: Event) -> str:
    return text(event.details.get("channel")) or event.stream.removeprefix("channel/")
