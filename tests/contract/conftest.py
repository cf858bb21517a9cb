"""What several contract tests share."""

from collections.abc import AsyncIterator

import pytest
from emulator_fixtures import Platform, emulating


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A caller of an emulator of the test's own, with the usual settings."""
    async with emulating() as platform:
        yield platform
