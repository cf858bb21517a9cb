"""A process that another one of ours started ends with it, however that one ends: also when it is killed.

The parent holds one end of a pipe, and writes nothing. Its death closes that end, which the child sees at the other.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_NAME = "_SEGWATCH_LIFELINE"  # no setting, hence the underscore before it: the child's end, by its number


@contextmanager
def held(env: dict[str, str]) -> Iterator[int]:
    """Put a child's end of a new lifeline into its environment, and yield it, to be passed on; hold the other end."""
    theirs, ours = os.pipe()
    env[_NAME] = str(theirs)
    try:
        yield theirs
    finally:
        os.close(theirs)
        os.close(ours)


def watch() -> None:
    """Send this process SIGTERM once whoever started it has ended; do nothing if nobody holds a lifeline.

    Call it in the running loop, behind the handlers of signals.
    """
    number = os.environ.pop(_NAME, "")
    if not number.isdecimal():
        return
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(int(number))
        os.kill(os.getpid(), signal.SIGTERM)

    with suppress(OSError):  # no such file: it was meant for somebody else
        loop.add_reader(int(number), ended)
