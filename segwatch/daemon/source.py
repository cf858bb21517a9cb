"""One kind of job in one sandbox, as the platform shows it: requests out, observations back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from segwatch.daemon.clock import Clock
from segwatch.jobs.model import JobKey, Missing, Observation
from segwatch.kinds.base import Asked, JobKind, Page, Request, UnreadableReply
from segwatch.upstream.budget import Share
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.errors import BadReply, Fate, NotFound

T = TypeVar("T")


class Source:
    """Asks, and reads the answers. Every call may raise UpstreamError; nothing is tried twice here.

    places: one for each call that may be under way in this sandbox.
    unreadable: told of each reply (or number of rows) that could not be read as it is, by part. odd: and what was wrong
    with it.
    """

    def __init__(
        self, kind: JobKind, client: PlatformClient, budget: Share, clock: Clock,
        *, unreadable: Callable[[str, int], None], places: asyncio.Semaphore,
        odd: Callable[[str, str], None] = lambda part, shape: None,
    ) -> None:  # fmt: skip
        self.kind = kind
        self.sandbox = client.sandbox
        self.calls = 0
        self._client = client
        self._budget = budget
        self._clock = clock
        self._unreadable = unreadable
        self._odd = odd
        self._places = places

    @property
    def patience(self) -> timedelta:
        """Return how long one call may take at most."""
        return self._client.patience

    @property
    def clock_behind(self) -> timedelta:
        """Return by how much the platform's clock is behind ours, as far as it is known; less than zero if ahead."""
        return self._client.clock_behind

    @property
    def calls_per_second(self) -> float:
        """Return how many calls the sandbox's budget allows at present."""
        return self._budget.rate

    async def page(self, request: Request) -> Page:
        """Return one page of a list."""
        page = await self._ask(request, lambda body, asked: self.kind.parse_page(body, asked=asked, request=request))
        return self._counted(page)

    async def bulk(self, ids: Sequence[str]) -> Page | None:
        """Return several jobs at once, those that are gone left out; None when the API has no such call."""
        request = self.kind.bulk_get(ids)
        if request is None:
            return None
        return self._counted(await self._ask(request, lambda body, asked: self.kind.parse_bulk(body, asked=asked)))

    async def one(self, job_id: str) -> Observation | Missing:
        """Return one job, or that it is not there."""
        asked_at = self._clock.now()
        try:
            return await self._ask(self.kind.get(job_id), lambda body, asked: self.kind.parse_one(body, asked=asked))
        except NotFound:
            return Missing(key=JobKey(sandbox=self.sandbox, kind=self.kind.name, id=job_id), asked_at=asked_at)

    async def post(self, request: Request, *, before_send: Callable[[], Awaitable[None]] | None = None) -> Observation:
        """Send an order for a new job, and return that job. before_send: as in `PlatformClient.call`."""
        return await self._ask(
            request, lambda body, asked: self.kind.parse_one(body, asked=asked), before_send=before_send
        )

    async def submit(self, request: str) -> Observation:
        """Submit `Facts.request` as a new job, and return that job. The caller has an intent on disk."""
        post = self.kind.submit(request)
        if post is None:
            raise TypeError(f"{self.kind.name} jobs are never submitted again")
        return await self._ask(post, lambda body, asked: self.kind.parse_one(body, asked=asked))

    async def _ask(
        self, request: Request, read: Callable[[bytes, Asked], T],
        *, before_send: Callable[[], Awaitable[None]] | None = None,
    ) -> T:  # fmt: skip
        async with self._places:
            asked = Asked(sandbox=self.sandbox, at=self._clock.now())
            self.calls += 1
            try:
                reply = await self._client.call(request, before_send=before_send)
            except BadReply:
                self._unreadable(self.kind.name, 1)
                raise
        if reply.faults:
            self._unreadable(self.kind.name, 1)
        for fault in reply.faults:
            self._odd(self.kind.name, f"JSON with {fault}")
        try:
            return read(reply.body, asked)
        except UnreadableReply as error:
            self._unreadable(self.kind.name, 1)
            self._odd(self.kind.name, error.shape)
            text = f"{self.sandbox}: {request.method} {request.endpoint} answered what we cannot read: {error}"
            text = self._client.redactor(text)
            # for a POST this means: it was taken by somebody, and perhaps to heart
            raise BadReply(text, fate=Fate.LOST, reason="unreadable") from error

    def _counted(self, page: Page) -> Page:
        if page.unreadable:
            self._unreadable(f"{self.kind.name}_row", page.unreadable)
            for why in {gap.why for gap in page.gaps}:
                self._odd(f"{self.kind.name}_row", why)
        return page
