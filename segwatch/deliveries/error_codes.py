"""What the platform's error codes mean, in plain words."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from segwatch.deliveries.phrases import text
from segwatch.jobs.events import Event, errors_in


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCode:
    """One sort of error, and what is known of it.

    code: whole, or its beginning and a `*`; "" fits all. text: a part of the error's text, in any case; "" fits all.
    cause: what is wrong, and advice: what to do, in sentences. runbook: a URL. Each may be "".
    """

    code: str = ""
    text: str = ""
    cause: str = ""
    advice: str = ""
    runbook: str = ""

    def fits(self, code: str, message: str) -> bool:
        """True when both parts that are given fit."""
        start = self.code.removesuffix("*")
        fits = code.startswith(start) if self.code.endswith("*") else code == self.code
        return (fits or not self.code) and self.text.lower() in message.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What is known of one error, each part "" where nothing is."""

    cause: str = ""
    advice: str = ""
    runbook: str = ""

    @property
    def words(self) -> str:
        """Cause and advice, a sentence each."""
        return " ".join(filter(None, (self.cause, self.advice)))


UNKNOWN = Meaning()


def meaning_of(event: Event, known: Iterable[ErrorCode]) -> Meaning:
    """Return what is known of the first of the event's errors of which anything is; `UNKNOWN` of none.

    known: in the order in which they are asked; each part comes from the first that fits and has it.
    """
    known = tuple(known)
    for code, message in _errors(event, known):
        if fitting := [one for one in known if one.fits(code, message)]:
            first = [next(filter(None, parts), "") for parts in zip(*map(_parts, fitting), strict=True)]
            return Meaning(cause=first[0], advice=first[1], runbook=first[2])
    return UNKNOWN


def first_code(event: Event) -> str:
    """Return the code of the event's first error; "" when it has none."""
    return next((code for code, _ in _told(event) if code), "")


def _parts(one: ErrorCode) -> tuple[str, str, str]:
    return one.cause, one.advice, one.runbook


def _errors(event: Event, known: Iterable[ErrorCode]) -> Iterator[tuple[str, str]]:
    """Yield code and text of each error; of an answer that is only quoted, the codes that we know and find in it."""
    yield from _told(event)
    if why := text(event.details.get("why")):
        words = set(re.findall(r"[\w.-]*\w", why))
        # a plain word such as "unknown" may be part of any sentence
        codes = (one.code for one in known if re.search("[0-9_]", one.code))
        yield from ((code, why) for code in codes if code in words)
        yield "", why


def _told(event: Event) -> Iterator[tuple[str, str]]:
    yield from ((text(error.code), text(error.text)) for error in errors_in(event))
    code, cause = text(event.details.get("code")), text(event.details.get("cause"))
    if code:  # of a message about alerts: what most of them have in common
        yield code, cause
