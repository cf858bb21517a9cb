"""`segwatch profile`: who somebody is to the platform, and in which segments."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter

from segwatch.cli.options import ConfigFile, Json
from segwatch.cli.output import Exit, fail, heading, show, show_json, show_one
from segwatch.cli.platform import InSandbox, calling
from segwatch.upstream import profiles
from segwatch.upstream.client import PlatformClient
from segwatch.upstream.definitions import Names
from segwatch.upstream.errors import NotFound, UpstreamError
from segwatch.upstream.profiles import Profile, SegmentMembership

app = App(name="profile")


@app.command
async def get(
    profile: str,
    /,
    *,
    namespace: Annotated[str | None, Parameter(name="--ns")] = None,
    fields: Annotated[str, Parameter(name="--fields")] = "",
    merge_policy: str = "",
    raw: bool = False,
    sandbox: InSandbox = "",
    as_json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Look one profile up, and the segments that it is in or has left.

    A look-up evaluates nothing: it shows what the last evaluation decided.

    Example: `segwatch profile get sam@example.org --ns email`

    Parameters
    ----------
    profile
        One of its identities.
    namespace
        What kind of identity that is, such as email or ecid; without it the id is taken for an XID.
    fields
        Only these fields, with --raw: dot paths, separated by commas.
    merge_policy
        The id of the merge policy to see it by; else the organization's default.
    raw
        Print everything that is known of it, as JSON.
    """
    paths = [path for path in map(str.strip, fields.split(",")) if path]
    if paths and not raw:
        fail(Exit.USAGE, "--fields chooses what --raw prints: write both, or neither")
    if namespace is not None and not namespace.strip():
        fail(Exit.USAGE, "--ns is empty: write such as email or ecid, or leave it out where the id is an XID")
    async with calling(config, sandbox) as platform:
        try:
            found = await profiles.get(
                platform.client, profile, namespace=namespace or "", fields=paths, merge_policy=merge_policy
            )
        except NotFound:
            hint = "" if namespace else "; unless the id is an XID, --ns must say of what kind it is"
            fail(Exit.FAILED, f"no profile is known by {namespace or 'XID'} {profile}{hint}")
        names = {} if raw else await _names(platform.client, found.memberships)
    if raw:
        show_json(found.entity, indent=None if as_json else 2)
    else:
        _show(found, names, as_json=as_json)


async def _names(client: PlatformClient, memberships: Sequence[SegmentMembership]) -> dict[str, str]:
    """Return the names of segments; none where we may not read them, since ids say it too."""
    try:
        names = Names(client, monotonic=asyncio.get_running_loop().time)
        found = await names.of(one.segment_id for one in memberships if one.namespace == "ups")
    except UpstreamError:
        return {}
    return {id_: name for id_, name in found.items() if name != id_}


def _show(found: Profile, names: dict[str, str], *, as_json: bool) -> None:
    memberships = [
        {
            "namespace": one.namespace,
            "segment": one.segment_id,
            "name": names.get(one.segment_id, ""),
            "status": one.word or one.status,
            "member": one.status is profiles.Membership.MEMBER,
            "since": one.qualified_at,
        }
        for one in found.memberships
    ]
    told: dict[str, Any] = {"xid": found.xid, "modified_at": found.modified_at, "merge_policy": found.merge_policy_id}
    if as_json:
        return show_json(told | {"identities": found.identities, "memberships": memberships})
    identities = [f"{namespace} {one}" for namespace, held in found.identities.items() for one in held]
    show_one(told | {"identities": identities}, as_json=False)
    heading("Segments")
    return show(memberships, as_json=False, empty="in none, and it has left none")
