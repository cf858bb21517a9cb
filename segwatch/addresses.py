"""Addresses as people write them: what stays on this machine, and what may be sent a secret."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from segwatch.errors import BadValue


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and localhost: what is sent there does not leave the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def split_url(url: str, *, allow_http: bool = False, unless: str = "") -> SplitResult:
    """Return the parts of an https URL, or of an http URL on loopback. Raises BadValue, which does not repeat it.

    allow_http: whether it may be any http URL. unless: what the error says of where that is written, such as
    `, or with allow_http = true`.
    """
    if not url or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise BadValue(", which is empty or contains a blank. Write https:// and the host.")
    if "://" not in url:
        raise BadValue(", which has no scheme. Write https:// before it.")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise BadValue(", which is no URL. Write https:// and the host.") from None
    if not host:
        raise BadValue(", which names no host. Write https:// and the host.")
    if parts.scheme not in ("https", "http"):
        raise BadValue(", which is neither https:// nor http://. Write https:// and the host.")
    if is_plain(parts) and not allow_http:
        raise BadValue(f", which is not encrypted. Write https://; http:// is for loopback hosts only{unless}.")
    return parts


def is_plain(parts: SplitResult) -> bool:
    """True for a URL that is sent over a network as anybody there can read it."""
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def service_url(url: str, *, allow_http: bool = False, unless: str = "") -> str:
    """Return a URL that paths are put behind, without a slash at its end. Raises BadValue for more than that.

    allow_http, unless: as in `split_url`.
    """
    parts = split_url(url, allow_http=allow_http, unless=unless)
    if parts.username is not None or parts.query or parts.fragment:
        raise BadValue(", which has more than scheme, host, port and path. Write these only.")
    return url.rstrip("/")


def is_host(text: str) -> bool:
    """True for what can be the address or the name of a machine; one that ends in a number must be an address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return all(re.fullmatch("[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", one) for one in labels) and not (
            labels[-1].isdigit()
        )
    return True
