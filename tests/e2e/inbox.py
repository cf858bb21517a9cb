"""The receiver that people would run behind a webhook: it checks every signature, and does what a test tells it."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from receiver import Answer, Received, Receiver
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

_PAGER_PATH = "/v2/enqueue"
SIGNING_SECRET = "whsec_ZW5kLXRvLWVuZC1zaWduaW5nLWtleS1zM2NyM3Q="
URL_SECRET = "T0PS3CR3T-hunter2hunter2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One request as it came in. at: seconds of the loop's clock."""

    channel: str
    webhook_id: str
    signed: bool
    event: dict[str, Any]
    accepted: bool
    at: float

    @property
    def type(self) -> str:
        return self.event["type"]

    @property
    def data(self) -> dict[str, Any]:
        return self.event["data"]

    def is_about(self, type_: str = "", job_id: object = None, **data: object) -> bool:
        wanted = data if job_id is None else data | {"job_id": str(job_id)}
        return type_ in ("", self.type) and all(self.data.get(name) == value for name, value in wanted.items())


class Inbox:
    """All channels' letters in order of arrival. Each channel has a path of its own, which is as secret as a token.

    pages: what PagerDuty would have been sent, at `pager_url`.
    """

    def __init__(self) -> None:
        self.got: list[Letter] = []
        self.pages: list[dict[str, Any]] = []
        self.answers: dict[str, deque[Answer]] = {}
        self.always: dict[str, Answer] = {}
        self._receiver = Receiver(self._receive)

    async def __aenter__(self) -> "Inbox":
        await self._receiver.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._receiver.__aexit__(*exc)

    def url(self, channel: str) -> str:
        return f"{self._receiver.origin}/{channel}/{URL_SECRET}"

    @property
    def pager_url(self) -> str:
        return self._receiver.origin

    def answer(self, channel: str, *answers: Answer, then: Answer | None = None) -> None:
        """Answer the next requests of this channel so, and all later ones like `then` (200 without it)."""
        self.answers[channel] = deque(answers)
        self.always[channel] = then or Answer()

    def letters(self, type_: str = "", *, channel: str = "events", **about: Any) -> list[Letter]:
        """Return the accepted letters of one channel, repeats left out; about: fields of `data`."""
        first: dict[str, Letter] = {}
        for letter in self.got:
            if letter.accepted and letter.channel == channel and letter.is_about(type_, **about):
                first.setdefault(letter.webhook_id, letter)
        return list(first.values())

    def types(self, *, channel: str = "events", **about: Any) -> list[str]:
        return [letter.type for letter in self.letters(channel=channel, **about)]

    async def until(self, type_: str, *, channel: str = "events", within_s: float = 10.0, **about: Any) -> Letter:
        """Return the first letter that fits, as soon as it is there."""
        await self.until_true(lambda: bool(self.letters(type_, channel=channel, **about)), f"{type_} {about}", within_s)
        return self.letters(type_, channel=channel, **about)[0]

    async def until_each(self, type_: str, job_ids: Iterable[object], *, within_s: float = 10.0) -> None:
        """Return as soon as every one of these jobs was told with this type."""
        wanted = {str(job_id) for job_id in job_ids}

        def told() -> bool:
            return wanted <= {letter.data["job_id"] for letter in self.letters(type_)}

        await self.until_true(told, f"{type_} of {len(wanted)} jobs", within_s)

    async def until_true(self, true: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
        """Return once `true()` holds; it is asked again at each request."""
        try:
            await self._receiver.until(true, within_s)
        except TimeoutError:
            came = Counter(letter.type for letter in self.got)
            raise AssertionError(f"not within {within_s:g} s: {what}. What came: {dict(came)}") from None

    def assert_promises_were_kept(self) -> None:
        """Assert what must hold in every test: signatures fit, an id means one event, each job is told in order."""
        assert [letter for letter in self.got if not letter.signed] == []
        meant: dict[str, str] = {}
        last: dict[tuple[str, ...], int] = {}
        for letter in self.got:
            event_id, data = letter.data["event_id"], letter.data
            assert meant.setdefault(letter.webhook_id, event_id) == event_id
            stream = (letter.channel, data["sandbox"], data["kind"], data["job_id"])
            if letter.accepted and data["job_id"]:
                assert data["sequence"] >= last.get(stream, 0), f"{letter.type} out of order: {data}"
                last[stream] = data["sequence"]

    def _receive(self, number: int, request: Received) -> Answer:
        if request.path == _PAGER_PATH:
            self.pages.append(json.loads(request.body))
            return Answer(status=202)
        channel = request.path.split("/")[1]
        waiting = self.answers.get(channel)
        answer = waiting.popleft() if waiting else self.always.get(channel, Answer())
        self.got.append(
            Letter(
                channel=channel,
                webhook_id=request.headers["webhook-id"],
                signed=_fits(request),
                event=json.loads(request.body),
                accepted=answer.act == "answer" and answer.status < 300,
                at=request.at,
            )
        )
        return answer


def _fits(request: Received) -> bool:
    try:
        Webhook(SIGNING_SECRET).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True
