"""Scenario files: orders to the platform, each with its time, checked as a whole before the first is carried out."""

import difflib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.export_request import export_request
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control import orders, run_orders
from segwatch.emulator.engine import Kind
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.sandbox import Sandbox
from segwatch.emulator.settings import Json

_BUNDLED = Path(__file__).parents[1] / "scenarios"
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


class ScenarioError(ValueError):
    """A scenario that is not in order. problems: one line for each mistake, with what to write instead."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One order. at_s: when, in emulated seconds from the start. place: where it stands in the file.

    name: by which later steps mean what it makes. about: the name of what it is about.
    """

    at_s: float
    table: str
    place: str
    order: Any
    name: str | None = None
    about: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Steps in the order in which they happen. begins: the emulated time of day at the start; None: the wall clock's.

    digest: tells whether it is still the same file.
    """

    name: str
    digest: str
    begins: time | None
    steps: tuple[Step, ...]

    @property
    def computes(self) -> bool:
        """Whether it has steps for which the platform's data is needed."""
        return any(step.table in ("evaluations", "exports", "schedules", "profiles") for step in self.steps)


def bundled() -> list[str]:
    """Return the names of the scenarios that come along."""
    return sorted(path.stem for path in _BUNDLED.glob("*.toml"))


def load(name: str) -> Scenario:
    """Return the scenario in a file, or the one of that name that comes along. Raises ScenarioError."""
    path = _BUNDLED / f"{name}.toml" if name in bundled() else Path(name)
    try:
        raw = path.read_bytes()
        document = tomllib.loads(raw.decode())
    except OSError as error:
        what = f"{name}: {error.strerror}. Name a file, or one that comes along: {', '.join(bundled())}."
        raise ScenarioError([what]) from error
    except ValueError as error:
        raise ScenarioError([f"{name}: no TOML: {error}"]) from error
    return _Reading(name, document).scenario(sha256(raw).hexdigest())


class _Reading:
    """One pass over a scenario's tables, which collects every mistake."""

    def __init__(self, file: str, document: Json) -> None:
        self._file = file
        self._document = document
        self._problems: list[str] = []
        self._names: dict[str, float] = {}

    def scenario(self, digest: str) -> Scenario:
        for name in self._document:
            if name not in ("title", "begins", *_TABLES):
                close = difflib.get_close_matches(name, _TABLES, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                self._wrong(name, f"no such table. Known tables: {', '.join(_TABLES)}.{hint}")
        begins = self._document.get("begins")
        if begins is not None and not isinstance(begins, time):
            self._wrong("begins", f"it is {begins!r}. Write a time of day without quotes, such as 01:30:00.")
        steps = [step for table in _TABLES for step in self._steps(table)]
        steps.sort(key=lambda step: step.at_s)  # at the same time: in the order of the tables
        for step in steps:
            if step.about is not None and self._names.get(step.about, float("inf")) > step.at_s:
                self._wrong(
                    step.place, f"{step.about!r} names nothing that is there by then. Give that name to an entry."
                )
        if self._problems:
            raise ScenarioError(self._problems)
        return Scenario(name=self._file, digest=digest, begins=begins, steps=tuple(steps))

    def _steps(self, table: str) -> list[Step]:
        entries = self._document.get(table, [])
        if not isinstance(entries, list):
            self._wrong(table, f"it is no list of tables. Write [[{table}]].")
            return []
        found = []
        for number, entry in enumerate(entries):
            place = f"{table}[{number}]"
            try:
                found.append(self._step(table, place, entry))
            except ServiceError as error:
                self._wrong(place, error.message.replace("The body", "it"))
        return found

    def _step(self, table: str, place: str, entry: Any) -> Step:
        if not isinstance(entry, dict):
            raise ServiceError(400, f"it is {entry!r}. Write [[{table}]] and its fields below.")
        about_key = _ABOUT.get(table)
        own = {"at", *([about_key] if about_key else []), *(["name"] if table == "jobs" else [])}
        fields = {key: value for key, value in entry.items() if key not in own}
        at_s = _seconds(entry.get("at"))
        name = entry.get("name") if table in _NAMED else None
        about = entry.get(about_key) if about_key else None
        if about_key and not (isinstance(about, str) and about):
            raise ServiceError(400, f"{about_key} is {about!r}. Write the name of what it is about.")
        order = _TABLES[table](fields)
        if isinstance(name, str):
            self._names[name] = min(at_s, self._names.get(name, at_s))
        return Step(at_s=at_s, table=table, place=place, order=order, name=name, about=about)

    def _wrong(self, place: str, message: str) -> None:
        self._problems.append(f"{self._file}: {place}: {message}")


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _UNITS_S[found[2]]
    raise ServiceError(400, f'at is {value!r}. Write the time since the start, such as "90s", "15m" or "2h".')


def _sample_sandbox(name: str) -> Sandbox:
    return Sandbox(name=name, definitions=seed.definitions(name), datasets=seed.datasets(name))


def _jobs(fields: Json) -> orders.NewJobs:
    new = orders.new_jobs(fields)
    orders.job_request(new, _sample_sandbox(new.sandbox))
    return new


def _run(new: run_orders.NewRun) -> run_orders.NewRun:
    """Return the order, whose segments and dataset may come into being later."""
    sandbox = _sample_sandbox(new.sandbox)
    if new.kind is Kind.SEGMENT_JOB:
        segment_request(new.body, sandbox, known_only=False)
    else:
        export_request(seed.export_of(["*"], seed.DATASET_ID) | (new.body or {}), sandbox, known_only=False)
    return new


_NAMED = ("jobs", "schedules")
_ABOUT = {"statuses": "job", "skips": "schedule"}
# in the order in which they take effect at the same moment
_TABLES: dict[str, Callable[[Json], Any]] = {
    "quirks": orders.new_quirks,
    "outcomes": orders.new_outcomes,
    "faults": orders.new_fault,
    "profiles": run_orders.profile_change,
    "schedules": run_orders.new_plan,
    "skips": run_orders.new_skip,
    "jobs": _jobs,
    "evaluations": lambda fields: _run(run_orders.new_evaluation(fields)),
    "exports": lambda fields: _run(run_orders.new_export(fields)),
    "statuses": orders.new_status,
}
