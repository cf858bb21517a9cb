"""Log lines: what becomes of them when they cannot be written."""

import io
import logging

import structlog

from segwatch.telemetry import logs


class FullDisk(io.StringIO):
    """A log file on a disk that is full for a while."""

    is_full = False

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)

    flush = io.StringIO.flush


def test_a_log_that_cannot_be_written_raises_nothing_and_goes_on_later():
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = FullDisk()
    try:
        logs.configure(format_="json", stream=stream)
        stream.is_full = True
        structlog.get_logger().info("lost")
        logging.getLogger("a.library").warning("lost too")
        stream.is_full = False
        structlog.get_logger().info("kept")
    finally:
        structlog.configure(**before)
        root.handlers, root.level = handlers, level
    assert '"kept"' in stream.getvalue()
    assert "lost" not in stream.getvalue()
