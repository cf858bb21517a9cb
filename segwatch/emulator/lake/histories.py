"""Evaluations of days that have passed: computed aside, and put into their sandbox's place as a whole.

Aside is a name that no sandbox can have: the sandbox's and, after a blank, the id of the history's last job.
"""

from collections.abc import Callable

from duckdb import DuckDBPyConnection

from segwatch.emulator.lake.evaluation import NAMESPACE

_EVALUATED = """
SELECT 1 FROM run WHERE sandbox = $sandbox
UNION ALL SELECT 1 FROM membership WHERE sandbox = $sandbox AND namespace = $namespace
LIMIT 1
"""
_ASIDE = "SELECT DISTINCT sandbox FROM membership WHERE contains(sandbox, ' ')"
_PUT = "UPDATE membership SET sandbox = $sandbox WHERE sandbox = $aside"


def aside(sandbox: str, job_id: str) -> str:
    """Return the name under which the memberships of a history lie until they are in place."""
    return f"{sandbox} {job_id}"


def is_evaluated(cursor: DuckDBPyConnection, sandbox: str) -> bool:
    """Whether anything has been evaluated there, by a segment job or for an export."""
    given = {"sandbox": sandbox, "namespace": NAMESPACE}
    return cursor.execute(_EVALUATED, given).fetchone() is not None


def put_in_place(cursor: DuckDBPyConnection, sandbox: str, job_id: str, *, settles: Callable[[], None]) -> bool:
    """Give the sandbox what lies aside, and return whether it could be: not after anything else was evaluated there.

    settles: called right before it takes effect; what it raises prevents that.
    """
    cursor.begin()
    try:
        is_free = not is_evaluated(cursor, sandbox)
        if is_free:
            cursor.execute(_PUT, {"sandbox": sandbox, "aside": aside(sandbox, job_id)})
            settles()
    except BaseException:
        cursor.rollback()
        raise
    cursor.commit()
    return is_free


def forget(cursor: DuckDBPyConnection, name: str) -> None:
    """Drop what lies aside under that name."""
    cursor.execute("DELETE FROM membership WHERE sandbox = ?", [name])


def sweep(cursor: DuckDBPyConnection, was_kept: Callable[[str, str], bool]) -> None:
    """Leave nothing aside that another process left there.

    was_kept: whether the sandbox has that job, of a history. Then the process ended in the moment between putting
    down the jobs and what they decided, and that is put in place now; everything else is dropped.
    """
    for (name,) in cursor.execute(_ASIDE).fetchall():
        sandbox, _, job_id = name.partition(" ")
        if was_kept(sandbox, job_id):
            cursor.execute(_PUT, {"sandbox": sandbox, "aside": name})
        else:
            forget(cursor, name)
