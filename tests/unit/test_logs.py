"""Log lines: what becomes of them when they cannot be written."""

import io
import logging
import sys

import pytest
import structlog

from segwatch.telemetry import logs

pytestmark = pytest.mark.usefixtures("logging_as_before")


class FullDisk(io.StringIO):
    """A log file on a disk that is full for a while."""

    is_full = False

    def write(self, text: str) -> int:
        if self.is_full:
            raise OSError(28, "No space left on device")
        return super().write(text)

    flush = io.StringIO.flush


def test_lines_follow_stderr_to_whoever_has_taken_it_over(monkeypatch):
    logs.configure(format_="json")
    above_the_bar = io.StringIO()
    monkeypatch.setattr(sys, "stderr", above_the_bar)
    structlog.get_logger().warning("delivery_dead")
    assert "delivery_dead" in above_the_bar.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_where_and_never_the_variables_whose_values_may_be_secret(format_):
    def fails(token: str) -> None:
        raise RuntimeError("unexpected")

    stream = io.StringIO()
    logs.configure(format_=format_, stream=stream)
    try:
        fails("s3cr3t" * 2)
    except RuntimeError:
        structlog.get_logger().exception("worker_failed")
        logging.getLogger("a.library").exception("failed")
    assert stream.getvalue().count("RuntimeError") >= 2
    assert "fails" in stream.getvalue()
    assert "s3cr3ts3cr3t" not in stream.getvalue()


def test_a_log_that_cannot_be_written_raises_nothing_and_goes_on_later():
    stream = FullDisk()
    logs.configure(format_="json", stream=stream)
    stream.is_full = True
    structlog.get_logger().info("lost")
    logging.getLogger("a.library").warning("lost too")
    stream.is_full = False
    structlog.get_logger().info("kept")
    assert '"kept"' in stream.getvalue()
    assert "lost" not in stream.getvalue()


@pytest.mark.parametrize("format_", ["json", "console"])
def test_every_line_passes_the_mask(format_):
    stream = io.StringIO()
    logs.configure(format_=format_, stream=stream)
    logs.hide(lambda line: line.replace("0paque", "[masked]"))
    try:
        structlog.get_logger().warning("sweep_failed", error="token 0paque", path=["0paque"])
        logging.getLogger("aiohttp.client").warning("odd answer: %r", b"0paque")
        raised = RuntimeError("0paque")
        structlog.get_logger().error("worker_failed", exc_info=raised)
    finally:
        logs.hide(lambda line: line)
    assert "0paque" not in stream.getvalue()
    assert stream.getvalue().count("[masked]") == 4
