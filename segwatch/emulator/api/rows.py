"""What jobs of both kinds show in the same way."""

from segwatch.emulator.engine import Job
from segwatch.emulator.quirks import Quirk
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World


def errors_shown(world: World, job: Job, *, usual: list[Json]) -> list[Json]:
    """Return the job's `errors`: none before it ended, and `usual` for a failure that nobody gave others."""
    if not job.is_final:
        return []
    if job.errors is not None:
        return job.errors
    shows_usual = job.status == "FAILED" or (job.status == "SUCCEEDED" and Quirk.ERRORS_ON_SUCCESS in world.quirks)
    return usual if shows_usual else []


def span(start_ms: int, end_ms: int) -> Json:
    """Return a finished stretch of time, as metrics show it."""
    return {"startTimeInMs": start_ms, "endTimeInMs": end_ms, "totalTimeInMs": end_ms - start_ms}
