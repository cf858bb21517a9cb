"""What commands do that make a job: an order on disk, placed once, and what to say when that leads to nothing."""

import asyncio
import re
import shlex
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

from segwatch.cli.following import sources_of
from segwatch.cli.output import Exit, fail, span
from segwatch.cli.patience import Patience
from segwatch.cli.platform import Calling, exit_of, told
from segwatch.cli.progress import tell
from segwatch.daemon.clock import SystemClock
from segwatch.daemon.orderer import Orderer, OrderPolicy
from segwatch.jobs import proof
from segwatch.jobs.order import Order, OrderRefusal, OrderStep, wanted
from segwatch.jobs.ordering import Adopt, Serves
from segwatch.jobs.quota import Spend
from segwatch.store.base import Store
from segwatch.telemetry import logs
from segwatch.upstream.errors import RateLimited, UpstreamError

_LOOK_BACK = timedelta(hours=6)  # a job that runs for longer is known to the store, if anybody watches
_GRACE_S = 8.0
# nobody documents the words (AEP contract 12); other 429s, of the gateway or for jobs in processing, pass in a minute
_USED_UP = re.compile(r"\bused up\b|\bquota\b|\ballowance\b|\bexhausted\b|\b(per|a) day\b", re.IGNORECASE)


def new_order(
    calling: Calling, kind: str, *, request: str, fingerprint: str, segments: tuple[str, ...], dataset: str = "",
    forced: bool = False,
) -> Order:  # fmt: skip
    """Return a command's wish for a new job."""
    now = SystemClock().now()
    return wanted(
        f"cmd-{uuid.uuid4()}", sandbox=calling.sandbox.name, kind=kind, owner="command", request=request,
        fingerprint=fingerprint, segments=segments, dataset=dataset, forced=forced, now=now,
        not_before=now - _LOOK_BACK,
    )  # fmt: skip


async def ordered(
    calling: Calling, store: Store, order: Order, *, adopt: Adopt, serves: Serves, patience: Patience,
    spend: Spend | None = None,
) -> Order:  # fmt: skip
    """Return the order with its job; ends the command, and says why, where there is none.

    A lost answer is looked for as long as it may still show; Ctrl-C, and the end of the patience, leave that to the
    next command or the daemon.
    """
    logs.configure(level="error", format_=calling.settings.log.format)  # stdout is for the result
    window = calling.settings.retry.settle_window
    policy = OrderPolicy(settle_window=window, believed_after=proof.believed_after(window))
    orderer = Orderer(sources_of(calling), store, SystemClock(), policy, grace_s=_GRACE_S)
    try:
        async with patience.limit():
            order = await _ended(orderer, order, adopt, serves, spend)
    except TimeoutError:
        order = await _left(orderer, store, order, span(patience.given or timedelta()))
    if order.step not in (OrderStep.PLACED, OrderStep.ADOPTED):
        fail(Exit.FAILED, *_advice(order))
    if order.step is OrderStep.ADOPTED and order.why:
        tell(f"{order.sandbox}: {order.why}, which is shown; {_insist(order)} orders another")
    return order


async def _ended(orderer: Orderer, order: Order, adopt: Adopt, serves: Serves, spend: Spend | None) -> Order:
    """Return the order as it ended, or as it was given up."""
    clock, said = SystemClock(), ""
    while True:
        order = await orderer.place(order, lambda: None, adopt=adopt, serves=serves, spend=spend)
        if not order.step.is_open:
            return order
        is_twin = order.reason == "twin"
        if order.step is OrderStep.INTENDED and not is_twin:
            # who watches a command would rather ask again than wait for it to do so
            withdrawn = await orderer.withdraw(order, order.why)
            if withdrawn.step is not OrderStep.REFUSED:
                return withdrawn
            if orderer.trouble is not None:
                _fail_untaken(order, orderer.trouble)
            if order.declined:
                _fail_declined(order)
            return replace(withdrawn, reason=order.reason)
        why = f"{order.sandbox}: {order.why}" if is_twin else f"{order.why}; looking for what became of it"
        if why != said:
            tell(why)
            said = why
        await asyncio.sleep(max(0.0, (order.due_at - clock.now()).total_seconds()))


async def _left(orderer: Orderer, store: Store, order: Order, waited: str) -> Order:
    """Return the order if it has ended after all; ends the command, and says how it stands, where it is open."""
    order = await store.order(order.id) or order
    if order.step is OrderStep.INTENDED:
        order = await orderer.withdraw(order, "whoever wanted it waited no longer")
        if order.step is OrderStep.REFUSED and order.declined:
            _fail_declined(order)
        if order.step is OrderStep.REFUSED:
            fail(Exit.FAILED, f"{order.sandbox}: nothing was ordered within {waited}, and nothing will be")
    if order.step is OrderStep.POSTING:
        fail(
            Exit.FAILED,
            f"{order.sandbox}: {order.why or 'no answer has come'}. After {waited} it is not known yet whether the"
            f" {_what(order)} was taken (order {order.id});",
            "a running daemon finds out, or the same command: it takes the job that it finds, and sends nothing before",
        )
    return order


def _fail_untaken(order: Order, error: UpstreamError) -> NoReturn:
    if isinstance(error, RateLimited) and order.kind == "segment_job" and _USED_UP.search(str(error)):
        resets = "they are counted anew at 00:00 UTC; nothing was taken"
        fail(Exit.FAILED, f"{order.sandbox}: the platform allows no more evaluations: {error}; {resets}")
    fail(exit_of(error), told(error))


def _fail_declined(order: Order) -> NoReturn:
    nothing = f"It lists no new {_what(order)}, so nothing was taken, and it may be tried again"
    fail(Exit.UNREACHABLE, f"{order.sandbox}: the platform declined: {order.why}. {nothing}.")


def _what(order: Order) -> str:
    return "export" if order.kind == "export_job" else "evaluation"


def _advice(order: Order) -> tuple[str, ...]:
    """Return what to say of an order without a job."""
    what = _what(order)
    show = "segwatch export show" if order.kind == "export_job" else "segwatch jobs show"
    match order.reason:
        case OrderRefusal.EXISTS if order.job_id:
            why = f"{order.sandbox}: {order.why.replace('job', what, 1)}"
            return (f"{why}; `{show} {shlex.quote(order.job_id)}` shows it, {_insist(order)} orders another",)
        case OrderRefusal.EXISTS:
            return (f"{order.sandbox}: {order.why}; see whether it shows up, {_insist(order)} orders another",)
        case OrderRefusal.QUOTA:
            none = " none of " in order.why
            then = "asks the platform all the same" if none else "spends it"
            return (f"{order.why}{'' if none else ', and it is the last'}; --force {then}",)
        case OrderRefusal.UNCLEAR | "unclear":
            return (f"{order.sandbox}: {order.why}; {_insist(order)} orders another all the same",)
        case "unread":
            return (
                f"{order.sandbox}: {order.why}. Whether an equal {what} is there is not known: nothing was ordered",
            )
        case OrderRefusal.UNDECIDED:
            return (
                f"{order.sandbox}: {order.why}. Whether the {what} was taken cannot be known (order {order.id});",
                "look for it on the platform before you order another",
            )
        case _:
            return (order.why,)


def _insist(order: Order) -> str:
    return "--force" if order.kind == "export_job" else "--anew"
