"""What an answer with an error status means for whoever asked."""

from datetime import timedelta

from segwatch.upstream.errors import (
    BadReply,
    Fate,
    NotFound,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    UpstreamError,
)

# the gateway's codes and what a person can do about them (AEP contract 1.3)
_ADVICE = {
    "401013": "The token was renewed once and is still not valid: check client_id, client_secret and org_id",
    "403000": "Check client_id: the platform saw no API key",
    "403003": "Check client_id: the platform does not know this API key",
    "403010": "The platform saw no token; something on the way may have removed the Authorization header",
    "403023": "Check that the credential's product profile covers this organization",
    "403025": "Check org_id, and that the credential's product profile covers this organization",
    "403027": "Check org_id (it ends in @AdobeOrg), and that the credential has a product profile",
    "400003": "Check org_id",
}
_ADVICE_403 = (
    "Ask an administrator for the permissions of this sandbox: Manage Segments, Evaluate a segment, View Datasets"
)


def failure_of(status: int, code: str, text: str, *, retry_after: timedelta | None = None) -> UpstreamError:
    """Return the error that an answer stands for (AEP contract 1.3).

    status: no 2xx. code: the platform's own, "" for none. text: who asked for what, and what was answered.
    """
    reason = f"http_{status}"
    if status == 429:
        return RateLimited(text, retry_after=retry_after, fate=Fate.ANSWERED, code=code)
    if status in (401, 403) or code in _ADVICE:
        advice = _ADVICE.get(code, _ADVICE_403 if status == 403 else _ADVICE["401013"])
        return Unauthorized(f"{text}. {advice}.", fate=Fate.ANSWERED, reason=reason, status=status, code=code)
    if status in (404, 410):
        return NotFound(text, fate=Fate.ANSWERED, reason=reason, status=status, code=code)
    if status in (502, 504):
        # a gateway's word, not the service's: the service may be busy with the request
        return Unavailable(text, fate=Fate.LOST, reason=reason, status=status, code=code)
    if status >= 500 or status in (408, 425):
        return Unavailable(text, fate=Fate.ANSWERED, reason=reason, status=status, code=code)
    if status >= 400:
        return Refused(text, fate=Fate.ANSWERED, reason=reason, status=status, code=code)
    hint = "redirects are not followed, since the token must not leave the configured host. Check [platform].base_url"
    return BadReply(f"{text}: {hint}.", fate=Fate.LOST, reason=reason, status=status, code=code)
