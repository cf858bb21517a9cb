"""Processes beside this one: how they start, how their address is learned, how they end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from segwatch.cli import lifeline
from segwatch.cli.output import Exit, fail

_START_S = 30.0
_STOP_S = 12.0
_INSTALLATION = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A running process, where it listens, and where it writes its log."""

    name: str
    url: str
    log: Path
    child: asyncio.subprocess.Process

    @property
    def has_ended(self) -> bool:
        """True when it runs no more."""
        return self.child.returncode is not None

    def last_words(self) -> str:
        """Return the end of its log."""
        return _end_of(self.log)


@asynccontextmanager
async def started(
    name: str, module: Sequence[str], folder: Path, *, url_in_log: bool = False
) -> AsyncIterator[Process]:
    """Start a module of ours with its arguments, wait until it says where it listens, and end it with the block,
    or with this process, whatever comes first.

    url_in_log: it says so in a log line on stderr, not in the first line on stdout. Its log is kept in `folder`.
    """
    log = folder / f"{name.replace(' ', '-')}.log"
    # its own settings only: what the user has set for a real daemon must not reach the demo's
    env = {key: value for key, value in os.environ.items() if not key.startswith("SEGWATCH_")}
    # -P: from this installation, and not from what lies in the folder where the demo was started
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_INSTALLATION), env.get("PYTHONPATH"))))
    with lifeline.held(env) as line:
        with log.open("wb") as sink:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", *module,
                stdout=asyncio.subprocess.PIPE, stderr=sink, env=env, start_new_session=True, pass_fds=(line,),
            )  # fmt: skip
        assert child.stdout is not None
        ends_it = signal.SIGKILL  # before it has begun it has nothing to put away, and is deaf while it imports
        try:
            try:
                async with asyncio.timeout(_START_S):
                    url = await _in_log(child, log) if url_in_log else json.loads(await child.stdout.readline())["url"]
            except (TimeoutError, ValueError):
                fail(Exit.FAILED, f"the {name} did not start; its log ends:", _end_of(log))
            ends_it = signal.SIGTERM
            yield Process(name=name, url=url, log=log, child=child)
        finally:
            with suppress(ProcessLookupError):
                child.send_signal(ends_it)
            try:
                async with asyncio.timeout(_STOP_S):
                    await child.communicate()
            except TimeoutError:
                child.kill()
                await child.communicate()


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:]) or "(nothing)"


async def _in_log(child: asyncio.subprocess.Process, log: Path) -> str:
    while True:
        for line in (await asyncio.to_thread(log.read_text, errors="replace")).splitlines():
            if '"listening"' in line:
                return str(json.loads(line)["url"])
        if child.returncode is not None:
            raise ValueError("it ended")
        await asyncio.sleep(0.05)
