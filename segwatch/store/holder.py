"""Who has a store: one at a time, until its process ends."""

from dataclasses import dataclass

DAEMON = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who has a store. pid: of its process, "" where that is not known. what: `daemon`, or the words of a command."""

    pid: str
    what: str

    @property
    def is_daemon(self) -> bool:
        """True for `segwatch run`."""
        return self.what == DAEMON

    def __str__(self) -> str:
        who = "another segwatch daemon" if self.is_daemon else f"`segwatch {self.what}`"
        return f"{who}, {f'process {self.pid}' if self.pid else 'which knows it by another name'}"
