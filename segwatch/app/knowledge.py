"""From the settings, and from what the store knows, to what messages may say beside their events."""

from segwatch.config import Settings
from segwatch.config.error_codes import known_codes
from segwatch.deliveries.knowledge import Knowledge
from segwatch.store.base import Store


def knowledge_without_names(settings: Settings) -> Knowledge:
    """Return what the settings say of errors, before what comes along, and of links; no names."""
    own = tuple(one.known for one in settings.error_codes)
    return Knowledge(errors=own + known_codes(), links=tuple(one.link for one in settings.links))


async def knowledge_of(settings: Settings, store: Store) -> Knowledge:
    """Return the same with all names that the store has; for one who reads once. Raises StoreError."""
    return knowledge_without_names(settings).with_names(await store.names())
