"""The whole house under test: a local platform, a receiver, and the real daemon, each real process ended for sure.

Nothing here sleeps for a fixed time: whoever waits, waits for a condition under a deadline.
"""

import asyncio
import itertools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import forkserver
from inbox import SIGNING_SECRET, URL_SECRET, Inbox
from prometheus_client.parser import text_string_to_metric_families

ORG = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
CLIENT_SECRET = "p8e-cl13nt-s3cr3t-of-the-test"
SEGMENT = "a1b2c3d4-0001-4000-8000-000000000001"
OTHER_SEGMENT = "a1b2c3d4-0002-4000-8000-000000000002"
DATASET = "65a1b2c3d4e5f60718293a4b"
EXPORTS = "/data/core/ups/export/jobs"
SEGMENT_JOBS = "/data/core/ups/segment/jobs"

Json = dict[str, Any]

_KINDS = ("export_job", "segment_job")
_ROOT = Path(__file__).parents[2]
_START_S = 20.0
_STOP_S = 12.0
_LOOK_S = 0.02


async def until(
    condition: Callable[[], Awaitable[Any]], what: str, *, within_s: float = 10.0, every_s: float = _LOOK_S
) -> Any:
    """Return what the condition gives once it is true; AssertionError, which names `what`, after the deadline.

    every_s: how long to wait between two looks; more where one look is much work.
    """
    found: Any = None
    try:
        async with asyncio.timeout(within_s):
            while not (found := await condition()):  # noqa: ASYNC110 - another process sets no Event of ours
                await asyncio.sleep(every_s)
    except TimeoutError:
        raise AssertionError(f"not within {within_s:g} s: {what}; last: {found!r}") from None
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


class Running:
    """One process of ours, its output in files that outlive it."""

    def __init__(self, name: str, child: asyncio.subprocess.Process | forkserver.Child, out: Path, log: Path) -> None:
        self.name = name
        self.child = child
        self.out = out
        self.log = log

    @property
    def pid(self) -> int:
        return self.child.pid

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def logged(self, event: str, **fields: object) -> list[Json]:
        """Return the whole log lines of this event that have these fields."""
        found = []
        for line in self.text().splitlines():
            if f'"{event}"' in line and line.endswith("}"):
                entry = json.loads(line)
                if entry.get("event") == event and all(entry.get(name) == value for name, value in fields.items()):
                    found.append(entry)
        return found

    async def until_logged(self, event: str, *, within_s: float = 10.0, **fields: object) -> Json:
        """Return the first such log line, as soon as it is there."""

        async def line() -> Json | None:
            found = self.logged(event, **fields)
            if not found and self.child.returncode is not None:
                raise AssertionError(f"{self.name} ended with {self.child.returncode} before {event}:\n{self.text()}")
            return found[0] if found else None

        return await until(line, f"{self.name} logs {event} {fields}", within_s=within_s)

    def send(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    async def ended(self, within_s: float = _STOP_S) -> int:
        """Return the exit code; AssertionError when the process runs on."""
        try:
            async with asyncio.timeout(within_s):
                return await self.child.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name} did not end within {within_s:g} s") from None

    async def stop(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = _STOP_S) -> int:
        """Ask it to end, and return the exit code."""
        if self.child.returncode is None:
            self.send(number)
        return await self.ended(within_s)

    async def kill(self) -> None:
        """End it with SIGKILL, now, whatever it is doing."""
        if self.child.returncode is None:
            self.child.kill()
        await self.child.wait()


