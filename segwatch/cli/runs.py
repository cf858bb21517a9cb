"""A run of a pipeline as commands show it: its record, and how it goes on."""

import asyncio
from datetime import timedelta
from typing import Any

from segwatch.cli.output import span
from segwatch.cli.progress import Bar
from segwatch.daemon.clock import SystemClock
from segwatch.jobs import baseline
from segwatch.pipelines import telling
from segwatch.pipelines.model import Run, RunState, Step
from segwatch.store.base import Store
from segwatch.store.filters import RunFilter

_LOOK_S = 0.5
_PAST_RUNS = 50


def record_of(run: Run) -> dict[str, Any]:
    """Return a run as `--json` shows it."""
    steps = [one | {"at": done.at} for one, done in zip(telling.steps(run), run.done, strict=True)]
    known = telling.result(run)
    return (
        {"id": run.id, "pipeline": run.pipeline, "sandbox": run.sandbox, "cause": run.cause, "state": run.state.value}
        | {"step": run.step.value, "began_at": run.began_at, "since": run.since, "ended_at": run.ended_at}
        | {name: value for name, value in known.items() if name not in ("run", "why")}
        | {"reason": run.reason, "why": run.why, "steps": steps}
    )


class Follower:
    """Waits for the end of a run, and shows how it comes along."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self._run = run
        self._clock = SystemClock()
        self._past: dict[Step, list[timedelta]] = {}

    async def ended(self) -> Run:
        """Return the run when it has ended."""
        run = self._run
        past = await self._store.runs(RunFilter(sandbox=run.sandbox, pipeline=run.pipeline), limit=_PAST_RUNS)
        for one in past:
            for step in one.done if one.state is RunState.SUCCEEDED else ():
                self._past.setdefault(step.step, []).append(timedelta(seconds=step.took_s))
        with Bar(f"{run.sandbox} {run.pipeline} {run.id}") as bar:
            while run.state.is_open:
                self._draw(bar, run)
                await asyncio.sleep(_LOOK_S)
                run = await self._store.run(run.id) or run
        return run

    def _draw(self, bar: Bar, run: Run) -> None:
        phase = f"{run.step.value}: {run.why}" if run.why else run.step.value
        left = self._left(run)
        if left is None:
            bar.update(0, phase=phase)
        else:
            elapsed = self._clock.now() - run.began_at
            total = max((elapsed + left).total_seconds(), 1.0)
            bar.update(elapsed.total_seconds(), total=total, phase=phase, rest=f"about {span(left)} left")

    def _left(self, run: Run) -> timedelta | None:
        """Return how long the steps to come usually take; None where too few runs have succeeded to say."""
        if not self._past:
            return None
        done = {one.step for one in run.done}
        left = timedelta()
        for step, spans in self._past.items():
            if step in done:
                continue
            usual = baseline.estimate(spans)
            if usual is None:
                return None
            here = self._clock.now() - run.since if step is run.step else timedelta()
            left += max(usual.median - here, timedelta())
        return left
