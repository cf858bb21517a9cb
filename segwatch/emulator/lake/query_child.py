"""One query of a stranger's, in a process of its own: `python -m segwatch.emulator.lake.query_child`.

It reads one line from stdin, an `Order` as JSON, and writes one line to stdout: `{"count", "rows"}`, or `{"error"}`.
It ends at once when its stdin is closed: whoever waits for the answer is gone then, also one that was killed.

What the engine's own limit does not count (a text or a list that a function makes) meets the limit of the address
space: the allocation fails, and with it the query, and not the platform.
"""

import json
import os
import resource
import sys
import threading
from contextlib import suppress
from pathlib import Path

import duckdb

from segwatch.emulator.lake.queries import MEMORY_LIMIT, Session, SqlError
from segwatch.emulator.lake.query_order import ANSWER_MAX_BYTES, Order

# What may be mapped beyond what an idle engine has mapped. The engine's own limit of 200 MB maps up to 220 MB (measured
# with DuckDB 2.0; sorts, aggregates, Parquet), and as much again is left to what it does not count.
_ROOM_BYTES = 400 * 1024 * 1024
_STATM = Path("/proc/self/statm")


def main() -> None:
    order = Order(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    os.environ["HOME"] = "/"  # or the engine's settings, which every query may read, show whose host this is
    with suppress(FileNotFoundError):  # nothing was exported yet
        os.chdir(order.folder)  # so that views and file names do not say where on the host they lie
    sys.stdout.buffer.write(_answer(order) + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)  # the engine's own farewell may need memory that there is not


def _answer(order: Order) -> bytes:
    try:
        session = Session({name: [Path(path) for path in paths] for name, paths in order.tables.items()})
        _limit(cpu_s=order.cpu_s)
        found = session.run(order.sql)
        written = json.dumps({"count": found.count, "rows": found.rows}).encode()
    except (SqlError, duckdb.Error) as error:  # the second: a file that went away meanwhile
        return json.dumps({"error": str(error)}).encode()
    except MemoryError:
        return json.dumps({"error": f"Out of Memory Error: a query has {MEMORY_LIMIT} here"}).encode()
    except (ValueError, RecursionError) as error:  # of the rows: a number too long, or a nesting too deep, to be read
        return json.dumps({"error": f"The answer cannot be shown: {error}"}).encode()
    if len(written) > ANSWER_MAX_BYTES:
        what = (
            f"The first {len(found.rows)} rows are {len(written)} bytes. Select less: {ANSWER_MAX_BYTES} can be kept."
        )
        return json.dumps({"error": what}).encode()
    return written


def _limit(*, cpu_s: int) -> None:
    """Limit what this process may have from now on; where the system has no such limit, the engine's own is left."""
    # of the CPU the soft limit comes first, since its signal says what it was
    limits = {resource.RLIMIT_CORE: (0, 0), resource.RLIMIT_CPU: (cpu_s, cpu_s + 1)}
    if _STATM.exists():
        mapped = int(_STATM.read_text().split()[0]) * resource.getpagesize()
        limits[resource.RLIMIT_AS] = (mapped + _ROOM_BYTES, mapped + _ROOM_BYTES)
    for which, most in limits.items():
        with suppress(ValueError, OSError):  # what was set from outside is lower still
            resource.setrlimit(which, most)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
