"""Options that several commands take, in the same words."""

from typing import Annotated

from cyclopts import Parameter, validators

from segwatch.jobs.events import EventType

Json = Annotated[bool, Parameter(name="--json", help="Print JSON.")]
ConfigFile = Annotated[
    str | None,
    Parameter(name="--config", help="The settings file; else $SEGWATCH_CONFIG, else /etc/segwatch/config.toml."),
]
Limit = Annotated[
    int, Parameter(name="--limit", help="At most so many, the newest ones.", validator=validators.Number(gte=1))
]
Port = Annotated[int, Parameter(name="--port", validator=validators.Number(gte=0, lte=65535))]
EVENT_TYPES = tuple(one.value for one in EventType)
