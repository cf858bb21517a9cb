"""Commands that run longer than whoever waits for them."""

import asyncio
from contextlib import suppress

from segwatch.daemon.commands import Commands
from segwatch.pipelines.seen import CommandEnded


class Script:
    """A command that ends when it may. begun, ended: how often it was started, and was made to end."""

    def __init__(self):
        self.begun = self.ended = 0
        self.may_end = asyncio.Event()

    async def run(self):
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.ended += 1
            raise
        return CommandEnded(code=0)


async def left_waiting(commands, script):
    """Return when somebody waits for the command of run r1 no more, as after a reload."""
    waiting = asyncio.create_task(commands.ended("r1", script.run))
    while not script.begun:  # noqa: ASYNC110 - it begins within a few turns of the loop
        await asyncio.sleep(0.002)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


async def test_a_command_runs_on_when_its_waiter_is_replaced():
    commands, script = Commands(), Script()
    await left_waiting(commands, script)
    script.may_end.set()
    assert await commands.ended("r1", script.run) == CommandEnded(code=0)
    assert (script.begun, script.ended) == (1, 0)
    assert "r1" not in commands


async def test_one_that_ended_while_nobody_waited_is_not_run_again():
    commands, script = Commands(), Script()
    await left_waiting(commands, script)
    script.may_end.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert await commands.ended("r1", script.run) == CommandEnded(code=0)
    assert script.begun == 1


async def test_it_ends_with_its_step_or_with_the_process():
    for end in (lambda commands: commands.end("r1"), lambda commands: commands.close()):
        commands, script = Commands(), Script()
        await left_waiting(commands, script)
        await end(commands)
        assert (script.ended, "r1" in commands) == (1, False)
