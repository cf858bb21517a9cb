"""The settings as a whole."""

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from segwatch.config.channels import AnyChannel
from segwatch.config.detectors import DetectorsSection
from segwatch.config.messages import ErrorCodeSection, LinkSection
from segwatch.config.pipelines import PipelineSection
from segwatch.config.routes import RouteSection
from segwatch.config.sections import (
    DaemonSection,
    Http,
    LogSection,
    MetricsSection,
    Platform,
    Polling,
    Quota,
    Retry,
    Sandbox,
    StoreSection,
)
from segwatch.config.templates import TemplateSection

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
    detectors: DetectorsSection = Field(default_factory=DetectorsSection, description=str(DetectorsSection.__doc__))
    quota: Quota = Field(default_factory=Quota, description=str(Quota.__doc__))
    store: StoreSection = Field(default_factory=StoreSection, description=str(StoreSection.__doc__))
    http: Http = Field(default_factory=Http, description=str(Http.__doc__))
    channels: tuple[AnyChannel, ...] = Field((), description="One receiver of notifications.")
    routes: tuple[RouteSection, ...] = Field((), description=str(RouteSection.__doc__))
    error_codes: tuple[ErrorCodeSection, ...] = Field((), description=str(ErrorCodeSection.__doc__))
    links: tuple[LinkSection, ...] = Field((), description=str(LinkSection.__doc__))
    templates: tuple[TemplateSection, ...] = Field((), description=str(TemplateSection.__doc__))
    pipelines: tuple[PipelineSection, ...] = Field((), description=str(PipelineSection.__doc__))
    metrics: MetricsSection = Field(default_factory=MetricsSection, description=str(MetricsSection.__doc__))
    log: LogSection = Field(default_factory=LogSection, description=str(LogSection.__doc__))
    daemon: DaemonSection = Field(default_factory=DaemonSection, description=str(DaemonSection.__doc__))

    def sandbox_of(self, pipeline: PipelineSection) -> str:
        """Return the name of the sandbox that a pipeline works in."""
        return pipeline.sandbox or self.sandboxes[0].name

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
