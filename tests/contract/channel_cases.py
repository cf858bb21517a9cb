"""Each way to configure a channel that reaches out over the network, events to tell it, and the limits it keeps."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import aiohttp
from jsonschema import Draft202012Validator
from receiver import Answer

from segwatch.deliveries.model import Accepted, Delivery, Outcome
from segwatch.jobs.events import Event, EventType, Severity, severity_of
from segwatch.notifiers.base import Notifier, NotifierContext, load_notifiers

NOW = datetime(2026, 1, 5, 3, 12, 7, 900_000, tzinfo=UTC)
FIXTURES = Path(__file__).parents[1] / "fixtures/channels"
KINDS = load_notifiers()
BOT_TOKEN = "xoxb-0000000000-made-up-for-tests"
TS = "1503435956.000247"


@dataclass(frozen=True)
class Case:
    """options: the settings for a receiver at a URL. taken: the body with which the receiver takes a message."""

    kind: str
    options: Callable[[str], dict] = lambda url: {"url": url}
    taken: bytes = b""

    def build(self, url: str, session: aiohttp.ClientSession, **context) -> Notifier:
        kind, fields = KINDS[self.kind], {"channel": "ops", "session": session, "now": lambda: NOW} | context
        return kind.build(kind.options.model_validate(self.options(url)), NotifierContext(**fields))

    def answered(self, answer: Answer) -> Answer:
        """Return the answer as this receiver would give it: some say in the body that they took the message."""
        return replace(answer, body=self.taken) if answer.status == 200 and not answer.body else answer


def _app(url: str) -> dict:
    return {"token": BOT_TOKEN, "channel_id": "C0123456789", "api_url": url}


_BY_URL = {name for name, kind in KINDS.items() if "url" in kind.options.model_fields} - {"apprise"}  # which is no HTTP
CASES = {name: Case(name) for name in sorted(_BY_URL)} | {
    "slack-app": Case("slack", _app, json.dumps({"ok": True, "channel": "C0123456789", "ts": TS}).encode()),
    "pagerduty": Case("pagerduty", lambda url: {"base_url": url, "routing_key": "r0ut1ngk3y" * 3}),
    "alertmanager": Case("alertmanager", lambda url: {"urls": [url]}),
}
STATEFUL = {name for name, case in CASES.items() if KINDS[case.kind].stateful}
CHATS = sorted(name for name, case in CASES.items() if (FIXTURES / case.kind).is_dir())


def event(**fields) -> Event:
    base = {
        "type": EventType.JOB_FAILED, "stream": "prod/export_job/24116", "sequence": 3, "at": NOW,
        "severity": Severity.CRITICAL, "sandbox": "prod", "kind": "export_job", "job_id": "24116", "status": "FAILED",
        "details": {"errors": [{"code": "0090000009", "message": "Zürich <output> & path — 路径"}]},
    }  # fmt: skip
    return Event(**(base | fields))


def filled(text: str, type_: EventType, **fields) -> Event:
    """Return an event that has the text wherever somebody else's text can be."""
    details = {
        "errors": [{"code": text, "message": text}] * 20, "profiles": {text: 1, "x": 2}, "segments": [text] * 9,
        "items": [text] * 50, "skipped": [text] * 9, "batches": [text] * 9,
    } | dict.fromkeys(
        ("why", "dataset", "root", "new_job_id", "channel", "settled_by", "title", "summary", "action", "pipeline",
         "run", "step", "note", "started_at", "ended_at", "segment_job", "export_job", "last_job_id"), text,
    )  # fmt: skip
    row = dict.fromkeys(("sandbox", "kind", "job_id", "code", "message", "segment", "title", "matchers"), text)
    row |= {"count": 3, "runs": 3, "members": 5, "before": 4, "took_s": 60, "odd": "grown"}
    row |= {"since": text, "until": text}
    details |= dict.fromkeys(("work", "failures", "slowest", "moved", "alerts", "silenced"), [row] * 3)
    details |= {"sandboxes": [text] * 2, "silent": [text] * 9, "runs": 9, "from": text, "to": text, "zone": text}
    base = dict.fromkeys(("sandbox", "job_id", "status", "previous", "reason"), text)
    links = {text: "https://segwatch.example.test/jobs/24116?a=(b)&c=<d>|e"}
    return event(type=type_, severity=severity_of(type_), details=details, links=links, **(base | fields))


def delivery(of: Event | None = None, *, thread: str = "", **fields) -> Delivery:
    return Delivery(event=of or event(**fields), channel="ops", promised_at=NOW, due_at=NOW, thread=thread)


def plainly(outcome: Outcome) -> Outcome:
    """Return the outcome without the thread, which only some receivers name."""
    return Accepted() if isinstance(outcome, Accepted) else outcome


def assert_within_limits(case: str, body: bytes) -> None:
    """Assert that the receiver takes the body, by what it publishes of its limits."""
    kind, payload, text = CASES[case].kind, json.loads(body), body.decode()
    _limits(kind).validate(payload)
    match kind:
        case "discord":
            (embed,) = payload["embeds"]
            texts = [embed["title"], embed["description"], embed["footer"]["text"]]
            texts += [one[key] for one in embed["fields"] for key in ("name", "value")]
            assert sum(map(len, texts)) <= 6000
        case "teams":
            assert len(body) <= 28_000
        case "google_chat":
            assert len(body) <= 32_000
            sections = payload["cardsV2"][0]["card"]["sections"]
            assert sum(len(section["widgets"]) for section in sections) <= 100
        case "mattermost":
            assert len(text) <= 8000


@cache
def _limits(kind: str) -> Draft202012Validator:
    schema = json.loads((FIXTURES / kind / "limits.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
