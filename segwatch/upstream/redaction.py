"""What may not be shown: the secrets of all credentials, in every form in which an answer may repeat them."""

import base64
import html
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote, quote_plus

from segwatch.upstream.json_bodies import is_json

MASK = "[masked]"
_KEPT = 64  # of each credential and sort remembered: an answer may still speak of one that was renewed since
_TELLING_MIN = 8  # characters: so long a beginning of a secret is masked too, since a text may be cut anywhere
_WORD_MIN = 4  # a shorter secret would mask half of every sentence
_LITERAL = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')  # a string in JSON, names of fields too
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_WORD_BYTES = 4  # of an unsigned int, as `memoryview` reads it
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class _Index:
    """What is looked for. forms: the first characters of forms, and all forms that begin so.

    short: those first characters that are forms themselves. words: four bytes of the others -> the others.
    """

    forms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    short: tuple[str, ...] = ()
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class Redactor:
    """Masks secrets in whatever leaves this room: one for the process, since what was a secret once remains one.

    ids: what is no secret, and still nobody's business: the API key. They are masked in texts, not in logs and data.
    """

    def __init__(self, *secrets: str, ids: tuple[str, ...] = ()) -> None:
        self._known: dict[tuple[str, bool], dict[str, list[str]]] = {}
        self._ids: dict[str, list[str]] = {}
        self._secret = _Index()
        self._all = _Index()
        for secret in secrets:
            self.know(secret, given=True)
        for one in ids:
            self.know_id(one)

    def know(self, secret: str, *, owner: str = "", given: bool = False) -> None:
        """Mask this from now on; of each owner's tokens, and of what it was given, those used last are remembered.

        owner: the client id. given: it stands in the settings, and no number of tokens may push it out.
        """
        if not secret:
            return
        kept = self._known.setdefault((owner, given), {})
        if secret in kept:
            kept[secret] = kept.pop(secret)
            return
        kept[secret] = _forms(secret)
        self._secret, self._all = _with(self._secret, kept[secret]), _with(self._all, kept[secret])
        if len(kept) > _KEPT:
            del kept[next(iter(kept))]
            self._build()

    def know_id(self, one: str) -> None:
        """Mask this in texts from now on."""
        if one not in self._ids:
            self._ids[one] = _forms(one)
            self._all = _with(self._all, self._ids[one])

    def __call__(self, text: str) -> str:
        """Return a text, whole or cut, without the secrets and without a telling beginning of one."""
        return _masked(text, self._all.forms)

    def line(self, text: str) -> str:
        """Return the same for a line of the log, where ids may stay."""
        return _masked(text, self._secret.forms)

    def _build(self) -> None:
        every = [form for kept in self._known.values() for forms in kept.values() for form in forms]
        self._secret = _with(_Index(), every)
        self._all = _with(self._secret, [form for forms in self._ids.values() for form in forms])

    def body(self, body: bytes) -> bytes:
        """Return an answer without secrets and their beginnings: what a job says goes to chats and into the store.

        JSON stays JSON, and everything but the strings that tell a secret stays as it was, byte by byte.
        """
        text = body.decode(errors="replace")
        plain = _joined(_ESCAPE.sub(_unescaped, text)) if "\\" in text else text
        told = {start: self._secret.forms[start] for start in _present(plain, self._secret)}
        if not told:
            return body
        if not is_json(body):
            return _masked(text, self._secret.forms).encode()
        return _LITERAL.sub(lambda found: _masked_literal(found[0], told), text).encode()


def _with(index: _Index, forms: Iterable[str]) -> _Index:
    """Return a new index with these forms too: another thread may be reading the old one, for a line of the log."""
    new, words = dict(index.forms), dict(index.words)
    for form in forms:
        start = form[:_TELLING_MIN]
        there = new.get(start, ())
        if form not in there:
            new[start] = (*there, form)
        if not there and len(start) == _TELLING_MIN:
            for word in _words_of(start):
                words[word] = (*words.get(word, ()), start)
    return _Index(new, tuple(start for start in new if len(start) < _TELLING_MIN), words)


