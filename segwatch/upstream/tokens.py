"""Where calls get their token, and the simplest such place: a file that somebody else keeps fresh."""

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec
from pydantic import SecretStr

from segwatch.kinds.excerpts import excerpt
from segwatch.kinds.fields import instant, mapping, whole
from segwatch.upstream.errors import Fate, Unauthorized


class TokenSource(Protocol):
    """Where calls get their token."""

    @property
    def expires_at(self) -> datetime | None:
        """When the present token ends; None without one, and where it cannot be known."""

    @property
    def renews(self) -> bool:
        """True for a source that gets new tokens by itself."""

    @property
    def trouble(self) -> str:
        """Why no new token could be got, the last times that it was tried; "" while all is well."""

    async def token(self, *, rejected: str | None = None) -> str:
        """Return a token; not `rejected`, which the platform just answered with 401.

        Raises Unauthorized, Unavailable, RateLimited or BadReply, all of them "not sent": the call was not made.
        """

    def accepted(self, token: str) -> None:
        """Take note that the platform took this token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """A token that somebody else keeps fresh in a file. client_id: the API key that goes with it."""

    client_id: str = field(repr=False)
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedToken:
    """A token given once and for all, in the settings. client_id: the API key that goes with it."""

    client_id: str = field(repr=False)
    token: SecretStr


class FixedTokens:
    """Implements TokenSource with the one token of the settings."""

    renews = False
    trouble = ""

    def __init__(self, credential: FixedToken) -> None:
        self._token = credential.token.get_secret_value()
        self.expires_at = end_of(self._token)

    def accepted(self, token: str) -> None:
        """Do nothing: it is never renewed."""

    async def token(self, *, rejected: str | None = None) -> str:
        """Return the token. Raises Unauthorized once the platform has rejected it."""
        if self._token == rejected:
            text = "access_token is rejected by the platform: it has expired, or is for something else. Set a new one"
            raise Unauthorized(text, fate=Fate.NOT_SENT, reason="token_rejected")
        return self._token


class FileTokens:
    """Implements TokenSource with a file that is read again whenever it changed."""

    renews = False
    trouble = ""

    def __init__(self, credential: TokenFile) -> None:
        self.expires_at: datetime | None = None
        self._path = credential.path
        self._token = ""
        self._version: tuple[int, int, int] | None = None

    def accepted(self, token: str) -> None:
        """Do nothing: a file is not asked too often."""

    async def token(self, *, rejected: str | None = None) -> str:
        """Return what the file holds now. Raises Unauthorized when it holds nothing else than the rejected token."""
        try:
            await asyncio.to_thread(self._read_if_changed)
        except (OSError, UnicodeDecodeError) as exc:
            raise self._unusable(f"cannot be read ({excerpt(str(exc).encode())})") from exc
        if not is_header_safe(self._token):
            raise self._unusable("holds no token: one line, nothing else")
        if self._token == rejected:
            raise self._unusable("holds a token that the platform rejects: it has expired, or is for something else")
        return self._token

    def _read_if_changed(self) -> None:
        found = self._path.stat()
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
        if version != self._version:
            self._token = self._path.read_text(encoding="utf-8").strip()
            self.expires_at = end_of(self._token)
            self._version = version

    def _unusable(self, why: str) -> Unauthorized:
        return Unauthorized(
            f"The token file {self._path} {why}. Put a fresh token there; it is read again when it changes.",
            fate=Fate.NOT_SENT,
            reason="token_file",
        )


def end_of(token: str) -> datetime | None:
    """Return when a token ends by its own claims; None for one that does not tell.

    It is a JWT. Adobe's tell `created_at` and `expires_in`, both in milliseconds and as text (seen in tokens of the
    Developer Console); `exp`, in seconds, is the standard's (RFC 7519, 4.1.4). Nothing is verified: it is only believed
    for a warning.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = mapping(msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
    created, life = whole(claims.get("created_at")), whole(claims.get("expires_in"))
    return instant(created + life) if created and life else instant(claims.get("exp"))


def is_header_safe(token: str) -> bool:
    """True for a token that can stand in a header as it is."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
