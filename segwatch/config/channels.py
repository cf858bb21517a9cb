"""Who can be told: the channels."""

from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import ConfigDict, Field, create_model

from segwatch.backoff import Backoff
from segwatch.config.digests import Digest, MaybeDigest
from segwatch.config.layout import is_secret
from segwatch.config.sections import Section, setting
from segwatch.config.values import ChannelName, ShortDuration
from segwatch.notifiers.base import NotifierKind, load_notifiers


def _file_will_do(schema: dict[str, Any]) -> None:
    """Take out of what a schema requires all that may be given as a file: `load` sees to it that one of both is."""
    if "required" in schema:
        schema["required"] = [key for key in schema["required"] if f"{key}_file" not in schema["properties"]]


class ChannelSection(Section):
    """What all channels have."""

    model_config = ConfigDict(json_schema_extra=_file_will_do)

    name: ChannelName = setting("The channel's name, for routes, metrics and `notify replay`.")
    kind: str = setting("How the receiver is spoken to.")
    timeout: ShortDuration = setting("Longest wait for the receiver's answer to one attempt.", default="10s")
    first_delay: ShortDuration = setting("Wait after the first failed attempt; it doubles with each one.", default="2s")
    max_delay: ShortDuration = setting("Longest wait between two attempts.", default="10m")
    max_age: ShortDuration = setting(
        "Age at which an undelivered notification becomes a dead letter, still sendable by hand.", default="24h"
    )
    digest: MaybeDigest = Field(default=None, description=str(Digest.__doc__))

    @property
    def backoff(self) -> Backoff:
        """Return the wait between attempts, in the form that decides."""
        return Backoff(first=self.first_delay, cap=self.max_delay)


def _section_of(kind: NotifierKind) -> type[ChannelSection]:
    """Return the settings of one kind of channel: its own beside those of all, and a file for each secret.

    An instance is also one of the kind's options, so that a notifier is built from what was validated here.
    """
    secrets = [key for key, field in kind.options.model_fields.items() if is_secret(field.annotation)]
    added: dict[str, Any] = {
        f"{key}_file": (Path | None, setting(f"File that holds `{key}`.", default=None)) for key in secrets
    }
    added["kind"] = (Literal[kind.name], setting("How the receiver is spoken to."))
    name = "".join(word.title() for word in kind.name.split("_"))
    # the first base comes last in the table
    bases = (kind.options, ChannelSection)
    return cast(
        type[ChannelSection], create_model(f"{name}Channel", __base__=bases, __doc__=kind.options.__doc__, **added)
    )


if TYPE_CHECKING:  # which kinds there are is known when their files have been found
    AnyChannel = ChannelSection
else:
    AnyChannel = Annotated[
        reduce(or_, (_section_of(kind) for kind in load_notifiers().values())), Field(discriminator="kind")
    ]
