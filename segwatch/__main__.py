"""`python -m segwatch` and the `segwatch` command."""

import gc

from segwatch.cli import signals


def main() -> None:
    """Run the command that the arguments name."""
    signals.before_imports()
    gc.disable()  # until all is imported: it would look at the modules again and again, and find nothing to collect
    from segwatch.cli.commands import main as named  # here: it takes its time, and whoever regrets may press Ctrl-C

    named()


if __name__ == "__main__":
    main()
