"""What most commands begin with: the settings, and the store beside a daemon that may be running."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from segwatch.cli.output import Exit, fail
from segwatch.config import ConfigError, Settings, find, load, parse_duration
from segwatch.config.channels import ChannelSection
from segwatch.jobs.events import Event
from segwatch.jobs.model import JobState
from segwatch.store.base import Store, StoreBlank, StoreError, StoreHeld
from segwatch.store.factory import file_of, holder_of, store_of
from segwatch.store.filters import EventFilter, JobFilter

_MAKER = "db migrate"  # what a command that makes the store says to be
_MAKING_LOOKS, _MAKING_LOOK_S = 100, 0.1


def config_path(config: str | None) -> Path | None:
    """Return the settings file that is meant."""
    return find(Path(config) if config else None, os.environ)


def found_settings(config: str | None) -> Settings:
    """Return the settings. Raises ConfigError."""
    return load(config_path(config), os.environ)


def settings_of(config: str | None) -> Settings:
    """Return the valid settings; ends the command with one line for each mistake in them."""
    try:
        return found_settings(config)
    except ConfigError as error:
        fail(Exit.USAGE, *error.problems)


@asynccontextmanager
async def opened(
    config: str | None, *, readonly: bool = True, exclusive: bool = False
) -> AsyncIterator[tuple[Settings, Store]]:
    """Yield the settings and the open store; what the store cannot do ends the command.

    exclusive: as the daemon has it, which creates and migrates the store, and which a running daemon does not allow.
    """
    settings = settings_of(config)
    store = store_of(settings.store.url, exclusive=exclusive, readonly=readonly, holder=_MAKER)
    try:
        await store.open()
        try:
            yield settings, store
        finally:
            await store.close()
    except StoreError as error:
        fail(Exit.FAILED, str(error))


def left_to_daemon(settings: Settings, what: str) -> str:
    """Return a sentence about what a daemon will do by what was written into the store, whether one runs or not."""
    holder = holder_of(settings.store.url)
    if holder is not None and holder.is_daemon:
        return f"the running daemon will {what}"
    return f"no daemon runs with these settings: when it is started, with `segwatch run`, it will {what}"


@asynccontextmanager
async def ledger(settings: Settings) -> AsyncIterator[Store]:
    """Yield the store, to be written beside a daemon that may be running; it is made where there is none.

    Without it nothing may be submitted: what was ordered must be on disk before it is sent.
    """
    try:
        store = await made(settings.store.url)
        try:
            yield store
        finally:
            await store.close()
    except StoreError as error:
        fail(Exit.FAILED, str(error))


async def made(url: str) -> Store:
    """Return the open store, made if need be. While another process makes it, that one is waited for."""
    for last in (*[False] * _MAKING_LOOKS, True):
        store = store_of(url, exclusive=False)
        try:
            if file_of(url).exists():
                await store.open()
                return store
        except StoreBlank:
            if last:
                raise
        with suppress(StoreHeld):
            new = store_of(url, exclusive=True, holder=_MAKER)
            await new.open()
            await new.close()
            continue
        await asyncio.sleep(_MAKING_LOOK_S)
    raise StoreError(f"{file_of(url)} does not exist, and another process holds it. Try again in a minute.")


async def the_job(store: Store, name: str) -> JobState:
    """Return the job that `name` means: an id where it is unambiguous, else `sandbox/kind/id`."""
    sandbox, kind, job_id = name.split("/") if name.count("/") == 2 else ("", "", name)
    found = await store.jobs(JobFilter(sandbox=sandbox, kind=kind, id=job_id), limit=10)
    if not found:
        fail(Exit.FAILED, f"no job {name} is recorded; `segwatch jobs list` shows those that are")
    if len(found) > 1:
        fail(Exit.USAGE, f"{name} is ambiguous; write one of: {', '.join(str(job.key) for job in found)}")
    return found[0]


async def the_event(store: Store, name: str) -> Event:
    """Return the event of that id."""
    found = await store.events(EventFilter(id=name))
    if not found:
        fail(Exit.FAILED, f"no event has the id {name}; `segwatch events list --json` shows them as data.event_id")
    return found[0].event


def the_channel(settings: Settings, name: str) -> ChannelSection:
    """Return the channel of that name."""
    found = next((one for one in settings.channels if one.name == name), None)
    if found is None:
        names = ", ".join(one.name for one in settings.channels) or "none"
        fail(Exit.USAGE, f"no channel is named {name}; configured: {names}")
    return found


def a_while(text: str | None, option: str) -> timedelta | None:
    """Return the duration that an option names, such as `90s` or `36h`; ends the command for anything else."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        fail(Exit.USAGE, f'{option} is "{text}"{error}')


def a_time(text: str | None, option: str) -> datetime | None:
    """Return the time that an option names, in UTC where it names no zone; ends the command for anything else."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(Exit.USAGE, f'{option} is "{text}", which is no time. Write such as 2026-01-05 or 2026-01-05T02:00:00Z.')
    return at if at.tzinfo else at.replace(tzinfo=UTC)
