"""Prometheus' Alertmanager, by its API v2: one alert for each group of ours, told to every replica.

Its replicas share silences and what they have sent, but not alerts, so a client posts to each of them; and they keep
alerts in memory only, so a client tells again what fires (prometheus.io, "Sending alerts": each 30 s to 3 minutes).
An alert is known by its labels, fires until `endsAt` unless it is told again, and is resolved when that is past.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Rejected, Retryable
from segwatch.errors import BadValue
from segwatch.jobs.events import Event, EventType, Severity, rfc3339
from segwatch.notifiers.base import NOT_AN_ALERT, Body, Key, NotifierContext, NotifierKind, Options, ServiceUrl
from segwatch.notifiers.posting import authorization, post

REFRESH_EVERY = timedelta(minutes=1)
FIRES_FOR = timedelta(minutes=5)  # Alertmanager's own default (resolve_timeout); four refreshes may be lost
_GRACE_S = 2.0
_BATCH = 64  # alerts in one request, as Prometheus sends them
_DESCRIPTION_MAX = 8000

_NAMES = {  # by the first part of the subject; of others that part itself
    "work": "JobFailed", "overdue": "JobOverdue", "unknown_status": "JobUnknownStatus", "pipeline": "PipelineFailed",
    "sandbox": "SandboxFailing", "channel": "ChannelFailing", "retries": "RetriesHeld",
}  # fmt: skip
_RANK = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) or name in ("alertname", "severity"):
            raise BadValue(', of which one cannot be a label here. Write such as { team = "data" }.')
    return labels


def _each_once(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise BadValue(', which is empty. Write the address of every replica: ["https://alertmanager.example.org"].')
    return tuple(dict.fromkeys(urls))


def _beside_username(password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if password is not None and not info.data.get("username", ""):
        raise BadValue(", which counts only with a username. Write that too, or take bearer_token.")
    return password


def _instead_of_password(token: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    if token is not None and info.data.get("username"):
        raise BadValue(", and there is a username. Write one or the other.")
    return token


class AlertmanagerOptions(Options):
    """Keeps alerts in an Alertmanager as long as they fire, which then groups, silences and notifies by itself."""

    urls: Annotated[tuple[ServiceUrl, ...], AfterValidator(_each_once)] = Field(
        description="Where it is, without `/api/v2`: every replica, never what balances the load between them."
    )
    username: str = Field("", description="For basic authentication.")
    password: Annotated[Key | None, AfterValidator(_beside_username)] = Field(
        None, description="For basic authentication."
    )
    bearer_token: Annotated[Key | None, AfterValidator(_instead_of_password)] = Field(
        None, description="For authentication by a token, in place of `username` and `password`."
    )
    labels: Annotated[dict[str, str], AfterValidator(_labels)] = Field(
        default_factory=dict, description="Labels that every alert gets besides its own, for Alertmanager's routes."
    )


class _Replica:
    """One of those that are told, and whether it may be told something new now."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/api/v2/alerts"
        self.not_refreshing = asyncio.Event()
        self.not_refreshing.set()


