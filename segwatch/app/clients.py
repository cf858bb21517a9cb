"""From the settings to clients of the platform."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

import aiohttp

from segwatch.config import Sandbox, Settings
from segwatch.upstream.auth import ClientSecret, Credential, TokenSources
from segwatch.upstream.budget import Budget, Share
from segwatch.upstream.client import Call, Identity, PlatformClient
from segwatch.upstream.redaction import Redactor
from segwatch.upstream.tokens import FixedToken, TokenFile, TokenSource
from segwatch.upstream.wire import Endpoint, Timeouts


class Clients:
    """Makes the clients of all sandboxes on one session; equal credentials share their tokens.

    Sandboxes of one organization and client id share a call budget: the sum of what each of them may take.
    """

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, *, now: Callable[[], datetime],
        monotonic: Callable[[], float] | None = None, observe: Callable[[Call], None] = lambda call: None,
        redactor: Redactor | None = None,
    ) -> None:  # fmt: skip
        """now, monotonic: as in `PlatformClient`. redactor: masks the secrets of these settings too, from now on."""
        timeout = settings.platform.timeout
        self._session = session
        self._now = now
        self._monotonic = monotonic
        self._observe = observe
        self._endpoint = Endpoint(
            base_url=settings.platform.base_url,
            ims_url=settings.platform.ims_url,
            timeouts=Timeouts(connect=timeout, read=timeout, total=timeout),
        )
        self._redactor = redactor or Redactor()
        self._tokens = TokenSources(session, endpoint=self._endpoint, now=now, redactor=self._redactor)
        together: defaultdict[tuple[str, str], list[Sandbox]] = defaultdict(list)
        for sandbox in settings.sandboxes:
            together[sandbox.org_id, sandbox.client_id].append(sandbox)
        self._budgets = {
            owner: Budget(
                requests_per_second=sum(one.requests_per_second for one in all_), burst=sum(one.burst for one in all_)
            )
            for owner, all_ in together.items()
        }

    def of(self, sandbox: Sandbox) -> tuple[PlatformClient, Share, TokenSource]:
        """Return the client of one sandbox, its call budget, and where it gets its token."""
        budget = self._budgets[sandbox.org_id, sandbox.client_id].share(
            requests_per_second=sandbox.requests_per_second, burst=sandbox.burst
        )
        tokens = self._tokens.of(credential_of(sandbox))
        client = PlatformClient(
            self._session,
            sandbox=Identity(name=sandbox.name, org_id=sandbox.org_id, api_key=sandbox.client_id),
            endpoint=self._endpoint,
            tokens=tokens,
            budget=budget,
            now=self._now,
            monotonic=self._monotonic,
            observe=self._observe,
            redactor=self._redactor,
        )
        return client, budget, tokens


def credential_of(sandbox: Sandbox) -> Credential:
    """Return what the sandbox's settings say about getting a token."""
    if sandbox.access_token_file:
        return TokenFile(client_id=sandbox.client_id, path=sandbox.access_token_file)
    if sandbox.access_token:
        return FixedToken(client_id=sandbox.client_id, token=sandbox.access_token)
    assert sandbox.client_secret is not None  # the settings demand one of the three
    return ClientSecret(client_id=sandbox.client_id, client_secret=sandbox.client_secret, scopes=tuple(sandbox.scopes))
