"""What valid settings demand of the machine that they are checked on."""

import os
from collections.abc import Iterator
from pathlib import Path

from segwatch.config.problems import shown
from segwatch.config.settings import Settings
from segwatch.upstream import folders


def unusable(settings: Settings, label: str) -> list[str]:
    """Return one line for each file or folder of a pipeline's that is not what the pipeline needs.

    Not part of loading them: a disk that is mounted late must not keep the daemon from watching. label: the file.
    """
    return [
        f"{label}: pipelines[{index}].{line}"
        for index, pipeline in enumerate(settings.pipelines)
        for line in (*_command(pipeline.command), *_folder(pipeline.download))
    ]


def _command(command: tuple[str, ...]) -> Iterator[str]:
    if command and not (Path(command[0]).is_file() and os.access(command[0], os.X_OK)):
        what = "cannot be executed" if Path(command[0]).exists() else "is not there"
        yield f"command[0] is {shown(command[0])}, which {what}. Write the path of an executable file."


def _folder(folder: Path | None) -> Iterator[str]:
    if folder is None:
        return
    if why := folders.fault(folder):
        yield f"download is {shown(str(folder))}, which {why}. Write a folder that segwatch may write to."
