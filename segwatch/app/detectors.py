"""From the settings to what looks for the unusual in a sandbox."""

from datetime import datetime

from segwatch.config import Settings
from segwatch.daemon.clock import Clock
from segwatch.daemon.detectors import Detection, Detectors
from segwatch.daemon.history import History
from segwatch.daemon.inspector import Inspector, Oddities
from segwatch.daemon.recorder import Recorder
from segwatch.daemon.schedule_watch import ScheduleWatch
from segwatch.daemon.source import Source
from segwatch.jobs.audience import Tolerance
from segwatch.jobs.flapping import Habit
from segwatch.store.base import Store
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.tokens import TokenSource


def detection_of(settings: Settings) -> Detection:
    """Return the settings of detectors in the form that decides."""
    wanted = settings.detectors
    return Detection(
        audiences=wanted.audiences,
        tolerance=Tolerance(least_change=wanted.audience_change, least_members=wanted.audience_least),
        habit=Habit(times=wanted.flapping_times, window=wanted.flapping_window),
        overdue_factor=wanted.overdue_factor,
        # an end is seen within an interval, and the history counts by the platform's clock
        overdue_slack=2 * settings.polling.interval,
        exports=wanted.exports,
        token_warning=wanted.token_warning,
    )


class SandboxDetectors:
    """What looks for the unusual in one sandbox; `follow` is for its recorder."""

    def __init__(self, sandbox: str, settings: Settings, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._wanted = detection_of(settings)
        self._history = History(sandbox, store, clock)
        self.oddities = Oddities()
        self.follow = Detectors(sandbox, store, clock, self._history, self._wanted).follow

    def inspector(self, recorder: Recorder, exports: Source, tokens: TokenSource, began: datetime) -> Inspector:
        """Return the worker that looks at jobs, exports, the token and odd replies."""
        return Inspector(
            recorder, self._store, self._clock, self._history, self._wanted,
            exports=exports, tokens=tokens, oddities=self.oddities, began=began,
            interval=self._settings.polling.interval,
        )  # fmt: skip

    def schedules(self, client: PlatformClient, recorder: Recorder) -> ScheduleWatch | None:
        """Return the worker that reads the schedules; None where they are of no interest."""
        wanted = self._settings.detectors
        if not wanted.schedules:
            return None
        return ScheduleWatch(
            client, recorder, self._store, self._clock, every=wanted.schedules_interval, grace=wanted.schedule_grace
        )
