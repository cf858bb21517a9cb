"""The folder that a download fills: what belongs into it, what is there, and whose it is.

<folder>/.segwatch-download.json    which batch, and every file with its length and version: written first
<folder>/.segwatch-contents.json    what the platform named the content of each file when its beginning came
<folder>/<name>.part                a file that is not complete; bytes are only ever added at its end
<folder>/<name>                     a file that is complete, checked and on disk
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec

from segwatch.errors import SegwatchError
from segwatch.upstream.parts import OWN_PREFIX, resume_at, unfinished

MANIFEST = f"{OWN_PREFIX}download.json"
_CONTENTS = f"{OWN_PREFIX}contents.json"

_MAGICS = (b"PAR1", b"PARE")  # a Parquet file begins and ends with one of them, the second if it is encrypted


class DownloadError(SegwatchError):
    """The files are not all there, and another try at once would not help; the text says what to do.

    Where an answer of the platform is the reason, that is its `__cause__`.
    """


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One file. path: below the folder. name: as the platform asks for it. version: of its content, by the list."""

    path: str
    file_id: str
    name: str
    length_bytes: int
    version: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder is filled with. platform: its base URL."""

    batch: str
    sandbox: str
    platform: str
    files: tuple[Wanted, ...]


class Folder:
    """A folder that this process alone fills. All calls block on the disk; all raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._contents: dict[str, str] = {}
        self._turn = threading.Lock()

    def begin(self, manifest: Manifest, *, force: bool, restart: bool) -> None:
        """Make sure that what is there belongs to this download, and note what will. Raises DownloadError.

        force: replace files that do not. restart: delete what an earlier download left, whichever it was.
        """
        known = self._known(or_none=restart)
        if restart:
            for one in known.files if known else ():
                self._remove(one)
            for name in (MANIFEST, _CONTENTS):
                (self.path / name).unlink(missing_ok=True)
            known = None
        if known is not None and known != manifest:
            raise DownloadError(f"{self.path} {_difference(known, manifest)}")
        for one in manifest.files:
            if self.part(one).is_symlink():  # what is added to it would go to wherever it points
                if not force:
                    raise DownloadError(f"{self.part(one)} is a link, not the beginning of a file: --force replaces it")
                self.part(one).unlink()
            if known is not None and self._has_changed(one) and not force:
                length, listed = self.final(one).stat().st_size, one.length_bytes
                text = f"{self.final(one)} is {'shorter' if length < listed else 'longer'} than announced"
                raise DownloadError(f"{text} ({length:,} bytes, not {listed:,}): --force fetches it again")
            # a file of which we know nothing is somebody's, one of another length was changed by somebody
            foreign = self._exists(one) if known is None else self._has_changed(one)
            if foreign and not force:
                text = f"{self.final(one)} is there already, and is not of this download"
                raise DownloadError(f"{text}: --force replaces it; or choose another --out")
            if foreign:
                self._remove(one)
        if known is None:
            self._write(MANIFEST, manifest)
        else:
            self._contents = self._contents_known()

    def content(self, one: Wanted) -> str:
        """Return what the platform named the content of which we have the beginning; "" where it never did."""
        return self._contents.get(one.path, "")

    def note_content(self, one: Wanted, name: str) -> None:
        """Keep what the platform names the content whose beginning we are about to write."""
        with self._turn:
            self._contents[one.path] = name
            self._write(_CONTENTS, self._contents)

    def final(self, one: Wanted) -> Path:
        """Return where a file is when it is complete."""
        return self.path / one.path

    def part(self, one: Wanted) -> Path:
        """Return where a file grows."""
        return self.path / unfinished(PurePosixPath(one.path))

    def is_done(self, one: Wanted) -> bool:
        """True when a file is complete."""
        final = self.final(one)
        return final.is_file() and final.stat().st_size == one.length_bytes

    def there_bytes(self, one: Wanted) -> int:
        """Return how many bytes of a file need not be asked for."""
        if self.is_done(one):
            return one.length_bytes
        part = self.part(one)
        return resume_at(part.stat().st_size, one.length_bytes) if part.exists() else 0

    def finish(self, one: Wanted) -> None:
        """Give a file that is all there its name, once it is safe on disk. Raises DownloadError for a wrong content."""
        part, final = self.part(one), self.final(one)
        with part.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            wrong = f"{length} bytes, not {one.length_bytes}" if length != one.length_bytes else ""
            if not wrong and final.suffix.lower() == ".parquet" and not _is_parquet(file.fileno(), length):
                wrong = "not what a Parquet file begins and ends with"
            if not wrong:
                os.fsync(file.fileno())
        if wrong:
            part.unlink()  # else the next try would find it, and believe it complete
            raise DownloadError(f"{final.name}: what came is {wrong}; only that file was deleted, to be fetched anew")
        part.rename(final)
        _sync_folder(final.parent)

    def _known(self, *, or_none: bool) -> Manifest | None:
        try:
            return msgspec.json.decode((self.path / MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            if or_none:
                return None
            text = f"{self.path / MANIFEST} cannot be read ({exc}): --restart begins anew"
            raise DownloadError(text) from exc

    def _contents_known(self) -> dict[str, str]:
        try:
            return msgspec.json.decode((self.path / _CONTENTS).read_bytes(), type=dict[str, str])
        except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError):
            return {}

    def _write(self, name: str, content: object) -> None:
        new = self.path / f"{name}.new"
        new.unlink(missing_ok=True)
        with new.open("xb") as file:  # made by us: it may not be a link to somewhere else
            file.write(msgspec.json.format(msgspec.json.encode(content), indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.path / name)
        _sync_folder(self.path)

    def _exists(self, one: Wanted) -> bool:
        return self.final(one).exists() or self.part(one).exists()

    def _has_changed(self, one: Wanted) -> bool:
        return self.final(one).exists() and not self.is_done(one)

    def _remove(self, one: Wanted) -> None:
        self.final(one).unlink(missing_ok=True)
        self.part(one).unlink(missing_ok=True)


@contextmanager
def held(path: Path) -> Iterator[Folder]:
    """Yield a folder, made if need be, that no other download fills meanwhile. Raises DownloadError, OSError."""
    path.mkdir(parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DownloadError(f"{path} is being filled by another download: wait for it, or choose another") from exc
        yield Folder(path)
    finally:
        os.close(lock)


def _difference(known: Manifest, manifest: Manifest) -> str:
    whose = (known.platform, known.sandbox, known.batch)
    if whose != (manifest.platform, manifest.sandbox, manifest.batch):
        return (
            f"holds the download of batch {known.batch} of sandbox {known.sandbox} at {known.platform}: "
            "choose another --out; --restart deletes what is there"
        )
    return (
        f"holds a download of batch {known.batch}, and the platform lists other files now than when that began: "
        "--restart deletes what is there and begins anew"
    )


def _is_parquet(fd: int, length: int) -> bool:
    size = len(_MAGICS[0])
    begin, end = os.pread(fd, size, 0), os.pread(fd, size, max(0, length - size))
    return length >= 2 * size and begin == end and begin in _MAGICS


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
