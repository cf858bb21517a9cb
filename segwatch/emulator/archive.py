"""What outlives the process: the platform's state in a SQLite file, written before anybody is answered."""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from segwatch.emulator.settings import EmulatorSettings, Json

_FILE = "platform.sqlite3"
_LOCK = "platform.lock"
_FORMAT = 2
_MADE_WITH = "made_with"
_TABLES = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
  sandbox TEXT, shelf TEXT, id TEXT, body BLOB NOT NULL, UNIQUE (sandbox, shelf, id)
);
-- created: the order of creation, by the rowid. changed: the order of the last changes
CREATE TABLE IF NOT EXISTS job (
  created INTEGER PRIMARY KEY, kind TEXT, id TEXT, changed INTEGER, body BLOB NOT NULL, UNIQUE (kind, id)
);
CREATE TABLE IF NOT EXISTS request (key TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS submission (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""
_EVERYTHING = ("fact", "document", "job", "request", "submission", "event")


class ArchiveError(ValueError):
    """A directory cannot be used; the text says why, and what to do."""


class Archive:
    """A directory that one process at a time keeps the platform's state in.

    Everything put down since the last `flush` is written by the next one, whole or not at all. Raises ArchiveError.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(folder)
            self._db = _opened(folder / _FILE)
        except OSError as error:
            raise _unusable(folder, error.strerror) from error
        except sqlite3.Error as error:
            os.close(self._lock)
            raise _unusable(folder, f"{_FILE}: {error}") from error
        self._folder = folder
        self._facts: dict[str, bytes] = {}
        self._documents: dict[tuple[str, str, str], bytes] = {}
        self._changes = self._db.execute("SELECT coalesce(max(changed), 0) FROM job").fetchone()[0]
        self._open = False
        self._check_format()

    def close(self) -> None:
        """Write what is left, and let another process have the directory."""
        self.flush()
        self._db.close()
        os.close(self._lock)

    def flush(self) -> None:
        """Make what was put down last."""
        if self._open:
            self._db.execute("COMMIT")
            self._open = False

    def clear(self) -> None:
        """Forget everything but the format."""
        self._begin()
        for table in _EVERYTHING:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        self._facts.clear()
        self._documents.clear()
        self.put_fact("format", _FORMAT)

    def note_making(self, settings: EmulatorSettings) -> None:
        """Put down which profiles there are from now on."""
        self.put_fact(_MADE_WITH, _making(settings))

    def as_made(self, settings: EmulatorSettings) -> EmulatorSettings:
        """Return the settings with the seed and profiles that the directory was made with, if it has any yet.

        Raises ArchiveError, and lets the directory go, if others are demanded.
        """
        was = self.fact(_MADE_WITH)
        if was is None:
            return settings
        asked = _making(settings)
        others = [f"--{name} {asked[name]}" for name in asked if name in settings.demanded and asked[name] != was[name]]
        if others:
            self.close()
            people = "size" if was["profiles"] is None else "profiles"
            raise ArchiveError(
                f"{self._folder} was made with --seed {was['seed']} --{people} {was[people]}, not with"
                f" {' '.join(others)}. Leave that out, or choose another directory."
            )
        profiles = None if was["profiles"] is None else Path(was["profiles"])
        return replace(settings, seed=was["seed"], size=was["size"], profiles=profiles)

    def put_fact(self, name: str, value: object) -> None:
        """Put down one value under its name, if it is another than before."""
        body = _written(value)
        if self._facts.get(name) != body:
            self._begin()
            self._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, body))
            self._facts[name] = body

    def fact(self, name: str) -> Any:
        """Return the value of that name; None if there is none."""
        row = self._db.execute("SELECT body FROM fact WHERE name = ?", (name,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def put_documents(self, rows: Iterable[tuple[str, str, str, Json]]) -> None:
        """Put down all documents that there are, as (sandbox, shelf, id, document): only what changed is written."""
        now = {(sandbox, shelf, name): _written(one) for sandbox, shelf, name, one in rows}
        for key in self._documents.keys() - now.keys():
            self._begin()
            self._db.execute("DELETE FROM document WHERE sandbox = ? AND shelf = ? AND id = ?", key)
        for key, body in now.items():
            if self._documents.get(key) != body:
                self._begin()
                self._db.execute(
                    "INSERT INTO document VALUES (?, ?, ?, ?)"
                    " ON CONFLICT (sandbox, shelf, id) DO UPDATE SET body = excluded.body",
                    (*key, body),
                )
        self._documents = now

    def documents(self) -> Iterator[tuple[str, str, str, Json]]:
        """Yield what was put down, in the order in which it first was."""
        rows = self._db.execute("SELECT sandbox, shelf, id, body FROM document ORDER BY rowid").fetchall()
        for sandbox, shelf, name, body in rows:
            self._documents[sandbox, shelf, name] = body
            yield sandbox, shelf, name, msgspec.json.decode(body)

    def put_job(self, kind: str, job_id: str, job: Json) -> None:
        self._begin()
        self._changes += 1
        self._db.execute(
            "INSERT INTO job (kind, id, changed, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET changed = excluded.changed, body = excluded.body",
            (kind, job_id, self._changes, _written(job)),
        )

    def drop_job(self, kind: str, job_id: str) -> None:
        self._begin()
        self._db.execute("DELETE FROM job WHERE kind = ? AND id = ?", (kind, job_id))

    def jobs(self) -> Iterator[tuple[int, str, str, bytes]]:
        """Yield every job, oldest first: the place of its last change among all changes, kind, id, and what was put."""
        yield from self._db.execute("SELECT changed, kind, id, body FROM job ORDER BY created").fetchall()

    def put_request(self, key: str, count: int) -> None:
        self._begin()
        self._db.execute("INSERT OR REPLACE INTO request VALUES (?, ?)", (_text(key), count))

    def requests(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT key, count FROM request").fetchall())

    def put_submission(self, number: int, body: Json) -> None:
        self._begin()
        self._db.execute("INSERT OR REPLACE INTO submission VALUES (?, ?)", (number, _written(body)))

    def submissions(self) -> list[Json]:
        rows = self._db.execute("SELECT body FROM submission ORDER BY number").fetchall()
        return [msgspec.json.decode(body) for (body,) in rows]

    def put_event(self, number: int, event: object) -> None:
        self._begin()
        self._db.execute("INSERT OR REPLACE INTO event VALUES (?, ?)", (number, _written(event)))

    def drop_events(self, until: int) -> None:
        """Forget the events up to that number."""
        self._begin()
        self._db.execute("DELETE FROM event WHERE number <= ?", (until,))

    def events(self) -> Iterator[bytes]:
        yield from (body for (body,) in self._db.execute("SELECT body FROM event ORDER BY number").fetchall())

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True

    def _check_format(self) -> None:
        written = self.fact("format")
        if written is None:
            self.put_fact("format", _FORMAT)
            self.flush()
        elif written != _FORMAT:
            self.close()
            raise ArchiveError(f"{self._folder} was written by another version of segwatch. Choose another directory.")


def peek(folder: Path) -> list[tuple[str, str, str, Json]]:
    """Return the documents in a directory, as (sandbox, shelf, id, document), and leave it alone; none if it is new.

    Raises sqlite3.Error for what is no archive.
    """
    if not (folder / _FILE).is_file():
        return []
    with closing(sqlite3.connect(f"{(folder / _FILE).resolve().as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT sandbox, shelf, id, body FROM document ORDER BY rowid").fetchall()
    return [(sandbox, shelf, name, msgspec.json.decode(body)) for sandbox, shelf, name, body in rows]


def _written(value: object) -> bytes:
    """Return the value as JSON; what no UTF-8 can say becomes "?", so that it keeps nothing else from being written."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return _text(json.dumps(msgspec.to_builtins(value), ensure_ascii=False)).encode()


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()


def _making(settings: EmulatorSettings) -> Json:
    profiles = None if settings.profiles is None else str(settings.profiles.resolve())
    return {"seed": settings.seed, "size": settings.size, "profiles": profiles}


def _opened(file: Path) -> sqlite3.Connection:
    """Return the database with its tables. Raises sqlite3.Error for a file that is none."""
    db = sqlite3.connect(file, isolation_level=None)
    try:
        # the process may be killed at any moment, and the host seldom is
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_TABLES)
    except BaseException:
        db.close()
        raise
    return db


def _unusable(folder: Path, why: str | None) -> ArchiveError:
    return ArchiveError(f"{folder} cannot hold the platform's data: {why}. Choose another directory.")


def _locked(folder: Path) -> int:
    """Return the open lock file; the system gives it free when the process ends, however it does."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise ArchiveError(
            f"{folder} is in use by another local platform (process {owner}). End that, or choose another directory."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
