"""Settings of a house with one sandbox, in a file as commands read them."""

from pathlib import Path

from segwatch.config import Settings, load

SANDBOX = """
[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "abc"
client_secret = "hush-hush"
"""


def file_with(folder: Path, text: str) -> Path:
    """Return a new settings file: the sandbox prod, and this."""
    file = folder / "config.toml"
    file.write_text(SANDBOX + text, encoding="utf-8")
    return file


def settings_with(folder: Path, text: str) -> Settings:
    """Return what such a file comes to. Raises ConfigError."""
    return load(file_with(folder, text), {})
