"""What only the SQLite engine promises: locks, modes, failing disks, migrations, group commit, crashes."""

import asyncio
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from store_builders import at, job, key, moved, order, run, run_event, silence, told

import segwatch
from segwatch.deliveries.model import Stage
from segwatch.errors import BadValue
from segwatch.jobs.model import Status
from segwatch.jobs.reading import Position
from segwatch.store import file, reads, rows, writes
from segwatch.store.base import Change, Conflict, StoreCorrupt, StoreError, StoreGone, StoreHeld, StoreUnavailable
from segwatch.store.claim import Claim
from segwatch.store.factory import store_of
from segwatch.store.filters import EventFilter, JobFilter
from segwatch.store.holder import Holder
from segwatch.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "segwatch.db"


@pytest.fixture
async def store(path):
    opened = SqliteStore(path)
    await opened.open()
    yield opened
    await opened.close()


# --- who may open it


async def test_a_second_daemon_is_refused_and_told_whom_to_stop(store, path):
    second = SqliteStore(path)
    with pytest.raises(StoreError, match=f"in use by another segwatch daemon, process {os.getpid()}"):
        await second.open()
    await second.close()
    await store.writable()


async def test_the_lock_says_who_holds_it(path):
    first = SqliteStore(path, holder="pipeline run nightly")
    await first.open()
    second = SqliteStore(path)
    with pytest.raises(StoreHeld, match=r"by `segwatch pipeline run nightly`, process .* Wait for its end") as held:
        await second.open()
    assert held.value.holder == Holder(pid=str(os.getpid()), what="pipeline run nightly")
    lock = path.with_name("segwatch.db.lock")
    lock.write_text("4711\n")  # as a version wrote it that knew of daemons only
    with pytest.raises(StoreHeld) as held:
        await second.open()
    assert (held.value.holder.is_daemon, held.value.holder.pid) == (True, "4711")
    await first.close()
    await second.open()
    assert lock.read_text() == f"{os.getpid()}\ndaemon\n"
    await second.close()


async def test_a_look_at_the_lock_keeps_nobody_from_it(path, monkeypatch):
    """A command that waits for it takes it for a moment, perhaps just when the daemon starts again."""
    look, daemon = Claim(path, exclusive=True, readonly=False, holder="pipeline run nightly"), SqliteStore(path)
    look.hold()
    monkeypatch.setattr("segwatch.store.file.time.sleep", lambda seconds: look.release())
    await daemon.claim()
    await daemon.close()


async def test_a_store_can_be_claimed_before_anything_is_done_with_it(path):
    first, second = SqliteStore(path), SqliteStore(path)
    await first.claim()
    assert path.stat().st_size == 0
    for take in (second.claim, second.open):
        with pytest.raises(StoreError, match="in use by another segwatch daemon"):
            await take()
    await first.open()
    await first.close()
    await second.claim()
    await second.close()


@pytest.mark.parametrize("other_name", ["symbolic link", "folder behind a link", "relative path", "hard link"])
async def test_a_second_daemon_is_refused_by_whatever_name_it_knows_the_file(
    store, path, tmp_path, monkeypatch, other_name
):
    if other_name == "hard link" and sys.platform != "linux":
        pytest.skip("only Linux keeps the two kinds of file locks apart")
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / "other.db"
    match other_name:
        case "symbolic link":
            other.symlink_to(path)
        case "folder behind a link":
            other = tmp_path / "sub" / "link" / path.name
            other.parent.symlink_to(tmp_path)
        case "relative path":
            monkeypatch.chdir(tmp_path / "sub")
            other = Path("..") / path.name
        case "hard link":
            other.hardlink_to(path)
    tried = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OPENED, other, stderr=subprocess.PIPE, env=_with_our_path()
    )
    assert b"in use by another segwatch daemon" in (await tried.communicate())[1]
    await store.writable()


