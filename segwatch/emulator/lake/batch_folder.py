"""Where the batches lie."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory


class BatchFolder:
    """A directory for batches: in the settings' directory, or a temporary one that goes with the process."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._temporary: TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path:
        """Return the directory, which may not be there yet; the first call decides where it is."""
        if self._data is not None:
            return self._data / "batches"
        if self._temporary is None:
            self._temporary = TemporaryDirectory(prefix="segwatch-emulator-")
        return Path(self._temporary.name) / "batches"

    def sweep(self) -> None:
        """Remove what another process left unfinished."""
        if self._data is not None:
            for rubbish in self.path.glob("*.tmp"):
                shutil.rmtree(rubbish, ignore_errors=True)

    def clear(self) -> None:
        """Remove every batch."""
        if self._data is not None or self._temporary is not None:
            shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Let go of a temporary directory."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
