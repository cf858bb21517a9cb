"""How fast one receiver may be sent to."""

import asyncio

HOLD_MAX_S = 5.0  # the dispatcher gives an attempt ten seconds beyond its timeout; who needs longer says so with a 429


class Pace:
    """Gives everybody who sends to one receiver a turn: one every `every_s` seconds, in the order of asking."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next_at = 0.0

    async def turn(self) -> None:
        """Return when it is the caller's turn."""
        now = asyncio.get_running_loop().time()
        mine = max(self._next_at, now)
        self._next_at = mine + self._every_s
        await asyncio.sleep(mine - now)

    def hold(self, seconds: float) -> None:
        """Give nobody a turn for a while, HOLD_MAX_S at most: the receiver said that its allowance is used up."""
        until = asyncio.get_running_loop().time() + min(seconds, HOLD_MAX_S)
        self._next_at = max(self._next_at, until)