# another process: the file's locks by fcntl belong to all of a process, and closing the file by one name drops them
_OPENED = """
import asyncio, sys
from pathlib import Path
from segwatch.store.sqlite import SqliteStore
asyncio.run(SqliteStore(Path(sys.argv[1])).open())
"""


def _with_our_path() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(segwatch.__file__).parents[1])}


async def test_a_command_reads_and_writes_beside_a_running_daemon(store, path):
    command = SqliteStore(path, exclusive=False)
    await command.open()
    state, change = told(job())
    await store.commit([change])
    assert await command.job(state.key) == state
    after, change = told(state)
    await command.commit([change])
    await command.close()
    assert await store.job(state.key) == after


async def test_two_processes_cannot_both_win(store, path):
    state, change = told(job())
    await store.commit([change])
    command = SqliteStore(path, exclusive=False)
    await command.open()
    attempts = [(store, told(state, Status.FAILED)[1]), (command, told(state, Status.SUCCEEDED)[1])]
    outcomes = await asyncio.gather(*(on.commit([c]) for on, c in attempts), return_exceptions=True)
    await command.close()
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "NoneType"]


@pytest.mark.parametrize("daemon_runs", [True, False])
async def test_a_reading_command_works_whether_or_not_the_daemon_runs(path, daemon_runs):
    daemon = SqliteStore(path)
    await daemon.open()
    await daemon.commit([told(job())[1]])
    if not daemon_runs:
        await daemon.close()
    command = SqliteStore(path, readonly=True)
    await command.open()
    assert await command.job(key()) is not None
    assert await command.check() == []
    with pytest.raises(StoreError, match="open for reading only"):
        await command.writable()
    await command.close()
    await daemon.close()


@pytest.mark.parametrize("mode", [{"readonly": True}, {"exclusive": False}])
async def test_a_command_says_what_creates_the_file_and_creates_nothing(tmp_path, mode):
    command = SqliteStore(tmp_path / "sub" / "segwatch.db", **mode)
    with pytest.raises(StoreError, match=r"segwatch\.db does not exist. `segwatch run` creates it"):
        await command.open()
    assert list(tmp_path.iterdir()) == []


async def test_the_daemon_creates_the_folder(tmp_path):
    daemon = SqliteStore(tmp_path / "a" / "b" / "segwatch.db")
    await daemon.open()
    await daemon.close()
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["segwatch.db", "segwatch.db.lock"]


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "plain").write_text("a file")
    with pytest.raises(StoreUnavailable, match="plain"):
        await SqliteStore(tmp_path / "plain" / "segwatch.db").open()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://me:hunter2@db/x", "Write sqlite:///"),
        ("/var/lib/x.db", "Write sqlite:///"),
        ("sqlite:///", "names no file"),
        ("sqlite://", "names no file"),
        ("sqlite://x.db", "names no file"),
        ("sqlite:///./x.db", "names no file"),
        ("sqlite:///x/", "names no file"),
    ],
)
def test_a_wrong_url_says_what_to_write(url, says):
    with pytest.raises(BadValue, match=says) as caught:
        store_of(url)
    assert "hunter2" not in str(caught.value)


async def test_a_url_may_hold_any_character(tmp_path):
    store = store_of(f"sqlite://{tmp_path}/a ?#%41.db")
    await store.open()
    await store.close()
    assert (tmp_path / "a ?#%41.db").exists()


# --- what is in the file


