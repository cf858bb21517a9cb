"""What the files under deploy/ and the Dockerfile say of segwatch is true of segwatch."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from segwatch import __version__
from segwatch.cli.commands import app
from segwatch.config import Settings, load
from segwatch.store.factory import file_of
from segwatch.web import server

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
UNIT = (ROOT / "deploy/systemd/segwatch.service").read_text(encoding="utf-8")
MANIFEST = (ROOT / "deploy/kubernetes/segwatch.yaml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
HTTP = Settings.model_fields["http"].default_factory()
STATE_FOLDER = file_of(Settings.model_fields["store"].default_factory().url).parent


def unit_settings():
    """Return the unit's directives by name, each with all its values; comments and sections are left out."""
    found = {}
    for line in UNIT.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def instructions(name):
    """Return the arguments of every Dockerfile instruction of that name, continued lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [" ".join(line.split()[1:]) for line in joined.splitlines() if line.startswith(f"{name} ")]


def paths_served():
    return set(re.findall(r'"(/[-/a-z]+)"', Path(server.__file__).read_text(encoding="utf-8")))


def is_a_command(words):
    """True when the words parse as a call of `segwatch`, options included."""
    app.parse_args(words, exit_on_error=False, print_error=False)
    return True


def test_the_unit_starts_and_reloads_what_exists():
    unit = unit_settings()
    program, *words = shlex.split(unit["ExecStart"][0])
    assert Path(program).name == "segwatch"
    assert is_a_command(words)
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["Type"] == ["simple"]  # until the daemon speaks sd_notify


def test_the_unit_gives_the_store_its_default_place_and_time_to_drain():
    unit = unit_settings()
    assert Path("/var/lib", unit["StateDirectory"][0]) == STATE_FOLDER
    assert int(unit["TimeoutStopSec"][0]) >= 10
    assert unit["DynamicUser"] == ["yes"]


def test_the_unit_shows_credentials_that_the_settings_know(tmp_path):
    names = re.findall(r"^#?LoadCredential=([^:]+):", UNIT, re.MULTILINE)
    assert names
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name in names:
        (credentials / name).write_text("https://hooks.example.test/x" if name.endswith(".url") else "s3cret")
    file = tmp_path / "config.toml"
    file.write_text(
        '[[sandboxes]]\nname = "prod"\norg_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"\nclient_id = "x"\n'
        '[[channels]]\nname = "ops"\nkind = "slack"\n'
    )
    got = load(file, {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert got.sandboxes[0].client_secret.get_secret_value() == "s3cret"


def test_the_images_python_is_one_that_segwatch_runs_on():
    (version,) = re.findall(r"^ARG PYTHON_VERSION=(\d+)\.(\d+)$", DOCKERFILE, re.MULTILINE)
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert tuple(map(int, version)) >= tuple(map(int, least.groups()))
    assert f"ARG VERSION={__version__}" in DOCKERFILE


def test_the_image_copies_what_is_there_and_the_build_may_see_it():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    sources = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    assert "requirements.lock" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_image_runs_as_a_numbered_user_and_starts_the_daemon():
    uid, _, gid = instructions("USER")[-1].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    assert instructions("ENTRYPOINT") == ['["segwatch"]']
    assert instructions("CMD") == ['["run"]']
    assert is_a_command(["run"])
    assert instructions("VOLUME") == [f'["{STATE_FOLDER}"]']


def test_ports_are_the_default_port():
    port = str(HTTP.listen.port)
    assert instructions("EXPOSE") == [port]
    assert re.findall(r"0\.0\.0\.0:(\d+)", DOCKERFILE + MANIFEST) == [port, port]
    assert set(re.findall(r"(?:containerPort|^      port): (\d+)", MANIFEST, re.MULTILINE)) == {port}
    assert re.findall(r"http://127\.0\.0\.1:(\d+)/", DOCKERFILE) == [port]


def test_what_is_probed_is_served():
    probed = re.findall(r"path: (\S+)", MANIFEST) + re.findall(r"http://127\.0\.0\.1:\d+([-/a-z]+)", DOCKERFILE)
    assert len(probed) == 4
    assert set(probed) <= paths_served()


def test_the_manifest_runs_one_daemon_on_one_store():
    assert "replicas: 1" in MANIFEST
    assert "type: Recreate" in MANIFEST
    assert f"mountPath: {STATE_FOLDER}" in MANIFEST
    uid = instructions("USER")[-1].partition(":")[0]
    assert re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", MANIFEST) == [uid] * 3


def test_the_settings_in_the_manifest_are_valid(tmp_path):
    (block,) = re.findall(r"config\.toml: \|\n((?:    .*\n|\n)+)", MANIFEST)
    text = re.sub(r"^    ", "", block, flags=re.MULTILINE).replace("/run/secrets/segwatch/", f"{tmp_path}/")
    (tmp_path / "client_secret").write_text("s3cret")
    (tmp_path / "slack_url").write_text("https://hooks.example.test/x")
    file = tmp_path / "config.toml"
    file.write_text(text)
    assert [route.channels for route in load(file, {}).routes] == [("ops",)]


@pytest.mark.parametrize("words", [["no-such-command"], ["run", "--no-such-option"]])
def test_a_command_that_does_not_exist_is_noticed(words):
    with pytest.raises(CycloptsError):
        is_a_command(words)
