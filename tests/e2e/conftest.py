"""What the end-to-end tests share: a house of one's own, and its logs in the report of a failure."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from house import OPEN, House

# Whoever starts the tests in the background of a script has them begin with SIGINT ignored, and what they start would
# inherit that; a signal that is handled here is none that is ignored there.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A local platform and a receiver; the test starts the daemon."""
    async with House(tmp_path) as one:
        yield one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed:
        for one in OPEN:
            report.sections.extend(one.tails())
    if report.when == "teardown":
        OPEN[:] = [one for one in OPEN if one.is_open]
    return report
