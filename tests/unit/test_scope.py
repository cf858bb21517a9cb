"""What a channel may see, by its routes."""

import pytest

from segwatch.alerts.matching import Condition, parse
from segwatch.deliveries.routing import Route
from segwatch.deliveries.scope import scope_of
from segwatch.jobs.events import Severity


def route(*channels, matchers="", **fields):
    condition = Condition(match=fields.pop("match", {}), matchers=parse(matchers) if matchers else ())
    return Route(channels=channels or ("team",), condition=condition, **fields)


def labels(sandbox="prod", kind="export_job", **more):
    return {"sandbox": (sandbox,), "kind": (kind,)} | {name: (value,) for name, value in more.items()}


def covers(*routes, sandboxes=(), **of):
    return scope_of("team", routes, sandboxes).covers(labels(**of))


def test_without_a_route_nothing_is_kept_back():
    assert covers()
    assert covers(route("others", match={"sandbox": "dev"}))
    assert scope_of("team", ()).seen(["prod", "dev"]) == ("prod", "dev")


@pytest.mark.parametrize(
    ("fields", "of", "expected"),
    [
        pytest.param({"match": {"sandbox": "prod"}}, {}, True, id="its-sandbox"),
        pytest.param({"match": {"sandbox": "prod"}}, {"sandbox": "dev"}, False, id="another-sandbox"),
        pytest.param({"matchers": 'sandbox!~"dev.*"'}, {"sandbox": "dev-2"}, False, id="not-that-one"),
        pytest.param({"match": {"kind": ["segment_job"]}}, {}, False, id="another-kind"),
        pytest.param({"match": {"dataset": "d1"}}, {"dataset": "d1"}, True, id="its-dataset"),
        pytest.param({"match": {"dataset": "d1"}}, {"dataset": "d2"}, False, id="another-dataset"),
        pytest.param({"match": {"segment": "nl"}}, {}, False, id="no-segment-of-its-own"),
        pytest.param({"match": {"type": "job.failed", "status": "FAILED"}}, {}, True, id="when-not-of-what"),
        pytest.param({"min_severity": Severity.CRITICAL, "matchers": "late=true"}, {}, True, id="nor-how-bad"),
    ],
)
def test_a_route_shows_the_jobs_that_it_could_tell_of(fields, of, expected):
    assert covers(route(**fields), **of) is expected


def test_an_alert_about_no_sandbox_is_seen_by_who_sees_all():
    about_a_channel = {"channel": ("ops",)}
    assert scope_of("team", [route()]).covers(about_a_channel)
    assert not scope_of("team", [route(match={"sandbox": "prod"})]).covers(about_a_channel)


def test_what_another_route_takes_for_itself_is_not_seen():
    first = route("others", match={"sandbox": "prod"}, continues=False)
    assert not covers(first, route())
    assert covers(first, route(), sandbox="dev")
    some = route("others", match={"sandbox": "prod", "type": "job.failed"}, continues=False)
    assert covers(some, route()), "it takes the failures only"


def test_a_default_route_shows_what_no_other_route_takes():
    default = route(default=True)
    assert not covers(route("others", match={"sandbox": "prod"}), default)
    assert covers(route("others", match={"sandbox": "prod"}), default, sandbox="dev")
    assert covers(route("others", match={"sandbox": "prod"}, min_severity=Severity.CRITICAL), default)


def test_sandboxes_narrow_what_routes_show():
    assert covers(route(), sandboxes=["prod"])
    assert not covers(route(), sandboxes=["dev"])
    assert not covers(sandboxes=["dev"])
    assert scope_of("team", [route(match={"sandbox": ["prod", "dev"]})], ["dev"]).seen(["prod", "dev"]) == ("dev",)
    assert scope_of("team", [route(match={"sandbox": "prod", "kind": "x"})]).seen(["prod", "dev"]) == ("prod",)


def test_the_kinds_that_can_be_told_of():
    kinds, sandboxes = ("export_job", "segment_job"), ("prod", "dev")
    assert scope_of("team", ()).kinds(kinds, sandboxes) == kinds
    exports = [route(match={"sandbox": "prod", "kind": "export_job", "dataset": "d1"})]
    assert scope_of("team", exports).kinds(kinds, sandboxes) == ("export_job",)
    assert scope_of("team", exports).kinds(kinds, ["dev"]) == ()