class Web:
    """Reads what a process shows over HTTP, and remembers all of it for `House.assert_no_secret_shown`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, shown: list[str]) -> None:
        self._session = session
        self._shown = shown
        self.url = url

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        async with self._session.request(method, self.url + path, json=body) as reply:
            text = await reply.text()
            self._shown.append(text)
            return reply.status, text

    async def json(self, method: str, path: str, body: object = None) -> Any:
        status, text = await self.call(method, path, body)
        assert status == 200, f"{method} {path}: {status} {text}"
        return json.loads(text)


class Platform(Web):
    """The emulator, by its control API."""

    async def place(self, kind: str, *script: Sequence[object], **rest: Any) -> list[str]:
        """Put jobs there that walk a script of (status, seconds), and return their ids as text."""
        order = {"kind": kind, "script": [list(step) for step in script]} | rest
        return [str(job_id) for job_id in (await self.json("POST", "/_emulator/jobs", order))["ids"]]

    async def fault(self, path: str = "/data/*", *, method: str | None = None, **rest: Any) -> str:
        """Put a fault in force, and return its id. rest: `fault`, `times`, `seconds`, `probability`."""
        order = {"path": path} | rest | ({"method": method} if method else {})
        return (await self.json("POST", "/_emulator/faults", order))["id"]

    async def heal(self) -> None:
        """Take all faults and quirks out of force."""
        await self.json("DELETE", "/_emulator/faults")
        await self.json("POST", "/_emulator/quirks", dict.fromkeys(await self.quirks(), False))

    async def quirks(self) -> Json:
        answer: Json = await self.json("GET", "/_emulator/quirks")
        return answer.get("quirks", answer)

    async def quirk(self, **switches: bool) -> None:
        await self.json("POST", "/_emulator/quirks", switches)

    async def outcomes(self, *words: str, errors: list[Json] | None = None) -> None:
        """Say what becomes of the exports that are submitted next."""
        order = {"kind": "export_job", "next": list(words)} | ({"errors": errors} if errors else {})
        await self.json("POST", "/_emulator/outcomes", order)

    async def set_status(self, kind: str, job_id: str, status: str, **rest: Any) -> None:
        await self.json("POST", f"/_emulator/jobs/{kind}/{job_id}/status", {"status": status} | rest)

    async def jobs(self) -> dict[str, Json]:
        """Return every job by its id as text."""
        return {str(job["id"]): job for job in (await self.json("GET", "/_emulator/state"))["jobs"]}

    async def ledger(self) -> Json:
        return await self.json("GET", "/_emulator/ledger")

    async def submissions(self, *, sandbox: str = "prod") -> list[Json]:
        """Return the exports that came through the platform's API, lost answers included."""
        made = (await self.ledger())["submissions"]
        return [one for one in made if one["kind"] == "export_job" and one["sandbox"] == sandbox]

    async def requests(self, prefix: str, code: int | None = None) -> int:
        """Return how many requests were answered whose `METHOD route` begins so."""
        counted: dict[str, int] = (await self.ledger())["requests"]
        tail = "" if code is None else f" {code}"
        return sum(count for name, count in counted.items() if name.startswith(prefix) and name.endswith(tail))


