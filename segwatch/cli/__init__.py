"""The `segwatch` command: one module for each group of commands."""

import sys

from cyclopts import App

from segwatch import __version__
from segwatch.cli import config, db, events, jobs, notify
from segwatch.cli.demo import demo
from segwatch.cli.emulate import emulate
from segwatch.cli.run import check, run

app = App(
    name="segwatch",
    version=__version__,
    help="Watch Adobe Experience Platform's segment and export jobs, tell people, resubmit failed exports.",
)
for _command in (demo, run, check, emulate):
    app.command(_command)
for _group in (config.app, jobs.app, events.app, notify.app, db.app):
    app.command(_group)


def main() -> None:
    """Run the command that the arguments name. Exit codes: 0 ok, 1 failed, 2 usage or settings, 3 unreachable."""
    try:
        app(exit_on_error=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone: nothing more to say
        sys.exit(0)