class Alertmanager:
    """Posts alerts to all replicas at once.

    fires_for: how long an alert fires if it is not told again. grace_s: how long the other replicas are waited for when
    one has taken an alert.
    """

    refresh_every = REFRESH_EVERY

    def __init__(
        self,
        options: AlertmanagerOptions,
        context: NotifierContext,
        *,
        fires_for: timedelta = FIRES_FOR,
        grace_s: float = _GRACE_S,
    ) -> None:
        self._replicas = [_Replica(url) for url in options.urls]
        login, self._secrets = authorization(options.username, options.password, options.bearer_token)
        self._headers = {"Content-Type": "application/json"} | login
        self._labels = options.labels
        self._context = context
        self._fires_for = fires_for
        self._grace_s = grace_s
        self._fired: dict[str, dict[str, str]] = {}  # by stream: the labels under which it fires over there

    def body(self, delivery: Delivery) -> Body | Rejected:
        """Return the body of the request to each replica, for what opens or closes an alert."""
        if self._context.compose(delivery.event).standing is Standing.STORY:
            return NOT_AN_ALERT
        return Body(media_type="application/json", content=[self._alert(delivery.event)])

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended: well as soon as one replica has the alert.

        The others get it with the next refresh, or forget what is resolved by themselves: waiting for one that is down
        would hold back the news of this group.
        """
        event, told = delivery.event, self.body(delivery)
        if isinstance(told, Rejected):
            return told
        (alert,) = told.content
        self._note(event, alert)
        ends = await self._soon([asyncio.create_task(self._tell(replica, alert)) for replica in self._replicas])
        if Accepted() not in ends:
            return _worst(ends)
        if event.type is EventType.ALERT_RESOLVED:
            self._fired.pop(event.stream, None)
        return Accepted()

    async def refresh(self, firing: Callable[[], Awaitable[Sequence[Event]]]) -> Outcome:
        """Tell all replicas again what fires; well if each of them has taken all of it."""
        for replica in self._replicas:
            replica.not_refreshing.clear()
        try:
            async with asyncio.timeout(self._context.timeout_s):
                alerts = [self._refreshed(event) for event in await firing()]
                return _worst(await asyncio.gather(*(self._tell_all(one, alerts) for one in self._replicas)))
        except TimeoutError:
            return Retryable(reason="timeout")
        finally:
            for replica in self._replicas:
                replica.not_refreshing.set()

    async def _soon(self, tasks: list[asyncio.Task[Outcome]]) -> list[Outcome]:
        """Return how they ended, without those that are still under way a while after one ended well."""
        pending, ends = set(tasks), list[Outcome]()
        try:
            while pending:
                patience = self._grace_s if Accepted() in ends else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    break
                ends += [task.result() for task in done]
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return ends

    async def _tell(self, replica: _Replica, alert: dict[str, Any]) -> Outcome:
        await replica.not_refreshing.wait()  # what is refreshed was read before, and must not come after this
        return await self._post(replica, [alert])

    async def _tell_all(self, replica: _Replica, alerts: list[dict[str, Any]]) -> Outcome:
        ends = [await self._post(replica, batch) for batch in _batches(alerts)]
        replica.not_refreshing.set()
        return _worst(ends)

    async def _post(self, replica: _Replica, alerts: list[dict[str, Any]]) -> Outcome:
        body = json.dumps(alerts, ensure_ascii=False, separators=(",", ":")).encode()
        return await post(self._context, replica.url, body, self._headers, secrets=self._secrets)

    def _alert(self, event: Event) -> dict[str, Any]:
        alert = alert_of(event, self._context.compose(event), self._context.now(), fires_for=self._fires_for)
        if event.type is EventType.ALERT_RESOLVED:
            alert["labels"] = self._fired.get(event.stream, alert["labels"])
        alert["labels"] = self._labels | alert["labels"]
        return alert

    def _refreshed(self, event: Event) -> dict[str, Any]:
        alert = self._alert(event)
        self._note(event, alert)
        return alert

    def _note(self, event: Event, alert: dict[str, Any]) -> None:
        if event.type is EventType.ALERT_FIRING:
            self._fired[event.stream] = alert["labels"]


def alert_of(event: Event, message: Message, now: datetime, *, fires_for: timedelta) -> dict[str, Any]:
    """Return the alert that a notice, or a single event that opens or closes one, is to Alertmanager."""
    begun = min([since for one in _alerts(event) if (since := _moment(one.get("since")))], default=event.at)
    begun = min(begun, event.at, now)
    ends = now + fires_for if message.standing is Standing.FIRING else now
    alert = {
        "labels": labels_of(event, message),
        "annotations": _annotations(event, message),
        "startsAt": rfc3339(begun),
        "endsAt": rfc3339(max(ends, begun + timedelta(milliseconds=1))),  # an alert may not end before it begins
    }
    source = next((url for _, url in message.links if url.startswith(("https://", "http://"))), "")
    return alert | ({"generatorURL": source} if source else {})


def labels_of(event: Event, message: Message) -> dict[str, str]:
    """Return what the alert is known by: the same when it fires and when it is resolved.

    So nothing is in it that may change meanwhile, but for the severity, which routes need. An alert that grows worse
    is another one to Alertmanager; the former is not told again, and ends.
    """
    grouped = event.details.get("labels")
    labels = {_word(name): str(value) for name, value in grouped.items()} if isinstance(grouped, dict) else {}
    if not isinstance(grouped, dict):
        labels["alert"] = message.subject
    if "alert" in labels:
        labels |= {"sandbox": event.sandbox, "kind": event.kind}
    if isinstance(event.details.get("group"), str):
        labels["group"] = event.details["group"]
    labels |= {"alertname": _alertname(labels.get("alert", "")), "severity": _severity(event, message).value}
    return {name: value for name, value in labels.items() if value}


def _alertname(subject: str) -> str:
    """Return a name such as `SegwatchJobFailed`, by the first part of the subject; of a group, one for all."""
    first = subject.partition("/")[0]
    words = _NAMES.get(first) or "".join(word.capitalize() for word in re.split("[^a-zA-Z0-9]+", first))
    return f"Segwatch{words or 'Alerts'}"


def _severity(event: Event, message: Message) -> Severity:
    """Return how bad it is; of what is resolved, how bad it was, since a resolved notice itself is no bad news."""
    if message.standing is Standing.FIRING:
        return event.severity
    was = {str(one.get("severity")) for one in _alerts(event)}
    return max((severity for severity in _RANK if severity in was), key=_RANK.index, default=event.severity)


def _annotations(event: Event, message: Message) -> dict[str, str]:
    lines = "\n".join([message.line, *(f"- {item}" for item in message.items)])
    description = lines if len(lines) <= _DESCRIPTION_MAX else lines[: _DESCRIPTION_MAX - 1] + "…"
    fields = {_word(name).lower(): value for name, value in message.fields}
    links = {f"{_word(name).lower()}_url": url for name, url in message.links}
    told = fields | links | {"summary": message.title, "description": description, "event_id": event.id}
    return {name: value for name, value in told.items() if value}


def _alerts(event: Event) -> list[Mapping[str, Any]]:
    alerts = event.details.get("alerts")
    return [one for one in alerts if isinstance(one, dict)] if isinstance(alerts, list) else []


def _moment(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _word(name: str) -> str:
    """Return a name as labels and annotations must be written."""
    word = re.sub("[^a-zA-Z0-9_]", "_", name)
    return f"_{word}" if word[:1].isdigit() else word


def _worst(ends: Iterable[Outcome]) -> Outcome:
    """Return the end that has most to say: one that may pass before one that is final, and both before success."""
    found = list(ends)
    for kind in (Retryable, Rejected):
        if worst := next((end for end in found if isinstance(end, kind)), None):
            return worst
    return Accepted()


def _batches(alerts: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (alerts[start : start + _BATCH] for start in range(0, len(alerts), _BATCH))


class AlertmanagerKind:
    """The kind "alertmanager"."""

    name = "alertmanager"
    options: type[Options] = AlertmanagerOptions
    stateful = True

    def build(self, options: AlertmanagerOptions, context: NotifierContext) -> Alertmanager:
        """Return the configured receiver."""
        return Alertmanager(options, context)


NOTIFIER: NotifierKind = AlertmanagerKind()
