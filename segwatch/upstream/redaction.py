"""What may not be shown: the secrets of all credentials, in every form in which an answer may repeat them."""

import base64
import html
import json
from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote, quote_plus

MASK = "[masked]"
_KEPT = 64  # of each credential and sort remembered: an answer may still speak of one that was renewed since
_TELLING_MIN = 8  # characters: so long a beginning of a secret is masked too, since a text may be cut anywhere
_WORD_MIN = 4  # a shorter secret would mask half of every sentence
_SURE_MIN = 16  # a shorter one might be in data by chance, and data must stay what it is


class Redactor:
    """Masks secrets in whatever leaves this room: one for the process, since what was a secret once remains one.

    ids: what is no secret, and still nobody's business: the API key. They are masked in texts, not in logs and data.
    """

    def __init__(self, *secrets: str, ids: tuple[str, ...] = ()) -> None:
        self._known: dict[tuple[str, bool], dict[str, list[str]]] = {}
        self._ids: dict[str, list[str]] = {}
        self._sort()
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
        if len(kept) > _KEPT:
            del kept[next(iter(kept))]
        self._sort()

    def know_id(self, one: str) -> None:
        """Mask this in texts from now on."""
        if one not in self._ids:
            self._ids[one] = _forms(one)
            self._sort()

    def __call__(self, text: str) -> str:
        """Return a text, whole or cut, without the secrets and without a telling beginning of one."""
        return _masked(text, self._all)

    def line(self, text: str) -> str:
        """Return the same for a line of the log, where ids may stay."""
        return _masked(text, self._secret)

    def _sort(self) -> None:
        """Put the longest first: tokens may begin alike, and one may be the beginning of another."""
        self._secrets = {secret: forms for kept in self._known.values() for secret, forms in kept.items()}
        self._secret = sorted({form for forms in self._secrets.values() for form in forms}, key=len, reverse=True)
        ids = {form for forms in self._ids.values() for form in forms}
        self._all = sorted({*self._secret, *ids}, key=len, reverse=True)

    def body(self, body: bytes) -> bytes:
        """Return an answer without the whole secrets: a job's error text goes to chats and into the store.

        JSON stays JSON: what takes a secret's place needs no escape.
        """
        for secret, forms in self._secrets.items():
            if len(secret) >= _SURE_MIN:
                for form in forms:
                    body = body.replace(form.encode(), MASK.encode())
        return body


def _masked(text: str, forms: list[str]) -> str:
    for form in forms:
        text = text.replace(form, MASK)
    for start in {form[:_TELLING_MIN] for form in forms if len(form) >= _TELLING_MIN}:
        if start in text:
            text = _without_cut(text, start, [form for form in forms if form.startswith(start)])
    return text


def _without_cut(text: str, start: str, forms: list[str]) -> str:
    """Return the text without any beginning of a form, as far as it agrees. start: how all the forms begin."""
    kept, at = [], 0
    while (found := text.find(start, at)) >= 0:
        end = found + max(_agreeing(text[found : found + len(form)], form) for form in forms)
        kept += [text[at:found], MASK]
        at = end
    return "".join([*kept, text[at:]])


def _agreeing(one: str, other: str) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


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
