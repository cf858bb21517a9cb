"""What a message says of itself, in whatever words it is: that it comes late, or is only a test."""

from dataclasses import replace
from datetime import timedelta

from segwatch.deliveries.message import Message, Standing
from segwatch.deliveries.model import Delivery, Late
from segwatch.deliveries.phrases import moment
from segwatch.jobs.events import Event, EventType, Severity, rfc3339

LATE_AFTER = timedelta(minutes=2)
"""Who is told so long after it happened may take it for news of now."""

AGAIN_AFTER = timedelta(seconds=10)
"""A promise that is made so long after its event is made again, by `notify replay` or for a channel that is new."""

_TEST = "(a test)"

TEST_SUBJECT = "segwatch-test"
"""What every test is about where incidents are kept: whichever opened one, a test that says resolved closes it."""


def as_test(event: Event) -> Event:
    """Return the event as one that says itself, to people and programs, that it did not happen."""
    return replace(event, details=event.details | {"test": True})


def is_late(delivery: Delivery, age: timedelta) -> bool:
    """Return whether a message that is sent now must say when that was. age: of the event.

    A digest says of which day it is.
    """
    event = delivery.event
    is_again = delivery.promised_at - event.at >= AGAIN_AFTER
    return event.type is not EventType.DIGEST_DAILY and (is_again or age >= LATE_AFTER)


def marked(message: Message, delivery: Delivery) -> Message:
    """Return the message with what people must know beside what it says."""
    if delivery.late is not None:
        message = _late(message, delivery.late)
    if delivery.event.details.get("test") is True:
        title, summary = f"{_TEST} {message.title}", f"{_TEST} {message.summary}"
        message = replace(message, title=title, summary=summary, subject=message.subject and TEST_SUBJECT)
    return message


def _late(message: Message, late: Late) -> Message:
    happened = moment(rfc3339(message.at), late.sent_at)
    said = f"{message.summary} Sent late: this happened at {happened}"
    if late.over_at is None:
        return replace(message, title=f"Sent late: {message.title}", summary=f"{said}.")
    over = moment(rfc3339(late.over_at), late.sent_at)
    return replace(
        message, title=f"Sent late, over by now: {message.title}", summary=f"{said}, and was over at {over}.",
        explanation="", action="", severity=Severity.INFO, standing=Standing.RESOLVED,
    )  # fmt: skip
