"""What one message may cost to word, in steps: no clock is read, so the same template costs the same anywhere."""

from dataclasses import dataclass
from datetime import datetime

STEPS_MAX = 20_000  # for all texts of one message; the worst that was found took 60 ms
TEXT_MAX = 10_000  # runes of any text on its way
_RUNES_A_STEP = 50


class Refused(Exception):
    """A template asks for what cannot be had; the text says what to write instead."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """What is left for a message. at: when its event was; times are told as seen from there."""

    at: datetime
    steps: int = STEPS_MAX

    def spend(self, steps: int, runes: int = 0) -> None:
        """Take what a part of a template costs. Raises Refused when it is more than is left, or a text is too long."""
        if runes > TEXT_MAX:
            raise Refused(
                f"a text has {runes:,} runes, more than {TEXT_MAX:,}. Write [:100] or |truncate(100) behind it"
            )
        self.steps -= steps + runes // _RUNES_A_STEP
        if self.steps < 0:
            raise Refused(
                f"the template takes more than {STEPS_MAX:,} steps. Loop over less, such as message.items[:10]"
            )
