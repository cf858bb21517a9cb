"""How memberships are called, by dialect. AEP contract 9, C5."""

from segwatch.emulator.quirks import Quirk
from segwatch.emulator.world import World


def shows_existing(world: World) -> bool:
    """Whether members who were in a segment before are told apart from those who entered it in the last run."""
    return world.settings.dialect == "seed" or Quirk.EXISTING_STATUS in world.quirks


def shown_status(world: World, status: str) -> str:
    """Return the word for a membership; today's documents call everybody who is in it `realized`."""
    return "realized" if status == "existing" and not shows_existing(world) else status