async def test_a_file_from_a_newer_version_is_left_alone(path):
    await _made(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 999")
    for mode in ({}, {"exclusive": False}, {"readonly": True}):
        store = SqliteStore(path, **mode)
        with pytest.raises(StoreCorrupt, match=r"newer segwatch .schema 999"):
            await store.open()
        await store.close()


async def test_a_database_of_another_program_is_left_alone(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (a)")
    with pytest.raises(StoreCorrupt, match="another program"):
        await SqliteStore(path).open()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


async def test_a_file_that_is_no_database_is_left_alone(path):
    path.write_bytes(b"no database at all " * 500)
    with pytest.raises(StoreCorrupt, match="no SQLite database"):
        await SqliteStore(path).open()


async def test_an_older_file_is_migrated_by_the_daemon_only(path, monkeypatch):
    await _made(path)
    steps = [*file.migrations(), "CREATE TABLE later (a TEXT) STRICT"]
    monkeypatch.setattr(file, "migrations", lambda: steps)
    with pytest.raises(StoreError, match="segwatch db migrate"):
        await SqliteStore(path, exclusive=False).open()
    await _made(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(steps),)


async def test_two_stores_never_give_two_events_one_id(tmp_path):
    ids = []
    for name in ("one.db", "other.db"):
        store = SqliteStore(tmp_path / name)
        await store.open()
        await store.commit([told(job(), to=["ops", "chat"])[1]])
        ids += [one.id for one in await store.deliveries()]
        await store.close()
    assert len(set(ids)) == 4
    assert all(re.fullmatch("msg_[0-9a-f]{32}", one) for one in ids)


async def test_a_restored_backup_gives_what_it_goes_on_to_tell_ids_of_its_own(store, tmp_path):
    state, change = told(job(), to=["ops"])
    await store.commit([change])
    target = tmp_path / "copy.db"
    await store.backup(str(target))
    copy = SqliteStore(target)
    await copy.open()
    (before,) = await copy.deliveries()
    assert [before.id] == [one.id for one in await store.deliveries()]
    for one in (store, copy):
        await one.commit([told(state, to=["ops"])[1]])
    (live, _), (restored, _) = await store.deliveries(), await copy.deliveries()
    assert live.event == restored.event
    assert live.id != restored.id
    await copy.close()


async def test_what_was_logged_before_there_were_alerts_opens_none(path, monkeypatch):
    with monkeypatch.context() as patched:
        before = next(number for number, sql in enumerate(file.migrations()) if "CREATE TABLE alert " in sql)
        steps = file.migrations()[:before]
        patched.setattr(file, "migrations", lambda: steps)
        await _made(path)
    store = SqliteStore(path)
    await store.open()
    assert await store.alert_cursor() == max(logged.position for logged in await store.events(EventFilter()))
    await store.close()


async def test_ids_of_before_the_store_had_an_identity_stay_as_they_were(path, monkeypatch):
    with monkeypatch.context() as patched:
        steps = file.migrations()
        patched.setattr(file, "migrations", lambda: steps[:1])
        store = SqliteStore(path)
        await store.open()
        await store.close()
    _, change = told(job(), to=["ops"])
    ((event,), (made,)) = change.events, change.deliveries
    with closing(sqlite3.connect(path)) as db, db:
        writes._log(db, event)
        db.execute("INSERT INTO channel (name) VALUES ('ops')")
        db.execute(
            "INSERT INTO delivery (id, channel, position, stream, stage, attempts, promised_us, due_us, reason)"
            " VALUES (?, 'ops', 1, ?, 'delivered', 1, 0, 0, '')",
            (made.id, event.stream),
        )
    store = SqliteStore(path)
    await store.open()
    (known,) = await store.deliveries()
    assert known.id == made.id
    assert await store.promise([made]) == 1, "a replay finds the row"
    assert [one.id for one in await store.deliveries(id=made.id)] == [made.id]
    assert [one.id for one in await store.due_deliveries("ops", now=at(1), limit=9)] == [made.id]
    await store.settle([replace(known, stage=Stage.DELIVERED)])
    assert await store.next_delivery_at("ops") is None
    await store.close()


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    await _made(path)
    steps = [*file.migrations(), "CREATE TABLE later (a TEXT) STRICT; INSERT INTO nowhere VALUES (1)"]
    with monkeypatch.context() as patched:
        patched.setattr(file, "migrations", lambda: steps)
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            await SqliteStore(path).open()
    await _made(path)


async def test_whoever_looks_who_holds_the_file_keeps_what_sqlite_has_locked(path):
    """Else the next process that closes the file takes itself for the last, and deletes what we read and write."""
    await _made(path)
    beside = SqliteStore(path, exclusive=False)
    await beside.open()
    try:
        assert await beside.jobs(JobFilter())
        assert file.holder(path) is None
        other = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('UPDATE meta SET value = value');"
        subprocess.run([sys.executable, "-c", f"{other} db.commit(); db.close()", str(path)], check=True)  # noqa: ASYNC221
        assert path.with_name(f"{path.name}-wal").exists()
    finally:
        await beside.close()


async def test_the_holder_is_told_while_there_is_one(path):
    assert file.holder(path) is None
    held = SqliteStore(path, holder="pipeline run nightly")
    await held.open()
    assert file.holder(path) == Holder(pid=str(os.getpid()), what="pipeline run nightly")
    await held.close()
    assert file.holder(path) is None


def test_nobody_sees_a_migration_half_way(path, monkeypatch):
    """A command that comes while another makes the file would take it for one of an older version."""
    seen = []

    def look() -> None:
        with closing(file.connect(path, "read")) as beside:
            seen.append(file.version(beside, path))

    steps = ["SELECT look()", *(f"{sql}; SELECT look()" for sql in file.migrations())]
    monkeypatch.setattr(file, "migrations", lambda: steps)
    with closing(file.connect(path, "create")) as db:
        db.create_function("look", 0, look)
        file.migrate(db, path)
        assert seen == [0] * len(steps)
        look()
    assert seen[-1] == len(steps)


async def test_check_finds_what_somebody_broke(path):
    await _made(path, to=["ops"])
    damage = {
        "UPDATE job SET sequence = 7": "counts 7 events",
        "UPDATE event SET sequence = 9 WHERE sequence = 2": "some are missing",
        "DELETE FROM outbox_head": "outbox of ops",
        "UPDATE job SET body = '{}'": "cannot be read",
        "DELETE FROM delivery; DELETE FROM event": "counts 3 events",
        "DELETE FROM outbox_head; DELETE FROM event": "not in the log",
    }
    for number, (sql, line) in enumerate(damage.items()):
        copy = path.with_name(f"broken{number}.db")
        copy.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(copy)) as db:
            db.executescript(sql)
        store = SqliteStore(copy)
        await store.open()
        assert any(line in fault for fault in await store.check()), (sql, await store.check())
        await store.close()


async def test_check_finds_what_is_wrong_with_orders_runs_and_silences(path):
    await _made(path)
    store = SqliteStore(path)
    await store.open()
    begun = run(sequence=1)
    await store.commit(
        [Change(order=order()), Change(run=begun, events=(run_event(begun),)), Change(silence=silence())]
    )
    assert await store.check() == []
    await store.close()
    damage = {
        "UPDATE job_order SET body = '{}'": "job_order, row cmd-1",
        "UPDATE pipeline_run SET body = '{}'": "pipeline_run, row r1",
        "UPDATE pipeline_run SET sequence = 2": f"run {begun.stream} counts 2 events, the log holds 1 to 1",
        "UPDATE silence SET body = '{}'": "silence, row s1",
        "UPDATE silence SET told = 1": "silence s1 has told its end 1 times, the log 0 times",
    }
    for number, (sql, line) in enumerate(damage.items()):
        copy = path.with_name(f"broken{number}.db")
        copy.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(copy)) as db:
            db.executescript(sql)
        store = SqliteStore(copy, readonly=True)
        await store.open()
        assert any(line in fault for fault in await store.check()), (sql, await store.check())
        await store.close()


