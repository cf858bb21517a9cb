"""`segwatch completion`: what makes a shell complete our commands."""

from typing import Annotated, Literal

from cyclopts import Parameter

from segwatch.cli.streams import put


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

    put(app.generate_completion(shell=shell))
