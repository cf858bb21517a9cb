"""What commands do that make a job: an order on disk, placed once, and what to say when that leads to nothing."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

from segwatch.cli.following import sources_of
from segwatch.cli.output import Exit, fail
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

_LOOK_BACK = timedelta(hours=6)  # a job that runs for longer is known to the store, if anybody watches
_GRACE_S = 8.0


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
    calling: Calling, store: Store, order: Order, *, adopt: Adopt, serves: Serves, spend: Spend | None = None
) -> Order:
    """Return the order with its job; ends the command, and says why, where there is none.

    A lost answer is looked for as long as it may still show; Ctrl-C leaves that to the next command or the daemon.
    """
    logs.configure(level="error", format_=calling.settings.log.format)  # stdout is for the result
    window = calling.settings.retry.settle_window
    policy = OrderPolicy(settle_window=window, believed_after=proof.believed_after(window))
    clock = SystemClock()
    orderer = Orderer(sources_of(calling), store, clock, policy, grace_s=_GRACE_S)
    said = ""
    while True:
        order = await orderer.place(order, lambda: None, adopt=adopt, serves=serves, spend=spend)
        if not order.step.is_open:
            break
        if order.step is OrderStep.INTENDED and order.reason != "twin":
            # who watches a command would rather ask again than wait for it to do so
            withdrawn = await orderer.withdraw(order, order.why)
            if withdrawn.step is OrderStep.REFUSED and orderer.trouble is not None:
                fail(exit_of(orderer.trouble), told(orderer.trouble))
            order = replace(withdrawn, reason=order.reason) if withdrawn.step is OrderStep.REFUSED else withdrawn
            break
        is_twin = order.reason == "twin"
        why = f"{order.sandbox}: {order.why}" if is_twin else f"{order.why}; looking for what became of it"
        if why != said:
            tell(why)
            said = why
        await asyncio.sleep(max(0.0, (order.due_at - clock.now()).total_seconds()))
    if order.step not in (OrderStep.PLACED, OrderStep.ADOPTED):
        fail(Exit.FAILED, *_advice(order))
    if order.step is OrderStep.ADOPTED and order.why:
        tell(f"{order.sandbox}: {order.why}, which is shown; {_insist(order)} orders another")
    return order


def _advice(order: Order) -> tuple[str, ...]:
    """Return what to say of an order without a job."""
    what = "export" if order.kind == "export_job" else "evaluation"
    show = "segwatch export show" if order.kind == "export_job" else "segwatch jobs show"
    match order.reason:
        case OrderRefusal.EXISTS if order.job_id:
            why = f"{order.sandbox}: {order.why.replace('job', what, 1)}"
            return (f"{why}; `{show} {order.job_id}` shows it, {_insist(order)} orders another",)
        case OrderRefusal.EXISTS:
            return (f"{order.sandbox}: {order.why}; see whether it shows up, {_insist(order)} orders another",)
        case OrderRefusal.QUOTA:
            none = " none of " in order.why
            then = "asks the platform all the same" if none else "spends it"
            return (f"{order.why}{'' if none else ', and it is the last'}; --force {then}",)
        case OrderRefusal.UNCLEAR | "unclear":
            return (f"{order.sandbox}: {order.why}; {_insist(order)} orders another all the same",)
        case OrderRefusal.UNDECIDED:
            return (
                f"{order.sandbox}: {order.why}. Whether the {what} was taken cannot be known (order {order.id});",
                "look for it on the platform before you order another",
            )
        case _:
            return (order.why,)


def _insist(order: Order) -> str:
    return "--force" if order.kind == "export_job" else "--anew"
