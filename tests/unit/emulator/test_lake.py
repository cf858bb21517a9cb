"""The lake's beginning, and what ends it."""

from threading import Event, Thread

import duckdb
import pytest

from segwatch.emulator.lake.lake import Lake


@pytest.fixture
def lake():
    lake = Lake(None)
    yield lake
    lake.close()


def test_a_preparation_that_is_over_is_not_halted(lake):
    done = []
    lake.prepare(lambda cursor: done.append(cursor.execute("SELECT 1").fetchone()))
    lake.halt()
    assert done == [(1,)]


def test_one_that_was_halted_before_does_not_begin(lake):
    lake.halt()
    with pytest.raises(InterruptedError):
        lake.prepare(lambda cursor: pytest.fail("it began"))


def test_one_under_way_is_halted(lake):
    began, failed = Event(), []

    def work(cursor):
        began.set()
        for _ in range(100):  # each a second or so, unless it is halted
            cursor.execute("SELECT count(*) FROM range(30_000) a, range(30_000) b WHERE (a.range * b.range) % 7 = 3")

    def prepare():
        try:
            lake.prepare(work)
        except duckdb.InterruptException as error:
            failed.append(error)

    preparing = Thread(target=prepare)
    preparing.start()
    assert began.wait(10)
    while preparing.is_alive():  # between two queries nothing is there to interrupt
        lake.halt()
        preparing.join(0.05)
    assert failed
