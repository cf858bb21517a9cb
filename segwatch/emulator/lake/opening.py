"""The lake of an emulator, with the profiles that its settings ask for."""

from collections.abc import Callable
from datetime import datetime

import duckdb
from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import histories, own_profiles, population
from segwatch.emulator.lake.lake import Lake
from segwatch.emulator.settings import EmulatorSettings

_FILE = "lake.duckdb"


def opened(
    settings: EmulatorSettings,
    *,
    now: datetime,
    began: Callable[[Lake], None],
    was_kept: Callable[[str, str], bool],
) -> Lake:
    """Return the lake, in the settings' directory or in memory; takes seconds for a million profiles.

    Profiles are created or loaded once: a directory that holds some keeps them. now: when they are said to be created.
    began: hears of the lake before that, so that somebody can halt it. was_kept: see histories.sweep.
    Raises ValueError when the user's own profiles cannot be read, or the lake's file cannot be opened.
    """
    if settings.data is not None:
        settings.data.mkdir(parents=True, exist_ok=True)
    file = None if settings.data is None else settings.data / _FILE
    try:
        lake = Lake(file)
    except duckdb.Error as error:  # it is damaged, or somebody looks into it
        what = f"{file} cannot be opened: {error}"
        raise ValueError(f"{what.rstrip('.!')}. End what has it open, or choose another directory.") from error
    began(lake)
    try:
        lake.prepare(lambda cursor: _populate(cursor, settings, now))
        lake.prepare(lambda cursor: histories.sweep(cursor, was_kept))
    except BaseException:
        lake.close()
        raise
    return lake


def _populate(cursor: DuckDBPyConnection, settings: EmulatorSettings, now: datetime) -> None:
    if cursor.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'profile'").fetchone():
        return
    if settings.profiles is not None:
        own_profiles.load(cursor, settings.profiles, now=now)
    else:
        population.create(cursor, seed=settings.seed, size=settings.size, now=population.anchor(now))