async def test_check_reports_a_damaged_page(path):
    await _made(path)
    with closing(sqlite3.connect(path)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'job'").fetchone()[0]
    with path.open("r+b") as raw:
        raw.seek((page - 1) * 4096)
        raw.write(b"\xaa" * 4096)
    store = SqliteStore(path, readonly=True)
    await store.open()
    assert any("damaged" in line or "SQLite" in line for line in await store.check())
    with pytest.raises(StoreCorrupt, match="restore a backup"):
        await store.jobs(JobFilter())
    await store.close()


def test_fields_of_a_later_version_are_skipped():
    state = job()
    later = rows.body_of(state).replace('"root":', '"mood":{"a":[1]},"root":', 1)
    assert rows.job_of(later) == state


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(TypeError):
        rows.micros(datetime(2026, 1, 5))  # noqa: DTZ001


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_as_it_was(moment):
    assert rows.moment(rows.micros(moment)) == moment


# --- how it is written


async def test_callers_who_come_together_share_a_commit(path):
    commits: list[float] = []
    store = SqliteStore(path, on_commit=commits.append)
    await store.open()
    await asyncio.gather(*(store.commit([told(job(f"j{n}"))[1]]) for n in range(500)))
    assert len(await store.jobs(JobFilter())) == 500
    await store.close()
    assert 0 < len(commits) < 50


async def test_more_callers_than_there_is_room_for_are_all_served(store):
    await asyncio.gather(*(store.writable() for _ in range(3000)))


async def test_a_commit_is_synced_to_the_disk(store):
    settings = ("journal_mode", "synchronous", "foreign_keys")
    found = await store._writer.run(lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in settings])
    assert found == ["wal", 2, 1], "2 is FULL"


