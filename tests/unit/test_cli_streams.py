"""What nobody can take is dropped where it is no result, and told once where it is one."""

import errno
import os
from contextlib import suppress

import pytest

from segwatch.cli import streams


@pytest.fixture
def gone():
    """Return the end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.fixture
def full():
    """Return a file on a disk that is full."""
    file = os.open("/dev/full", os.O_WRONLY)
    yield file
    os.close(file)


def test_words_that_cannot_be_written_trouble_nobody(gone, full):
    for file in (gone, full):
        words = streams._Words(file, "wb", closefd=False)
        assert (words.write(b"43% of 300 MB"), words.write(b"done")) == (13, 4)


def test_a_result_is_dropped_once_its_reader_has_gone(gone):
    result = streams._Result(gone, "wb", closefd=False)
    assert not result.reader_gone
    assert result.write(b"a row") == 5
    assert result.reader_gone


def test_a_full_disk_under_a_result_is_told_once(full):
    result = streams._Result(full, "wb", closefd=False)
    with pytest.raises(streams.Unwritable, match=os.strerror(errno.ENOSPC)):
        result.write(b"a row")
    assert result.write(b"a row") == 5
    assert not result.reader_gone


def test_a_slow_reader_is_waited_for_though_the_pipe_does_not_block(monkeypatch):
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    waits = []

    def ready(file):
        waits.append(os.read(read, 65536) if waits else b"")
        return len(waits) > 1

    monkeypatch.setattr(streams, "_is_ready", ready)
    assert streams._Words(write, "wb", closefd=False).write(b"a line") == 6
    assert len(waits) == 2
    os.close(read)
    os.close(write)


def test_what_cannot_be_written_to_a_terminal_that_went_is_no_mistake_of_who_is_told_to_end(full, monkeypatch):
    monkeypatch.setattr(streams, "_told_until_s", streams.math.inf)
    streams.let_go()
    assert streams._Result(full, "wb", closefd=False).write(b"a row") == 5
