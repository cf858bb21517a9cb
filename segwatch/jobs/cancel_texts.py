"""Whether the text of an error says that a person ended the job, or no more than that it was ended.

No document lists such texts, and machines cancel too ("cancelled by user session expiry", "killed by the OOM killer").
So a text is believed only where every word of it is known. Each word is read as a letter for the part that it plays,
and a clause as the sequence of them: "Job 12 was cancelled by the user" is `wihCbap`.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

_WORDS_MAX = 60  # what is longer tells a story, with a cause in it
_CLAUSES = re.compile(r"(?<=[.!])\s+|[;\n]")
_WORD = re.compile(r"""'[\w. @-]+'|"[\w. @-]+"|(?:[^\s()\[\],:]|:(?!\s|$))+""")
_OTHER = "X"  # a word with a part that nobody foresaw: a cause, a machine, a "not"

_PARTS: Final[Mapping[str, str]] = {
    "a": "the this your its a an",
    "h": "was is got were has have been",
    "w": "profile segment audience batch export job run operation execution",  # the work as a whole
    "W": "segmentation query task stage step application process workflow dataset evaluation spark error",
    "r": "request action command",
    "C": "cancelled canceled",
    "e": "aborted terminated killed stopped interrupted deleted ended",
    "f": "failed",
    "g": "cancelling canceling aborting terminating killing stopping deleting ending",
    "T": "cancellation",
    "t": "abort abortion termination kill stop deletion",
    "q": "requested",
    "m": "marked",
    "F": "for",
    "n": "manually explicitly forcibly",
    "b": "by",
    "o": "on upon at per following as",
    "O": "of",
    "v": "via through from in",
    "u": "web ui api cli console portal dashboard",
    "z": "utc gmt am pm",
    "p": "user users person persons people somebody someone",
    "d": "admin admins administrator administrators",
    "s": "system",  # a system administrator is a person, a system user is a machine
    "j": "another other end sandbox platform account organisation organization org",
}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words.split()}

# as whom machines work, and what belongs to a user without being one
_NO_NAMES = re.compile(
    "time|limit|quota|session|expir|polic|server|service|system|process|script|schedule|default|daemon|cluster|agent"
    "|active|activity|idle|error|code|fail|kill|empt|mainten|shut|root|yarn|spark|hadoop|hdfs|airflow|kube|reply"
)
_HOSTS = re.compile(
    r"@(?:ip-\d|ec2-|.*(?:amazonaws|gserviceaccount|techacct)\.|.*\.(?:internal|local|localdomain|lan|svc)$)"
)
_SHAPES = (
    ("N", re.compile(r"""(?:'.*'|".*")""")),  # a name in quotes
    ("M", re.compile(r"[\w.+%-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}")),
    ("w", re.compile(r"[\w$.]*(?:spark|interrupted|runtime|execution|cancellation|cancelled|aborted)exception")),
    ("N", re.compile(r"[a-z]+\.[a-z.]+|[a-z]+\d+")),
    ("i", re.compile(r"[^\d]*\d.*")),  # an id, or a time
)

_WORK = "[awWriN]*"
_SUBJECT = f"{_WORK}h*"
_ENDED = "n?[Ce]n?"
_ROLE = "a?j?(?:p|s?d)"
_PERSON = f"(?:{_ROLE}[MN]?|M)"
_WISH = f"(?:{_ROLE}r|a?r[Obv]{_PERSON})"
_PLACE_AND_TIME = "(?:va?u+)?(?:oi+z?){0,2}"
_BY = f"(?:b{_PERSON}|[bo]?{_WISH}|o?qb{_PERSON}){_PLACE_AND_TIME}"
_BY_A_PERSON = re.compile(
    f"{_SUBJECT}{_ENDED}{_BY}"  # job 12 was cancelled by the user
    f"|g{_WORK}{_BY}"  # cancelling job 12 as requested by the user
    f"|{_SUBJECT}(?:n[Ce]|[Ce]n){_PLACE_AND_TIME}"  # the job was cancelled manually
    f"|{_SUBJECT}mF[gT](?:{_BY})?"  # the job has been marked for cancelling
    f"|{_WORK}T(?:O?{_WORK})h*q(?:{_BY})?"  # cancellation of the job was requested
    f"|{_WORK}t(?:O?{_WORK})h*q{_BY}"  # termination of the job was requested by an admin
    f"|{_PERSON}h*(?:{_ENDED}|qa?[Tt])O?{_WORK}{_PLACE_AND_TIME}"  # the user cancelled the job
)
_AS_A_WHOLE = "[awriN]*h*"  # that a task or a stage in it was cancelled may be a cause
_PLAINLY = re.compile(f"{_AS_A_WHOLE}C")
_NO_CAUSE = re.compile(f"(?:{_AS_A_WHOLE}[Cef])?")


def by_a_person(text: str) -> bool:
    """True where a text says that a person ended the job, or asked for it, and names nothing else."""
    parts = _parts(text)
    named = [bool(_BY_A_PERSON.fullmatch(clause)) for clause in parts]
    return any(named) and all(yes or _NO_CAUSE.fullmatch(one) for yes, one in zip(named, parts, strict=True))


def plainly(text: str) -> bool:
    """True where a text says in one of its clauses that the job was cancelled, and in that one no more."""
    return any(map(_PLAINLY.fullmatch, _parts(text)))


def name_no_cause(texts: Iterable[str]) -> bool:
    """True where texts say no more than that the job ended, failed or was cancelled; also where there are none."""
    return all(map(_NO_CAUSE.fullmatch, chain.from_iterable(map(_parts, texts))))


def _parts(text: str) -> list[str]:
    clauses = map(_WORD.findall, _CLAUSES.split(text))
    return ["".join(map(_part, words)) if len(words) <= _WORDS_MAX else _OTHER for words in clauses]


def _part(word: str) -> str:
    plain = word.lower().strip(".!")
    if part := _PART_OF.get(plain.removesuffix("'s").removesuffix("\u2019s")):
        return part
    shape = next((part for part, shape in _SHAPES if shape.fullmatch(plain)), _OTHER)
    is_no_name = shape in "MN" and (_NO_NAMES.search(plain) or _HOSTS.search(plain))
    return _OTHER if is_no_name else shape
