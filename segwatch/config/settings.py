"""The settings as a whole."""

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from segwatch.config.channels import AnyChannel, Route
from segwatch.config.sections import Daemon, Http, Log, Metrics, Platform, Polling, Retry, Sandbox, Store

ENV_PREFIX = "SEGWATCH_"
ENV_DELIMITER = "__"


class Settings(BaseSettings):
    """Everything that a user can set. Build it with `load`, which also checks what one section says of another."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
    )

    platform: Platform = Field(default_factory=Platform, description=str(Platform.__doc__))
    sandboxes: tuple[Sandbox, ...] = Field((), description=str(Sandbox.__doc__))
    polling: Polling = Field(default_factory=Polling, description=str(Polling.__doc__))
    retry: Retry = Field(default_factory=Retry, description=str(Retry.__doc__))
    store: Store = Field(default_factory=Store, description=str(Store.__doc__))
    http: Http = Field(default_factory=Http, description=str(Http.__doc__))
    channels: tuple[AnyChannel, ...] = Field((), description="One receiver of notifications.")
    routes: tuple[Route, ...] = Field((), description=str(Route.__doc__))
    metrics: Metrics = Field(default_factory=Metrics, description=str(Metrics.__doc__))
    log: Log = Field(default_factory=Log, description=str(Log.__doc__))
    daemon: Daemon = Field(default_factory=Daemon, description=str(Daemon.__doc__))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the given values as the only source: `load` has read the file and the environment it was handed."""
        return (init_settings,)
