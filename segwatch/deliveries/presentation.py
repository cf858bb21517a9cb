"""What all chats show alike: the colour of a message, its links, its footer."""

from enum import StrEnum
from urllib.parse import quote

from segwatch.deliveries.message import ENDS, Message, Standing
from segwatch.deliveries.runes import PLAIN, Escapes, listed
from segwatch.jobs.events import Severity, rfc3339

LINKS_MAX = 5
URL_MAX = 500  # runes: a link must not crowd out what it leads to
_URL_SAFE = ":/?#@!$&'*+,;=%~"  # without ( ) < > [ ] | " ` \, which end a link in one markup or another


class Tone(StrEnum):
    """How a message looks at first sight."""

    GOOD = "good"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def sign(self) -> str:
        """One rune, a coloured disc: it needs no font of the chat's own and no name between colons."""
        return {"good": "🟢", "info": "🔵", "warning": "🟠", "critical": "🔴"}[self.value]

    @property
    def rgb(self) -> int:
        """The colour of a bar beside the message, 0xRRGGBB."""
        return {"good": 0x2EB67D, "info": 0x3B82F6, "warning": 0xE8912D, "critical": 0xD92D20}[self.value]


def tone_of(message: Message) -> Tone:
    """Return the colour of the severity; good news is what puts something right and leaves nothing to look at."""
    if message.severity is Severity.INFO:
        return Tone.GOOD if message.standing is Standing.RESOLVED else Tone.INFO
    return Tone(message.severity.value)


def headline_of(message: Message) -> str:
    """Return the title behind its sign; never empty."""
    return f"{tone_of(message).sign} {message.title.strip() or message.type.value}"


def said_of(message: Message) -> str:
    """Return what happened, what it means and what is done about it, a line each; never empty."""
    said = (part.strip() for part in message.said)
    return "\n".join(filter(None, said)) or message.title.strip() or message.type.value


def items_of(message: Message, limit: int, escapes: Escapes = PLAIN, *, sign: str = "• ") -> list[str]:
    """Return a line for each item, and one that counts those that have no room in `limit` runes; none without items."""
    if not message.items:
        return []
    lines = [f"{sign}{one}" for one in message.items]
    return listed(lines, limit, escapes, more=message.items_left, by=message.listed_by)


def footer_of(message: Message) -> tuple[str, ...]:
    """Return what a reader looks up by: `firing`, `critical`, the time, the event's id."""
    told = message.standing is not Standing.STORY and (message.ends or message.type not in ENDS)
    standing = message.standing.value if told else ""
    return tuple(filter(None, (standing, message.severity.value, rfc3339(message.at), message.event_id)))


def links_of(message: Message) -> tuple[tuple[str, str], ...]:
    """Return the links that every markup bears: (name, URL), the URL without what would end it early."""
    safe = ((name, quote(url, safe=_URL_SAFE)) for name, url in message.links)
    return tuple((name, url) for name, url in safe if name and len(url) <= URL_MAX)[:LINKS_MAX]
