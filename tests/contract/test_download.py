"""Downloads of a batch: whole whatever breaks on the way, resumed, and never over what is somebody's."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from downloads import FILE_BYTES, FILES, HASTY, files_in, originals, shop
from raw_platform import client_of, raw_platform, reply

from segwatch.upstream.download import DownloadError, Progress, fetch
from segwatch.upstream.download_folder import Manifest, Wanted, held
from segwatch.upstream.errors import NotFound, Refused, Unauthorized, Unavailable, UpstreamError
from segwatch.upstream.wire import Timeouts

ALL = FILES * FILE_BYTES
PIECES = FILES * 3
PART = "part-00000.snappy.parquet"
WHOLE = Progress(files=FILES, files_all=FILES, bytes=ALL, bytes_all=ALL)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.mark.parametrize("dialect", ["current", "seed"])
@pytest.mark.parametrize("quirk", [None, "production_links", "directory_files", "ignore_range"])
async def test_a_batch_arrives_byte_for_byte_in_both_dialects_whatever_the_quirk(tmp_path, out, dialect, quirk):
    async with shop(tmp_path, dialect=dialect, quirks=[quirk] if quirk else []) as one:
        heard = []
        done = await fetch(one.client, one.batch, out, report=heard.append, manner=HASTY)
        assert done == WHOLE
        assert files_in(out) == originals(one)
        assert heard[-1] == done
        assert [step.bytes for step in heard] == sorted(step.bytes for step in heard)


async def test_what_is_there_is_not_asked_for_again(tmp_path, out):
    async with shop(tmp_path) as one:
        await fetch(one.client, one.batch, out, manner=HASTY)
        one.calls.clear()
        (out / PART).rename(out / f"{PART}.part")
        with (out / f"{PART}.part").open("r+b") as file:
            file.truncate(250_000)
        done = await fetch(one.client, one.batch, out, manner=HASTY)
        assert done == replace(WHOLE, resumed_bytes=ALL - 50_000)
        assert [call.code for call in one.calls].count("206") == 1
        assert files_in(out) == originals(one)


@pytest.mark.parametrize(
    ("fault", "rest"),
    [
        pytest.param({"drop_after": 30_000}, {"times": 3}, id="dropped-three-times"),
        pytest.param({"drop_after": 70_000}, {"probability": 0.5}, id="dropped-every-other-time"),
        pytest.param({"reset": True}, {"times": 4}, id="reset"),
        pytest.param({"status": 503}, {"times": 4}, id="503"),
        pytest.param({"status": 429, "headers": {"Retry-After": "0"}}, {"times": 4}, id="429"),
        pytest.param({"garbage": True}, {"times": 4}, id="garbage"),
        pytest.param({"truncate": 5_000}, {"times": 4}, id="truncated"),
        pytest.param({"truncate": 0}, {"times": 4}, id="nothing-at-all"),
        pytest.param({"status": 401}, {"times": 1}, id="401"),
    ],
)
async def test_a_batch_arrives_whatever_breaks_on_the_way(tmp_path, out, fault, rest):
    async with shop(tmp_path) as one:
        await one.fault(fault, **rest)
        done = await fetch(one.client, one.batch, out, parallel=2, manner=replace(HASTY, vain_most=10))
        assert done == WHOLE
        assert files_in(out) == originals(one)


async def test_a_list_that_fails_once_is_asked_for_again(tmp_path, out):
    async with shop(tmp_path) as one:
        await one.fault({"status": 503}, path="/data/foundation/export/*", times=2)
        assert await fetch(one.client, one.batch, out, manner=HASTY) == WHOLE


async def test_a_file_that_cannot_be_had_leaves_the_others_and_itself_for_later(tmp_path, out):
    async with shop(tmp_path) as one:
        await one.fault({"status": 404}, path=f"/data/foundation/export/files/*?path={PART}", times=1)
        with pytest.raises(DownloadError) as caught:
            await fetch(one.client, one.batch, out, manner=HASTY)
        assert f"{FILES - 1} of {FILES} files are complete in {out}" in str(caught.value)
        assert PART in str(caught.value)
        assert isinstance(caught.value.__cause__, NotFound)
        done = await fetch(one.client, one.batch, out, manner=HASTY)
        assert done.resumed_bytes == ALL - FILE_BYTES
        assert files_in(out) == originals(one)


async def test_a_platform_that_is_away_is_given_up_and_what_came_is_kept(tmp_path, out):
    async with shop(tmp_path, files=30, size=30_000) as one:
        hasty = replace(HASTY, piece_bytes=10_000)
        await fetch(one.client, one.batch, out, manner=hasty)
        for path in list(out.glob("*.parquet"))[5:]:
            path.unlink()
        one.calls.clear()
        await one.fault({"reset": True})
        with pytest.raises(DownloadError) as caught:
            await fetch(one.client, one.batch, out, manner=hasty)
        assert isinstance(caught.value.__cause__, Unavailable)
        assert "5 of 30 files are complete" in str(caught.value)
        assert [call.code for call in one.calls].count("disconnected") < 60  # of 25 files, 5 tries each
        assert len(list(out.glob("*.parquet"))) == 5


async def test_a_token_that_is_refused_ends_all_of_it(tmp_path, out):
    async with shop(tmp_path) as one:
        await one.fault({"status": 403})
        with pytest.raises(Unauthorized):
            await fetch(one.client, one.batch, out, manner=HASTY)


async def test_a_disk_that_takes_no_more_ends_it_and_keeps_what_came(tmp_path, out, monkeypatch):
    async with shop(tmp_path) as one:

        def full(folder, wanted):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("segwatch.upstream.download_folder.Folder.finish", full)
            with pytest.raises(OSError, match="No space left"):
                await fetch(one.client, one.batch, out, parallel=1, manner=HASTY)
        assert (await fetch(one.client, one.batch, out, manner=HASTY)).resumed_bytes == FILE_BYTES
        assert files_in(out) == originals(one)


async def test_a_file_that_is_no_parquet_is_not_given_the_name_of_one(tmp_path, out):
    async with shop(tmp_path) as one:
        damaged = one.origin / PART
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:-4] + b"XXXX")
        with pytest.raises(DownloadError, match="not what a Parquet file begins and ends with") as caught:
            await fetch(one.client, one.batch, out, manner=HASTY)
        assert "only that file was deleted" in str(caught.value)
        assert "What came is kept" not in str(caught.value)
        assert not (out / PART).exists()
        damaged.write_bytes(whole)
        await fetch(one.client, one.batch, out, manner=HASTY)
        assert files_in(out) == originals(one)


async def test_files_of_somebody_else_are_left_alone_unless_forced(tmp_path, out):
    async with shop(tmp_path) as one:
        out.mkdir()
        (out / PART).write_bytes(b"mine")
        with pytest.raises(DownloadError, match="--force"):
            await fetch(one.client, one.batch, out, manner=HASTY)
        assert files_in(out) == {PART: b"mine"}
        await fetch(one.client, one.batch, out, force=True, manner=HASTY)
        assert files_in(out) == originals(one)
        (out / PART).write_bytes(b"changed")
        with pytest.raises(DownloadError, match=r"shorter than announced \(7 bytes, not .*--force fetches it again"):
            await fetch(one.client, one.batch, out, manner=HASTY)
        await fetch(one.client, one.batch, out, force=True, manner=HASTY)
        assert files_in(out) == originals(one)


async def test_nothing_is_written_through_a_link(tmp_path, out):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"PAR1")
    async with shop(tmp_path) as one:
        await fetch(one.client, one.batch, out, manner=HASTY)
        (out / PART).unlink()
        (out / f"{PART}.part").symlink_to(elsewhere)
        with pytest.raises(DownloadError, match="is a link, not the beginning of a file"):
            await fetch(one.client, one.batch, out, manner=HASTY)
        await fetch(one.client, one.batch, out, force=True, manner=HASTY)
        assert files_in(out) == originals(one)
        assert elsewhere.read_bytes() == b"PAR1"


async def test_a_link_that_comes_between_two_chunks_is_not_followed(tmp_path, out):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"")

    def link(progress):
        for part in out.glob("*.part"):
            if not part.is_symlink():
                part.unlink()
                part.symlink_to(elsewhere)

    async with shop(tmp_path) as one:
        with pytest.raises(OSError, match="symbolic link"):
            await fetch(one.client, one.batch, out, parallel=1, report=link, manner=HASTY)
    assert elsewhere.read_bytes() == b""


async def test_a_folder_of_another_batch_is_refused_until_it_is_begun_anew(tmp_path, out):
    async with shop(tmp_path) as one:
        await fetch(one.client, one.batch, out, manner=HASTY)
        other = (await one.platform.control("batches", {"files": 1, "bytes": 8}))["batch_id"]
        with pytest.raises(DownloadError, match="choose another --out; --restart"):
            await fetch(one.client, other, out, manner=HASTY)
        assert files_in(out) == originals(one)
        await fetch(one.client, other, out, restart=True, manner=HASTY)
        assert files_in(out) == {PART: b"PAR1PAR1"}


async def test_a_batch_whose_files_changed_is_begun_anew_only_when_told_so(tmp_path, out):
    async with shop(tmp_path) as one:
        await fetch(one.client, one.batch, out, manner=HASTY)
        noted = json.loads((out / ".segwatch-download.json").read_text())
        noted["files"][0]["length_bytes"] += 1
        (out / ".segwatch-download.json").write_text(json.dumps(noted))
        with pytest.raises(DownloadError, match="lists other files now"):
            await fetch(one.client, one.batch, out, manner=HASTY)
        (out / ".segwatch-download.json").write_text("{")
        with pytest.raises(DownloadError, match="--restart begins anew"):
            await fetch(one.client, one.batch, out, manner=HASTY)
        await fetch(one.client, one.batch, out, restart=True, force=True, manner=HASTY)
        assert files_in(out) == originals(one)


async def test_a_folder_is_filled_by_one_download_at_a_time(tmp_path, out):
    async with shop(tmp_path) as one:
        await one.fault({"slow_bytes_per_s": 100_000})
        begun = asyncio.Event()
        first = asyncio.create_task(
            fetch(one.client, one.batch, out, report=lambda progress: begun.set(), manner=HASTY)
        )
        await begun.wait()
        with pytest.raises(DownloadError, match="another download"):
            await fetch(one.client, one.batch, out, manner=HASTY)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await one.platform.control("faults", method="DELETE")
        await fetch(one.client, one.batch, out, manner=HASTY)
        assert files_in(out) == originals(one)


async def test_no_more_files_than_allowed_are_on_their_way_at_once(tmp_path, out):
    async with shop(tmp_path, files=8) as one:
        most = 0

        def look(progress):
            nonlocal most
            most = max(most, len(list(out.glob("*.part"))))

        await fetch(one.client, one.batch, out, parallel=3, report=look, manner=HASTY)
        assert most == 3
        for wrong in (0, 17):
            with pytest.raises(ValueError, match="1 to 16"):
                await fetch(one.client, one.batch, out, parallel=wrong)


def data(*rows):
    return reply(body={"data": list(rows)})


FILE = {"dataSetFileId": "b-1"}


async def test_a_batch_without_files_says_where_it_stands(out):
    script = [data(), reply(body={"b": {"status": "Processing"}})]
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        with pytest.raises(DownloadError, match="Batch b has no files; its status is processing"):
            await fetch(client, "b", out, manner=HASTY)
    assert not out.exists()


async def test_an_unknown_batch_leaves_no_folder(tmp_path, out):
    async with shop(tmp_path) as one:
        with pytest.raises(NotFound):
            await fetch(one.client, "0" * 32, out, manner=HASTY)
    assert not out.exists()


async def test_a_link_to_another_host_is_not_followed_and_gets_no_token(out):
    async with raw_platform() as foreign:
        href = f"{foreign.url}/data/foundation/export/files/b-1?path=a.csv"
        links = {"self": {"href": href}}
        script = [data(FILE | {"_links": links}), data({"length": "3", "_links": links}), reply(body=b"abc")]
        async with raw_platform(*script) as platform, client_of(platform.url) as client:
            await fetch(client, "b", out, manner=HASTY)
        assert files_in(out) == {"a.csv": b"abc"}
        assert foreign.requests == []
        assert [first.split()[1] for first, _, _ in platform.requests] == [
            "/data/foundation/export/batches/b/files?limit=100",
            "/data/foundation/export/files/b-1?limit=100",
            "/data/foundation/export/files/b-1?path=a.csv",
        ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_of_a_download_is_not_followed(out, status):
    async with raw_platform() as foreign:
        script = [data(FILE), data({"name": "a.csv", "length": "3"}), reply(status, Location=f"{foreign.url}/a")]
        async with raw_platform(*script) as platform, client_of(platform.url) as client:
            with pytest.raises(DownloadError, match="redirects are not followed"):
                await fetch(client, "b", out, manner=HASTY)
        assert foreign.requests == []
        assert len(platform.requests) == 3


@pytest.mark.parametrize(
    ("answers", "content"),
    [
        pytest.param([reply(206, b"a", Content_Range="bytes 0-0/3")], b"abc", id="by-the-range"),
        pytest.param([reply(200, b"abc")], b"abc", id="by-the-length"),
        pytest.param([reply(416)], b"", id="empty"),
    ],
)
async def test_a_length_that_the_list_does_not_tell_is_asked_for(out, answers, content):
    script = [data(FILE), data({"name": "a.csv"}), *answers, *([reply(200, content)] if content else [])]
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        done = await fetch(client, "b", out, manner=HASTY)
    assert files_in(out) == {"a.csv": content}
    assert done.bytes == len(content)
    assert platform.script == []


async def test_a_directory_of_files_is_looked_into_once(out):
    inner = [data({"dataSetFileId": "b-1-1"}, {"dataSetFileId": "b-1-2"})]
    script = [data(FILE), *inner, data({"name": "a", "length": "1"}), data({"name": "a", "length": "1"})]
    script += [reply(200, b"x"), reply(200, b"x")]
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        await fetch(client, "b", out, parallel=1, manner=HASTY)
    assert files_in(out) == {"b-1-1/a": b"x", "b-1-2/a": b"x"}
    script = [data(FILE), *inner, data({"dataSetFileId": "b-1-1-1"})]
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        with pytest.raises(UpstreamError, match="directory of directories"):
            await fetch(client, "b", out / "other", manner=HASTY)


@pytest.mark.parametrize("row", [{}, {"name": ""}, {"name": 5}, "text", {"_links": {"self": {"href": "http://["}}}])
async def test_a_row_that_cannot_be_read_is_no_file_less(out, row):
    async with (
        raw_platform(data(FILE), data({"name": "a", "length": "1"}, row)) as platform,
        client_of(platform.url) as client,
    ):
        with pytest.raises(UpstreamError, match="files would be missing"):
            await fetch(client, "b", out, manner=HASTY)


async def test_a_name_that_leads_out_of_the_folder_is_refused(out):
    async with (
        raw_platform(data(FILE), data({"name": "../evil", "length": "1"})) as platform,
        client_of(platform.url) as client,
    ):
        with pytest.raises(DownloadError, match="cannot be stored"):
            await fetch(client, "b", out, manner=HASTY)
    assert not out.exists()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (reply(200, b"abcd"), "4 bytes, and the list said 3"),
        (reply(206, b"abc", Content_Range="bytes 0-2/4"), "4 bytes, and the list said 3"),
        (reply(206, b"bc", Content_Range="bytes 1-2/3"), "byte 0 was asked for"),
        (reply(206, b"abcd", Content_Range="bytes 0-2/3"), "more came"),
        (reply(200, b"abc", Content_Encoding="br"), "."),
    ],
)
async def test_an_answer_that_is_not_the_file_of_the_list_is_never_stored_as_it(out, answer, why):
    hasty = replace(HASTY, vain_most=2)
    async with (
        raw_platform(data(FILE), data({"name": "a", "length": "3"}), answer, answer) as platform,
        client_of(platform.url) as client,
    ):
        with pytest.raises(DownloadError, match=why):
            await fetch(client, "b", out, manner=hasty)
    assert not (out / "a").exists()


OLD, NEW = b"a" * 6, b"b" * 6
LENGTH_6 = data({"name": "a", "length": "6"})


def piece(content, first, last, **headers):
    part = content[first : last + 1]
    return reply(206, part, Content_Range=f"bytes {first}-{last}/{len(content)}", **headers)


@pytest.mark.parametrize("name", ["ETag", "Last_Modified"])
async def test_a_file_that_changed_since_its_beginning_came_is_begun_anew(out, name):
    new = {name: '"new"'}
    script = [
        data(FILE),
        LENGTH_6,
        piece(OLD, 0, 2, **{name: '"old"'}),
        piece(NEW, 3, 5, **new),
        piece(NEW, 0, 5, **new),
    ]
    reports = []
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        done = await fetch(client, "b", out, report=reports.append, manner=HASTY)
    assert files_in(out) == {"a": NEW}
    assert (done.bytes, done.resumed_bytes) == (6, 0)


async def test_what_another_process_began_is_compared_too(out):

    wanted = Wanted(path="a", file_id="f", name="a", length_bytes=6)
    manifest = Manifest(batch="b", sandbox="prod", platform="http://127.0.0.1", files=(wanted,))
    with held(out) as own:
        own.begin(manifest, force=False, restart=False)
        own.note_content(wanted, '"old"')
    with held(out) as own:
        own.begin(manifest, force=False, restart=False)
        assert own.content(wanted) == '"old"'
    with held(out) as own:
        own.begin(manifest, force=False, restart=True)
        assert own.content(wanted) == ""


async def test_names_of_content_that_change_all_the_time_prove_nothing(out):
    script = [piece(OLD, n, n, ETag=f'"{turn}"') for turn, n in enumerate([0, 1, 0, 1, 2, 3, 4, 5])]
    async with raw_platform(data(FILE), LENGTH_6, *script) as platform, client_of(platform.url) as client:
        await fetch(client, "b", out, manner=HASTY)
    assert files_in(out) == {"a": OLD}


async def test_a_new_version_in_the_list_is_another_file(out):
    def listed(version):
        return data({**FILE, "version": version})

    script = [listed("1.0.0"), LENGTH_6, reply(400), listed("1.0.1"), LENGTH_6]
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        with pytest.raises(DownloadError, match="The same command goes on"):
            await fetch(client, "b", out, manner=HASTY)
        with pytest.raises(DownloadError, match="lists other files now"):
            await fetch(client, "b", out, manner=HASTY)


def untold(body, chunk_bytes=2):
    """Return an answer that does not say how long it is."""
    chunks = [body[first : first + chunk_bytes] for first in range(0, len(body), chunk_bytes)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    return reply(200, b"", Transfer_Encoding="chunked", Content_Length=None) + framed


async def test_an_answer_of_untold_length_is_only_kept_if_it_is_whole(out):
    script = [data(FILE), data({"name": "a", "length": "3"}), untold(b"<>"), untold(b"<html>"), untold(b"abc")]
    reports = []
    async with raw_platform(*script) as platform, client_of(platform.url) as client:
        done = await fetch(client, "b", out, report=reports.append, manner=HASTY)
    assert files_in(out) == {"a": b"abc"}
    assert done.bytes == 3
    assert max(one.bytes for one in reports) == 3


async def test_a_download_that_stands_still_is_asked_for_again(tmp_path, out):
    async with shop(tmp_path, files=2) as one:
        await one.fault({"delay_s": 30}, times=2)
        short = Timeouts(connect=timedelta(seconds=0.5), read=timedelta(seconds=0.5), total=timedelta(seconds=1))
        await fetch(one.client, one.batch, out, manner=replace(HASTY, timeouts=short))
        assert [call.code for call in one.calls].count("timeout") == 2
        assert files_in(out) == originals(one)


async def test_a_refusal_is_not_repeated(out):
    async with (
        raw_platform(data(FILE), data({"name": "a", "length": "3"}), reply(400)) as platform,
        client_of(platform.url) as client,
    ):
        with pytest.raises(DownloadError) as caught:
            await fetch(client, "b", out, manner=HASTY)
    assert isinstance(caught.value.__cause__, Refused)
    assert len(platform.requests) == 3
