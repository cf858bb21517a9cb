"""Wrong settings end the daemon at once, with a line for each mistake, and leave nothing behind."""

import asyncio

from house import House, Running


async def test_wrong_settings_are_told_line_by_line_and_nothing_is_created(house: House) -> None:
    house.write(
        store={"url": f"sqlite://{house.folder}/new/segwatch.db"},
        polling={"interval": "soon", "intervall": "5s"},
        channels=[house.channel("events", kind="webhok")],
        routes=[{"match": {}, "channels": ["evnts"]}],
    )
    wrong = await house.run_daemon()
    good = house.config.read_text()
    house.config = house.folder / "none.toml"
    missing = await house.run_daemon()
    house.config = house.folder / "broken.toml"
    house.config.write_text(good.replace("= {", "=", 1))
    broken = await house.run_daemon()
    codes = await asyncio.gather(*(process.ended() for process in (wrong, missing, broken)))
    assert codes == [2, 2, 2]

    lines = _lines(wrong)
    assert all(line.startswith(f"{house.folder}/config.toml: ") for line in lines)
    for key in ("polling.interval ", "polling.intervall", "channels[0].kind", "routes[0].channels[0]"):
        assert sum(key in line for line in lines) == 1, (key, lines)
    assert len(lines) == 4
    (line,) = _lines(missing)
    assert "none.toml: no such file" in line
    (line,) = _lines(broken)
    assert "broken.toml: is not TOML" in line
    assert not (house.folder / "new").exists()
    assert not list(house.folder.glob("*.db*"))


async def test_an_address_that_is_taken_is_named(house: House) -> None:
    listen = house.inbox.url("events").split("/")[2]
    house.write(http={"listen": listen})
    process = await house.run_daemon()
    assert await process.ended() == 1  # the settings are valid: who starts it again may have more luck
    assert f"http.listen is {listen}" in process.text()
    assert "Traceback" not in process.text()


def _lines(process: Running) -> list[str]:
    return process.text().splitlines()
