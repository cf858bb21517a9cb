"""The `segwatch` command: which commands there are, and how any of them ends."""

import sys
from functools import partial

from cyclopts import App, CycloptsError, Parameter

from segwatch import __version__
from segwatch.cli import signals, streams
from segwatch.cli.check import check
from segwatch.cli.completion import completion
from segwatch.cli.demo import demo
from segwatch.cli.emulate import emulate
from segwatch.cli.evaluate import evaluate
from segwatch.cli.output import Exit, Screen, fail
from segwatch.cli.run import run


def _shown(default: object) -> str | None:
    """Return what the help says of a default; nothing of those that mean "not given"."""
    return None if default is None or default is False or default == "" else str(default)


app = App(
    name="segwatch",
    version=__version__,
    help="Watch Adobe Experience Platform's segment and export jobs, tell people, resubmit failed exports.",
    console=Screen(),
    default_parameter=Parameter(negative=(), show_default=_shown),
)
# so that no command waits for what only others need, single ones import what is slow when they run, and groups are
# imported when one of theirs is called
for _command in (demo, run, check, emulate, evaluate, completion):
    app.command(_command)
app.command("segwatch.cli.config:app", name="config", help="Show the settings in force, or their JSON Schema.")
app.command("segwatch.cli.export:app", name="export", help="Order, list, show and cancel exports.")
app.command("segwatch.cli.jobs:app", name="jobs", help="Show, explain and cancel jobs, and retry failed exports.")
app.command("segwatch.cli.schedules:app", name="schedules", help="When the platform evaluates by itself.")
app.command("segwatch.cli.segments:app", name="segments", help="List and show segment definitions.")
app.command("segwatch.cli.datasets:app", name="datasets", help="List, show and make datasets that exports write to.")
app.command("segwatch.cli.batch:app", name="batch", help="What an export wrote: its files, and a download.")
app.command("segwatch.cli.profile:app", name="profile", help="Look up one profile.")
app.command("segwatch.cli.query:app", name="query", help="SQL on datasets, run by the platform.")
app.command("segwatch.cli.events:app", name="events", help="Read the event log.")
app.command(
    "segwatch.cli.notify:app",
    name="notify",
    help="List, preview and test channels and routes; see and replay dead letters.",
)
app.command("segwatch.cli.silence:app", name="silence", help="What nobody is told of for a while.")
app.command("segwatch.cli.pipeline:app", name="pipeline", help="Evaluate, export, check: whole runs.")
app.command("segwatch.cli.db:app", name="db", help="Check, back up and migrate the store.")


def main() -> None:
    """Run the command that the arguments name. Exit codes: 0 ok, 1 failed, 2 usage or settings, 3 unreachable."""
    streams.own()
    try:
        try:
            command, bound, _ = app.parse_args(sys.argv[1:], print_error=False, exit_on_error=False)
            signals.run(partial(command, *bound.args, **bound.kwargs))
        finally:
            sys.stdout.flush()
    except CycloptsError as error:
        command_line = " ".join((app.name[0], *(error.command_chain or ())))
        fail(Exit.USAGE, f"segwatch: {error}", f"`{command_line} --help` says what can be written")
    except signals.Stopped as stopped:
        sys.exit(stopped.code)
    except streams.ReaderGone:  # `| head`: there is nothing to say about it
        pass
    except streams.Unwritable as error:
        fail(Exit.FAILED, f"the output cannot be written: {error}")
    sys.exit(Exit.OK)
