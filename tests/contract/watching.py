"""The emulator and a real client of it, for the tests beside this file."""

from contextlib import asynccontextmanager

from emulator_fixtures import emulating
from raw_platform import QUICK, client_of, oauth

from segwatch.upstream.wire import open_session

# the oddities under which every answer can still be read
READABLE_QUIRKS = [
    "ignore_sort",
    "item_offset_start",
    "absolute_links",
    "ups_relative_links",
    "extra_fields",
    "shifting_rows",
    "export_cancel_status",
    "no_batch_id",
    "object_batches",
    "errors_on_success",
    "seconds_epochs",
    "partial_bulk_get",
]


@asynccontextmanager
async def watched(timeouts=QUICK, **settings):
    """Yield the emulator's control and a client that gets its own tokens from it."""
    async with emulating(**settings) as platform, open_session() as session:
        tokens = oauth(session, platform.base_url)
        async with client_of(platform.base_url, tokens=tokens, timeouts=timeouts) as client:
            yield platform, client