async def test_neither_the_loop_nor_reads_wait_for_a_write(store, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        commit = asyncio.create_task(store.commit([told(job())[1]]))
        for _ in range(20):
            assert await store.jobs(JobFilter()) == []
        assert not commit.done()
        other.execute("ROLLBACK")
    await commit
    assert len(await store.jobs(JobFilter())) == 1


async def test_a_write_lock_that_somebody_keeps_is_an_outage(path, monkeypatch):
    monkeypatch.setattr(file, "BUSY_TIMEOUT_S", 0.01)
    store = SqliteStore(path)
    await store.open()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="write lock"):
            await store.writable()
        other.execute("ROLLBACK")
    await store.writable()
    await store.close()


def test_what_was_accepted_is_written_even_when_the_loop_is_gone(path):
    store = SqliteStore(path)

    async def hand_over() -> None:
        await store.open()
        tasks = [asyncio.create_task(store.commit([told(job(f"j{n}"))[1]])) for n in range(50)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)

    async def count() -> int:
        await store.close()
        await store.open()
        found = len(await store.jobs(JobFilter()))
        await store.close()
        return found

    asyncio.run(hand_over())
    assert asyncio.run(count()) == 50


def test_asking_what_is_due_walks_an_index(path):
    asyncio.run(_made(path))
    with closing(file.connect(path, "read")) as db:
        for sql, parameters in ((reads.DUE, ("ops", 1, 10)), (reads.FAR, ("ops", 1, 10)), (reads.NEXT_DUE, ("ops",))):
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            assert plan[0].startswith("SEARCH"), plan
            assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan
        depth = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {reads.DEPTH}")]
        assert all("INDEX" in step for step in depth if " delivery" in step), depth


# --- disks that fail


