"""`segwatch batch`: what an export wrote."""

import asyncio
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators
from rich.filesize import decimal

from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import Exit, fail, show, show_one
from segwatch.cli.platform import InSandbox, calling, exit_of
from segwatch.cli.progress import tell
from segwatch.cli.transfer import Transfer
from segwatch.upstream import batches
from segwatch.upstream import files as batch_files
from segwatch.upstream.download import PARALLEL_MOST, DownloadError, fetch
from segwatch.upstream.errors import UpstreamError

app = App(name="batch")

_KEPT = "What came is kept: the same command goes on with it."


@app.command
async def files(batch: str, /, *, sandbox: InSandbox = "", as_json: Json = False, config: ConfigFile = None) -> None:
    """List the files of a batch.

    Example: `segwatch batch files 0f1e2d3c4b5a69788796a5b4c3d2e1f0`

    Parameters
    ----------
    batch
        Its id, as `segwatch export show` tells it.
    """
    async with calling(config, sandbox) as platform:
        client = platform.client
        own = batch_files.of_batch(client, batch)
        parts = [part async for file in own async for part in batch_files.parts(client, file.id)]
        status = "" if parts else (await batches.get(client, batch)).status
    rows = [{"file": part.file_id, "part": part.name, "length": part.length_bytes} for part in parts]
    show(rows, as_json=as_json, empty=f"no files; the status of the batch is {status or 'not told'}")


@app.command
async def download(
    batch: str,
    /,
    *,
    out: Annotated[Path, Parameter(name="--out")],
    parallel: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=PARALLEL_MOST))] = 4,
    force: bool = False,
    restart: bool = False,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Bring all files of a batch to a folder.

    A download that broke off goes on where it ended when the same command runs again. A file gets its name only when
    its length was verified.

    Example: `segwatch batch download 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --out members`

    Parameters
    ----------
    batch
        Its id, as `segwatch export show` tells it.
    out
        The folder; it is made if need be.
    parallel
        So many files at a time.
    force
        Replace files in the folder that are not of this download.
    restart
        Delete what an earlier download left in the folder, and begin anew.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    if out.is_file():
        fail(Exit.FAILED, f"{out} is a file: name a directory")
    try:
        with Transfer() as transfer:
            async with calling(config, sandbox) as platform:
                done = await fetch(
                    platform.client, batch, out, parallel=parallel, force=force, restart=restart,
                    report=transfer.report,
                )  # fmt: skip
    except DownloadError as error:
        cause = error.__cause__
        fail(exit_of(cause) if isinstance(cause, UpstreamError) else Exit.FAILED, str(error))
    except OSError as error:
        kept = "" if isinstance(error, FileExistsError | PermissionError) else f". {_KEPT}"
        fail(Exit.FAILED, f"{error.filename or out}: {error.strerror or error}{kept}")
    except asyncio.CancelledError:  # Ctrl-C
        tell(_KEPT)
        raise
    sizes = {"bytes": done.bytes, "resumed_bytes": done.resumed_bytes}
    told = sizes if as_json else {name: decimal(size) for name, size in sizes.items() if size or name == "bytes"}
    took_s = round(clock() - began, 1)
    show_one({"batch": batch, "folder": str(out), "files": done.files, **told, "took_s": took_s}, as_json=as_json)
