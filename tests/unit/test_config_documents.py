"""The example and the reference page say what the models say."""

import base64
import re
from pathlib import Path

from segwatch.config import Settings, load, reference
from segwatch.config.layout import models_in
from segwatch.config.routes import Match

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
WRITE_AGAIN = "python -c \"import segwatch.config as c; print(c.reference(), end='')\" > docs/reference/settings.md"


def keys_of(model, prefix=""):
    for key, field in model.model_fields.items():
        tables = models_in(field.annotation)
        for table in tables:
            yield from keys_of(table, f"{prefix}{key}.")
        if not tables:
            yield prefix + key


def keys_shown(text):
    """Yield every key in the example, alternatives behind `#` and keys of inline tables included."""
    section = ""
    for line in text.splitlines():
        if header := re.match(r"\[\[?([a-z_.]+)\]", line):
            section = header[1]
        elif setting := re.match(r"#?([a-z_.]+) = (.*)", line):
            if setting[1] in ("match", "quiet_hours", "digest"):
                inner = re.findall(r"(\w+) = ", setting[2].split("}")[0])
                yield from (f"{section}.{setting[1]}.{key}" for key in inner)
            else:
                yield f"{section}.{setting[1]}"


def test_the_example_shows_every_setting_and_no_other():
    shown = set(keys_shown(EXAMPLE.read_text(encoding="utf-8")))
    # as in a route, which shows them all
    matched = {f"{table}.match.{key}" for table in ("templates", "links") for key in Match.model_fields}
    assert shown - matched == set(keys_of(Settings)) - matched


def example(tmp_path, *, alternatives):
    """Write the example with its secret files, on request with the alternatives in place of what they replace."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("/run/secrets/", f"{tmp_path}/")
    if alternatives:
        text = text.replace("#match.type", '[[routes]]\nchannels = ["ops"]\nmatch.type')
        replaced = "client_secret_file|url_file|url|secret_file|after|routing_key_file|password_file|token_file"
        text = re.sub(rf"^({replaced}) =", r"# \1 =", text, flags=re.MULTILINE)
        others = "client_secret|access_token_file|token_file|previous_secret_file|bearer_token_file|bearer_token"
        text = re.sub(rf"^#({others}) =", r"# \1 =", text, flags=re.MULTILINE)
        text = re.sub(r"^#([a-z_.]+ = )", r"\1", text, flags=re.MULTILINE)
        text = text.replace('"whsec_..."', '"whsec_aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8="').replace('"eyJ..."', '"eyJ"')
        text = text.replace("xoxb-...", "xoxb-made-up")
    text = text.replace('# url = "https://logs', 'url = "https://logs')  # a link's has no file to replace it
    for name in ("aep_client_secret", "segwatch_token", "pagerduty_key", "alertmanager_password", "smtp_password"):
        (tmp_path / name).write_text("s3cret\n")
    (tmp_path / "apprise_url").write_text("json://127.0.0.1:9/x\n")
    for name in ("slack_url", "events_url"):
        (tmp_path / name).write_text("https://hooks.example.test/x\n")
    (tmp_path / "slack_token").write_text("xoxb-made-up\n")
    (tmp_path / "events_secret").write_text("whsec_" + base64.b64encode(b"x" * 32).decode())
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_example_can_be_copied_and_shows_the_defaults(tmp_path):
    got = load(example(tmp_path, alternatives=False), {})
    for section in ("platform", "polling", "store", "http", "metrics", "log", "daemon"):
        assert getattr(got, section) == Settings.model_fields[section].default_factory()
    assert got.retry.model_copy(update={"rules": ()}) == Settings.model_fields["retry"].default_factory()
    kinds = [channel.kind for channel in got.channels]
    assert kinds == ["slack", "slack", "webhook", "log", "pagerduty", "alertmanager", "email", "apprise"]


def test_the_alternatives_in_the_example_can_be_used(tmp_path):
    got = load(example(tmp_path, alternatives=True), {})
    assert got.sandboxes[0].access_token.get_secret_value() == "eyJ"
    assert set(got.routes[1].match.wanted) == set(Match.model_fields) - {"severity", "sandbox"}


def test_the_reference_page_is_up_to_date():
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert page == reference(), f"write it again: {WRITE_AGAIN}"


def test_the_settings_of_the_tutorial_are_valid(tmp_path):
    page = (ROOT / "docs/tutorial/first-alert.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^cat > config\.toml <<'TOML'\n(.+?)^TOML$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    got = load(file, {})
    assert [channel.name for channel in got.channels] == ["ops", "console"]
