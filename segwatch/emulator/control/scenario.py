"""Scenario files: orders to the platform, each with its time, checked as a whole before the first is carried out."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.export_request import export_request
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control import orders, run_orders
from segwatch.emulator.control.mistakes import mistakes
from segwatch.emulator.control.standing import new_sandbox
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.lake.model import EXTERNAL_SEGMENT_ID
from segwatch.emulator.sandbox import ALL_SEGMENTS, Sandbox
from segwatch.emulator.settings import Json

_BUNDLED = Path(__file__).parents[1] / "scenarios"
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SandboxOf = Callable[[str], Sandbox]
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


def load(name: str, sandbox_of: _SandboxOf = new_sandbox) -> Scenario:
    """Return the scenario in a file, or the one of that name that comes along. Raises ScenarioError.

    sandbox_of: gives what a sandbox holds at the start, whose segments and datasets can be named.
    """
    path = _BUNDLED / f"{name}.toml" if name in bundled() else Path(name)
    try:
        raw = path.read_bytes()
        document = tomllib.loads(raw.decode())
    except OSError as error:
        what = f"{name}: {error.strerror}. Name a file, or one that comes along: {', '.join(bundled())}."
        raise ScenarioError([what]) from error
    except ValueError as error:
        raise ScenarioError([f"{name}: no TOML: {error}"]) from error
    return _Reading(name, document, sandbox_of).scenario(sha256(raw).hexdigest())


class _Reading:
    """One pass over a scenario's tables, which collects every mistake."""

    def __init__(self, file: str, document: Json, sandbox_of: _SandboxOf) -> None:
        self._file = file
        self._sandbox_of = sandbox_of
        self._document = document
        self._problems: list[str] = []
        self._names: dict[str, float] = {}
        self._meant: list[tuple[str, str, float]] = []  # where something is named, which name, and when

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
        for place, name, at_s in self._meant:
            if self._names.get(name, float("inf")) > at_s:
                self._wrong(place, f"{name!r} names nothing that is there by then. Give that name to an entry.")
        if self._problems:
            raise ScenarioError(self._problems)
        return Scenario(name=self._file, digest=digest, begins=begins, steps=tuple(steps))

    def _steps(self, table: str) -> list[Step]:
        entries = self._document.get(table, [])
        if not isinstance(entries, list):
            self._wrong(table, f"it is no list of tables. Write [[{table}]].")
            return []
        steps = (self._step(table, f"{table}[{number}]", entry) for number, entry in enumerate(entries))
        return [step for step in steps if step is not None]

    def _step(self, table: str, place: str, entry: Any) -> Step | None:
        """Return what an entry says; None if anything is wrong with it, all of which is noted."""
        if not isinstance(entry, dict):
            self._wrong(place, f"it is {entry!r}. Write [[{table}]] and its fields below.")
            return None
        about_key = _ABOUT.get(table)
        own = {"at", *([about_key] if about_key else []), *(["name"] if table == "jobs" else [])}
        fields = {key: value for key, value in entry.items() if key not in own}
        name = entry.get("name") if table in _NAMED else None
        about = entry.get(about_key) if about_key else None
        wrong = []
        if (at_s := _seconds(entry.get("at"))) is None:
            wrong.append(f'at is {entry.get("at")!r}. Write the time since the start, such as "90s", "15m" or "2h".')
        elif isinstance(about, str) and about:
            self._meant.append((place, about, at_s))
        elif isinstance(name, str):
            self._names[name] = min(at_s, self._names.get(name, at_s))
        if about_key and not (isinstance(about, str) and about):
            wrong.append(f"{about_key} is {about!r}. Write the name of what it is about.")
        read, sound = _TABLES[table]
        wrong += mistakes(fields, lambda these: read(these, self._sandbox_of), sound)
        for message in wrong:
            self._wrong(place, message.replace("The body", "it"))
        if wrong or at_s is None:
            return None
        order = read(fields, self._sandbox_of)
        return Step(at_s=at_s, table=table, place=place, order=order, name=name, about=about)

    def _wrong(self, place: str, message: str) -> None:
        self._problems.append(f"{self._file}: {place}: {message}")


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return float(value)
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        return float(found[1]) * _UNITS_S[found[2]]
    return None


def _jobs(fields: Json, sandbox_of: _SandboxOf) -> orders.NewJobs:
    new = orders.new_jobs(fields)
    orders.job_request(new, sandbox_of(new.sandbox))
    return new


def _evaluation(fields: Json, sandbox_of: _SandboxOf) -> run_orders.NewRun:
    new = run_orders.new_evaluation(fields)
    segment_request(new.body, sandbox_of(new.sandbox))
    return new


def _export(fields: Json, sandbox_of: _SandboxOf) -> run_orders.NewRun:
    new = run_orders.new_export(fields)
    sandbox = sandbox_of(new.sandbox)
    usual = seed.export_of([ALL_SEGMENTS], next(iter(sandbox.datasets), seed.DATASET_ID))
    asked = export_request(usual | (new.body or {}), sandbox)
    _check_segments([one["segmentId"] for one in (asked.get("filter") or {}).get("segments") or ()], sandbox)
    return new


def _plan(fields: Json, sandbox_of: _SandboxOf) -> run_orders.NewPlan:
    new = run_orders.new_plan(fields)
    _check_segments(new.asked["properties"]["segments"], sandbox_of(new.sandbox))
    return new


def _profiles(fields: Json, sandbox_of: _SandboxOf) -> run_orders.ProfileChange:
    change = run_orders.profile_change(fields)
    if change.segment_id is not None:
        _check_segments([change.segment_id], sandbox_of(change.sandbox))
    return change


def _check_segments(asked: Iterable[str], sandbox: Sandbox) -> None:
    for segment_id in asked:
        if segment_id not in (ALL_SEGMENTS, EXTERNAL_SEGMENT_ID, *sandbox.definitions):
            raise ServiceError(400, f"No segment definition with id '{segment_id}' in sandbox '{sandbox.name}'")


def _anywhere(read: Callable[[Json], Any]) -> Callable[[Json, _SandboxOf], Any]:
    return lambda fields, _: read(fields)


_NAMED = ("jobs", "schedules")
_ABOUT = {"statuses": "job", "skips": "schedule"}
# how each is read, and fields that are in order; the tables in the order in which they take effect at the same moment
_TABLES: dict[str, tuple[Callable[[Json, _SandboxOf], Any], Json]] = {
    "quirks": (_anywhere(orders.new_quirks), {}),
    "outcomes": (_anywhere(orders.new_outcomes), {"kind": "export_job", "next": []}),
    "faults": (_anywhere(orders.new_fault), {"fault": {"delay_s": 1}}),
    "profiles": (_profiles, {"lose": 0.5}),
    "schedules": (_plan, {"name": "nightly", "schedule": "0 0 1 * * ?"}),
    "skips": (_anywhere(run_orders.new_skip), {}),
    "jobs": (_jobs, {"kind": "export_job"}),
    "evaluations": (_evaluation, {}),
    "exports": (_export, {}),
    "statuses": (_anywhere(orders.new_status), {"status": "FAILED"}),
}