@contextmanager
def _tmpfs(size: str) -> Iterator[Path]:
    folder = tempfile.mkdtemp()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        os.rmdir(folder)
        pytest.skip(f"needs a disk of its own, and may not mount one: {mounted.stderr.strip()}")
    try:
        yield Path(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        os.rmdir(folder)


def _remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


async def _commit_until_it_fails(store: SqliteStore) -> int:
    """Return how many jobs were written before the disk refused one."""
    for n in range(2000):
        try:
            await store.commit([told(job(f"fill{n}"), to=["ops"])[1]])
        except StoreUnavailable:
            return n
    raise AssertionError("the disk never filled up")


async def _assert_it_lives_on(store: SqliteStore, written: int) -> None:
    """Check that nothing was lost, that what failed works when repeated, and that the file is sound."""
    await store.writable()
    assert len(await store.jobs(JobFilter())) == written
    await store.commit([told(job(f"fill{written}"), to=["ops"])[1]])
    assert len(await store.jobs(JobFilter())) == written + 1
    assert await store.check() == []


async def test_a_full_disk_is_an_outage_that_ends_when_there_is_space():
    with _tmpfs("2m") as disk:
        store = SqliteStore(disk / "segwatch.db")
        await store.open()
        written = await _commit_until_it_fails(store)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="disk is full"):
                await store.commit([told(job(f"fill{written}"), to=["ops"])[1]])
        assert len(await store.jobs(JobFilter())) == written, "reads go on"
        _remount(disk, "size=20m")
        await _assert_it_lives_on(store, written)
        await store.close()


async def test_what_found_no_room_on_a_full_disk_keeps_none():
    """The write-ahead log has grown by what was rolled back, and a reader keeps it from being folded on closing."""
    with _tmpfs("3m") as disk:
        store = SqliteStore(disk / "segwatch.db")
        await store.open()
        assert await store.jobs(JobFilter()) == []
        with pytest.raises(StoreUnavailable, match="disk is full"):
            await store.commit([told(job(f"big{n}"), to=["ops"])[1] for n in range(3000)])
        assert (disk / "segwatch.db-wal").stat().st_size < 1_000_000
        await _assert_it_lives_on(store, 0)
        await store.close()


async def test_room_that_comes_back_is_not_taken_by_the_log_alone():
    """A log folds itself at 4 MB, so that on a smaller disk it would never be."""
    with _tmpfs("2m") as disk:
        store = SqliteStore(disk / "segwatch.db")
        await store.open()
        assert await store.jobs(JobFilter()) == []
        written = await _commit_until_it_fails(store)
        _remount(disk, "size=3500k")
        await _assert_it_lives_on(store, written)
        assert (disk / "segwatch.db-wal").stat().st_size < 500_000
        await store.close()


async def test_the_daemon_starts_on_a_full_disk_only_to_say_so():
    with _tmpfs("1m") as disk:
        with suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        store = SqliteStore(disk / "segwatch.db")
        with pytest.raises(StoreUnavailable, match=r"segwatch\.db"):
            await store.open()
        (disk / "filler").unlink()
        await store.open()
        await store.writable()
        await store.close()


async def test_a_file_that_may_not_grow_is_an_outage_that_ends(store, path):
    """Needs no rights: the kernel refuses the write (EFBIG), as a quota or a failing disk does."""
    await store.writable()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = path.with_name(path.name + "-wal")
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + 100_000, before[1]))
    try:
        written = await _commit_until_it_fails(store)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))  # now not even the probe's one page fits
        with pytest.raises(StoreUnavailable):
            await store.writable()
        together = [store.commit([told(job(f"g{n}"))[1]]) for n in range(20)]
        outcomes = await asyncio.gather(*together, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}, "each caller of the group hears of it"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await _assert_it_lives_on(store, written)


async def test_a_connection_that_turned_read_only_is_replaced(store):
    await store._writer.run(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreUnavailable, match="read-only"):
        await store.writable()
    await store.writable()


@contextmanager
def _read_only(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], AbstractContextManager[None]]]]:
    """Yield a folder, and a block within which it cannot be written: permissions do not stop root, a mount does."""
    if os.geteuid() == 0:
        with _tmpfs("4m") as disk:

            @contextmanager
            def refused() -> Iterator[None]:
                _remount(disk, "ro")
                yield
                _remount(disk, "rw")

            yield disk, refused
    else:

        @contextmanager
        def refused() -> Iterator[None]:
            paths = [tmp_path, *tmp_path.iterdir()]
            for one in paths:
                one.chmod(0o555 if one.is_dir() else 0o444)
            yield
            for one in paths:
                one.chmod(0o755 if one.is_dir() else 0o644)

        yield tmp_path, refused


