"""What a segment definition asks for, checked. AEP contract 6.1, 6.2."""

from typing import Any

from segwatch.emulator import seed
from segwatch.emulator.envelopes import ServiceError
from segwatch.emulator.settings import Json
from segwatch.emulator.world import World

_EVALUATIONS = ("batch", "continuous", "synchronous")
_OBJECTS = ("dataGovernancePolicy",)


async def definition_request(world: World, body: Any) -> Json:
    """Return what a body asks for: names that the platform knows, the others left out. Raises ServiceError.

    The expression has been compiled for the profiles that there are: it can be evaluated.
    """
    if not isinstance(body, dict):
        raise ServiceError(400, "The body is not an object: write the whole definition")
    name, schema = body.get("name"), body.get("schema")
    if not isinstance(name, str) or not name.strip():
        raise ServiceError(400, "name is missing")
    if not isinstance(schema, dict) or schema.get("name") != seed.PROFILE_SCHEMA:
        raise ServiceError(400, f"schema.name is missing: write {seed.PROFILE_SCHEMA}")
    if not isinstance(body.get("description", ""), str):
        raise ServiceError(400, "description is not a text")
    if body.get("mergePolicyId", seed.MERGE_POLICY_ID) != seed.MERGE_POLICY_ID:
        raise ServiceError(400, f"mergePolicyId is {body['mergePolicyId']!r}: the only one is {seed.MERGE_POLICY_ID}")
    asked: Json = {"name": name, "expression": await _expression(world, body.get("expression"))}
    if "evaluationInfo" in body:
        asked["evaluationInfo"] = _evaluation_info(body["evaluationInfo"])
    for known in ("description", "ttlInDays", *_OBJECTS):
        if known in body:
            asked[known] = body[known]
    return asked


async def _expression(world: World, expression: Any) -> Json:
    if not isinstance(expression, dict):
        raise ServiceError(400, 'expression is missing: write {"type": "PQL", "format": "pql/text", "value": "..."}')
    lake = await world.lake()
    # the lake brought them in; without it there is nothing to compile for
    from segwatch.emulator.lake.conditions import conditions
    from segwatch.emulator.pql import PqlError

    try:
        await lake.answer(lambda cursor: conditions(cursor, {"new": expression}))
    except PqlError as error:
        raise ServiceError(400, f"expression: {error}") from error
    return {name: expression[name] for name in ("type", "format", "value")}


def _evaluation_info(value: Any) -> Json:
    """Return all three ways of evaluation; those that the body leaves out are off. Absent altogether means batch."""
    entries = value if isinstance(value, dict) else {}
    for name in entries:
        entry = entries[name]
        if name not in _EVALUATIONS or not isinstance(entry, dict) or not isinstance(entry.get("enabled"), bool):
            raise ServiceError(400, f"evaluationInfo has {name!r}: {entry!r}. Write batch: {{'enabled': true}}")
    if not any(entry["enabled"] for entry in entries.values()):
        raise ServiceError(400, "evaluationInfo enables nothing: write {'batch': {'enabled': true}}")
    return {name: {"enabled": name in entries and entries[name]["enabled"]} for name in _EVALUATIONS}