class Daemon(Web):
    """One `segwatch run`."""

    def __init__(self, session: aiohttp.ClientSession, shown: list[str], process: Running, url: str) -> None:
        super().__init__(session, url, shown)
        self.process = process

    async def is_ready(self) -> bool:
        return (await self.call("GET", "/-/ready"))[0] == 200

    async def is_healthy(self) -> bool:
        return (await self.call("GET", "/-/healthy"))[0] == 200

    async def reload(self) -> tuple[int, str]:
        return await self.call("POST", "/-/reload")

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        _, text = await self.call("GET", "/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def until_metric(self, value: float, name: str, *, within_s: float = 10.0, **labels: str) -> None:
        """Return once the metric has this value."""

        async def reached() -> bool:
            return await self.metric(name, **labels) == value

        await until(reached, f"{name}{labels} == {value}", within_s=within_s)

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        return await self.process.stop(number)

    async def kill(self) -> None:
        await self.process.kill()


class House:
    """A folder with settings, store and logs, and everything that runs on it."""

    def __init__(self, folder: Path, *, emulator: Sequence[str] = ()) -> None:
        """emulator: further options of `segwatch emulate`."""
        self.folder = folder
        self.config = folder / "config.toml"
        self.store = folder / "segwatch.db"
        self.inbox = Inbox()
        self.processes: list[Running] = []
        self._emulator = emulator
        self._numbers = itertools.count()
        self._shown: list[str] = []
        self._stack = AsyncExitStack()
        self.is_open = True

    async def __aenter__(self) -> "House":
        OPEN.append(self)
        try:
            timeout = aiohttp.ClientTimeout(total=10)
            self.session = await self._stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            await self._stack.enter_async_context(self.inbox)
            self._stack.push_async_callback(self._end_processes)
            self.platform = await self._start_platform()
        except BaseException:
            self.is_open = False
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self.is_open = False
        await self._stack.aclose()
        if kind is None:
            self.inbox.assert_promises_were_kept()
            self.assert_no_secret_shown()
            self.assert_nothing_crashed()

    # settings

    def settings(self, **changes: Any) -> Json:
        """Return fast settings on this platform and inbox, sections changed as given; lists replace lists."""
        usual: Json = {
            "platform": {"base_url": self.platform.url, "ims_url": self.platform.url, "timeout": "5s"},
            "sandboxes": [self.sandbox("prod")],
            "polling": {"interval": "1s", "idle_interval": "1s"},
            "retry": {"first_delay": "1s", "max_delay": "2s", "settle_window": "3s"},
            "store": {"url": f"sqlite://{self.store}"},
            "http": {"listen": "127.0.0.1:0"},
            "channels": [self.channel("events")],
            "routes": [{"match": {}, "channels": ["events"]}],
            "log": {"format": "json"},
        }
        for name, value in changes.items():
            usual[name] = usual.get(name, {}) | value if isinstance(value, Mapping) else value
        return usual

    def sandbox(self, name: str, **changes: Any) -> Json:
        return {
            "name": name, "org_id": ORG, "client_id": "the-client-id", "client_secret": CLIENT_SECRET,
            "requests_per_second": 50.0, "burst": 50,
        } | changes  # fmt: skip

    def channel(self, name: str, **changes: Any) -> Json:
        return {
            "name": name, "kind": "webhook", "url": self.inbox.url(name), "secret": SIGNING_SECRET,
            "first_delay": "100ms", "max_delay": "500ms", "timeout": "2s",
        } | changes  # fmt: skip

    def write(self, **changes: Any) -> None:
        """Write the settings file."""
        sections = self.settings(**changes).items()
        self.config.write_text("".join(f"{name} = {_toml(value)}\n" for name, value in sections))

    # processes

    async def daemon(self, *, wrapper: Sequence[str] = (), **changes: Any) -> Daemon:
        """Write the settings if `changes` are given or none exist, start `segwatch run`, return it once it is ready.

        wrapper: a command that runs the rest of its arguments.
        """
        if changes or not self.config.exists():
            self.write(**changes)
        process = await self.run_daemon(wrapper=wrapper)
        url = (await process.until_logged("listening", within_s=_START_S))["url"]
        daemon = Daemon(self.session, self._shown, process, url)
        await process.until_logged("started", within_s=_START_S)
        return daemon

    def seen(self, process: Running, url: str) -> Daemon:
        """Return a daemon that listens at `url`, ready or not."""
        return Daemon(self.session, self._shown, process, url)

    async def run_daemon(self, *, wrapper: Sequence[str] = ()) -> Running:
        """Start `segwatch run` and wait for nothing."""
        return await self._start("daemon", ["run", "--config", str(self.config)], wrapper=wrapper)

    async def command(self, *args: str, within_s: float = 20.0) -> Ended:
        """Run a segwatch command to its end. The settings are named by the environment, as people do."""
        process = await self.start(*args)
        code = await process.ended(within_s)
        ended = Ended(code=code, out=process.out.read_text(), err=process.text())
        self._shown += [ended.out, ended.err]
        return ended

    async def watching(self, daemon: Daemon, *, sandbox: str = "prod") -> None:
        """Return once this sandbox was wholly looked at, so that whatever happens from now on is news."""

        async def looked() -> bool:
            metric = "segwatch_last_poll_timestamp_seconds"
            return all([await daemon.metric(metric, sandbox=sandbox, kind=kind) for kind in _KINDS])

        await until(looked, f"the first sweeps over {sandbox}", within_s=15)

    async def start(self, *args: str, wrapper: Sequence[str] = ()) -> Running:
        """Start a segwatch command that goes on; the settings are named by the environment.

        wrapper: a command that runs the rest of its arguments.
        """
        return await self._start("command", args, {"SEGWATCH_CONFIG": str(self.config)}, wrapper=wrapper)

    async def swept(self, daemon: Daemon, *, sandbox: str = "prod", times: int = 2) -> None:
        """Return once both kinds were wholly looked at anew, so often."""
        for _ in range(times):
            before = {
                kind: await daemon.metric("segwatch_last_poll_timestamp_seconds", sandbox=sandbox, kind=kind)
                for kind in _KINDS
            }
            for kind, mark in before.items():

                async def later(kind: str = kind, mark: float = mark) -> bool:
                    at = await daemon.metric("segwatch_last_poll_timestamp_seconds", sandbox=sandbox, kind=kind)
                    return at > mark

                await until(later, f"a sweep over {kind}")

    # what must hold in every test

    def assert_no_secret_shown(self) -> None:
        """Assert that no log, page or output shows a secret: of a credential, a token, a webhook."""
        places = {str(path): path.read_text(errors="replace") for path in self.folder.glob("*.log")}
        places |= {f"shown[{number}]": text for number, text in enumerate(self._shown)}
        secrets = (CLIENT_SECRET, SIGNING_SECRET, SIGNING_SECRET.removeprefix("whsec_"), URL_SECRET, "eyJ")
        leaks = [(place, secret) for place, text in places.items() for secret in secrets if secret in text]
        assert leaks == []

    def assert_nothing_crashed(self) -> None:
        """Assert that no process met what its authors did not expect, and that none forgot what it had opened."""
        marks = ("Traceback", '"exception"', "worker_failed", "never retrieved", "was destroyed", "Unclosed", "Warning")
        lines = [line for process in self.processes for line in process.text().splitlines()]
        assert [line[:2000] for line in lines if any(mark in line for mark in marks)] == []

    def tails(self) -> Iterable[tuple[str, str]]:
        """Yield the end of each process's log, for the report of a failed test."""
        for process in self.processes:
            lines = process.text().splitlines()[-40:] if process.log.exists() else []
            yield f"{process.log.name} (exit {process.child.returncode})", "\n".join(line[:600] for line in lines)

    async def _start_platform(self) -> Platform:
        process = await self._start("platform", ["emulate", "--port", "0", "--json", *self._emulator])

        async def said() -> str:
            assert process.child.returncode is None, process.text()
            return process.out.read_text().strip()

        url = json.loads(await until(said, "the platform's address", within_s=_START_S))["url"]
        return Platform(self.session, url, self._shown)

    async def _start(
        self, name: str, args: Sequence[str], env: Mapping[str, str] | None = None, *, wrapper: Sequence[str] = ()
    ) -> Running:
        stem = self.folder / f"{next(self._numbers):02}-{name}"
        out, log = stem.with_suffix(".out.log"), stem.with_suffix(".log")
        # what the user has set for a real daemon must not reach ours; what is left open shall be complained of
        around = {key: value for key, value in os.environ.items() if not key.startswith("SEGWATCH_")}
        around |= {"PYTHONWARNINGS": "default"} | (env or {})
        child: asyncio.subprocess.Process | forkserver.Child
        with out.open("wb") as out_sink, log.open("wb") as log_sink:
            if wrapper:
                child = await asyncio.create_subprocess_exec(
                    *wrapper,
                    *(sys.executable, "-m", "segwatch", *args),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out_sink,
                    stderr=log_sink,
                    env=around,
                    cwd=_ROOT,
                    start_new_session=True,
                )
            else:
                child = forkserver.fork(args, env=around, cwd=_ROOT, out=out_sink.fileno(), err=log_sink.fileno())
        process = Running(name, child, out, log)
        self.processes.append(process)
        return process

    async def _end_processes(self) -> None:
        running = [process for process in reversed(self.processes) if process.child.returncode is None]
        for process in running:
            process.send(signal.SIGTERM)
        for process in running:
            try:
                await process.ended()
            finally:
                await process.kill()


OPEN: list[House] = []
"""The houses of the running test, for the report of its failure."""


def an_export(**changes: Any) -> Json:
    """Return the body of a valid export, with the changes that a test is about."""
    return {
        "filter": {"segments": [{"segmentId": SEGMENT, "segmentNs": "ups", "status": ["realized"]}]},
        "mergePolicy": {"id": "9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd", "version": 1},
        "schema": {"name": "_xdm.context.profile"},
        "destination": {"datasetId": DATASET, "segmentPerBatch": False},
    } | changes


def _toml(value: object) -> str:
    """Return a value as TOML writes it in one line; JSON's strings and numbers are TOML's too."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(name))} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