async def test_a_read_only_disk_can_be_read_and_says_that_it_cannot_be_written(tmp_path):
    with _read_only(tmp_path) as (disk, refused):
        file_ = disk / "segwatch.db"
        await _made(file_)
        daemon, command, look = (
            SqliteStore(file_),
            SqliteStore(file_, exclusive=False),
            SqliteStore(file_, readonly=True),
        )
        with refused():
            with pytest.raises(StoreUnavailable, match=r"segwatch\.db"):
                await daemon.open()
            with pytest.raises(StoreUnavailable, match=r"segwatch\.db"):
                await command.open()
            await look.open()
            assert len(await look.jobs(JobFilter())) == 1
            await look.close()
        await daemon.open()
        await daemon.writable()
        await daemon.close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_removed_or_replaced_takes_nothing_until_it_is_back(store, path, suffix, replaced):
    await store.commit([told(job("before"))[1]])
    assert len(await store.jobs(JobFilter())) == 1
    gone = path.with_name(path.name + suffix)
    gone.rename(gone.with_name("aside"))
    if replaced:
        gone.write_bytes(gone.with_name("aside").read_bytes())
    for _ in range(2):
        with pytest.raises(StoreGone, match=f"{gone.name} was {'replaced' if replaced else 'removed'}"):
            await store.writable()
        with pytest.raises(StoreGone):
            await store.commit([told(job("meanwhile"))[1]])
    assert [one.key.id for one in await store.jobs(JobFilter())] == ["before"]
    gone.with_name("aside").replace(gone)
    await _assert_it_lives_on(store, 1)


async def test_what_went_into_a_file_that_was_removed_in_the_same_moment_is_not_acknowledged(store, path):
    def write(db: sqlite3.Connection) -> None:
        db.execute("UPDATE meta SET value = value + 1 WHERE name = 'heartbeat'")
        path.unlink()

    with pytest.raises(StoreGone):
        await store._writer.run(write)


# --- crashes and races


def test_what_was_acknowledged_survives_kill_9(path):
    script = Path(__file__).with_name("store_committer.py")
    env = os.environ | {"PYTHONPATH": str(Path(segwatch.__file__).parents[1])}
    acknowledged: dict[str, int] = {}
    for lines in (1, 150, 400):  # each time on the file that the last one left
        child = subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE, text=True, env=env)
        assert child.stdout is not None
        with child:
            said = [child.stdout.readline() for _ in range(lines)]
            child.send_signal(signal.SIGKILL)
            said += child.stdout.read().splitlines(keepends=True)
        for line in said:
            if line.endswith("\n"):
                name, sequence = line.split()
                acknowledged[name] = int(sequence)

    async def survived() -> dict[str, int]:
        store = SqliteStore(path)
        await store.open()
        assert await store.check() == []
        found = {state.key.id: state.sequence for state in await store.jobs(JobFilter())}
        for name, sequence in found.items():
            events = await store.events(EventFilter(job_id=name))
            assert [logged.event.sequence for logged in events] == list(range(1, sequence + 1))
        assert len(await store.deliveries(channel="ops")) == sum(found.values())
        await store.close()
        return found

    found = asyncio.run(survived())
    assert len(acknowledged) >= 8
    for name, sequence in acknowledged.items():
        assert found[name] in (sequence, sequence + 1), "the last one may be written and not yet said"


_KILLED_IN_A_BACKUP = """
import asyncio, os, signal, sys
from segwatch.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(sys.argv[1], readonly=True)
    await store.open()
    os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
    await store.backup(sys.argv[2])

from pathlib import Path
sys.argv[1] = Path(sys.argv[1])
asyncio.run(main())
"""


