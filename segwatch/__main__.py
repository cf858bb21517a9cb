"""`python -m segwatch` and the `segwatch` command."""

from segwatch.cli.commands import main

if __name__ == "__main__":
    main()
