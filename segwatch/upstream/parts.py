"""What a download consists of: names that are safe on disk, ranges to ask for, and what an answer to one brings."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

PIECE_BYTES = 16 * 1024 * 1024  # an answer of Data Access may take 60 s (AEP contract 8): 280 KB/s are enough
UNFINISHED = ".part"
OWN_PREFIX = ".segwatch-"  # of what we put into the folder ourselves

_NAME_BYTES_MAX = 200  # file systems take 255, and the name of what is not finished is longer
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Skip:
    """The answer can be used: its first `bytes` are here already.

    if_whole: only if it turns out to have the length of the file; nothing else tells that it is one.
    """

    bytes: int
    if_whole: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer cannot be used. why: a sentence's end."""

    why: str


def safe_name(name: str) -> PurePosixPath:
    """Return the path, within a folder, of a file that the platform calls `name`. Raises ValueError.

    Whoever names it is not trusted: the path stays in the folder, and no name steers a terminal or hides the folder's
    own bookkeeping.
    """
    steps = name.split("/")
    if not all(step.strip() and step not in (".", "..") for step in steps):
        raise ValueError(f"{name!r} is no name of a file within a folder")
    if not all(letter.isprintable() for letter in name):
        raise ValueError(f"{name!r} has characters that cannot be seen")
    if any(len(step.encode()) > _NAME_BYTES_MAX for step in steps):
        raise ValueError(f"{name[:40]!r}... is longer than {_NAME_BYTES_MAX} bytes")
    if steps[0].casefold().startswith(OWN_PREFIX):
        raise ValueError(f"{name!r} is a name of segwatch's own")
    return PurePosixPath(*steps)


def places(parts: Sequence[tuple[str, str]]) -> list[PurePosixPath]:
    """Return where each part goes within the folder. parts: file id and name. Raises ValueError.

    That is its name; names that several files use go to a folder named by the file's id. Upper and lower case are no
    difference, since some disks know none.
    """
    names = [safe_name(name) for _, name in parts]
    uses = Counter(_key(name) for name in names)
    found = [
        name if uses[_key(name)] == 1 else PurePosixPath(safe_name(file_id), name)
        for (file_id, _), name in zip(parts, names, strict=True)
    ]
    taken: set[str] = set()
    for place in found:
        own = {_key(place), _key(unfinished(place))}
        if own & taken:
            raise ValueError(f"two files would both be {place}")
        taken |= own
    for place in found:
        if any(_key(parent) in taken for parent in place.parents):
            raise ValueError(f"{place} would lie in a file")
    return found


def unfinished(place: PurePosixPath) -> PurePosixPath:
    """Return the name of a file of which something is missing."""
    return place.with_name(f"{place.name}{UNFINISHED}")


def resume_at(there_bytes: int, length_bytes: int) -> int:
    """Return where to go on with a file of which so many bytes are there; one that is too long begins anew."""
    return there_bytes if there_bytes <= length_bytes else 0


def range_of(first: int, length_bytes: int, *, piece_bytes: int = PIECE_BYTES) -> str:
    """Return the header that asks for the next piece of a file, from byte `first` on."""
    return f"bytes={first}-{min(first + piece_bytes, length_bytes) - 1}"


def content_range(header: str) -> tuple[int, int, int | None] | None:
    """Return (first, last, total) of a Content-Range; the total may be untold. None where it is no such header."""
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None or int(found[1]) > int(found[2]):
        return None
    return int(found[1]), int(found[2]), None if found[3] == "*" else int(found[3])


def fit(status: int, headers: Mapping[str, str], *, first: int, length_bytes: int) -> Skip | Refusal:
    """Return what an answer to a range brings. headers: names in lower case. first: the byte that we asked for.

    The platform may answer with another range than it was asked for, or with the whole file (AEP contract 8).
    """
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return Refusal("the content is compressed on the way, so its ranges say nothing")
    if status == 200:
        told = headers.get("content-length", "").strip()
        if told.isdecimal() and int(told) != length_bytes:
            return Refusal(f"the file has {int(told)} bytes, and the list said {length_bytes}")
        return Skip(first, if_whole=not told)
    if status != 206:
        return Refusal(f"{status} is no answer to a download")
    given = content_range(headers.get("content-range", ""))
    if given is None:
        return Refusal("the answer does not say which bytes it holds")
    begin, last, total = given
    if total is not None and total != length_bytes:
        return Refusal(f"the file has {total} bytes, and the list said {length_bytes}")
    if not begin <= first <= last:
        return Refusal(f"bytes {begin} to {last} came, and byte {first} was asked for")
    return Skip(first - begin)


def content_of(headers: Mapping[str, str]) -> str:
    """Return what an answer names the content that it is a piece of; "" if it does not. headers: as in `fit`.

    The platform's documents name no such header, so nothing hangs on one that is missing.
    """
    return headers.get("etag", "") or headers.get("last-modified", "")


def _key(place: PurePosixPath) -> str:
    return str(place).casefold()
