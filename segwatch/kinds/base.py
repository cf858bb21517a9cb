"""What a job kind must tell: its requests and its answers, as data."""

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

import segwatch.kinds
from segwatch.jobs.model import Facts, Observation, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of the platform's API.

    path: under the platform's base URL, begins with "/", percent-encoded. endpoint: the path with its ids left out,
    for metrics. params: not encoded; a name may repeat. body: JSON value to send, or None.
    """

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    endpoint: str
    params: tuple[tuple[str, str], ...] = ()
    body: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """In whose name a request was made, and when by our clock."""

    sandbox: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A row that could not be read.

    after: how many readable ones stood before it. created_at: if that was told. why: what is wrong, in words.
    """

    after: int
    created_at: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one answer told: its readable rows in the order given, and where to go on.

    unreadable: how many rows could not be read. gaps: their places, where known.
    """

    rows: tuple[Observation, ...]
    next: Request | None = None
    unreadable: int = 0
    gaps: tuple[Gap, ...] = ()


class UnreadableReply(Exception):
    """The body is not what this call answers with: no JSON, an error envelope, another shape. Its text says which."""

    @property
    def shape(self) -> str:
        """What is wrong, without an excerpt of the body: equal for replies that are wrong in the same way."""
        return str(self).partition(": ")[0].partition(" (")[0]


class JobKind(Protocol):
    """One kind of remote work.

    path: the statuses that a job walks through before it ends, in order.
    overdue_after: how old an active job may grow before it is told as overdue, unless the settings say otherwise.
    resubmits: True for a kind whose failed jobs may be submitted again.
    changes_first: True when `list_newest` asks for rows ordered by their last change, newest first;
    False when lists come by creation only.
    page_size: rows on a page that the API is known to give. page_most: the most to ask for where it saves calls; an API
    that gives fewer, or refuses so many, is believed.
    """

    name: str
    path: tuple[Status, ...]
    overdue_after: timedelta
    changes_first: bool
    resubmits: bool
    page_size: int
    page_most: int

    def list_newest(self, *, limit: int) -> Request:
        """Return the call for the newest page: by last change where `changes_first`, else by creation."""

    def list_active(self, *, limit: int) -> Sequence[Request]:
        """Return the calls whose pages hold every job that has not ended; empty when the API has no such filter."""

    def get(self, job_id: str) -> Request:
        """Return the call for one job."""

    def bulk_get(self, job_ids: Iterable[str]) -> Request | None:
        """Return one call for several jobs, at most `page_size`; None when the API has none."""

    def parse_page(self, body: bytes, *, asked: Asked, request: Request) -> Page:
        """Return what a list answered, with the next request if there is one. Raises UnreadableReply."""

    def parse_bulk(self, body: bytes, *, asked: Asked) -> Page:
        """Return what `bulk_get` answered; ids that are gone are absent. Raises UnreadableReply."""

    def parse_one(self, body: bytes, *, asked: Asked) -> Observation:
        """Return what `get` or a submission answered. Raises UnreadableReply."""

    def cancel(self, job_id: str) -> Request:
        """Return the call that asks the platform to cancel one job; any 2xx says that it will try."""

    def create(self, request: str) -> Request:
        """Return the call that makes a new job of this body, in JSON."""

    def submit(self, request: str) -> Request | None:
        """Return the call that submits `Facts.request` again; None when there is nothing to repeat."""

    def may_be(self, told: str, order: str) -> bool:
        """Return whether a job that tells `told` of its `Facts.request` may be one of `order`, the rest left out."""

    def is_another(self, told: Facts, order: str, *, cut: bool = False) -> bool:
        """Return whether this plainly is no job of `order`, whatever else the platform filled in or changed.

        cut: `told` comes from a list, which may leave out a part of what a record tells.
        """

    def same_but_filled_in(self, one: str, other: str) -> bool:
        """Return whether two orders differ only in what one of them leaves to the platform to fill in."""

    def is_broad(self, request: str) -> bool:
        """Return whether a `Facts.request` is what a record without its limits would tell as well."""


def load_kinds() -> dict[str, JobKind]:
    """Return every kind by its name: each module of this package that ends in `KIND = ...`."""
    found: dict[str, JobKind] = {}
    for module in pkgutil.iter_modules(segwatch.kinds.__path__):
        kind: JobKind | None = getattr(importlib.import_module(f"segwatch.kinds.{module.name}"), "KIND", None)
        if kind is not None:
            found[kind.name] = kind
    return found
