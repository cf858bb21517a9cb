"""Prometheus' Alertmanager, by its API v2: one alert for each group of ours, told to every replica.

Its replicas share silences and what they have sent, but not alerts, so a client posts to each of them; and they keep
alerts in memory only, so a client tells again what fires (prometheus.io, "Sending alerts": each 30 s to 3 minutes).
An alert is known by its labels, fires until `endsAt` unless it is told again, and is resolved when that is past.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo

from segwatch.addresses import is_plain, service_url
from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Accepted, Delivery, Outcome, Rejected, Retryable
from segwatch.errors import BadValue
from segwatch.jobs.events import Event
from segwatch.notifiers.base import NOT_AN_ALERT, Body, Key, NotifierContext, NotifierKind, Options
from segwatch.notifiers.posting import authorization, post
from segwatch.notifiers.prometheus_alerts import alert_of

REFRESH_EVERY = timedelta(minutes=1)
FIRES_FOR = timedelta(minutes=5)  # Alertmanager's own default (resolve_timeout); four refreshes may be lost
_GRACE_S = 2.0
_BATCH = 64  # alerts in one request, as Prometheus sends them


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) or name in ("alertname", "severity"):
            raise BadValue(', of which one cannot be a label here. Write such as { team = "data" }.')
    return labels


def _address(url: str, info: ValidationInfo) -> str:
    return service_url(url, allow_http=bool(info.data.get("allow_http")), unless=", or with allow_http = true")


def _each_once(urls: tuple[str, ...]) -> tuple[str, ...]:
    if not urls:
        raise BadValue(', which is empty. Write the address of every replica: ["https://alertmanager.example.org"].')
    return tuple(dict.fromkeys(urls))


def _unread(secret: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    plain = next((url for url in info.data.get("urls", ()) if is_plain(urlsplit(url))), "")
    if secret is not None and plain:
        raise BadValue(f", and would be sent to {plain} for anybody to read. Write https:// there, or leave it out.")
    return secret


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

    allow_http: bool = Field(
        False,
        description="Whether `urls` may be http:// beyond loopback, as within a cluster: who is in between can read"
        " and forge alerts. Not with a password or token.",
    )
    urls: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], AfterValidator(_each_once)] = Field(
        description="Where it is, without `/api/v2`: every replica, never what balances the load between them."
    )
    username: str = Field("", description="For basic authentication.")
    password: Annotated[Key | None, AfterValidator(_beside_username), AfterValidator(_unread)] = Field(
        None, description="For basic authentication."
    )
    bearer_token: Annotated[Key | None, AfterValidator(_instead_of_password), AfterValidator(_unread)] = Field(
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

    def body(self, delivery: Delivery) -> Body | Rejected:
        """Return the body of the request to each replica, for what opens or closes an alert."""
        message = self._context.say(delivery)
        if message.standing is Standing.STORY:
            return NOT_AN_ALERT
        return Body(media_type="application/json", content=[self._alert(delivery.event, message)])

    async def send(self, delivery: Delivery) -> Outcome:
        """Return how one attempt ended: well as soon as one replica has the alert.

        The others get it with the next refresh, or forget what is resolved by themselves: waiting for one that is down
        would hold back the news of this group.
        """
        told = self.body(delivery)
        if isinstance(told, Rejected):
            return told
        (alert,) = told.content
        ends = await self._soon([asyncio.create_task(self._tell(replica, alert)) for replica in self._replicas])
        return Accepted() if Accepted() in ends else _worst(ends)

    async def refresh(self, firing: Callable[[], Awaitable[Sequence[Event]]]) -> Outcome:
        """Tell all replicas again what fires; well if each of them has taken all of it."""
        for replica in self._replicas:
            replica.not_refreshing.clear()
        try:
            async with asyncio.timeout(self._context.timeout_s):
                alerts = [self._alert(event, self._context.compose(event)) for event in await firing()]
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

    def _alert(self, event: Event, message: Message) -> dict[str, Any]:
        alert = alert_of(event, message, self._context.now(), fires_for=self._fires_for)
        alert["labels"] = self._labels | alert["labels"]
        return alert


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
