"""`segwatch completion`: what makes a shell complete our commands."""

import re
from typing import Annotated, Literal

from cyclopts import Parameter

from segwatch.cli.streams import put

_OF_FILES = re.compile(r"^complete .* -l (config|scenario) -r(?! -F)", re.MULTILINE)  # texts, to cyclopts


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL")], /) -> None:
    """Print the script that lets a shell complete commands and options.

    For bash put it into /etc/bash_completion.d or ~/.local/share/bash-completion/completions/segwatch, for zsh into
    a file _segwatch on $fpath, for fish into ~/.config/fish/completions/segwatch.fish.

    Example: `segwatch completion bash > ~/.local/share/bash-completion/completions/segwatch`

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    from segwatch.cli.commands import app  # here: it is what registers us

    script = app.generate_completion(shell=shell)
    put(_without_files(script) if shell == "fish" else script)


def _without_files(script: str) -> str:
    """Return fish's script so that it offers files only where an option or an argument names one."""
    script = _OF_FILES.sub(r"\g<0> -F", script)
    backup = "complete -c segwatch -n '__fish_segwatch_using_command db backup' -F"
    return f"complete -c segwatch -f\n{script.rstrip()}\n{backup}\n"