async def test_a_backup_that_was_killed_is_no_file_and_blocks_no_other(store, path, tmp_path):
    await store.commit([told(job())[1]])
    target = tmp_path / "copy.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED_IN_A_BACKUP, path, target, env=_with_our_path()
    )
    assert await child.wait() == -signal.SIGKILL
    assert not target.exists()
    (tmp_path / "copy.db.part-journal").write_bytes(b"left behind")
    assert await store.backup(str(target)) == target.stat().st_size
    assert list(tmp_path.glob("copy*")) == [target]


async def test_one_of_two_backups_to_one_file_is_refused_and_harms_neither(store, tmp_path):
    await asyncio.gather(*(store.commit([told(job(f"j{n}"))[1]]) for n in range(200)))
    target = tmp_path / "copy.db"
    outcomes = await asyncio.gather(*(store.backup(str(target)) for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in outcomes) == ["StoreError"] * 3 + ["int"]
    assert list(tmp_path.glob("copy*")) == [target]
    copy = SqliteStore(target, readonly=True)
    await copy.open()
    assert await copy.check() == []
    await copy.close()


_step = st.tuples(st.integers(0, 2), st.sampled_from(["a", "b"]), st.sampled_from(["read", "tell", "look"]))


@settings(max_examples=examples(30))
@given(st.lists(st.lists(_step, min_size=1, max_size=5), max_size=12))
def test_of_those_who_read_the_same_only_one_writes(groups):
    """Three writers, who remember what they read, write in groups; the model counts versions."""

    async def play(folder: str) -> None:
        store = SqliteStore(Path(folder) / "segwatch.db")
        await store.open()
        truth: dict[str, tuple[int, object]] = {"a": (0, None), "b": (0, None)}
        memory = {(actor, name): (0, None) for actor in range(3) for name in "ab"}
        clock = 0
        for group in groups:
            attempts = []
            for actor, name, what in group:
                clock += 1
                if what == "read":
                    continue
                version, before = memory[actor, name]
                if what == "tell" or before is None:
                    after, event = moved(before or job(name), Status.PROCESSING, clock)
                    change = Change(job=after, job_before=before, events=(event,))
                else:
                    after = before.seen(at(clock))
                    change = Change(job=after, job_before=before)
                attempts.append((actor, name, version, after, change))
            outcomes = await asyncio.gather(*(store.commit([a[4]]) for a in attempts), return_exceptions=True)
            for (actor, name, version, after, _), outcome in zip(attempts, outcomes, strict=True):
                if version == truth[name][0]:
                    assert outcome is None
                    truth[name] = memory[actor, name] = (version + 1, after)
                else:
                    assert isinstance(outcome, Conflict)
            for actor, name, what in group:
                if what == "read":
                    assert await store.job(key(name)) == truth[name][1]
                    memory[actor, name] = truth[name]
        for name, (_, state) in truth.items():
            assert await store.job(key(name)) == state
            events = await store.events(EventFilter(job_id=name))
            assert [logged.event.sequence for logged in events] == list(range(1, (state.sequence if state else 0) + 1))
        assert await store.check() == []
        await store.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(folder))


async def _made(path: Path, *, to: tuple[str, ...] = ()) -> None:
    """Leave a closed store with one job of three events."""
    store = SqliteStore(path)
    await store.open()
    state = await store.job(key()) or job()
    while state.sequence < 3:
        state, change = told(state, to=to)
        await store.commit([change])
    await store.close()


async def test_what_may_have_been_deleted_is_on_disk_before_it_goes(store):
    await store.commit([Change(position=Position(sandbox="prod", kind="segment_job", began_at=at(0)))])
    await store.forget(at(50))
    await store.forget(at(20))  # a longer retention brings nothing back
    stand = await store.position("prod", "segment_job")
    await store.commit([Change(position=replace(stand, swept_at=at(60), forgotten_before=None))])
    assert (await store.position("prod", "segment_job")).forgotten_before == at(50)
