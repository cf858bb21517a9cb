"""The settings of what messages say beside the event: what errors mean, and links."""

from typing import Annotated
from urllib.parse import SplitResult

from pydantic import AfterValidator, Field, model_validator

from segwatch.addresses import split_url
from segwatch.config.routes import Match, MatcherText, condition_of
from segwatch.config.sections import Section, setting
from segwatch.deliveries.error_codes import ErrorCode
from segwatch.deliveries.links import PLACEHOLDER, PLACEHOLDERS, Link
from segwatch.errors import BadValue

_NAME_MAX = 60
_CODE_MAX = 100
_WORDS_MAX = 500


def _line(most: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text) > most:
            raise BadValue(f", which is longer than {most} characters. Write it shorter.")
        if not text.isprintable():
            raise BadValue(", which contains a line break or a control character. Write it on one line.")
        return text

    return AfterValidator(check)


def _code(code: str) -> str:
    if "*" in code[:-1] or code == "*":
        raise BadValue(', in which a * may only stand at the end. Write the whole code, or such as "00900*".')
    return code


def _page(url: str) -> str:
    if url:
        _shown_to_all(url)
    return url


def _shown_to_all(url: str) -> SplitResult:
    parts = split_url(url)
    if "@" in parts.netloc:
        raise BadValue(", which has a name or a password before its host, and every reader sees it. Leave them out.")
    return parts


def _given(name: str) -> str:
    if not name.strip():
        raise BadValue(', which is empty. Write a name, such as "Runbook".')
    return name


def _template(url: str) -> str:
    unknown = next((name for name in PLACEHOLDER.findall(url) if name not in PLACEHOLDERS), None)
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    if unknown is not None:
        raise BadValue(f", in which {{{unknown}}} stands for nothing. Known: {known}.")
    bare = PLACEHOLDER.sub("x", url)
    if "{" in bare or "}" in bare:
        raise BadValue(", in which a brace is without its other one. Write %7B or %7D for a brace itself.")
    host = _shown_to_all(url.replace("{", "%7B").replace("}", "%7D")).netloc
    if "%7B" in host:
        raise BadValue(", in which a placeholder stands in the host. Write the host itself.")
    return url


class ErrorCodeSection(Section):
    """What one sort of error of the platform means. These are asked before those that come along."""

    code: Annotated[str, _line(_CODE_MAX), AfterValidator(_code)] = setting(
        "The error's code, whole, or its beginning and a `*`. Empty fits every code.", default=""
    )
    text: Annotated[str, _line(_WORDS_MAX)] = setting(
        "Part of the error's text, in any case. Empty fits every text.", default=""
    )
    cause: Annotated[str, _line(_WORDS_MAX)] = setting(
        "What is wrong, in plain words. Empty leaves what else is known of the code.", default=""
    )
    advice: Annotated[str, _line(_WORDS_MAX)] = setting("What to do, in plain words. Empty: likewise.", default="")
    runbook: Annotated[str, AfterValidator(_page)] = setting(
        "The URL of a page about it, which messages link to.", default=""
    )

    @model_validator(mode="after")
    def _says_something(self) -> "ErrorCodeSection":
        if not self.code and not self.text:
            raise BadValue(' has neither code nor text, and would fit every error. Write code = "0090000009".')
        if not (self.cause or self.advice or self.runbook):
            raise BadValue(' says nothing. Write cause = "...", advice = "..." or runbook = "https://...".')
        return self

    @property
    def known(self) -> ErrorCode:
        """Return it in the form that messages use."""
        return ErrorCode(code=self.code, text=self.text, cause=self.cause, advice=self.advice, runbook=self.runbook)


class LinkSection(Section):
    """A link that messages carry. Where the event has nothing for one of its placeholders, it is left out."""

    name: Annotated[str, _line(_NAME_MAX), AfterValidator(_given)] = setting("What it is called.")
    url: Annotated[str, AfterValidator(_template)] = setting(
        "Where it leads. Placeholders are filled in, percent-encoded: "
        + " ".join(f"`{{{name}}}`" for name in PLACEHOLDERS)
        + ". None in the host."
    )
    match: Match = Field(default_factory=Match, description=str(Match.__doc__))
    matchers: tuple[MatcherText, ...] = setting("What must fit besides `match`, as in `[[routes]]`.", default=())

    @property
    def link(self) -> Link:
        """Return it in the form that messages use."""
        return Link(name=self.name, url=self.url, condition=condition_of(self.match, self.matchers))
