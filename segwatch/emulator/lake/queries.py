"""SQL of a stranger's over exported batches: in an engine of its own, which sees their files and nothing else."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from segwatch.emulator.lake.fields import literal, quoted
from segwatch.emulator.lake.model import Answer

ROWS_KEPT = 100
MEMORY_LIMIT = "200MB"
# a dataset that nobody exported to has a table, too
_EMPTY = """
SELECT NULL::MAP(VARCHAR, STRUCT(id VARCHAR)[]) AS identityMap,
  NULL::MAP(VARCHAR, MAP(VARCHAR, STRUCT(lastQualificationTime TIMESTAMPTZ, status VARCHAR))) AS segmentMembership
WHERE FALSE
"""


class SqlError(Exception):
    """The SQL is not one that can be run here; the text is for whoever wrote it."""


class OutOfMemory(SqlError):
    """The SQL needs more memory than it has."""


class Session:
    """One engine for one query. tables: the Parquet files that make up each, by its name.

    What keeps the host's files out: the engine may open these files and no others, nothing can be attached, installed
    or loaded, no setting can be changed any more, and nothing of this process can be reached by a variable's name.
    """

    def __init__(self, tables: Mapping[str, Sequence[Path]]) -> None:
        self._connection = duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "threads": 1,
                "temp_directory": "",  # no spilling: a query that is too big fails
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "python_enable_replacements": False,
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        files = [literal(str(path)) for paths in tables.values() for path in paths]
        self._connection.execute(f"SET allowed_paths = [{', '.join(files)}]")
        for name, paths in tables.items():
            self._connection.execute(f"CREATE VIEW {quoted(name)} AS {_content(paths)}")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def run(self, sql: str) -> Answer:
        """Return what the SQL finds. Raises SqlError."""
        answer = quoted(uuid4().hex)  # called like a column of the answer, it would be taken for that column
        try:
            # all columns of all rows are computed, but only the first rows are written out
            found = self._connection.execute(
                f"""SELECT count(*), list(shown) FILTER (shown IS NOT NULL) FROM (
                  SELECT CASE WHEN row_number() OVER () <= {ROWS_KEPT} THEN to_json({answer}) END AS shown
                  FROM ({self._checked(sql)}
                  ) AS {answer}
                )"""
            ).fetchall()
        except duckdb.OutOfMemoryException as exc:
            # the engine's own advice is about settings, which nobody can change here
            raise OutOfMemory(f"{str(exc).splitlines()[0]}. A query has {MEMORY_LIMIT} here.") from exc
        except duckdb.Error as exc:
            raise SqlError(_first_lines(exc)) from exc
        ((count, rows),) = found
        return Answer(count=count, rows=[json.loads(row) for row in rows or ()])

    def close(self) -> None:
        self._connection.close()

    def _checked(self, sql: str) -> str:
        """Return the one SELECT that the text is."""
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1:
            raise SqlError(f"There are {len(statements)} statements. Write one SELECT.")
        (statement,) = statements
        if (word := _type_of(statement)) != "SELECT":
            raise SqlError(f"This is a statement of the type {word}. Only SELECT is run here.")
        return _without_end(str(statement.query))


def _content(paths: Sequence[Path]) -> str:
    if not paths:
        return _EMPTY
    listed = ", ".join(literal(str(path)) for path in paths)
    return f"SELECT * FROM read_parquet([{listed}], union_by_name = true)"


def _without_end(sql: str) -> str:
    """Return a statement without the semicolons at its end, and what is said after them."""
    for start, kind in reversed(duckdb.tokenize(sql)):
        if kind == duckdb.token_type.comment:
            continue
        if sql.encode()[start : start + 1] != b";":  # positions count bytes
            break
        sql = sql.encode()[:start].decode()
    return sql


def _type_of(statement: Any) -> str:
    try:
        return str(statement.type).rpartition(".")[2]
    except ValueError:  # the engine parses more types than its bindings can name, such as UPDATE EXTENSIONS
        return "OTHER"


def _first_lines(error: Exception) -> str:
    """Return what the engine says, without the SQL that it shows again: ours around the stranger's."""
    return str(error).partition("\n\nLINE ")[0].strip()
