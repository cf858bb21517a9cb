"""What is said in place of the standard texts: the templates."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from segwatch.config.routes import Match, MatcherText, condition_of
from segwatch.config.sections import Section, setting
from segwatch.config.values import ChannelName
from segwatch.deliveries.templates.checking import Unusable
from segwatch.deliveries.templates.language import Text
from segwatch.deliveries.templates.rewriting import NAME_MAX, REST, TEXTS, TemplateRule
from segwatch.errors import BadValue


def _compiles(source: str) -> str:
    try:
        Text(source)
    except Unusable as error:
        raise BadValue(f", which in line {error.line} {error}{'' if str(error).endswith('?') else '.'}") from None
    return source


def _said(source: str) -> str:
    if not source.strip():
        raise BadValue(", which is empty. Leave it out to keep the standard text.")
    return _compiles(source)


def _named(fields: dict[str, str]) -> dict[str, str]:
    for name, source in fields.items():
        if not name.strip() or not name.isprintable() or len(name) > NAME_MAX:
            raise BadValue(f", of which one name is none for a field. Write one of at most {NAME_MAX} letters.")
        if name == REST and source:
            raise BadValue(f', in which "{REST}" has a template. Write "{REST}" = "" to take all other fields out.')
    return fields


TemplateText = Annotated[str, AfterValidator(_compiles)]
SaidText = Annotated[str, AfterValidator(_said)]


class TemplateSection(Section):
    """What channels say in place of the standard texts, in Jinja. Of those that match, a channel takes the first."""

    name: ChannelName = setting("The template's name, for log lines and `segwatch notify preview`.")
    channels: tuple[str, ...] = setting("Names of the channels that speak so; none for all of them.", default=())
    match: Match = Field(default_factory=Match, description=str(Match.__doc__))
    matchers: tuple[MatcherText, ...] = setting("What must fit besides `match`, as in a route.", default=())
    title: SaidText | None = setting("The headline. Where it comes out empty, the standard one.", default=None)
    summary: SaidText | None = setting(
        "What happened, in up to 12 lines. Where it comes out empty, the standard one.", default=None
    )
    explanation: TemplateText | None = setting('What the error behind it means; `""` for nothing.', default=None)
    action: TemplateText | None = setting('What is done about it; `""` for nothing.', default=None)
    items: TemplateText | None = setting('The list below, an entry a line; `""` for none.', default=None)
    fields: Annotated[dict[str, TemplateText], AfterValidator(_named)] = setting(
        'Names and values below the text. These replace those of the same name or come behind them; `""` takes one out,'
        ' and `"*" = ""` all that are not named here.',
        default={},
    )

    @model_validator(mode="after")
    def _says_something(self) -> "TemplateSection":
        if all(getattr(self, name) is None for name in TEXTS) and not self.fields:
            raise BadValue(" changes nothing. Write title, summary, explanation, action, items or fields.")
        return self

    @property
    def rule(self) -> TemplateRule:
        """Return these settings in the form that decides."""
        texts = {name: getattr(self, name) for name in TEXTS}
        return TemplateRule(
            name=self.name,
            channels=self.channels,
            condition=condition_of(self.match, self.matchers),
            fields={name: Text(source) for name, source in self.fields.items()},
            **{name: None if source is None else Text(source) for name, source in texts.items()},
        )
