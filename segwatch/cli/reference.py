"""The reference page of the commands, written from their help."""

import io
from collections.abc import Iterator

from cyclopts import App
from rich.console import Console

from segwatch.cli.commands import app

_WIDTH = 100
_HEAD = """\
# Commands

<!-- Written from the help of segwatch/cli by `reference()`. tests/unit/test_cli_reference.py compares. -->

Every command prints its part of this page with `--help`. Those of `jobs`, `events`, `notify`, `silence` and `db` work
on the store, and all but `db migrate` beside a running daemon. The settings are found by `--config`, else
`SEGWATCH_CONFIG`, else `/etc/segwatch/config.toml`.

| Exit code | Meaning |
| --- | --- |
| 0 | ok |
| 1 | the job or the check failed |
| 2 | the command line or the settings are wrong |
| 3 | the platform cannot be reached |
| 129, 130, 143 | the command was ended: as its terminal went (SIGHUP), by Ctrl-C, by SIGTERM |

`run` and `emulate` end with 0 instead, as does `demo` once its story begins; on SIGHUP `run` reads its settings again.
A signal that whoever starts a command has ignored, as `nohup` does with SIGHUP and `&` in a script with Ctrl-C, stays
ignored, but for the SIGHUP of `run`. A second one ends a command at once that has not ended within a second of the
first, unless that would leave a pipeline's local command behind.

With `--json` a command prints one array, or one object for a single thing; times are RFC 3339 in UTC. Without it, a
terminal gets colours (unless `NO_COLOR` is set) and folded tables, a pipe gets one whole row a line.

The result is on stdout, all else on stderr. Whoever stops reading either ends no work and changes no exit code; only
`events tail` and `demo`, which go on by themselves, end with 0 once nobody reads stdout. A result that a full disk does
not take is exit code 1. A reader that pauses is waited for, such as `less`, or a terminal after Ctrl-S; `--timeout` and
signals end that too, and what it has not taken a second later is dropped.
"""


def reference() -> str:
    """Return the reference page in Markdown: what each command is for, its options and their defaults."""
    pages = (f"## `{' '.join(command)}`\n\n```text\n{help_of(command)}\n```\n" for command in commands())
    return "\n".join([_HEAD, *pages])


def commands() -> list[tuple[str, ...]]:
    """Return the words of every command and of every group, `segwatch` itself first."""
    return list(_below(app, ("segwatch",)))


def help_of(command: tuple[str, ...]) -> str:
    """Return what `--help` says of a command, without colours."""
    page = io.StringIO()
    app.help_print(command[1:], console=Console(file=page, width=_WIDTH, color_system=None))
    return "\n".join(line.rstrip() for line in page.getvalue().strip().splitlines())


def _below(group: App, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in group.resolved_commands().items():
        if not name.startswith("-"):
            yield from _below(command, (*words, name))
