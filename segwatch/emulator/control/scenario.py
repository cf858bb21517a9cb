"""Scenario files: orders to the platform, each with its time, checked as a whole before the first is carried out."""

import difflib
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.api.export_request import demand_segments, export_request
from segwatch.emulator.api.schedules import EVALUATION
from segwatch.emulator.api.segment_jobs import segment_request
from segwatch.emulator.control import orders, run_orders
from segwatch.emulator.control.mistakes import mistakes
from segwatch.emulator.control.standing import new_sandbox
from segwatch.emulator.quirks import Quirk
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

    name: by which later steps mean what it makes. about: the name of what it is about. says: for people who look on.
    due_s: when the schedule that it makes is due, in emulated seconds from the start; None: its cron says it.
    """

    at_s: float
    table: str
    place: str
    order: Any
    name: str | None = None
    about: str | None = None
    says: str | None = None
    due_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Steps in the order in which they happen. begins: the emulated time of day at the start; None: the wall clock's.

    meets_s: so many emulated seconds from the start the emulated time of day is the wall clock's, whatever the speed.
    digest: tells whether it is still the same file.
    """

    name: str
    digest: str
    begins: time | None
    meets_s: float | None
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
        self._names: dict[str, tuple[str, str, float]] = {}  # the table of what is named, its place, and when it comes
        self._meant: list[
            tuple[str, str, str, float]
        ] = []  # where something is meant, of which table and name, and when

    def scenario(self, digest: str) -> Scenario:
        for name in self._document:
            if name not in ("title", "begins", "meets", *_TABLES):
                close = difflib.get_close_matches(name, _TABLES, n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                self._wrong(name, f"no such table. Known tables: {', '.join(_TABLES)}.{hint}")
        begins = self._document.get("begins")
        if begins is not None and not isinstance(begins, time):
            self._wrong("begins", f"it is {begins!r}. Write a time of day without quotes, such as 01:30:00.")
        meets_s = _seconds(self._document.get("meets"))
        if "meets" in self._document and (meets_s is None or meets_s > orders.LONGEST_S or begins is not None):
            found = f"it is {self._document['meets']!r}"
            self._wrong("meets", f'{found}. Write the time since the start, such as "10m", and leave begins out.')
        steps = [step for table in _TABLES for step in self._steps(table)]
        steps.sort(key=lambda step: step.at_s)  # at the same time: in the order of the tables
        for place, table, name, at_s in self._meant:
            named_in, _, comes_s = self._names.get(name, ("", "", 0.0))
            if named_in != table or comes_s > at_s:
                what = f"{name!r} names nothing that is there by then. Give that name to an entry of [[{table}]]."
                self._wrong(place, what)
        self._demand_one_evaluation(steps)
        if self._problems:
            raise ScenarioError(self._problems)
        return Scenario(name=self._file, digest=digest, begins=begins, meets_s=meets_s, steps=tuple(steps))

    def _demand_one_evaluation(self, steps: Iterable[Step]) -> None:
        """Note each schedule that its sandbox would refuse, since it has one of that type by then."""
        first: dict[str, str] = {}
        are_many_allowed = False
        for step in steps:
            if step.table == "quirks":
                are_many_allowed = step.order.get(Quirk.MULTI_SCHEDULES, are_many_allowed)
            if step.table != "schedules" or step.order.asked["type"] != EVALUATION:
                continue
            sandbox = step.order.sandbox
            if sandbox in first and not are_many_allowed:
                what = f"{first[sandbox]} evaluates in the sandbox '{sandbox}' already, and one is allowed."
                self._wrong(step.place, f'{what} Write type = "export", or switch the quirk multi_schedules on before.')
            first.setdefault(sandbox, step.place)

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
        own = ("at", "says", *([about_key] if about_key else []), *_OWN.get(table, ()))
        fields = {key: value for key, value in entry.items() if key not in own}
        name = entry.get("name") if table in _NAMED else None
        about = entry.get(about_key) if about_key else None
        wrong = []
        if isinstance(name, str) and name in self._names:
            wrong.append(f"name is {name!r}, as that of {self._names[name][1]}. Write another: steps mean one of them.")
        if (at_s := _seconds(entry.get("at"))) is None:
            found = f"{entry['at']!r}" if "at" in entry else "missing"
            wrong.append(f'at is {found}. Write the time since the start, such as "90s", "15m" or "2h".')
        elif at_s > orders.LONGEST_S:
            wrong.append(f"at is {entry['at']!r}, and nobody waits for that. Write ten years (3650d) or less.")
        elif isinstance(about, str) and about:
            self._meant.append((place, _NAMED_IN[table], about, at_s))
        elif isinstance(name, str):
            self._names.setdefault(name, (table, place, at_s))
        says = entry.get("says")
        if says is not None and not (isinstance(says, str) and says):
            wrong.append(f"says is {says!r}. Write a text, or leave it out.")
        due_s = _seconds(entry.get("due")) if table == "schedules" else None
        if "due" in _OWN.get(table, ()) and "due" in entry and not _is_first_due(at_s or 0.0, due_s):
            told = "Write the time since the start, later than at by less than a day: it is due each day."
            wrong.append(f"due is {entry['due']!r}. {told}")
        if due_s is not None and "schedule" in entry:
            wrong.append("it has due and schedule. Write one of them.")
        if about_key and not (isinstance(about, str) and about):
            wrong.append(f"{about_key} is {about!r}. Write the name of what it is about.")
        read, sound = _TABLES[table]
        wrong += mistakes(fields, lambda these: read(these, self._sandbox_of), sound)
        for message in wrong:
            self._wrong(place, _of_entry(message, own))
        if wrong or at_s is None:
            return None
        order = read(fields, self._sandbox_of)
        return Step(at_s=at_s, table=table, place=place, order=order, name=name, about=about, says=says, due_s=due_s)

    def _wrong(self, place: str, message: str) -> None:
        self._problems.append(f"{self._file}: {place}: {message}")


def _of_entry(message: str, own: tuple[str, ...]) -> str:
    """Return what is told of a control call's body as what it means of an entry, which has names of its own besides."""
    if message.startswith("The body has "):
        message = message.replace("Known names: ", f"Known names: {', '.join(own)}, ", 1)
    return message.replace("The body", "it")


def _is_first_due(at_s: float, due_s: float | None) -> bool:
    """Whether what is due each day, and made at `at_s`, is due at `due_s` first."""
    return due_s is not None and at_s < due_s < at_s + _UNITS_S["d"]


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float):
        at_s = orders.bounded(value, most=sys.float_info.max)
        return None if at_s is None else float(at_s)
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
    export_request(usual | (new.body or {}), sandbox)
    return new


def _plan(fields: Json, sandbox_of: _SandboxOf) -> run_orders.NewPlan:
    new = run_orders.new_plan(fields)
    demand_segments(new.segments, sandbox_of(new.sandbox))
    return new


def _profiles(fields: Json, sandbox_of: _SandboxOf) -> run_orders.ProfileChange:
    change = run_orders.profile_change(fields)
    if change.segment_id is not None:
        demand_segments([change.segment_id], sandbox_of(change.sandbox))
    return change


def _anywhere(read: Callable[[Json], Any]) -> Callable[[Json, _SandboxOf], Any]:
    return lambda fields, _: read(fields)


_NAMED = ("jobs", "schedules")
_OWN = {"jobs": ("name",), "schedules": ("due",)}  # beside at and says, what is no field of the control call
_ABOUT = {"statuses": "job", "skips": "schedule"}
_NAMED_IN = {"statuses": "jobs", "skips": "schedules"}
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
