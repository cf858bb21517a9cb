"""Access tokens: issued, valid for a while, and made invalid at will."""

import base64
import json
from collections.abc import Callable

from segwatch.emulator.settings import Json


class Tokens:
    """The tokens that the gateway accepts. now: epoch seconds."""

    def __init__(self, *, lifetime_s: int, now: Callable[[], float]) -> None:
        self.lifetime_s = lifetime_s
        self._now = now
        self._issued = 0
        self._valid_until: dict[str, float] = {}

    def issue(self, client_id: str) -> str:
        """Return a new token that looks like a JWT, as Adobe's do; no process ever issues the same one again."""
        self._issued += 1
        made = {"id": str(self._issued), "created_at": str(int(self._now() * 1000))}
        claims = made | {"type": "access_token", "client_id": client_id}
        head = _base64url(json.dumps({"alg": "RS256"}).encode())
        token = f"{head}.{_base64url(json.dumps(claims).encode())}.{_base64url(b'signed by the emulator')}"
        self._valid_until[token] = self._now() + self.lifetime_s
        return token

    def is_valid(self, token: str) -> bool:
        return self._valid_until.get(token, 0.0) > self._now()

    def expire_all(self) -> int:
        """Make every token invalid, and return how many there were."""
        count = len(self._valid_until)
        self._valid_until.clear()
        return count

    def document(self) -> Json:
        """Return what another process needs to know: tokens that are valid, until when (epoch s), and their number."""
        now = self._now()
        return {
            "issued": self._issued,
            "valid_until": {one: end for one, end in self._valid_until.items() if end > now},
        }

    def restore(self, document: Json) -> None:
        """Go on where another process ended."""
        self._issued, self._valid_until = document["issued"], dict(document["valid_until"])


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