def _words_of(start: str) -> set[int]:
    """Return the words of which one surely stands where this long beginning does, wherever in a text that is."""
    data = _bytes(start)
    return {int.from_bytes(data[n : n + _WORD_BYTES], sys.byteorder) for n in range(_WORD_BYTES)}


def _present(text: str, index: _Index) -> list[str]:
    """Return which beginnings stand in a long text, without a search of all of it for each of them.

    Wherever eight bytes stand, they cover one of the words of four that the text is cut into. One walk over those
    takes 3 ms for 420 KB, however many secrets there are; an alternation in a regular expression takes 16 for few.
    """
    data = _bytes(text)
    words = memoryview(data)[: len(data) // _WORD_BYTES * _WORD_BYTES].cast("I")
    likely = {start for word in index.words.keys() & words for start in index.words[word]}
    return [start for start in (*index.short, *likely) if start in text]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _joined(text: str) -> str:
    """Return the text with each pair of surrogates as the one character that JSON means by them."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])


def _masked_literal(literal: str, told: Mapping[str, tuple[str, ...]]) -> str:
    if "\\" not in literal and not any(start in literal for start in told):
        return literal
    value = json.loads(literal, strict=False)
    masked = _masked(value, told)
    return literal if masked == value else json.dumps(masked)


def _masked(text: str, told: Mapping[str, tuple[str, ...]]) -> str:
    """Return the text without any form, and without any telling beginning of one, as far as it agrees."""
    spans = sorted(span for start, forms in told.items() if start in text for span in _spans(text, start, forms))
    if not spans:
        return text
    kept, at = [], 0
    for begin, end in spans:
        if begin >= at:
            kept += [text[at:begin], MASK]
        at = max(at, end)
    return "".join([*kept, text[at:]])


def _spans(text: str, start: str, forms: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """Yield where forms, or beginnings of them, stand. start: how all of them begin; a shorter one is a form itself."""
    if len(start) < _TELLING_MIN:
        for found in re.finditer(rf"(?<![\w-]){re.escape(start)}(?![\w-])", text):
            yield found.span()
        return
    at = text.find(start)
    while at >= 0:
        yield at, at + max(_agreeing(text, at, form) for form in forms)
        at = text.find(start, at + 1)


def _agreeing(text: str, at: int, form: str) -> int:
    if text.startswith(form, at):
        return len(form)
    return next(n for n, char in enumerate(form) if text[at + n : at + n + 1] != char)


def _forms(secret: str) -> list[str]:
    """Return how a secret may be written in an answer, longest first."""
    if len(secret) < _WORD_MIN:
        return []
    found = {secret, *(write(secret) for write in _WRITTEN)}
    if len(secret) >= _TELLING_MIN:
        found |= set(_in_base64(secret.encode())) | {secret.encode().hex()}
    return sorted(found, key=len, reverse=True)


_WRITTEN: tuple[Callable[[str], str], ...] = (
    partial(quote, safe=""),
    quote,
    quote_plus,
    lambda secret: "".join(piece.lower() if piece.startswith("%") else piece for piece in _percents(secret)),
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    lambda secret: repr(secret)[1:-1],
    html.escape,
    lambda secret: " ".join(secret.split()),
)


def _percents(secret: str) -> Iterator[str]:
    """Yield a percent-encoded secret in pieces, each escape one of them."""
    encoded, at = quote(secret, safe=""), 0
    while at < len(encoded):
        length = 3 if encoded[at] == "%" else 1
        yield encoded[at : at + length]
        at += length


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what base64 of something that holds the secret surely contains, wherever in it the secret begins."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        first = (0, 2, 3)[before]  # digits that also depend on what stands before
        last = (before + len(secret)) * 8 // 6  # and those behind, on what follows
        told = encoded[first:last].decode()
        yield told
        yield told.replace("+", "-").replace("/", "_")
